package cache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
)

// TestFleet runs what must hold on every kind of store.
func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		suite(t, func(t testing.TB) store.Store { return s.Open(t) })
		if s.Can(fleet.CanRestart) {
			t.Run("restart", func(t *testing.T) { testRestart(t, s) })
		}
		if s.Can(fleet.CanMove) {
			t.Run("a slot moves", func(t *testing.T) { testMove(t, s) })
		}
		if s.Can(fleet.CanStall) {
			t.Run("stall", func(t *testing.T) { testStall(t, s) })
		}
		if s.Can(fleet.CanFailover) {
			t.Run("failover", func(t *testing.T) { testFailover(t, s) })
		}
	})
}

func suite(t *testing.T, open func(testing.TB) store.Store) {
	t.Run("invalidated is never served", func(t *testing.T) {
		seed := seed(t)
		w := &world{t: t, st: open(t), clk: clock.System(), slow: time.Millisecond, clears: true}
		for i := range 3 {
			o := worldOptions(clock.System())
			o.Timeout = 10 * time.Second // a machine that is busy is no failure here
			if i == 1 {
				o.Stale, o.FailSafe, o.SoftTimeout, o.EarlyRefresh = 0, 0, 0, 0
			}
			w.caches = append(w.caches, newCache[uint64](t, open(t), o))
		}
		w.run(seed, 6, 80)
		if w.checked.Load() < 100 {
			t.Errorf("too little happened: %d reads checked", w.checked.Load())
		}
	})
	t.Run("one load for all processes", func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed(t), 0))
		o := cache.Options{Prefix: "one:", TTL: time.Minute, Timeout: 10 * time.Second}
		a, b := newCache[int](t, open(t), o), newCache[int](t, open(t), o)
		for round := range 10 {
			key, loads := fmt.Sprint(r.Uint64()), make(chan int, 100)
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					c := []*cache.Cache[int]{a, b}[i%2]
					v, err := c.GetOrLoad(t.Context(), key, func(context.Context) (int, error) { loads <- i; return round, nil })
					if err != nil || v != round {
						t.Errorf("%d, %v", v, err)
					}
				})
			}
			wg.Wait()
			if len(loads) != 1 {
				t.Errorf("%d loads", len(loads))
			}
		}
	})
	t.Run("near", func(t *testing.T) {
		o := cache.Options{Prefix: "near:", TTL: time.Minute, Timeout: 10 * time.Second, Near: 1 << 20}
		a, b := newCache[int](t, open(t), o), newCache[int](t, open(t), o)
		defer a.Close(context.Background())
		defer b.Close(context.Background())
		fleet.Eventually(t, "tracking", func() bool { return a.NearReady() && b.NearReady() })
		ctx := t.Context()
		for i := 1; i <= 50; i++ {
			key := fmt.Sprint("k", i%7)
			if err := b.Set(ctx, key, i); err != nil {
				t.Fatal(err)
			}
			fleet.Eventually(t, "the message", func() bool {
				v, ok, err := a.Get(ctx, key)
				return ok && err == nil && v == i
			})
		}
		before := a.Stats().NearHits
		fleet.Eventually(t, "a near hit", func() bool {
			_, _, err := a.Get(ctx, "k1")
			return err == nil && a.Stats().NearHits > before
		})
	})
	t.Run("batches", func(t *testing.T) {
		c := newCache[string](t, open(t), cache.Options{Prefix: "many:", TTL: time.Minute, Timeout: 10 * time.Second, NegativeTTL: time.Minute, CompressAbove: 10})
		keys := []string{"a", "b", "c", "none"}
		for range 3 {
			found, err := c.GetOrLoadMany(t.Context(), keys, func(_ context.Context, missing []string) (map[string]string, error) {
				m := map[string]string{}
				for _, k := range missing {
					if k != "none" {
						m[k] = fmt.Sprintf("%0100s", k)
					}
				}
				return m, nil
			})
			if err != nil || len(found) != 3 {
				t.Errorf("%v, %v", found, err)
			}
			for c.Loads() > 0 {
				if t.Context().Err() != nil {
					return
				}
			}
		}
		if n := c.Stats().Loads; n != 1 {
			t.Errorf("%d loads", n)
		}
	})
}

// testRestart kills the servers: entries, leases, epochs and scripts are gone, and nothing wrong comes of it.
func testRestart(t *testing.T, s *fleet.Store) {
	o := cache.Options{Prefix: "restart:", TTL: time.Minute, Timeout: 10 * time.Second, Tags: worldTag, Near: 1 << 20}
	c := newCache[string](t, s.Open(t), o)
	defer c.Close(context.Background())
	ctx := t.Context()
	get := func(want string) func() bool {
		return func() bool {
			v, err := c.GetOrLoad(ctx, "1", gives(want, nil))
			if err != nil || v != want {
				t.Errorf("%q, %v", v, err)
				return true
			}
			_, ok, err := c.Get(ctx, "1")
			return ok && err == nil
		}
	}
	fleet.Eventually(t, "an entry", get("before"))
	entered, gate, done := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	go func() { // a load across the restart: its lease is lost
		v, _ := c.GetOrLoad(ctx, "2", func(context.Context) (string, error) { close(entered); <-gate; return "old", nil })
		done <- v
	}()
	<-entered
	s.Restart()
	close(gate)
	if v := <-done; v != "old" {
		t.Errorf("the caller of the load got %q", v)
	}
	fleet.Eventually(t, "what was near is dropped", func() bool {
		v, err := c.GetOrLoad(ctx, "1", gives("after", nil))
		return err == nil && v == "after"
	})
	fleet.Eventually(t, "an entry again", get("after"))
	fleet.Eventually(t, "the end of the load", func() bool { return c.Loads() == 0 })
	if v, ok, err := c.Get(ctx, "2"); ok || err != nil {
		t.Errorf("the load's lease was lost, but it stored %q; %v", v, err)
	}
}

// testFailover has a replica take over while readers go on.
func testFailover(t *testing.T, s *fleet.Store) {
	o := cache.Options{Prefix: "{fail}:", TTL: time.Minute, Timeout: 500 * time.Millisecond}
	c := newCache[string](t, s.Open(t), o)
	ctx := t.Context()
	if err := c.Set(ctx, "a", "kept"); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if v, err := c.GetOrLoad(ctx, "a", gives("loaded", nil)); err != nil || v != "kept" && v != "loaded" {
					t.Errorf("during the failover: %q, %v", v, err)
					return
				}
			}
		}
	})
	s.Failover(o.Prefix)
	close(stop)
	wg.Wait()
	fleet.Eventually(t, "the replica to serve", func() bool { return c.Delete(ctx, "a") == nil })
	if v, err := c.GetOrLoad(ctx, "a", gives("new", nil)); err != nil || v != "new" {
		t.Errorf("after the failover: %q, %v", v, err)
	}
}
