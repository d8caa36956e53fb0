package cache_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
)

// rig is an embedded store and a cache on a clock that the test moves.
type rig struct {
	*cache.Cache[string]
	db  *larder.DB
	clk *clock.Fake
}

func newRig(t *testing.T, o cache.Options) rig {
	t.Helper()
	leaktest.Check(t)
	clk := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	db, err := larder.Open(larder.Options{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o.Prefix, o.TTL, o.Jitter, o.Clock = "p:", time.Minute, -1, clk
	c := newCache[string](t, db, o)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return rig{c, db, clk}
}

// other is another process's cache on the same store.
func (r rig) other(t *testing.T, o cache.Options) *cache.Cache[string] {
	o.Prefix, o.TTL, o.Jitter, o.Clock = "p:", time.Minute, -1, r.clk
	c := newCache[string](t, r.db, o)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func gives(v string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return v, err }
}

func (r rig) want(t *testing.T, what string, load func(context.Context) (string, error), value string, stale bool, cause error) {
	t.Helper()
	got, err := r.Fetch(t.Context(), "k", load)
	if err != nil || got.Value != value || got.Stale != stale || !errors.Is(got.Cause, cause) {
		t.Errorf("%s: %+v, %v; want %q, stale %v, cause %v", what, got, err, value, stale, cause)
	}
}

// settle waits for loads in the background.
func (r rig) settle(t *testing.T) {
	for r.Loads() > 0 {
		if t.Context().Err() != nil {
			return
		}
	}
}

var errDown = errors.New("the source is down")

func TestStaleWhileRevalidate(t *testing.T) {
	r := newRig(t, cache.Options{Stale: 10 * time.Second})
	r.want(t, "first", gives("1", nil), "1", false, nil)
	r.clk.Advance(61 * time.Second)
	r.want(t, "past its TTL", gives("2", nil), "1", true, nil)
	r.settle(t)
	r.want(t, "refreshed", gives("3", nil), "2", false, nil)
	r.clk.Advance(71 * time.Second)
	r.want(t, "past Stale", gives("4", nil), "4", false, nil)
	if s := r.Stats(); s.StaleHits != 1 || s.Refreshes != 1 || s.Loads != 3 {
		t.Errorf("Stats: %+v", s)
	}
}

func TestFailSafe(t *testing.T) {
	r := newRig(t, cache.Options{FailSafe: time.Hour, Tags: func(string) []string { return []string{"t"} }})
	ctx := t.Context()
	r.want(t, "first", gives("1", nil), "1", false, nil)
	r.clk.Advance(2 * time.Minute)
	r.want(t, "the source fails", gives("", errDown), "1", true, errDown)
	r.want(t, "held", gives("2", nil), "1", true, cache.ErrHeld)
	if got, err := r.other(t, cache.Options{FailSafe: time.Hour, Tags: func(string) []string { return []string{"t"} }}).Fetch(ctx, "k", gives("2", nil)); err != nil || !got.Stale {
		t.Errorf("another process: %+v, %v", got, err)
	}
	r.clk.Advance(2 * time.Second)
	r.want(t, "a panic", func(context.Context) (string, error) { panic(errDown) }, "1", true, errDown)
	r.clk.Advance(2 * time.Second)
	r.want(t, "it recovers", gives("2", nil), "2", false, nil)
	if err := r.InvalidateTags(ctx, "t"); err != nil {
		t.Error(err)
	}
	if v, ok, err := r.Get(ctx, "k"); ok || err != nil {
		t.Errorf("Get of what was invalidated: %q, %v, %v", v, ok, err)
	}
	r.want(t, "invalidated, and the source fails", gives("", errDown), "2", true, errDown)
	if err := r.Delete(ctx, "k"); err != nil {
		t.Error(err)
	}
	if got, err := r.Fetch(ctx, "k", gives("", errDown)); err != errDown {
		t.Errorf("deleted: %+v, %v", got, err)
	}
	r.want(t, "again", gives("3", nil), "3", false, nil)
	r.clk.Advance(2 * time.Hour)
	if got, err := r.Fetch(ctx, "k", gives("", errDown)); err != errDown {
		t.Errorf("past FailSafe: %+v, %v", got, err)
	}
	if _, err := r.Fetch(ctx, "k", gives("", cache.ErrNotFound)); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("no such thing is no failure: %v", err)
	}
}

func TestTimeouts(t *testing.T) {
	r := newRig(t, cache.Options{Lease: time.Hour, FailSafe: time.Hour, SoftTimeout: 50 * time.Millisecond, LoadTimeout: time.Second})
	var release atomic.Pointer[chan struct{}]
	slow := func(heeds bool) func(context.Context) (string, error) {
		gate := make(chan struct{})
		release.Store(&gate)
		return func(ctx context.Context) (string, error) {
			if heeds {
				select {
				case <-gate:
				case <-ctx.Done():
					return "", ctx.Err()
				}
			} else {
				<-gate
			}
			return "slow", nil
		}
	}
	advance := func(d time.Duration, then func()) {
		done := make(chan struct{})
		go func() { defer close(done); then() }()
		for {
			select {
			case <-done:
				return
			default:
				r.clk.Advance(d)
			}
		}
	}
	advance(10*time.Millisecond, func() {
		if _, err := r.Fetch(t.Context(), "k", slow(true)); !errors.Is(err, cache.ErrLoadTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a loader that heeds its ctx: %v", err)
		}
		if _, err := r.Fetch(t.Context(), "k2", slow(false)); !errors.Is(err, cache.ErrLoadTimeout) {
			t.Errorf("one that does not: %v", err)
		}
	})
	close(*release.Load())
	r.settle(t)
	r = newRig(t, cache.Options{Lease: time.Hour, FailSafe: 1000 * time.Hour, SoftTimeout: 50 * time.Millisecond})
	if err := r.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	r.clk.Advance(2 * time.Minute)
	load := slow(true)
	advance(time.Millisecond, func() { r.want(t, "soft", load, "old", true, cache.ErrSoftTimeout) })
	close(*release.Load())
	r.settle(t)
	r.want(t, "what went on in the background", gives("no", nil), "slow", false, nil)
}

func TestClearAndTags(t *testing.T) {
	tags := func(key string) []string { return strings.Split(key, ",") }
	r := newRig(t, cache.Options{Tags: tags})
	other := r.other(t, cache.Options{Tags: tags})
	ctx := t.Context()
	fill := func() {
		for _, k := range []string{"a", "b", "a,b"} {
			if err := r.Set(ctx, k, k); err != nil {
				t.Fatal(err)
			}
		}
	}
	has := func(c *cache.Cache[string], want string) {
		t.Helper()
		got := ""
		for _, k := range []string{"a", "b", "a,b"} {
			if _, ok, err := c.Get(ctx, k); err != nil {
				t.Error(err)
			} else if ok {
				got += k + " "
			}
		}
		if got != want {
			t.Errorf("has %q, want %q", got, want)
		}
	}
	fill()
	has(other, "a b a,b ")
	if err := other.InvalidateTags(ctx, "a", "unheard of"); err != nil {
		t.Error(err)
	}
	has(r.Cache, "b ")
	fill()
	has(other, "a b a,b ")
	r.db.Do(ctx, "DEL", "p:\x00tag:b") // evicted
	has(r.Cache, "a ")
	fill()
	has(r.Cache, "a b a,b ")
	done := make(chan error, 1)
	go func() { done <- other.Clear(ctx) }()
	r.clk.BlockUntilWaiters(1)
	for waiting := true; waiting; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			waiting = false
		default:
			r.clk.Advance(100 * time.Millisecond)
		}
	}
	has(r.Cache, "")
	has(other, "")
	fill()
	has(other, "a b a,b ")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := r.Clear(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ended ctx: %v", err)
	}
}

