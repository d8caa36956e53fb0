package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestHooksPanic has each function that users hand in panic: nobody else is harmed, and nothing is left behind.
func TestHooksPanic(t *testing.T) {
	leaktest.Check(t)
	g := newGated()
	o := options()
	o.OnLoad = func(context.Context, string, time.Duration, error) { panic("OnLoad") }
	c := newCache[product](t, storetest.NewMemory(), o)
	got := make(chan any)
	go func() {
		defer func() { got <- recover() }()
		_, _ = c.GetOrLoad(context.Background(), "k", g.load)
	}()
	<-g.entered
	other := ask(t.Context(), c, "k", func(context.Context) (product, error) { t.Error("loaded twice"); return widget, nil })
	waiting(c, "k", 2)
	g.release <- func() (product, error) { return widget, nil }
	if p := <-got; p != "OnLoad" {
		t.Errorf("the caller's goroutine got %v", p)
	}
	if got := <-other; got.err != nil || got.p.ID != widget.ID {
		t.Errorf("another caller: %+v, %v", got.p, got.err)
	}
	if p, ok, err := c.Get(t.Context(), "k"); !ok || err != nil || p.ID != widget.ID || c.Loads() != 0 {
		t.Errorf("after it: %+v, %v, %v, %d loads", p, ok, err, c.Loads())
	}

	o = options()
	o.Tags = func(string) []string { panic("Tags") }
	for _, st := range []store.Store{storetest.NewMemory(), storetest.NewFaulty(storetest.NewMemory())} {
		c := newCache[product](t, st, o)
		_, err := c.GetOrLoad(t.Context(), "k", func(context.Context) (product, error) { return widget, nil })
		_, many := c.GetOrLoadMany(t.Context(), []string{"k", "l"}, batch(widget))
		_, _, get := c.Get(t.Context(), "k")
		for i, err := range []error{err, many, get, c.Set(t.Context(), "k", widget)} {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%d: Tags panicked: %v", i, err)
			}
		}
	}
}

// recorder counts what an Observer hears.
type recorder struct{ results, events chan string }

func (r recorder) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, err error) { r.results <- op.Name + op.Verb + " " + result }
}
func (r recorder) Count(_ context.Context, op observe.Op, _ int64) { r.events <- op.Verb }
func (r recorder) Gauge(context.Context, observe.Op, float64)      {}

func TestObserver(t *testing.T) {
	o := recorder{make(chan string, 100), make(chan string, 100)}
	r := newRig(t, cache.Options{Observer: o, Stale: time.Minute, NegativeTTL: time.Minute})
	ctx := t.Context()
	_, _ = r.GetOrLoad(ctx, "k", gives("1", nil))
	_, _ = r.GetOrLoad(ctx, "k", gives("1", nil))
	r.clk.Advance(61 * time.Second)
	_, _ = r.GetOrLoad(ctx, "k", gives("1", nil))
	r.settle(t)
	_, _ = r.GetOrLoad(ctx, "n", gives("", cache.ErrNotFound))
	_, _ = r.GetOrLoad(ctx, "n", gives("", cache.ErrNotFound))
	_, _ = r.GetOrLoad(ctx, "f", gives("", errDown))
	close(o.results)
	got := map[string]int{}
	for s := range o.results {
		got[s]++
	}
	for want, n := range map[string]int{
		"p:load ok": 2, "p:get miss": 1, "p:get hit": 1, "p:get stale": 1, "p:load negative": 1, "p:get negative": 2, "p:load error": 1, "p:get error": 1,
	} {
		if got[want] != n {
			t.Errorf("%s: %d times, want %d; all: %v", want, got[want], n, got)
		}
	}
	if e := <-o.events; e != "refresh" {
		t.Errorf("event %q", e)
	}
}
