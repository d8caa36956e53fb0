package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
)

// held is a load that is under way until its gate is closed.
type held struct {
	gate chan struct{}
	done chan error
}

// hold begins a load of key that will give "old".
func hold(t *testing.T, c *cache.Cache[string], key string) held {
	h := held{make(chan struct{}), make(chan error, 1)}
	entered := make(chan struct{})
	go func() {
		v, err := c.GetOrLoad(t.Context(), key, func(context.Context) (string, error) { close(entered); <-h.gate; return "old", nil })
		if err == nil && v != "old" {
			err = errors.New("the caller of the load got " + v)
		}
		h.done <- err
	}()
	<-entered
	return h
}

// land ends loads, and waits until they are stored or refused.
func land(t *testing.T, c *cache.Cache[string], loads ...held) {
	t.Helper()
	for _, h := range loads {
		close(h.gate)
		if err := <-h.done; err != nil {
			t.Error(err)
		}
	}
	fleet.Eventually(t, "the end of the load", func() bool { return c.Loads() == 0 })
}

// testMove moves the slot of a cache's keys, all at once and by halves, under readers, loads and invalidations.
func testMove(t *testing.T, s *fleet.Store) {
	o := cache.Options{Prefix: "{move}:", TTL: time.Minute, Timeout: 10 * time.Second, Tags: worldTag}
	c, other := newCache[string](t, s.Open(t), o), newCache[string](t, s.Open(t), o)
	ctx := t.Context()
	for _, k := range []string{"1", "2", "3"} {
		if err := c.Set(ctx, k, "kept"); err != nil {
			t.Fatal(err)
		}
	}
	stored, overtaken := hold(t, c, "4"), hold(t, c, "5")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if v, err := other.GetOrLoad(ctx, "1", gives("lost", nil)); v != "kept" || err != nil {
					t.Errorf("during the move: %q, %v", v, err)
					return
				}
			}
		}
	})
	finish := s.BeginMove(o.Prefix)
	if v, err := other.GetOrLoad(ctx, "6", gives("new", nil)); v != "new" || err != nil {
		t.Errorf("a load between two servers: %q, %v", v, err)
	}
	if err := other.Delete(ctx, "2", "5"); err != nil {
		t.Errorf("Delete between two servers: %v", err)
	}
	finish()
	close(stop)
	readers.Wait()
	land(t, c, stored, overtaken)
	for key, want := range map[string]string{"1": "kept", "2": "", "3": "kept", "4": "old", "5": ""} {
		if v, ok, err := other.Get(ctx, key); v != want || ok != (want != "") || err != nil {
			t.Errorf("after the move: %s is %q, %v; want %q", key, v, err, want)
		}
	}
	if err := other.InvalidateTags(ctx, "all"); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := c.Get(ctx, "1"); ok || err != nil {
		t.Errorf("an invalidated tag after the move: %q, %v", v, err)
	}
}

// testStall freezes the store for 2 s: loaders answer meanwhile, invalidations say that they failed, and a load whose key
// was to be invalidated is not stored afterwards.
func testStall(t *testing.T, s *fleet.Store) {
	o := cache.Options{Prefix: "stall:", TTL: time.Minute, Lease: time.Minute, RetryAfter: time.Minute}
	c := newCache[string](t, s.Open(t), o)
	ctx := t.Context()
	fleet.Eventually(t, "an entry", func() bool { return c.Set(ctx, "a", "kept") == nil })
	var h held
	fleet.Eventually(t, "a lease", func() bool {
		h = hold(t, c, "b")
		if _, err := s.Open(t).Do(ctx, "GET", "stall:b").Text(); err == nil {
			return true
		}
		land(t, c, h) // a busy machine: the lease took longer than Timeout
		return false
	})
	over := s.Stall(2 * time.Second)
	start := time.Now()
	if v, err := c.GetOrLoad(ctx, "a", gives("loaded", nil)); v != "loaded" || err != nil {
		t.Errorf("while it stalls: %q, %v", v, err)
	}
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("a caller waited %v for a store that stalls", took)
	}
	if err := c.Delete(ctx, "b"); !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Delete while it stalls: %v", err)
	}
	<-over
	land(t, c, h)
	fleet.Eventually(t, "the entry of before", func() bool {
		v, ok, err := c.Get(ctx, "a")
		if err == nil && (!ok || v != "kept") {
			t.Fatalf("after the stall: %q, %v", v, ok)
		}
		return err == nil
	})
	fleet.Eventually(t, "the key whose Delete failed", func() bool {
		v, ok, err := c.Get(ctx, "b")
		if ok {
			t.Fatalf("what had been loaded before the Delete was stored: %q", v)
		}
		return err == nil
	})
}
