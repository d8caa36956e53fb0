package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store/storetest"
)

// TestRoundTrips counts the calls to a store as across a network; a pipeline is one.
func TestRoundTrips(t *testing.T) {
	leaktest.Check(t)
	for _, tagged := range []bool{false, true} {
		fake := clock.NewFake(storetest.NewMemory().Now())
		db, err := larder.Open(larder.Options{Clock: fake, Scripts: cache.Scripts()})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		f := storetest.NewFaulty(db)
		o := cache.Options{Prefix: "p:", TTL: time.Minute, Clock: fake}
		if tagged {
			o.Tags = func(string) []string { return []string{"a", "b"} }
		}
		c := newCache[string](t, f, o)
		ctx := t.Context()
		count := func(what string, want int, op func() error) {
			t.Helper()
			before := f.Calls()
			if err := op(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			for c.Loads() > 0 {
				if ctx.Err() != nil {
					return
				}
			}
			if got := f.Calls() - before; got != want {
				t.Errorf("%s, tagged %v: %d round trips, want %d", what, tagged, got, want)
			}
		}
		fetch := func(key string) func() error {
			return func() error { _, err := c.GetOrLoad(ctx, key, gives("v", nil)); return err }
		}
		many := func() error {
			_, err := c.GetOrLoadMany(ctx, []string{"x", "y", "z"}, func(_ context.Context, missing []string) (map[string]string, error) {
				m := map[string]string{}
				for _, k := range missing {
					m[k] = k
				}
				return m, nil
			})
			return err
		}
		_ = fetch("first")() // which also looks after the namespace's epoch
		for c.Loads() > 0 {
			if ctx.Err() != nil {
				return
			}
		}
		count("a miss of a cold cache", 2, fetch("k"))
		if err := many(); err != nil {
			t.Error(err)
		}
		for i := range 40 {
			_ = fetch(fmt.Sprint("k", i%2))()
		}
		for c.Loads() > 0 {
			if ctx.Err() != nil {
				return
			}
		}
		count("a hit", 1, fetch("k"))
		count("a batch of hits", 1, many)
		count("a miss of a warm cache", 3, fetch("new"))
		sets := 1
		if tagged {
			sets = 2
		}
		count("Set", sets, func() error { return c.Set(ctx, "k", "v") })
		count("Delete", 1, func() error { return c.Delete(ctx, "k", "x", "y") })
		count("InvalidateTags", 1, func() error { return c.InvalidateTags(ctx, "a", "b") })
	}
}
