package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func limiter(t testing.TB, st store.Store, o ratelimit.Options) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSlidingWindow(t *testing.T) {
	mem := storetest.NewMemory()
	l := limiter(t, mem, ratelimit.Options{Limit: 3, Window: time.Minute})
	ctx := t.Context()
	check := func(what string, want ratelimit.Result) func(ratelimit.Result, error) {
		return func(got ratelimit.Result, err error) {
			t.Helper()
			want.Limit = 3
			if err != nil || got != want {
				t.Errorf("%s: got %+v, %v; want %+v", what, got, err, want)
			}
		}
	}
	check("peek at nothing", ratelimit.Result{Allowed: true, Remaining: 3})(l.Peek(ctx, "a"))
	check("first", ratelimit.Result{Allowed: true, Remaining: 2, ResetAfter: time.Minute})(l.Allow(ctx, "a"))
	mem.Advance(10 * time.Second)
	check("two more at once", ratelimit.Result{Allowed: true, ResetAfter: time.Minute})(l.AllowN(ctx, "a", 2))
	mem.Advance(20*time.Second + time.Millisecond)
	denied := ratelimit.Result{RetryAfter: 30*time.Second - time.Millisecond, ResetAfter: 40*time.Second - time.Millisecond}
	for range 5 { // denied requests are not counted, so RetryAfter does not move
		check("fourth", denied)(l.Allow(ctx, "a"))
	}
	check("peek", denied)(l.Peek(ctx, "a"))
	check("two units wait for the second entry", ratelimit.Result{RetryAfter: 40*time.Second - time.Millisecond, ResetAfter: denied.ResetAfter})(l.AllowN(ctx, "a", 2))
	check("another id", ratelimit.Result{Allowed: true, Remaining: 2, ResetAfter: time.Minute})(l.Allow(ctx, "b"))
	mem.Advance(denied.RetryAfter - time.Millisecond)
	check("a millisecond early", ratelimit.Result{RetryAfter: time.Millisecond, ResetAfter: 10*time.Second + time.Millisecond})(l.Allow(ctx, "a"))
	mem.Advance(time.Millisecond)
	check("after RetryAfter", ratelimit.Result{Allowed: true, ResetAfter: time.Minute})(l.Allow(ctx, "a"))
	if err := l.Reset(ctx, "a"); err != nil {
		t.Error(err)
	}
	check("after Reset", ratelimit.Result{Allowed: true, ResetAfter: time.Minute})(l.AllowN(ctx, "a", 3))
	mem.Advance(time.Minute)
	if r := mem.Do(ctx, "EXISTS", ratelimit.DefaultPrefix+"a"); r.String() != "(integer) 0" {
		t.Errorf("an idle window later the log is still there: %v", r)
	}
	if got := l.Stats(); got != (ratelimit.Stats{Allowed: 5, Denied: 7}) {
		t.Errorf("Stats: %+v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []ratelimit.Options{
		{}, {Limit: 1}, {Window: time.Second}, {Limit: -1, Window: time.Second}, {Limit: math.MaxInt, Window: time.Second},
		{Limit: 1, Window: -time.Second}, {Limit: 1, Window: time.Microsecond}, {Limit: 1, Window: time.Second + 1},
	} {
		if _, err := ratelimit.New(storetest.NewMemory(), o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestImpossibleCost(t *testing.T) {
	f := storetest.NewFaulty(storetest.NewMemory())
	l := limiter(t, f, ratelimit.Options{Limit: 3, Window: time.Minute})
	for _, cost := range []int{0, -1, 4} {
		res, err := l.AllowN(t.Context(), "a", cost)
		if !errors.Is(err, store.ErrInvalid) || res.Allowed {
			t.Errorf("cost %d: %+v, %v", cost, res, err)
		}
	}
	if f.Calls() != 0 {
		t.Errorf("the store was asked %d times", f.Calls())
	}
}

func TestStoreFails(t *testing.T) {
	leaktest.Check(t)
	for _, closed := range []bool{false, true} {
		f := storetest.NewFaulty(storetest.NewMemory())
		var heard atomic.Int64
		l := limiter(t, f, ratelimit.Options{
			Limit: 1, Window: time.Minute, FailClosed: closed, Timeout: 5 * time.Millisecond,
			OnError: func(_ context.Context, id string, err error) {
				if id == "a" && errors.Is(err, store.ErrUnavailable) {
					heard.Add(1)
				}
			},
		})
		f.Fail(1)
		res, err := l.Allow(t.Context(), "a")
		if res.Allowed == closed || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), `ratelimit: allow "rl:log:a"`) {
			t.Errorf("down, FailClosed %v: %+v, %v", closed, res, err)
		}
		f.Hang(1)
		start := time.Now()
		if res, err = l.Allow(t.Context(), "a"); res.Allowed == closed || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("hanging, FailClosed %v: %+v, %v", closed, res, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("waited %v for a store with 5 ms", took)
		}
		f.Hang(1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = l.Allow(ctx, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the caller left: %v", err)
		}
		f.Fail(1)
		if err := l.Reset(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Reset: %v", err)
		}
		f.Heal()
		if res, err = l.Allow(t.Context(), "a"); err != nil || !res.Allowed || res.Remaining != 0 {
			t.Errorf("healed: %+v, %v", res, err)
		}
		if got := l.Stats(); got != (ratelimit.Stats{Allowed: 1, Failed: 3}) || heard.Load() != 3 {
			t.Errorf("Stats: %+v, OnError heard %d", got, heard.Load())
		}
	}
}

func TestForeignKey(t *testing.T) {
	mem := storetest.NewMemory()
	l := limiter(t, mem, ratelimit.Options{Limit: 1, Window: time.Minute})
	mem.Do(t.Context(), "HSET", "rl:log:a", "f", "v")
	if _, err := l.Allow(t.Context(), "a"); !errors.Is(err, store.ErrWrongType) || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("a hash in the way: %v", err)
	}
	mem.Do(t.Context(), "SET", "rl:log:a", "hello")
	if _, err := l.Allow(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "Prefix") {
		t.Errorf("a string in the way: %v", err)
	}
}

// TestNoMoreThanLimit lets many clients race on a real server.
func TestNoMoreThanLimit(t *testing.T) {
	leaktest.Check(t)
	st := fleet.Start(t, fleet.Redis).Open(t)
	const limit, workers, each = 50, 8, 20
	var denied atomic.Int64
	l := limiter(t, st, ratelimit.Options{
		Limit: limit, Window: time.Hour, Timeout: 10 * time.Second,
		OnDenied: func(_ context.Context, _ string, res ratelimit.Result) {
			if res.RetryAfter > 0 && res.RetryAfter <= time.Hour {
				denied.Add(1)
			}
		},
	})
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, err := l.Allow(t.Context(), "a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := l.Stats(); got != (ratelimit.Stats{Allowed: limit, Denied: workers*each - limit}) || denied.Load() != workers*each-limit {
		t.Errorf("Stats: %+v, OnDenied heard %d; want %d allowed", got, denied.Load(), limit)
	}
}

// TestUndo: a request with a plan of its own is undone by that plan; the rule that the Limiter has none like keeps its count.
func TestUndo(t *testing.T) {
	for _, a := range everyAlgorithm {
		l := limiter(t, storetest.NewMemory(), ratelimit.Options{Algorithm: a, Limit: 5, Window: time.Minute})
		plan, err := ratelimit.NewPlan(ratelimit.Rule{Algorithm: a, Limit: 5, Window: time.Minute}, ratelimit.Rule{Algorithm: a, Limit: 7, Window: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		r := ratelimit.Request{ID: "a", Cost: 2, Plan: plan}
		for range 2 {
			if res, err := l.Decide(t.Context(), r); err != nil || !res.Allowed {
				t.Fatalf("%v: %+v, %v", a, res, err)
			}
		}
		if err := l.Undo(t.Context(), r); err != nil {
			t.Errorf("%v: %v", a, err)
		}
		r.Peek = true
		if err := l.Undo(t.Context(), r); err != nil { // a peek counted nothing
			t.Errorf("%v: %v", a, err)
		}
		res, err := l.Decide(t.Context(), r)
		if each := res.Each(); err != nil || len(each) != 2 || each[0].Remaining != 3 || each[1].Remaining != 5 {
			t.Errorf("%v: %+v, %v", a, each, err)
		}
		if err := l.Undo(t.Context(), ratelimit.Request{ID: "a", Cost: -1}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: a negative cost: %v", a, err)
		}
	}
}
