package engine

import (
	"time"

	"github.com/larderdb/larder/internal/mem/table"
)

// Deleting a key with a million members must not stop the shard for as long as
// freeing a million cells takes. So a record with a structure of its own goes
// at once, the structure is freed a step at a time: the first step with the deletion, which
// suffices for most, others by Tick and by evictions that need the room.

const (
	freeStep   = 256 // cells freed in one go
	manyToFree = 64  // cells from which on a structure counts as one that was freed in steps, even if two did
)

// grave is a structure whose record is gone: a call frees a step of it and reports whether that was the last.
type grave func(budget int) (done bool)

// release gives back what a record's value refers to; the record, which is of the
// transaction's database, is to be deleted or given another value next.
func (tx *Tx) release(e *table.Entry) {
	large, indexed := e.Flag(table.FlagLarge), isIndexed(e)
	if !large && !indexed {
		return
	}
	s := tx.shard(tx.e.Hash(e.Key()))
	if indexed {
		s.fields.forget(tx.e, tx.db, e)
	}
	if !large {
		return
	}
	g := grave(kinds[e.Kind()].freeing(e))
	if g(manyToFree) {
		return
	}
	if g(freeStep - manyToFree) {
		tx.e.freed.Add(1)
		return
	}
	s.graves = append(s.graves, g)
	tx.e.graves.Add(1)
}

// dig frees a step of a shard's oldest grave. The shard is locked.
func (e *Engine) dig(s *shard) {
	if !s.graves[0](freeStep) {
		return
	}
	s.graves[0] = nil
	if s.graves = s.graves[1:]; len(s.graves) == 0 {
		s.graves = nil
	}
	e.graves.Add(-1)
	e.freed.Add(1)
}

// PendingFrees is the number of deleted structures that still hold memory.
func (e *Engine) PendingFrees() int64 { return e.graves.Load() }

// bury frees graves of all shards in turn until none is left or the time is up.
func (e *Engine) bury(deadline time.Time) {
	for e.graves.Load() > 0 && e.clock.Now().Before(deadline) {
		if !e.buryStep() {
			return
		}
	}
}

// buryStep frees a step in every shard that has a grave and is not enclosed; false where none has.
func (e *Engine) buryStep() bool {
	if e.graves.Load() == 0 {
		return false
	}
	did := false
	for i := range e.shards {
		s := &e.shards[i]
		if s.mu.enter() != nil {
			continue // who makes room for a command must not wait for a script
		}
		if len(s.graves) > 0 {
			e.dig(s)
			did = true
		}
		e.settle(s)
		s.mu.Unlock()
	}
	return did
}
