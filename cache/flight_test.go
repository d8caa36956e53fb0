package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// gated is a loader that waits to be told.
type gated struct {
	calls   atomic.Int64
	entered chan context.Context // gets each call's ctx
	release chan func() (product, error)
}

func newGated() *gated {
	return &gated{entered: make(chan context.Context, 100), release: make(chan func() (product, error), 100)}
}

func (g *gated) load(ctx context.Context) (product, error) {
	g.calls.Add(1)
	g.entered <- ctx
	select {
	case answer := <-g.release:
		return answer()
	case <-ctx.Done():
		return product{}, ctx.Err()
	}
}

type answer struct {
	p   product
	err error
}

// ask calls GetOrLoad in the background.
func ask(ctx context.Context, c *cache.Cache[product], key string, load func(context.Context) (product, error)) chan answer {
	out := make(chan answer, 1)
	go func() {
		p, err := c.GetOrLoad(ctx, key, load)
		out <- answer{p, err}
	}()
	return out
}

// waiting waits until n callers wait for a key's load.
func waiting(c *cache.Cache[product], key string, n int) {
	for c.Waiting(key) < n {
		runtime.Gosched()
	}
}

func TestOneLoadForAll(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	g := newGated()
	const n = 100
	var asked []chan answer
	for range n {
		asked = append(asked, ask(t.Context(), c, "k", g.load))
	}
	<-g.entered
	waiting(c, "k", n)
	g.release <- func() (product, error) { return widget, nil }
	for _, a := range asked {
		if got := <-a; got.err != nil || got.p.ID != 7 {
			t.Errorf("%+v, %v", got.p, got.err)
		}
	}
	if n := g.calls.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
	if s := c.Stats(); s.Shared != n-1 {
		t.Errorf("Stats: %+v", s)
	}
}

// TestNeverTwiceInARow has callers who miss while a load is being stored.
func TestNeverTwiceInARow(t *testing.T) {
	leaktest.Check(t)
	for range 200 {
		c := newCache[product](t, storetest.NewMemory(), options())
		src := &source{value: widget}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := c.GetOrLoad(t.Context(), "k", src.load); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := src.calls.Load(); n != 1 {
			t.Fatalf("%d loads", n)
		}
	}
}

func TestACallerLeavesAlone(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	g := newGated()
	type mark struct{}
	leader, leave := context.WithCancel(context.WithValue(t.Context(), mark{}, "trace"))
	first := ask(leader, c, "k", g.load)
	loading := <-g.entered
	if loading.Value(mark{}) != "trace" {
		t.Error("the loader's ctx lacks the caller's values")
	}
	second := ask(t.Context(), c, "k", g.load)
	waiting(c, "k", 2)
	leave()
	if got := <-first; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the one who left: %v", got.err)
	}
	if loading.Err() != nil {
		t.Error("the load ended with its first caller")
	}
	g.release <- func() (product, error) { return widget, nil }
	if got := <-second; got.err != nil || got.p.ID != 7 {
		t.Errorf("the one who stayed: %+v, %v", got.p, got.err)
	}
	if n := g.calls.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
}

func TestNobodyWaits(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	g := newGated()
	ctx, leave := context.WithCancel(t.Context())
	first := ask(ctx, c, "k", g.load)
	loading := <-g.entered
	leave()
	<-first
	<-loading.Done() // or the test hangs
	// Who comes now does not join what was cancelled.
	g.release <- func() (product, error) { return widget, nil }
	if got := <-ask(t.Context(), c, "k", g.load); got.err != nil || got.p.ID != 7 {
		t.Errorf("the next caller: %+v, %v", got.p, got.err)
	}
}

