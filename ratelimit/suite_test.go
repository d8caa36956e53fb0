package ratelimit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
)

var everyAlgorithm = []ratelimit.Algorithm{
	ratelimit.SlidingLog, ratelimit.SlidingCounter, ratelimit.FixedWindow, ratelimit.TokenBucket, ratelimit.GCRA,
}

// patient options wait for a store that other tests keep busy.
func patient(o ratelimit.Options) ratelimit.Options {
	o.Timeout = 20 * time.Second
	return o
}

// suite is what must hold on every store, by that store's own clock.
func suite(t *testing.T, open func(testing.TB) store.Store) {
	one, other := open(t), open(t)
	for _, a := range everyAlgorithm {
		t.Run(a.String(), func(t *testing.T) {
			testOnce(t, one, a)
			testRace(t, one, other, a)
		})
	}
	t.Run("several", func(t *testing.T) { testSeveral(t, one) })
	t.Run("leases", func(t *testing.T) { testLeases(t, one, other) })
}

// testOnce does everything once, with a window so long that the clock does not matter.
func testOnce(t *testing.T, st store.Store, a ratelimit.Algorithm) {
	ctx := t.Context()
	l := limiter(t, st, patient(ratelimit.Options{Algorithm: a, Limit: 5, Window: 1000 * time.Hour, Prefix: "once:" + a.String() + ":"}))
	check := func(what string, res ratelimit.Result, err error, allowed bool, remaining int) {
		t.Helper()
		if err != nil || res.Allowed != allowed || res.Remaining != remaining || allowed != (res.RetryAfter == 0) {
			t.Errorf("%s: %+v, %v; want %v with %d left", what, res, err, allowed, remaining)
		}
	}
	for _, id := range []string{"a", "{b}", "c}{", "\x00\xff ü"} { // a Cluster takes braces for a hash tag
		res, err := l.AllowN(ctx, id, 4)
		check("four", res, err, true, 1)
		res, err = l.AllowN(ctx, id, 2)
		check("two more", res, err, false, 1)
		res, err = l.Peek(ctx, id)
		check("peek", res, err, true, 1)
		if err := l.Refund(ctx, id, 2); err != nil {
			t.Errorf("refund: %v", err)
		}
		res, err = l.AllowN(ctx, id, 3)
		check("three after a refund of two", res, err, true, 0)
		if err := l.Block(ctx, id, time.Hour); err != nil {
			t.Errorf("block: %v", err)
		}
		res, err = l.Allow(ctx, id)
		check("blocked", res, err, false, 0)
		if !res.Blocked || res.RetryAfter < 59*time.Minute {
			t.Errorf("blocked: %+v", res)
		}
		if err := l.Reset(ctx, id); err != nil {
			t.Errorf("reset: %v", err)
		}
		res, err = l.AllowN(ctx, id, 5)
		check("five after a reset", res, err, true, 0)
	}
}

