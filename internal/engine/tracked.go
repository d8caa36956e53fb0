package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
)

// The tables of keys that trackers keep copies of; see tracking.go.

// tracked is a shard's table.
type tracked struct {
	arena *arena.Arena
	t     table.Table
}

// Remember notes that a tracker has read a key, whose shard is locked. Cost: O(1), or O(n) for a key that n trackers read.
func (tx *Tx) Remember(t *Tracker, key []byte) {
	if m := t.Mode(); m&TrackOn == 0 || m&TrackBroadcast != 0 {
		return
	}
	tx.invalidate()
	h := tx.hash(key)
	s := tx.shard(h)
	if s.tracked == nil {
		a := arena.New()
		s.tracked = &tracked{arena: a, t: table.New(a, table.Options{Seed: tx.e.seed, Stagger: shardOf(h)})}
	}
	before := s.tracked.arena.Live()
	tx.e.tracking.remember(s.tracked, h, key, t.id)
	tx.e.tracking.bytes.Add(s.tracked.arena.Live() - before)
}

const (
	trackerSize = 4    // bytes of a tracker's number
	trimStep    = 16   // keys that are forgotten under one lock
	trimTick    = 5000 // keys that a tick forgets at the most
)

func (g *tracking) remember(s *tracked, h uint64, key []byte, id uint32) {
	var r table.Entry
	if !s.t.Find(h, key, &r) {
		s.t.Insert(h, key, trackerSize, 0, 0, &r)
		binary.LittleEndian.PutUint32(r.Value(), id)
		g.keys.Add(1)
		g.items.Add(1)
		return
	}
	ids := r.Value()
	n := len(ids) / trackerSize
	at := sort.Search(n, func(i int) bool { return trackerAt(ids, i) >= id })
	if at < n && trackerAt(ids, at) == id {
		return
	}
	if n >= 8 && n&(n-1) == 0 { // it has doubled
		if gone := g.purge(&r); gone > 0 {
			g.items.Add(-int64(gone))
			ids, n = r.Value(), n-gone
			at = sort.Search(n, func(i int) bool { return trackerAt(ids, i) >= id })
		}
	}
	binary.LittleEndian.PutUint32(r.Splice(at*trackerSize, 0, trackerSize)[at*trackerSize:], id)
	g.items.Add(1)
}

func trackerAt(ids []byte, i int) uint32 { return binary.LittleEndian.Uint32(ids[i*trackerSize:]) }

// purge takes the numbers that find nobody out of a record, and returns how many those were.
func (g *tracking) purge(r *table.Entry) (gone int) {
	ids := r.Value()
	kept := make([]byte, 0, len(ids))
	g.mu.RLock()
	for i := range len(ids) / trackerSize {
		if g.trackers[trackerAt(ids, i)] != nil {
			kept = append(kept, ids[i*trackerSize:(i+1)*trackerSize]...)
		}
	}
	g.mu.RUnlock()
	if gone = (len(ids) - len(kept)) / trackerSize; gone > 0 {
		copy(r.SetLen(len(kept)), kept)
	}
	return gone
}

// forget takes a key, whose shard is locked, out of the table, and tells its trackers, but for one that has changed it
// and does not want to hear that.
func (e *Engine) forget(key []byte, by *Tracker) {
	h := e.Hash(key)
	s := e.shards[shardOf(h)].tracked
	var r table.Entry
	if s == nil || !s.t.Find(h, key, &r) {
		return
	}
	e.drop(s, &r, by)
}

// drop is forget for a record.
func (e *Engine) drop(s *tracked, r *table.Entry, by *Tracker) {
	g := &e.tracking
	ids := r.Value()
	keys := [][]byte{r.Key()}
	g.mu.RLock()
	for i := range len(ids) / trackerSize {
		if t := g.trackers[trackerAt(ids, i)]; t != nil && t.wants(by) && t.Mode()&TrackBroadcast == 0 {
			t.to.Invalidate(keys)
		}
	}
	g.mu.RUnlock()
	before := s.arena.Live()
	g.keys.Add(-1)
	g.items.Add(-int64(len(ids) / trackerSize))
	r.Delete()
	g.bytes.Add(s.arena.Live() - before)
}

// forgetAll empties the tables. All shards are locked.
func (e *Engine) forgetAll() {
	if e.tracking.keys.Load() == 0 {
		return
	}
	for i := range e.shards {
		if s := e.shards[i].tracked; s != nil {
			s.arena.Reset()
			e.shards[i].tracked = nil
		}
	}
	e.tracking.keys.Store(0)
	e.tracking.items.Store(0)
	e.tracking.bytes.Store(0)
}

// TrimTracking forgets random keys, of which it tells their trackers, until the tables are within their bounds or that
// many keys are forgotten. The caller holds no shard.
func (e *Engine) TrimTracking(effort int) {
	for e.trackingOver() && effort > 0 {
		if !e.anyShard(func(i int) bool {
			n := e.trimShard(i)
			effort -= n
			return n > 0
		}) {
			return
		}
	}
}

// trackingOver tells whether the tables are past a bound.
func (e *Engine) trackingOver() bool {
	l, g := e.Limits(), &e.tracking
	return l.TrackedKeys > 0 && g.keys.Load() > l.TrackedKeys || l.TrackedBytes > 0 && g.bytes.Load() > l.TrackedBytes && g.keys.Load() > 0
}

func (e *Engine) trimShard(i int) (n int) {
	s := &e.shards[i]
	if s.mu.enter() != nil {
		return 0 // enclosed: this is not worth waiting for
	}
	defer s.mu.Unlock()
	for n < trimStep && e.trackingOver() {
		var r table.Entry
		if s.tracked == nil || !s.tracked.t.Random(e.Random(), &r) {
			return n
		}
		e.drop(s.tracked, &r, nil)
		n++
	}
	return n
}

// checkTracking verifies the tables and the sums over them. All shards are locked.
func (e *Engine) checkTracking() error {
	var keys, items, size int64
	for i := range e.shards {
		s := e.shards[i].tracked
		if s == nil {
			continue
		}
		if err := errors.Join(s.arena.Check(), s.t.Check()); err != nil {
			return fmt.Errorf("tracked keys of shard %d: %w", i, err)
		}
		size += s.arena.Live()
		var failed error
		s.t.Each(func(r *table.Entry) bool {
			ids := r.Value()
			keys, items = keys+1, items+int64(len(ids)/trackerSize)
			for n := trackerSize; n < len(ids); n += trackerSize {
				if trackerAt(ids, n/trackerSize-1) >= trackerAt(ids, n/trackerSize) {
					failed = fmt.Errorf("the trackers of %q are not ascending", r.Key())
				}
			}
			if len(ids) == 0 || len(ids)%trackerSize != 0 || shardOf(e.Hash(r.Key())) != i {
				failed = fmt.Errorf("%q has %d bytes of trackers in shard %d", r.Key(), len(ids), i)
			}
			return failed == nil
		})
		if failed != nil {
			return failed
		}
	}
	if g := &e.tracking; keys != g.keys.Load() || items != g.items.Load() || size != g.bytes.Load() {
		return fmt.Errorf("%d keys, %d trackers, %d bytes are tracked; %d, %d, %d are counted",
			keys, items, size, g.keys.Load(), g.items.Load(), g.bytes.Load())
	}
	return nil
}
