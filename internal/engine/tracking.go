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
	for _, p := range prefixes {
		if at, has := slices.BinarySearch(t.known, p); !has {
			t.known = slices.Insert(t.known, at, p)
			g.addBroadcast(p, t)
		}
	}
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
	for _, p := range t.known {
		g.removeBroadcast(p, t)
	}
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

func findBroadcast(list []broadcast, prefix string) (at int, has bool) {
	at = sort.Search(len(list), func(i int) bool { return string(list[i].prefix) >= prefix })
	return at, at < len(list) && string(list[at].prefix) == prefix
}

func (g *tracking) addBroadcast(prefix string, t *Tracker) {
	list := slices.Clone(g.listBroadcasts())
	at, has := findBroadcast(list, prefix)
	if !has {
		list = slices.Insert(list, at, broadcast{prefix: []byte(prefix)})
	}
	list[at].trackers = append(slices.Clip(list[at].trackers), t)
	g.broadcasts.Store(&list)
}

func (g *tracking) removeBroadcast(prefix string, t *Tracker) {
	list := slices.Clone(g.listBroadcasts())
	at, has := findBroadcast(list, prefix)
	if !has {
		return
	}
	list[at].trackers = slices.DeleteFunc(slices.Clone(list[at].trackers), func(o *Tracker) bool { return o == t })
	if len(list[at].trackers) == 0 {
		list = slices.Delete(list, at, at+1)
	}
	g.broadcasts.Store(&list)
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
// Cost: O(n log n) for n changes, and O(log n + keys) for each prefix.
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
	for i := range list {
		prefix := list[i].prefix
		from := sort.Search(len(keys), func(n int) bool { return bytes.Compare(keys[n], prefix) >= 0 })
		to := from + sort.Search(len(keys)-from, func(n int) bool { return !bytes.HasPrefix(keys[from+n], prefix) })
		if from == to {
			continue
		}
		for _, t := range list[i].trackers {
			t.tell(keys[from:to], by[from:to])
		}
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