func TestAPanicHarmsNobodyElse(t *testing.T) {
	leaktest.Check(t)
	cause := errors.New("boom")
	for name, end := range map[string]func() (product, error){
		"panic":       func() (product, error) { panic(cause) },
		"nil panic":   func() (product, error) { panic(nil) },
		"exit":        func() (product, error) { runtime.Goexit(); return product{}, nil },
		"foreign ctx": func() (product, error) { return product{}, fmt.Errorf("query: %w", context.Canceled) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache[product](t, storetest.NewMemory(), options())
			g := newGated()
			first := ask(t.Context(), c, "k", g.load)
			<-g.entered
			src := &source{value: widget}
			second, third := ask(t.Context(), c, "k", src.load), ask(t.Context(), c, "k", src.load)
			waiting(c, "k", 3)
			g.release <- end
			got := <-first
			var panicked *cache.PanicError
			if got.err == nil || errors.As(got.err, &panicked) != (name == "panic" || name == "nil panic") {
				t.Errorf("the caller of the loader got %v", got.err)
			}
			if name == "panic" && (!errors.Is(got.err, cause) || len(panicked.Stack) == 0) {
				t.Errorf("the panic lost its cause or its stack: %v", got.err)
			}
			for _, other := range []chan answer{second, third} {
				if got := <-other; got.err != nil || got.p.ID != 7 {
					t.Errorf("another caller: %+v, %v", got.p, got.err)
				}
			}
			if n := src.calls.Load(); n != 1 {
				t.Errorf("the others loaded %d times, want once together", n)
			}
			if s := c.Stats(); s.LoadErrors != 1 || s.Loads != 2 {
				t.Errorf("Stats: %+v", s)
			}
		})
	}
}

// TestWhoCannotLeaveLoadsItself has a caller whose ctx never ends load without a goroutine, and others join it.
func TestWhoCannotLeaveLoadsItself(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	g := newGated()
	first := ask(context.Background(), c, "k", g.load)
	<-g.entered
	src := &source{value: widget}
	second := ask(t.Context(), c, "k", src.load)
	third := ask(context.Background(), c, "k", src.load)
	waiting(c, "k", 3)
	g.release <- func() (product, error) { return widget, nil }
	for _, caller := range []chan answer{first, second, third} {
		if got := <-caller; got.err != nil || got.p.ID != widget.ID {
			t.Errorf("%+v, %v", got.p, got.err)
		}
	}
	if s := c.Stats(); s.Loads != 1 || s.Shared != 2 {
		t.Errorf("Stats: %+v", s)
	}
	ended := make(chan struct{})
	go func() { // as a test's FailNow does
		defer close(ended)
		_, _ = c.GetOrLoad(context.Background(), "exit", func(context.Context) (product, error) { runtime.Goexit(); return widget, nil })
		t.Error("the goroutine went on")
	}()
	<-ended
	if _, err := c.GetOrLoad(context.Background(), "panic", func(context.Context) (product, error) { panic("boom") }); err == nil {
		t.Error("a panic was no error")
	}
	if c.Loads() != 0 {
		t.Errorf("%d loads are left", c.Loads())
	}
	for _, key := range []string{"exit", "panic"} {
		if p, err := c.GetOrLoad(context.Background(), key, src.load); err != nil || p.ID != widget.ID {
			t.Errorf("%s, anew: %+v, %v", key, p, err)
		}
	}
}

func TestAnErrorIsShared(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	g := newGated()
	cause := errors.New("database down")
	first := ask(t.Context(), c, "k", g.load)
	<-g.entered
	second := ask(t.Context(), c, "k", g.load)
	waiting(c, "k", 2)
	g.release <- func() (product, error) { return product{}, cause }
	for _, a := range []chan answer{first, second} {
		if got := <-a; got.err != cause {
			t.Errorf("%v", got.err)
		}
	}
}

// TestInvalidationWins changes the source and invalidates while the old value is still being loaded.
func TestInvalidationWins(t *testing.T) {
	leaktest.Check(t)
	fresh := product{ID: 8}
	for name, invalidate := range map[string]func(*cache.Cache[product]) error{
		"Delete": func(c *cache.Cache[product]) error { return c.Delete(t.Context(), "k") },
		"Set":    func(c *cache.Cache[product]) error { return c.Set(t.Context(), "k", fresh) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache[product](t, storetest.NewMemory(), options())
			old := newGated()
			first := ask(t.Context(), c, "k", old.load)
			<-old.entered
			if err := invalidate(c); err != nil {
				t.Fatal(err)
			}
			// A new caller does not wait for the old load.
			src := &source{value: fresh}
			if got := <-ask(t.Context(), c, "k", src.load); got.err != nil || got.p.ID != 8 {
				t.Errorf("the new caller: %+v, %v", got.p, got.err)
			}
			old.release <- func() (product, error) { return widget, nil }
			if got := <-first; got.err != nil || got.p.ID != 7 {
				t.Errorf("the old caller: %+v, %v", got.p, got.err)
			}
			leaktest.Check(t) // lets the old flight end first
			for range 100 {
				if got, ok, err := c.Get(t.Context(), "k"); err != nil || ok && got.ID != 8 {
					t.Fatalf("the stale value was stored: %+v, %v", got, err)
				}
				runtime.Gosched()
			}
		})
	}
}