func TestEarlyRefresh(t *testing.T) {
	r := newRig(t, cache.Options{EarlyRefresh: 1, Lease: time.Minute})
	r.want(t, "first", func(context.Context) (string, error) { r.clk.Advance(5 * time.Second); return "1", nil }, "1", false, nil)
	early := 0
	for range 59 {
		r.clk.Advance(time.Second)
		if _, err := r.Fetch(t.Context(), "k", func(context.Context) (string, error) { early++; r.clk.Advance(5 * time.Second); return "2", nil }); err != nil {
			t.Fatal(err)
		}
		r.settle(t)
	}
	if s := r.Stats(); s.Misses != 1 || early == 0 || early > 20 {
		t.Errorf("%d early refreshes; %+v", early, s)
	}
}

func TestCompression(t *testing.T) {
	r := newRig(t, cache.Options{CompressAbove: 100})
	ctx := t.Context()
	long := strings.Repeat("compress me ", 1000)
	for key, v := range map[string]string{"long": long, "short": "x", "random": string(randomBytes(5000))} {
		if err := r.Set(ctx, key, v); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := r.other(t, cache.Options{}).Get(ctx, key); got != v || !ok || err != nil {
			t.Errorf("%s: %d bytes, %v, %v", key, len(got), ok, err)
		}
	}
	if n, _ := r.db.Do(ctx, "STRLEN", "p:long").Int64(); n > 1000 {
		t.Errorf("%d bytes became %d", len(long), n)
	}
	// A claim of more than there may be costs nothing.
	entry, _ := r.db.Do(ctx, "GET", "p:long").Text()
	r.db.Do(ctx, "SET", "p:long", entry[:15]+"\xff\xff\xff\xff\x0f"+entry[17:])
	if _, ok, err := r.Get(ctx, "long"); ok || err != nil {
		t.Errorf("a bomb: %v, %v", ok, err)
	}
	if r.Stats().DecodeErrors != 1 {
		t.Errorf("%+v", r.Stats())
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
