package engine

import (
	"testing"
	"time"
)

// TestWaitersDoNotExpireKeys: a change that wakes waiters is no look at the key. What is past its time is removed, and
// journaled, when somebody asks for it.
func TestWaitersDoNotExpireKeys(t *testing.T) {
	b := newBench(t)
	j := &script{t: t}
	b.SetJournal(j)
	var w Waiter
	served := 0
	b.do(0, []string{"k", "other"}, func(tx *Tx) {
		tx.Wait(&w, WaitFor{Keys: [][]byte{[]byte("k")}, Kind: String, Mask: tx.Mask([]byte("k")) | tx.Mask([]byte("other")),
			Serve: func(tx *Tx) bool {
				served++
				tx.Find([]byte("other"))
				return false // it finds nothing to its liking
			}})
	})
	wide := func(fn func(tx *Tx)) {
		tx := b.NewTx()
		tx.Begin(0)
		tx.LockAll()
		fn(tx)
		tx.End()
	}
	wide(func(tx *Tx) { put(tx, "k", "v", b.in(-time.Second)) })
	if served != 0 || len(j.effects) != 0 {
		t.Errorf("a key past its time was offered %d times and had %d effects", served, len(j.effects))
	}
	b.want(0, "k", "")
	if len(j.effects) != 1 {
		t.Errorf("asking for it had %d effects", len(j.effects))
	}

	wide(func(tx *Tx) { put(tx, "other", "v", b.in(time.Second)) })
	b.clock.Advance(time.Hour)
	j.effects = nil
	wide(func(tx *Tx) { put(tx, "k", "v", 0) })
	if served == 0 || len(j.effects) != 1 || string(j.effects[0].Args[1]) != "other" {
		t.Errorf("%d looks by the waiter had %d effects", served, len(j.effects))
	}
	if !b.Cancel(&w) {
		t.Error("it was served")
	}
}