func TestALoaderThatAsksForItself(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	var nested error
	_, err := c.GetOrLoad(t.Context(), "a", func(ctx context.Context) (product, error) {
		return c.GetOrLoad(ctx, "b", func(ctx context.Context) (product, error) {
			_, nested = c.GetOrLoad(ctx, "a", func(context.Context) (product, error) { return widget, nil })
			_, many := c.GetOrLoadMany(ctx, []string{"c", "b"}, batch(widget))
			if !errors.Is(many, store.ErrInvalid) {
				t.Errorf("many: %v", many)
			}
			return widget, nil
		})
	})
	if err != nil || !errors.Is(nested, store.ErrInvalid) {
		t.Errorf("outer: %v, nested: %v", err, nested)
	}
}

func TestManyJoinsFlights(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	if err := c.Set(t.Context(), "there", product{Name: "there"}); err != nil {
		t.Fatal(err)
	}
	g := newGated()
	one := ask(t.Context(), c, "busy", g.load)
	<-g.entered
	var asked [][]string
	done := make(chan map[string]product, 1)
	go func() {
		found, err := c.GetOrLoadMany(t.Context(), []string{"there", "busy", "x", "y", "x"}, func(_ context.Context, missing []string) (map[string]product, error) {
			asked = append(asked, missing)
			return map[string]product{"x": {Name: "x"}}, nil
		})
		if err != nil {
			t.Error(err)
		}
		done <- found
	}()
	waiting(c, "busy", 2)
	g.release <- func() (product, error) { return product{Name: "busy"}, nil }
	<-one
	found := <-done
	if len(found) != 3 || found["there"].Name != "there" || found["busy"].Name != "busy" || found["x"].Name != "x" {
		t.Errorf("found %+v", found)
	}
	if fmt.Sprint(asked) != "[[x y]]" {
		t.Errorf("loaded %v, want what nobody else was loading", asked)
	}
}

func TestManyFails(t *testing.T) {
	leaktest.Check(t)
	c := newCache[product](t, storetest.NewMemory(), options())
	if err := c.Set(t.Context(), "there", widget); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("database down")
	found, err := c.GetOrLoadMany(t.Context(), []string{"there", "x"}, func(context.Context, []string) (map[string]product, error) { return nil, cause })
	if err != cause || len(found) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	_, err = c.GetOrLoadMany(t.Context(), []string{"x", "y"}, func(context.Context, []string) (map[string]product, error) { panic("boom") })
	if panicked := (*cache.PanicError)(nil); !errors.As(err, &panicked) {
		t.Errorf("panic: %v", err)
	}
	if found, err = c.GetOrLoadMany(t.Context(), []string{"x"}, func(context.Context, []string) (map[string]product, error) { return nil, nil }); err != nil || len(found) != 0 {
		t.Errorf("a nil map: %+v, %v", found, err)
	}
	if found, err = c.GetOrLoadMany(t.Context(), nil, nil); err != nil || len(found) != 0 {
		t.Errorf("no keys: %+v, %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.GetOrLoadMany(ctx, []string{"x"}, batch(widget)); !errors.Is(err, context.Canceled) {
		t.Errorf("ended ctx: %v", err)
	}
}

// TestHammer lets everything happen at once, for the race detector.
func TestHammer(t *testing.T) {
	leaktest.Check(t)
	f := storetest.NewFaulty(storetest.NewMemory())
	o := options()
	o.NegativeTTL, o.Timeout = time.Second, time.Millisecond
	c := newCache[product](t, f, o)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				key := fmt.Sprint(i % 5)
				ctx, cancel := context.WithCancel(t.Context())
				switch (i + w) % 10 {
				case 0:
					_ = c.Delete(ctx, key)
				case 1:
					_ = c.Set(ctx, key, widget)
				case 2:
					f.Fail(2)
				case 3:
					cancel()
				case 4:
					_, _ = c.GetOrLoadMany(ctx, []string{"0", "1", "2", "3", "4"}, batch(widget))
				case 5:
					_, _ = c.GetOrLoad(ctx, key, func(context.Context) (product, error) { panic("boom") })
				case 6:
					_, _ = c.GetOrLoad(ctx, key, func(context.Context) (product, error) { return product{}, cache.ErrNotFound })
				}
				if got, err := c.GetOrLoad(ctx, key, func(context.Context) (product, error) { return widget, nil }); err == nil && got.ID != 7 {
					t.Errorf("%+v", got)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}
