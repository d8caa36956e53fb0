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

// grave is a structure whose record is gone: a call of free frees a step of it and reports whether that was the last.
type grave struct {
	free  func(budget int) (done bool)
	space uint64 // whose it was; see books
}

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
	if e.Table().Books == nil { // a draft's: the window is its key's
		tx.free(s, e)
		return
	}
	before := s.books.enter(e.Key())
	tx.free(s, e)
	s.books.open(before)
}

// free gives back what a large value refers to, in the window of its namespace.
func (tx *Tx) free(s *shard, e *table.Entry) {
	free := kinds[e.Kind()].freeing(e)
	if free(manyToFree) {
		return
	}
	if free(freeStep - manyToFree) {
		tx.e.freed.Add(1)
		return
	}
	s.graves = append(s.graves, grave{free, s.books.window})
	tx.e.graves.Add(1)
}

// dig frees a step of a shard's oldest grave. The shard is locked.
func (e *Engine) dig(s *shard) {
	before := s.books.open(s.graves[0].space)
	done := s.graves[0].free(freeStep)
	s.books.open(before)
	if !done {
		return
	}
	s.graves[0] = grave{}
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