// testRace has eight clients of two connections ask for more than there is, for longer than a window.
func testRace(t *testing.T, one, other store.Store, a ratelimit.Algorithm) {
	const limit, window, workers = 10, 100 * time.Millisecond, 8
	rule := ratelimit.Rule{Algorithm: a, Limit: limit, Window: window}
	prefix := "race:" + a.String() + ":"
	stores := []store.Store{one, other}
	begin := time.Now()
	var mu sync.Mutex
	var calls []call
	var passed atomic.Int64 // the limiter must let somebody through, however busy the machine
	var wg sync.WaitGroup
	for w := range workers {
		l := limiter(t, stores[w%2], patient(ratelimit.Options{Rules: []ratelimit.Rule{rule}, Prefix: prefix}))
		wg.Go(func() {
			for time.Since(begin) < 4*window || passed.Load() < 2*limit {
				from := time.Since(begin)
				res, err := l.Allow(t.Context(), "x")
				if err != nil {
					t.Error(err)
					return
				}
				if res.Allowed {
					passed.Add(1)
					mu.Lock()
					calls = append(calls, call{from, time.Since(begin)})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	most := map[ratelimit.Algorithm]int{ratelimit.SlidingLog: limit, ratelimit.FixedWindow: 2 * limit, ratelimit.SlidingCounter: 2 * limit,
		ratelimit.TokenBucket: 2 * limit, ratelimit.GCRA: 2 * limit}[a]
	for _, first := range calls {
		n := 0
		for _, c := range calls {
			if c.from >= first.from && c.to < first.from+window-time.Millisecond {
				n++
			}
		}
		if n > most {
			t.Errorf("%d passed within a window, of %d", n, most)
			return
		}
	}
}

// call is when a decision was asked for and when it was known; the store made it in between.
type call struct{ from, to time.Duration }

func testSeveral(t *testing.T, st store.Store) {
	for _, a := range everyAlgorithm {
		l := limiter(t, st, patient(ratelimit.Options{Prefix: "several:" + a.String() + ":", Rules: []ratelimit.Rule{
			{Name: "few", Algorithm: a, Limit: 3, Window: 1000 * time.Hour}, {Name: "many", Algorithm: a, Limit: 100, Window: 2000 * time.Hour},
		}}))
		for range 3 {
			if res, err := l.Allow(t.Context(), "x"); err != nil || !res.Allowed {
				t.Errorf("%v: %+v, %v", a, res, err)
			}
		}
		res, err := l.Allow(t.Context(), "x")
		if err != nil || res.Allowed || res.Rule != "few" || len(res.Each()) != 2 || res.Each()[1].Remaining != 97 {
			t.Errorf("%v: %+v %+v, %v", a, res, res.Each(), err)
		}
	}
}

// testLeases has more at work than there are leases, and never more than those at once.
func testLeases(t *testing.T, one, other store.Store) {
	const limit, workers = 3, 6
	var at atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		st := one
		if w%2 == 1 {
			st = other
		}
		c, err := ratelimit.NewConcurrency(st, ratelimit.ConcurrencyOptions{Limit: limit, TTL: time.Minute, Timeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for range 40 {
				lease, res, err := c.Acquire(t.Context(), "x")
				if err != nil || res.Allowed != (lease != nil) {
					t.Error(res, err)
					return
				}
				if lease == nil {
					continue
				}
				if n := at.Add(1); n > limit {
					t.Errorf("%d at once, of %d", n, limit)
				}
				if ok, err := lease.Extend(t.Context()); !ok || err != nil {
					t.Error(ok, err)
				}
				at.Add(-1)
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c, _ := ratelimit.NewConcurrency(one, ratelimit.ConcurrencyOptions{Limit: limit, TTL: time.Minute})
	if res, err := c.Peek(t.Context(), "x"); err != nil || res.Remaining != limit {
		t.Errorf("all released: %+v, %v", res, err)
	}
}

func TestFleet(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(ratelimit.Scripts()...)
		suite(t, func(t testing.TB) store.Store { return s.Open(t) })
	})
}

// TestLuaOnLarder runs the Lua bodies in Larder's interpreter.
func TestLuaOnLarder(t *testing.T) {
	s := fleet.Start(t, fleet.Larder)
	suite(t, func(t testing.TB) store.Store { return s.Open(t) })
}

// decided waits for a store's answer, and gives it.
func decided(t *testing.T, l *ratelimit.Limiter, id string) (res ratelimit.Result) {
	t.Helper()
	fleet.Eventually(t, "a decision", func() bool {
		var err error
		res, err = l.Allow(t.Context(), id)
		return err == nil && !res.Local
	})
	return res
}

// TestKilled: what was counted is gone, the scripts too; the limiter goes on by itself.
func TestKilled(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		l := limiter(t, s.Open(t), ratelimit.Options{Limit: 5, Window: time.Hour, Timeout: time.Second})
		for range 5 {
			decided(t, l, "a")
		}
		s.Stop()
		if res, err := l.Allow(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) || !res.Allowed {
			t.Errorf("the store is down: %+v, %v", res, err)
		}
		s.Start()
		if res := decided(t, l, "a"); !res.Allowed {
			t.Errorf("%s lost its memory and still denies: %+v", s.Kind, res)
		}
	}, fleet.CanRestart)
}

// TestFailover: what the replica had received still counts.
func TestFailover(t *testing.T) {
	leaktest.Check(t)
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		l := limiter(t, s.Open(t), ratelimit.Options{Algorithm: ratelimit.GCRA, Limit: 5, Window: 1000 * time.Hour, Timeout: time.Second})
		for range 5 {
			decided(t, l, "a")
		}
		s.Settle()
		s.Failover(ratelimit.DefaultMeterPrefix + "a")
		if res := decided(t, l, "a"); res.Allowed {
			t.Errorf("%s forgot what its replica had: %+v", s.Kind, res)
		}
		if res := decided(t, l, "b"); !res.Allowed {
			t.Errorf("%s: %+v", s.Kind, res)
		}
	}, fleet.CanFailover)
}

func TestSlotMovesAndScriptsAreForgotten(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		l := limiter(t, s.Open(t), patient(ratelimit.Options{Limit: 3, Window: time.Hour}))
		for range 2 {
			decided(t, l, "a")
		}
		s.MoveSlot(ratelimit.DefaultPrefix + "a")
		s.FlushScripts()
		if res := decided(t, l, "a"); !res.Allowed || res.Remaining != 0 {
			t.Errorf("after the move: %+v", res)
		}
		if res := decided(t, l, "a"); res.Allowed {
			t.Errorf("a fourth of three: %+v", res)
		}
	}, fleet.CanMove)
}

// TestStall: a store that does not answer costs Timeout once a second with LocalShare, and its share is admitted. Leases from
// meanwhile, which it counts when it goes on, do not stay.
func TestStall(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		l := limiter(t, s.Open(t), ratelimit.Options{Algorithm: ratelimit.TokenBucket, Limit: 10, Window: time.Hour, Timeout: 50 * time.Millisecond, LocalShare: 2})
		decided(t, l, "a")
		c, err := ratelimit.NewConcurrency(s.Open(t), ratelimit.ConcurrencyOptions{Limit: 10, TTL: time.Hour, Timeout: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		fleet.Eventually(t, "a lease", func() bool {
			res, err := c.Peek(t.Context(), "a")
			return err == nil && res.Remaining == 10
		})
		over := s.Stall(2 * time.Second)
		begin := time.Now()
		passed := 0
		for range 100 {
			res, err := l.Allow(t.Context(), "a")
			if err != nil || !res.Local {
				t.Fatalf("stalled: %+v, %v", res, err)
			}
			if res.Allowed {
				passed++
			}
		}
		if took := time.Since(begin); took > 1500*time.Millisecond || passed != 5 {
			t.Errorf("100 decisions took %v; %d of a half of 10 passed", took, passed)
		}
		for range 10 {
			lease, _, err := c.Acquire(t.Context(), "a")
			if lease == nil || err == nil {
				t.Fatalf("stalled: %v, %v", lease, err)
			}
			_ = lease.Release(t.Context())
		}
		<-over
		fleet.Eventually(t, "all leases are released", func() bool {
			res, err := c.Peek(context.Background(), "a")
			return err == nil && res.Remaining == 10
		})
		fleet.Eventually(t, "the store decides again", func() bool {
			res, err := l.Peek(context.Background(), "a")
			return err == nil && !res.Local
		})
		if got := l.Stats(); got.Failed == 0 || got.Local < 100 {
			t.Errorf("%+v", got)
		}
	}, fleet.CanStall)
}
