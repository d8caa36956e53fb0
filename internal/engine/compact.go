package engine

import (
	"slices"
	"time"

	"github.com/larderdb/larder/internal/mem/table"
)

// Compaction moves records, and the cells of large values, out of sparse slabs,
// so that what deletions left behind goes back to the system. A shard is
// walked when a good part of its slabs is holes, a few records under one lock,
// so that nobody waits for long: first the records of each database, then the
// insides of large values, and last the indexes of fields that expire.
const (
	compactStep  = 64               // cells looked at under one lock
	compactShare = 8                // walk when an eighth of the bytes in slabs is holes,
	compactFloor = 64 << 10         // and so many bytes at the least
	compactRest  = 10 * time.Second // between two walks of a shard
)

// sweep is where the compaction of a shard goes on. The zero value is none under way.
type sweep struct {
	active bool
	inside bool     // in large values; before that, among records
	db     int      // the database; from the number of databases on, their indexes
	at     uint64   // the table's cursor
	keys   [][]byte // large values that are still to be compacted
	inner  uint64   // the cursor in the first of them
	after  time.Time
}

// compactCycle goes on compacting the shards that need it, until the deadline.
func (e *Engine) compactCycle(deadline time.Time) {
	start := int(e.Random() % Shards)
	for i := range Shards {
		s := &e.shards[(start+i)%Shards]
		for now := e.clock.Now(); now.Before(deadline) && e.compactSome(s, now); now = e.clock.Now() {
		}
	}
}

// Purge frees what deleted keys left behind and compacts every shard that needs it, whenever it was walked last.
// No shard may be locked by the caller. Cost: O(cells) of those shards, a few at a time under a lock.
func (e *Engine) Purge() {
	for e.buryStep() {
	}
	for i := range e.shards {
		s := &e.shards[i]
		if s.mu.enter() != nil {
			continue
		}
		s.sweep.after = time.Time{}
		s.mu.Unlock()
		for e.compactSome(s, e.clock.Now()) {
		}
	}
}

// compactSome moves some cells of a shard; false where it is enclosed, there is nothing to gain
// or the walk has come to its end.
func (e *Engine) compactSome(s *shard, now time.Time) bool {
	if s.mu.enter() != nil {
		return false
	}
	defer s.mu.Unlock()
	w := &s.sweep
	if !w.active {
		st := s.arena.Stats()
		holes := st.Slabs - st.Live
		if holes < compactFloor || holes*compactShare < st.Slabs || now.Before(w.after) {
			return false
		}
		*w = sweep{active: true}
	}
	t := s.tableOf(w.db)
	switch {
	case t.Len() == 0:
		w.at, w.inside = 0, true
	case !w.inside:
		w.at = t.Compact(w.at, compactStep, func(*table.Entry) {})
		if w.inside = w.at == 0; w.inside {
			return true
		}
	case len(w.keys) > 0:
		w.compactValue(e, t)
	default:
		w.at = t.Scan(w.at, func(r *table.Entry) {
			if r.Flag(table.FlagLarge) {
				w.keys = append(w.keys, slices.Clone(r.Key()))
			}
		})
	}
	if w.inside && w.at == 0 && len(w.keys) == 0 {
		w.db, w.inside = w.db+1, false
		if w.db == e.databases+len(s.fields.dbs) {
			*w = sweep{after: now.Add(compactRest)}
			return false
		}
	}
	return true
}

// tableOf is the table of a database or, from the number of databases on, of its index.
func (s *shard) tableOf(i int) *table.Table {
	if i < len(s.dbs) {
		return &s.dbs[i]
	}
	return &s.fields.dbs[i-len(s.dbs)]
}

// compactValue moves some cells of the first large value on the list.
func (w *sweep) compactValue(e *Engine, t *table.Table) {
	var r table.Entry
	key := w.keys[0]
	if t.Find(e.Hash(key), key, &r) && r.Flag(table.FlagLarge) {
		w.inner = kinds[r.Kind()].compact(&r, w.inner, compactStep)
	} else {
		w.inner = 0
	}
	if w.inner == 0 {
		w.keys = w.keys[1:]
	}
}
