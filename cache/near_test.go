package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestNear reads what is near, and what another process changes, by both ways to hear of that.
func TestNear(t *testing.T) {
	for _, way := range []string{"tracking", "channel"} {
		t.Run(way, func(t *testing.T) {
			r := newRig(t, cache.Options{})
			var st store.Store = r.db
			if way == "channel" {
				st = storetest.NewFaulty(r.db) // which hides what else the store can
			}
			o := cache.Options{Prefix: "p:", TTL: time.Minute, Near: 1 << 20, Clock: r.clk, NegativeTTL: time.Minute, Tags: func(string) []string { return []string{"t"} }}
			c, d := newCache[string](t, st, o), newCache[string](t, st, o)
			for _, x := range []*cache.Cache[string]{c, d} {
				for !x.NearReady() {
					if t.Context().Err() != nil {
						return
					}
				}
			}
			ctx := t.Context()
			for name, change := range map[string]func() error{
				"Set":            func() error { return d.Set(ctx, "k", "new") },
				"Delete":         func() error { return d.Delete(ctx, "k") },
				"InvalidateTags": func() error { return d.InvalidateTags(ctx, "t") },
				"own Set":        func() error { return c.Set(ctx, "k", "new") },
				"own Delete":     func() error { return c.Delete(ctx, "k") },
			} {
				if err := c.Set(ctx, "k", "old"); err != nil {
					t.Fatal(err)
				}
				before := c.Stats().NearHits
				for c.Stats().NearHits == before { // a message about the Set may come late and drop the copy once
					if v, ok, err := c.Get(ctx, "k"); v != "old" || !ok || err != nil {
						t.Fatalf("%s: before: %q, %v, %v", name, v, ok, err)
					}
				}
				if err := change(); err != nil {
					t.Fatal(err)
				}
				for tries := 0; ; tries++ {
					v, _, err := c.Get(ctx, "k")
					if v != "old" && err == nil {
						break
					}
					if strings.HasPrefix(name, "own") || way == "tracking" || t.Context().Err() != nil {
						t.Fatalf("%s: still %q, %v", name, v, err)
					}
				}
			}
			if err := errors.Join(c.Close(ctx), d.Close(ctx)); err != nil {
				t.Error(err)
			}
			if _, _, err := c.Get(ctx, "k"); err != nil {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// deaf is a store that tells of nothing: no tracking, no publish and subscribe.
type deaf struct{ *storetest.Faulty }

func (deaf) Subscribe(context.Context, store.Subscription) error {
	return fmt.Errorf("%w: SUBSCRIBE", store.ErrUnsupported)
}

// TestDeafStore reads what is near where nothing tells of another process's changes: for NearTTL, and no longer. Who waits
// for another process's load looks again by itself.
func TestDeafStore(t *testing.T) {
	r := newRig(t, cache.Options{})
	st := deaf{storetest.NewFaulty(r.db)}
	reports := make(chan error, 100)
	o := cache.Options{
		Prefix: "p:", TTL: 1000 * time.Hour, Near: 1 << 20, Clock: r.clk, Lease: time.Hour, Timeout: 10 * time.Second,
		OnError: func(_ context.Context, _ string, err error) { reports <- err },
	}
	c, d := newCache[string](t, st, o), newCache[string](t, st, o)
	ctx := t.Context()
	for range 2 {
		if err := <-reports; !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("OnError heard %v", err)
		}
	}
	near := func(want string) {
		t.Helper()
		before := c.Stats().NearHits
		v, ok, err := c.Get(ctx, "k")
		if v != want || !ok || err != nil || c.Stats().NearHits != before+1 {
			t.Errorf("near: %q, %v, %v; want %q", v, ok, err, want)
		}
	}
	for name, change := range map[string]func(*cache.Cache[string]) error{
		"Set":    func(c *cache.Cache[string]) error { return c.Set(ctx, "k", "new") },
		"Delete": func(c *cache.Cache[string]) error { return c.Delete(ctx, "k") },
		"Clear":  func(c *cache.Cache[string]) error { return r.clear(c) },
	} {
		for who, x := range map[string]*cache.Cache[string]{"another": d, "own": c} {
			if err := c.Set(ctx, "k", "old"); err != nil {
				t.Fatal(err)
			}
			if _, ok, err := c.Get(ctx, "k"); !ok || err != nil {
				t.Fatal(ok, err)
			}
			near("old")
			if err := change(x); err != nil {
				t.Fatal(err)
			}
			if who == "another" && name != "Clear" {
				r.clk.Advance(cache.DefaultNearTTL - time.Millisecond)
				near("old")
				r.clk.Advance(time.Millisecond)
			} else if who == "another" {
				r.clk.Advance(cache.DefaultNearTTL)
			}
			if v, _, err := c.Get(ctx, "k"); v == "old" || err != nil {
				t.Errorf("%s, %s: still %q, %v", who, name, v, err)
			}
		}
	}
	entered, gate, second := make(chan struct{}), make(chan struct{}), make(chan string)
	go func() {
		_, _ = c.GetOrLoad(ctx, "l", func(context.Context) (string, error) { close(entered); <-gate; return "one", nil })
	}()
	<-entered
	go func() {
		v, _ := d.GetOrLoad(ctx, "l", gives("two", nil))
		second <- v
	}()
	for d.Stats().Waits == 0 && ctx.Err() == nil {
		runtime.Gosched()
	}
	close(gate)
	for c.Loads() > 0 && ctx.Err() == nil { // or its lease would end by the clock that flies
		runtime.Gosched()
	}
	for waiting := true; waiting; {
		select {
		case v := <-second:
			if waiting = false; v != "one" {
				t.Errorf("who waited got %q", v)
			}
		default:
			r.clk.Advance(10 * time.Millisecond)
		}
	}
	if err := errors.Join(c.Close(ctx), d.Close(ctx)); err != nil {
		t.Error(err)
	}
}

// clear clears while time flies.
func (r rig) clear(c *cache.Cache[string]) error {
	done := make(chan error)
	go func() { done <- c.Clear(context.Background()) }()
	for {
		select {
		case err := <-done:
			return err
		default:
			r.clk.Advance(10 * time.Millisecond)
			runtime.Gosched()
		}
	}
}
