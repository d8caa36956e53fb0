package lock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/store"
)

// inBubble runs a test with an embedded store on time that passes when nobody has anything to do.
func inBubble(t *testing.T, test func(t *testing.T, db store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		db, err := larder.Open(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, db)
	})
}

// TestDead: a holder that dies delays those behind it by its TTL, and knows in time; a waiter that dies delays them by a
// claim, once, however often its process waits.
func TestDead(t *testing.T) {
	inBubble(t, func(t *testing.T, db store.Store) {
		const ttl, claim = 9 * time.Second, 2 * time.Second
		ctx := context.Background()
		o := lock.Options{TTL: ttl}
		holder, waiter := mortal(db), mortal(db)
		a, b, c := locker(t, holder, o), locker(t, waiter, o), locker(t, db, o)
		le := must(a.Acquire(ctx, "x"))(t)
		results := make(chan got, 3)
		dying, die := context.WithCancel(ctx)
		for i := range 2 {
			acquire(dying, b.Mutex("x"), i, results)
			synctest.Wait()
		}
		acquire(ctx, c.Mutex("x"), 3, results)
		synctest.Wait()
		began := time.Now()
		holder.die()
		waiter.die()
		<-le.Context().Done()
		if took := time.Since(began); took > ttl*19/20 || took < ttl*9/10 || !errors.Is(context.Cause(le.Context()), lock.ErrLost) {
			t.Errorf("the holder knew after %v: %v", took, context.Cause(le.Context()))
		}
		g := <-results
		if took := time.Since(began); g.err != nil || g.who != 3 || took < ttl || took > ttl+claim+100*time.Millisecond {
			t.Errorf("after %v: %+v", took, g)
		}
		if err := le.Release(ctx); !errors.Is(err, lock.ErrLost) {
			t.Errorf("releasing what was lost: %v", err)
		}
		if err := g.le.Release(ctx); err != nil {
			t.Error(err)
		}
		holder.live()
		waiter.live()
		die()
		<-results
		<-results
	})
}
