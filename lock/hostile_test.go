package lock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/store"
)

// TestCloseOfAHungStore: Close takes no longer than its ctx lasts, however many leases there are, and all of them end at once.
func TestCloseOfAHungStore(t *testing.T) {
	inBubble(t, func(t *testing.T, db store.Store) {
		st := mortal(db)
		l, err := lock.New(st, lock.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var all []*lock.Lease
		for i := range 100 {
			all = append(all, must(l.Acquire(context.Background(), fmt.Sprint(i)))(t))
		}
		st.Hang(-1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		ended := make(chan time.Duration, len(all))
		for _, le := range all {
			context.AfterFunc(le.Context(), func() { ended <- time.Since(began) })
		}
		_ = l.Close(ctx)
		if took := time.Since(began); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		first := <-ended
		for range all[1:] {
			if took := <-ended; took != first {
				t.Errorf("a lease ended after %v, another after %v", first, took)
			}
		}
		st.Heal()
	})
}

// TestLeaderPanics: who panics while it leads no longer leads.
func TestLeaderPanics(t *testing.T) {
	inBubble(t, func(t *testing.T, db store.Store) {
		ctx := context.Background()
		a, b := locker(t, db, lock.Options{}), locker(t, db, lock.Options{})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			_ = a.Election("e").Run(ctx, func(context.Context) error { panic("x") })
		}()
		soon, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, err := b.Election("e").Campaign(soon); err != nil {
			t.Error(err)
		}
	})
}

// TestLeasesWithoutTimers: a lease gets a timer of its own only if it lasts, and then in time for its first extension.
func TestLeasesWithoutTimers(t *testing.T) {
	db := fleet.NewClocked(t)
	l := locker(t, db, lock.Options{TTL: 24 * time.Second, Clock: db.Fake})
	ctx := context.Background()
	before := db.Fake.Waiters()
	var all lock.Leases
	for i := range 100 {
		all = append(all, must(l.Acquire(ctx, fmt.Sprint(i)))(t))
	}
	for range 100 {
		if err := must(l.Acquire(ctx, "quick"))(t).Release(ctx); err != nil {
			t.Error(err)
		}
	}
	if n := db.Fake.Waiters() - before; n > 2 { // one of the Locker's, perhaps one of the store's
		t.Errorf("%d timers for leases that are new", n)
	}
	db.Advance(3 * time.Second)
	if n := db.Fake.Waiters() - before; n < len(all) || n > len(all)+1 {
		t.Errorf("%d timers for leases that last", n)
	}
	for i := range uint64(3) {
		db.Advance(5 * time.Second) // the first is due at 8 s
		db.Advance(3 * time.Second)
		fleet.Eventually(t, "extensions", func() bool { return l.Stats().Extended >= (i+1)*100 })
	}
	if err := all.Release(ctx); err != nil {
		t.Error(err)
	}
	if n := db.Fake.Waiters() - before; n > 1 {
		t.Errorf("%d timers are left", n)
	}
	if _, err := l.Semaphore("many", int(^uint(0)>>1)).Try(ctx); errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}
