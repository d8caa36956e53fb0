package ratelimit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestAcquireWithoutAnAnswer: what the store took although its answer was lost is given back, by whoever there is.
func TestAcquireWithoutAnAnswer(t *testing.T) {
	for _, closed := range []bool{false, true} {
		f := storetest.NewFaulty(storetest.NewMemory())
		c, err := ratelimit.NewConcurrency(f, ratelimit.ConcurrencyOptions{Limit: 1, TTL: time.Hour, FailClosed: closed})
		if err != nil {
			t.Fatal(err)
		}
		f.Forget(1)
		lease, res, err := c.Acquire(t.Context(), "a")
		if !errors.Is(err, store.ErrUnavailable) || res.Allowed == closed || (lease == nil) != closed {
			t.Errorf("FailClosed %v: %v, %+v, %v", closed, lease, res, err)
		}
		if err := lease.Release(t.Context()); err != nil { // nil where it was denied
			t.Error(err)
		}
		if res, err := c.Peek(t.Context(), "a"); err != nil || !res.Allowed {
			t.Errorf("FailClosed %v: locked out by a lease that nobody has: %+v, %v", closed, res, err)
		}
		if got := c.Stats(); got.Lost != 0 {
			t.Errorf("%+v", got)
		}
	}
}

func TestConcurrencyStoreFails(t *testing.T) {
	for _, closed := range []bool{false, true} {
		f := storetest.NewFaulty(storetest.NewMemory())
		c, err := ratelimit.NewConcurrency(f, ratelimit.ConcurrencyOptions{Limit: 1, TTL: time.Minute, FailClosed: closed})
		if err != nil {
			t.Fatal(err)
		}
		f.Fail(1)
		lease, res, err := c.Acquire(t.Context(), "a")
		if !errors.Is(err, store.ErrUnavailable) || res.Allowed == closed || (lease == nil) != closed {
			t.Errorf("FailClosed %v: %v, %+v, %v", closed, lease, res, err)
		}
		if lease != nil {
			if ok, err := lease.Extend(t.Context()); !ok || err != nil || lease.Release(t.Context()) != nil {
				t.Errorf("a lease that nothing counts: %v, %v", ok, err)
			}
		}
		lease, _, err = c.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, res, err := c.Acquire(t.Context(), "a"); err != nil || res.Allowed || res.RetryAfter != time.Minute {
			t.Errorf("a second lease: %+v, %v", res, err)
		}
		if err := c.Reset(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if ok, err := lease.Extend(t.Context()); ok || err != nil {
			t.Errorf("extended after Reset: %v, %v", ok, err)
		}
		if got := c.Stats(); got != (ratelimit.ConcurrencyStats{Acquired: 1, Denied: 1, Failed: 1, Lost: 1}) {
			t.Errorf("%+v", got)
		}
	}
	for _, o := range []ratelimit.ConcurrencyOptions{{}, {Limit: 1}, {TTL: time.Second}, {Limit: 1, TTL: time.Microsecond}} {
		if _, err := ratelimit.NewConcurrency(storetest.NewMemory(), o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestKeepWithoutTheStore: work that must not go on uncounted is told when its lease may have ended; else it goes on, and the
// lease too when the store is back.
func TestKeepWithoutTheStore(t *testing.T) {
	leaktest.Check(t)
	for _, closed := range []bool{false, true} {
		f, ops := storetest.NewFaulty(storetest.NewMemory()), make(heard, 1000)
		c, err := ratelimit.NewConcurrency(f, ratelimit.ConcurrencyOptions{Limit: 1, TTL: 30 * time.Millisecond, FailClosed: closed, Observer: ops})
		if err != nil {
			t.Fatal(err)
		}
		lease, _, err := c.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		f.Fail(-1)
		ctx, stop := lease.Keep(t.Context())
		if closed {
			<-ctx.Done()
		} else {
			for range 6 {
				ops.wait("extend " + observe.Failed)
			}
			f.Heal()
			ops.wait("extend ok")
			if ctx.Err() != nil {
				t.Error("cancelled although FailClosed is not set")
			}
		}
		stop()
		if ctx.Err() == nil {
			t.Error("stopped, and the context lives on")
		}
	}
	var denied *ratelimit.Lease
	ctx, stop := denied.Keep(t.Context())
	if stop(); ctx.Err() == nil {
		t.Error("the lease of a denial")
	}
}
