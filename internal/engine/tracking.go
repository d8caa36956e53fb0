package engine

import (
	"bytes"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// Tracking: who keeps copies of what it read is told when they are out of date
//
// A Tracker in the default mode is remembered at every key that it reads, and forgotten with the first message about
// it: the copy is gone then, and reading it again remembers it again. One in broadcast mode is told of all keys that
// begin with one of its prefixes, read or not.
//
// What is remembered lies in a table for each shard, apart from the keyspace and under the shard's lock, so that
// reading, changing and remembering a key are one step: no change between a read and its remembering can be missed. A
// record is the key and, ascending, the numbers of its trackers, four bytes each. As a key of one name in two databases
// is one key here (nothing in the protocol could tell the client which one it was), a record has no database.
//
// A tracker that ends is not looked for in the tables. Its number finds nobody then, and goes with the key's next change,
// or when the record has doubled. The tables are bounded in keys and in bytes: past a bound, the trackers of random keys
// are told that those changed.
//
// Messages leave at the commit point, or in a transaction before the next read that is remembered, since a read after
// the transaction's own write must outlive it. The shards are locked then, so a copy read later is never hit by an older
// message.

// Tracker is one client that keeps copies. The zero value is off. Its methods are for its owner.
type Tracker struct {
	id    uint32
	to    Invalidations
	mode  atomic.Uint32
	known []string // prefixes, sorted; the owner's
}

// Invalidations are told what copies are out of date: these keys, or all with nil. The call comes from any goroutine
// with shards locked: it must not block, nor call the engine. The keys are borrowed.
type Invalidations interface {
	Invalidate(keys [][]byte)
}

// TrackMode says what a Tracker wants to hear.
type TrackMode uint32

// The bits of a TrackMode.
const (
	TrackOn        TrackMode = 1 << iota
	TrackBroadcast           // keys by prefix, instead of those that it reads
	TrackNoLoop              // not what it changes itself
)

// tracking is the engine's side.
type tracking struct {
	on    atomic.Int32 // trackers
	keys  atomic.Int64
	items atomic.Int64 // numbers in all records
	bytes atomic.Int64 // in live cells

	mu       sync.RWMutex // below the locks of shards
	last     uint32
	trackers map[uint32]*Tracker // those that are on

	broadcasts atomic.Pointer[[]broadcast] // by prefix; replaced, never changed
}

// broadcast is a prefix and who wants to hear of its keys.
type broadcast struct {
	prefix   []byte
	trackers []*Tracker
}

// Track turns a tracker on or changes its mode; the prefixes, none of which may be the beginning of another, are added
// to those it has. It must be turned off to leave the broadcast mode or to enter it.
func (e *Engine) Track(t *Tracker, to Invalidations, m TrackMode, prefixes ...string) {
	g := &e.tracking
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.mode.Load() == 0 {
		g.enrol(t)
		g.on.Add(1)
		e.observers.Add(1)
	}
	t.to = to
	t.mode.Store(uint32(m | TrackOn))
	var added []string
	for _, p := range prefixes {
		if _, has := slices.BinarySearch(t.known, p); !has {
			added = append(added, p)
		}
	}
	slices.Sort(added)
	added = slices.Compact(added)
	t.known = append(slices.Clip(t.known), added...)
	slices.Sort(t.known)
	g.addBroadcasts(added, t)
}

// enrol gives the tracker a number, the same as before where that is free.
func (g *tracking) enrol(t *Tracker) {
	if g.trackers == nil {
		g.trackers = make(map[uint32]*Tracker)
	}
	for t.id == 0 || g.trackers[t.id] != nil {
		g.last++
		t.id = g.last
	}
	g.trackers[t.id] = t
}

// Untrack turns a tracker off. Messages that are on their way may still come.
func (e *Engine) Untrack(t *Tracker) {
	if t.mode.Load() == 0 {
		return
	}
	g := &e.tracking
	g.mu.Lock()
	defer g.mu.Unlock()
	t.mode.Store(0)
	delete(g.trackers, t.id)
	g.removeBroadcasts(t.known, t)
	t.known = nil
	g.on.Add(-1)
	e.observers.Add(-1)
}

// Mode is what the tracker wants to hear now; 0: nothing.
func (t *Tracker) Mode() TrackMode { return TrackMode(t.mode.Load()) }

// Prefixes are those of the broadcast mode, sorted. They are shared: read only.
func (t *Tracker) Prefixes() []string { return t.known }

func (g *tracking) listBroadcasts() []broadcast {
	if p := g.broadcasts.Load(); p != nil {
		return *p
	}
	return nil
}

// addBroadcasts adds a tracker to some prefixes, sorted. Cost: O(all prefixes), however many are added.
func (g *tracking) addBroadcasts(prefixes []string, t *Tracker) {
	if len(prefixes) == 0 {
		return
	}
	old := g.listBroadcasts()
	list := make([]broadcast, 0, len(old)+len(prefixes))
	for _, p := range prefixes {
		for len(old) > 0 && string(old[0].prefix) < p {
			list, old = append(list, old[0]), old[1:]
		}
		b := broadcast{prefix: []byte(p)}
		if len(old) > 0 && string(old[0].prefix) == p {
			b, old = old[0], old[1:]
		}
		b.trackers = append(slices.Clip(b.trackers), t)
		list = append(list, b)
	}
	list = append(list, old...)
	g.broadcasts.Store(&list)
}

// removeBroadcasts takes a tracker off some prefixes, sorted. Cost: O(all prefixes).
func (g *tracking) removeBroadcasts(prefixes []string, t *Tracker) {
	if len(prefixes) == 0 {
		return
	}
	var list []broadcast
	for _, b := range g.listBroadcasts() {
		if len(prefixes) > 0 && string(b.prefix) == prefixes[0] {
			prefixes = prefixes[1:]
			b.trackers = slices.DeleteFunc(slices.Clone(b.trackers), func(o *Tracker) bool { return o == t })
		}
		if len(b.trackers) > 0 {
			list = append(list, b)
		}
	}
	g.broadcasts.Store(&list)
}

// matching finds the prefixes of a key in a sorted list. Cost: O(log n) for each that it finds, and for each length at
// which another key in the list parts from this one.
func matching(list []broadcast, key []byte, fn func(i int)) {
	for end := len(list); ; {
		end = sort.Search(end, func(i int) bool { return bytes.Compare(list[i].prefix, key) > 0 })
		if end == 0 {
			return
		}
		last := list[end-1].prefix
		if bytes.HasPrefix(key, last) {
			end--
			fn(end)
			continue
		}
		key = key[:commonLen(key, last)] // what is a prefix of the key and comes before last is no longer than this
	}
}

// commonLen is the length of what two strings begin with both.
func commonLen(a, b []byte) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// TrackingStats are the figures of INFO: clients that track, keys remembered, clients at all of them together,
// prefixes, and the bytes of the tables.
type TrackingStats struct{ Clients, Keys, Items, Prefixes, Bytes int64 }

// Tracking gives the figures of tracking.
func (e *Engine) Tracking() TrackingStats {
	g := &e.tracking
	return TrackingStats{int64(g.on.Load()), g.keys.Load(), g.items.Load(), int64(len(g.listBroadcasts())), g.bytes.Load()}
}

// invalidate tells the trackers of the changes that they have not been told of.
func (tx *Tx) invalidate() {
	changes := tx.changes[tx.told:]
	tx.told = len(tx.changes)
	if len(changes) == 0 || tx.e.tracking.on.Load() == 0 {
		return
	}
	everything := false
	for i := range changes {
		switch c := &changes[i]; {
		case c.event.isHint():
		case c.key == nil:
			everything = true
		default:
			tx.e.forget(c.key, c.by)
		}
	}
	if everything {
		tx.e.invalidateAll()
		return
	}
	tx.e.broadcast(changes)
}

// wants tells whether the tracker wants to hear of what another, or itself, has changed.
func (t *Tracker) wants(by *Tracker) bool { return t != by || t.Mode()&TrackNoLoop == 0 }

// broadcast tells the trackers by prefix: each prefix one message with all its keys, sorted, a key once.
// Cost: for n changes O(n log n), and what matching costs for each; the number of prefixes matters little.
func (e *Engine) broadcast(changes []change) {
	list := e.tracking.listBroadcasts()
	if len(list) == 0 {
		return
	}
	sorted := slices.DeleteFunc(slices.Clone(changes), func(c change) bool { return c.event.isHint() })
	slices.SortStableFunc(sorted, func(a, b change) int { return bytes.Compare(a.key, b.key) })
	keys, by := make([][]byte, 0, len(sorted)), make([]*Tracker, 0, len(sorted))
	for i := range sorted {
		if i+1 == len(sorted) || !bytes.Equal(sorted[i].key, sorted[i+1].key) { // who has changed it last counts
			keys, by = append(keys, sorted[i].key), append(by, sorted[i].by)
		}
	}
	type hit struct{ prefix, key int }
	var hits []hit
	for n, key := range keys {
		matching(list, key, func(i int) { hits = append(hits, hit{i, n}) })
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return a.prefix - b.prefix })
	for len(hits) > 0 {
		i, from := hits[0].prefix, hits[0].key
		n := 0
		for n < len(hits) && hits[n].prefix == i {
			n++
		}
		for _, t := range list[i].trackers {
			t.tell(keys[from:from+n], by[from:from+n]) // those of one prefix stand together
		}
		hits = hits[n:]
	}
}

// tell sends keys and who has changed each, but for what the tracker does not want to hear.
func (t *Tracker) tell(keys [][]byte, by []*Tracker) {
	if t.Mode()&TrackNoLoop != 0 && slices.Contains(by, t) {
		var others [][]byte
		for i, k := range keys {
			if by[i] != t {
				others = append(others, k)
			}
		}
		if keys = others; len(keys) == 0 {
			return
		}
	}
	t.to.Invalidate(keys)
}

// invalidateAll tells every tracker that all copies are out of date. All shards are locked.
func (e *Engine) invalidateAll() {
	e.forgetAll()
	g := &e.tracking
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, t := range g.trackers {
		t.to.Invalidate(nil)
	}
}
