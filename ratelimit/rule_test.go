package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func plan(t testing.TB, rules ...ratelimit.Rule) *ratelimit.Plan {
	t.Helper()
	p, err := ratelimit.NewPlan(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanRefuses(t *testing.T) {
	log := ratelimit.Rule{Limit: 1, Window: time.Second}
	with := func(change func(*ratelimit.Rule)) []ratelimit.Rule {
		r := log
		change(&r)
		return []ratelimit.Rule{r}
	}
	for what, rules := range map[string][]ratelimit.Rule{
		"none":             nil,
		"too many":         make([]ratelimit.Rule, 17),
		"no limit":         with(func(r *ratelimit.Rule) { r.Limit = 0 }),
		"no window":        with(func(r *ratelimit.Rule) { r.Window = 0 }),
		"microseconds":     with(func(r *ratelimit.Rule) { r.Window = time.Second + 1 }),
		"algorithm":        with(func(r *ratelimit.Rule) { r.Algorithm = 9 }),
		"burst of a log":   with(func(r *ratelimit.Rule) { r.Burst = 3 }),
		"negative burst":   with(func(r *ratelimit.Rule) { r.Algorithm, r.Burst = ratelimit.GCRA, -1 }),
		"a name's newline": with(func(r *ratelimit.Rule) { r.Name = "a\nb" }),
		"log and bucket":   {log, {Algorithm: ratelimit.TokenBucket, Limit: 1, Window: time.Second}},
		"beyond exactness": with(func(r *ratelimit.Rule) {
			r.Algorithm, r.Limit, r.Window = ratelimit.SlidingCounter, 1<<30, 24*time.Hour
		}),
	} {
		if p, err := ratelimit.NewPlan(rules...); !errors.Is(err, store.ErrInvalid) || !strings.HasPrefix(err.Error(), "ratelimit: ") {
			t.Errorf("%s: %v, %v", what, p, err)
		}
	}
	if _, err := ratelimit.New(storetest.NewMemory(), ratelimit.Options{Limit: 1, Window: time.Second, Rules: []ratelimit.Rule{log}}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Limit and Rules: %v", err)
	}
	l := limiter(t, storetest.NewMemory(), ratelimit.Options{Limit: 1, Window: time.Second})
	for what, p := range map[string]*ratelimit.Plan{"no rules": {}, "of meters": plan(t, ratelimit.Rule{Algorithm: ratelimit.GCRA, Limit: 1, Window: time.Second})} {
		if res, err := l.Decide(t.Context(), ratelimit.Request{ID: "a", Plan: p}); !errors.Is(err, store.ErrInvalid) || res.Allowed {
			t.Errorf("a plan %s: %+v, %v", what, res, err)
		}
	}
}

// TestSeveralLimits passes all rules or counts for none, and tells which one denied.
func TestSeveralLimits(t *testing.T) {
	for _, a := range []ratelimit.Algorithm{ratelimit.SlidingLog, ratelimit.SlidingCounter, ratelimit.FixedWindow, ratelimit.TokenBucket, ratelimit.GCRA} {
		mem := storetest.NewMemory()
		mem.Advance(time.Hour - time.Duration(mem.Now().UnixNano())%time.Hour) // where windows begin
		f := storetest.NewFaulty(mem)
		l := limiter(t, f, ratelimit.Options{Rules: []ratelimit.Rule{
			{Algorithm: a, Limit: 2, Window: time.Second}, {Name: "hourly", Algorithm: a, Limit: 5, Window: time.Hour},
		}})
		allow := func(want bool, rule string) ratelimit.Result {
			t.Helper()
			res, err := l.Allow(t.Context(), "a")
			if err != nil || res.Allowed != want || res.Rule != rule {
				t.Errorf("%v: %+v, %v; want %v by %s", a, res, err, want, rule)
			}
			return res
		}
		for range 2 {
			allow(true, "2/1s")
		}
		for range 3 { // the hour does not pay for what the second denies
			if res := allow(false, "2/1s"); res.RetryAfter <= 0 || res.RetryAfter > 2*time.Second {
				t.Errorf("%v: RetryAfter %v", a, res.RetryAfter)
			}
		}
		mem.Advance(2 * time.Second)
		allow(true, "2/1s")
		allow(true, "2/1s")
		mem.Advance(2 * time.Second)
		if res := allow(true, "hourly"); len(res.Each()) != 2 || res.Each()[0].Remaining != 1 || res.Each()[1].Remaining != 0 {
			t.Errorf("%v: %+v", a, res.Each())
		}
		if res := allow(false, "hourly"); res.RetryAfter < time.Minute {
			t.Errorf("%v: RetryAfter %v", a, res.RetryAfter)
		}
		if f.Calls() != 9 {
			t.Errorf("%v: %d round trips for 9 decisions", a, f.Calls())
		}
	}
}

// TestDenialWritesNothing looks at the key's bytes and TTL.
func TestDenialWritesNothing(t *testing.T) {
	mem := storetest.NewMemory()
	for a := ratelimit.SlidingLog; a <= ratelimit.GCRA; a++ {
		l := limiter(t, mem, ratelimit.Options{Algorithm: a, Limit: 1, Window: time.Minute, Prefix: a.String() + ":"})
		if _, err := l.Allow(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		state := func() string {
			return fmt.Sprint(mem.Do(t.Context(), "GET", a.String()+":a"), mem.Do(t.Context(), "PTTL", a.String()+":a"))
		}
		before := state()
		for range 3 {
			if res, err := l.Allow(t.Context(), "a"); err != nil || res.Allowed {
				t.Errorf("%v: %+v, %v", a, res, err)
			}
			_, _ = l.Peek(t.Context(), "a")
		}
		if after := state(); after != before || len(before) > 150 {
			t.Errorf("%v: %s became %s", a, before, after)
		}
	}
}

func TestPlans(t *testing.T) {
	free := plan(t, ratelimit.Rule{Algorithm: ratelimit.TokenBucket, Limit: 1, Window: time.Minute})
	paid := plan(t, ratelimit.Rule{Name: "paid", Algorithm: ratelimit.TokenBucket, Limit: 10, Window: time.Minute})
	plans := map[string]*ratelimit.Plan{"free": free, "paid": paid}
	l := limiter(t, storetest.NewMemory(), ratelimit.Options{
		Algorithm: ratelimit.TokenBucket, Limit: 3, Window: time.Minute,
		PlanFor: func(_ context.Context, id string) *ratelimit.Plan { return plans[id] },
	})
	count := func(id string) (n int) {
		for {
			res, err := l.Allow(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if !res.Allowed {
				return n
			}
			n++
		}
	}
	if a, b, c := count("free"), count("paid"), count("other"); a != 1 || b != 10 || c != 3 {
		t.Errorf("free %d, paid %d, other %d", a, b, c)
	}
	plans["free"] = paid // what was used stays used
	if n := count("free"); n != 9 {
		t.Errorf("%d more after paying", n)
	}
	if res, err := l.Decide(t.Context(), ratelimit.Request{ID: "other", Plan: paid, Cost: 7}); err != nil || !res.Allowed || res.Rule != "paid" || res.Limit != 10 {
		t.Errorf("a plan for one call: %+v, %v", res, err)
	}
}

func TestRefundBlockReset(t *testing.T) {
	for a := ratelimit.SlidingLog; a <= ratelimit.GCRA; a++ {
		mem := storetest.NewMemory()
		l := limiter(t, mem, ratelimit.Options{Algorithm: a, Limit: 5, Window: time.Hour})
		ctx := t.Context()
		left := func() int {
			t.Helper()
			res, err := l.Peek(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			return res.Remaining
		}
		_, _ = l.AllowN(ctx, "a", 4)
		if err := l.Refund(ctx, "a", 3); err != nil || left() != 4 {
			t.Errorf("%v: %d left after a refund, %v", a, left(), err)
		}
		if err := l.Refund(ctx, "a", 5); err != nil || left() != 5 {
			t.Errorf("%v: %d left after another, %v", a, left(), err)
		}
		if err := l.Refund(ctx, "a", 6); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: more than the limit back: %v", a, err)
		}
		_, _ = l.AllowN(ctx, "a", 2)
		if err := l.Block(ctx, "a", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if res, err := l.Allow(ctx, "a"); err != nil || res.Allowed || !res.Blocked || res.RetryAfter != 10*time.Second {
			t.Errorf("%v: blocked: %+v, %v", a, res, err)
		}
		if err := l.Block(ctx, "a", 0); err != nil || left() != 3 {
			t.Errorf("%v: %d left after the block, %v", a, left(), err)
		}
		_ = l.Block(ctx, "a", 2*time.Hour) // longer than the counts live
		mem.Advance(2*time.Hour - time.Millisecond)
		if res, _ := l.Allow(ctx, "a"); res.Allowed || res.RetryAfter != time.Millisecond {
			t.Errorf("%v: at a block's end: %+v", a, res)
		}
		mem.Advance(time.Millisecond)
		if left() != 5 {
			t.Errorf("%v: %d left after a long block", a, left())
		}
		_ = l.Block(ctx, "a", time.Hour)
		if err := l.Reset(ctx, "a"); err != nil || left() != 5 {
			t.Errorf("%v: Reset: %d, %v", a, left(), err)
		}
		if err := l.Block(ctx, "a", -1); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: a negative block: %v", a, err)
		}
	}
}

func TestShadow(t *testing.T) {
	f := storetest.NewFaulty(storetest.NewMemory())
	heard := 0
	l := limiter(t, f, ratelimit.Options{Limit: 1, Window: time.Hour, Shadow: true, FailClosed: true,
		OnDenied: func(_ context.Context, _ string, res ratelimit.Result) { heard++ }})
	for i := range 3 {
		if res, err := l.Allow(t.Context(), "a"); err != nil || !res.Allowed || res.Shadow != (i > 0) {
			t.Errorf("%d: %+v, %v", i, res, err)
		}
	}
	f.Fail(1)
	if res, err := l.Allow(t.Context(), "a"); err == nil || !res.Allowed {
		t.Errorf("shadow mode denies: %+v, %v", res, err)
	}
	if got := l.Stats(); got != (ratelimit.Stats{Allowed: 3, Shadowed: 2, Failed: 1}) || heard != 2 {
		t.Errorf("%+v, OnDenied heard %d", got, heard)
	}
}

func TestLocalShare(t *testing.T) {
	for a := ratelimit.SlidingLog; a <= ratelimit.GCRA; a++ {
		fake := clock.NewFake(time.Unix(1e9, 0))
		f := storetest.NewFaulty(storetest.NewMemory())
		l := limiter(t, f, ratelimit.Options{Algorithm: a, Limit: 10, Window: time.Minute, LocalShare: 3, Clock: fake})
		f.Fail(-1)
		passed := func() (n int) {
			t.Helper()
			for range 8 {
				res, err := l.Allow(t.Context(), "a")
				if err != nil || !res.Local || res.Limit != 3 {
					t.Errorf("%v: %+v, %v", a, res, err)
				}
				if res.Allowed {
					n++
				}
			}
			return n
		}
		if n := passed(); n != 3 || f.Calls() != 1 {
			t.Errorf("%v: %d passed of a third of 10; the store was asked %d times", a, n, f.Calls())
		}
		fake.Advance(time.Second)
		if passed(); f.Calls() != 2 {
			t.Errorf("%v: a second later the store was asked %d times", a, f.Calls()-1)
		}
		fake.Advance(2 * time.Minute)
		if n := passed(); n != 3 {
			t.Errorf("%v: %d passed two windows later", a, n)
		}
		f.Heal()
		fake.Advance(time.Second)
		if res, err := l.Allow(t.Context(), "a"); err != nil || res.Local || res.Limit != 10 || res.Remaining != 9 {
			t.Errorf("%v: the store is back: %+v, %v", a, res, err)
		}
		if got := l.Stats(); got != (ratelimit.Stats{Allowed: 1, Failed: 3, Local: 24}) {
			t.Errorf("%v: %+v", a, got)
		}
	}
}

// TestLocalLongLog makes a log grow past what is written anew each time.
func TestLocalLongLog(t *testing.T) {
	fake := clock.NewFake(time.Unix(1e9, 0))
	f := storetest.NewFaulty(storetest.NewMemory())
	l := limiter(t, f, ratelimit.Options{Limit: 300, Window: time.Minute, LocalShare: 1, Clock: fake})
	f.Fail(-1)
	passed := 0
	for range 600 {
		if res, err := l.Allow(t.Context(), "a"); err != nil || !res.Local {
			t.Fatalf("%+v, %v", res, err)
		} else if res.Allowed {
			passed++
		}
		fake.Advance(time.Millisecond)
	}
	if passed != 300 {
		t.Errorf("%d passed", passed)
	}
}

// book is an Observer that writes results down.
type book struct{ lines []string }

func (b *book) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, _ error) { b.lines = append(b.lines, op.Verb+" "+op.Key+" "+result) }
}
func (b *book) Count(_ context.Context, op observe.Op, n int64) {
	b.lines = append(b.lines, fmt.Sprint(op.Verb, " ", n))
}
func (b *book) Gauge(context.Context, observe.Op, float64) {}

func TestObserver(t *testing.T) {
	var b book
	f := storetest.NewFaulty(storetest.NewMemory())
	l := limiter(t, f, ratelimit.Options{Limit: 1, Window: time.Hour, Observer: &b, LocalShare: 1})
	ctx := t.Context()
	_, _ = l.Allow(ctx, "a")
	_, _ = l.Allow(ctx, "a")
	_, _ = l.Peek(ctx, "b")
	_ = l.Refund(ctx, "a", 1)
	_ = l.Block(ctx, "a", time.Second)
	f.Fail(2)
	_ = l.Reset(ctx, "a")
	_, _ = l.Allow(ctx, "b")
	_, _ = l.AllowN(ctx, "b", 7)
	want := "allow a ok|allow a denied|peek b ok|refund a ok|block a ok|reset a error|local 1|allow b ok|allow b error"
	if got := strings.Join(b.lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestLeases holds leases to their limit under random schedules.
func TestLeases(t *testing.T) {
	mem := storetest.NewMemory()
	const limit, ttl = 5, 1000 * time.Millisecond
	for _, seed := range storetest.Seeds(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		var both [2]*ratelimit.Concurrency
		for i := range both {
			c, err := ratelimit.NewConcurrency(mem, ratelimit.ConcurrencyOptions{Limit: limit, TTL: ttl, Prefix: fmt.Sprint("c", seed, ":")})
			if err != nil {
				t.Fatal(err)
			}
			both[i] = c
		}
		type held struct {
			lease *ratelimit.Lease
			units int
			until time.Time
		}
		var all []*held
		for step := range 300 {
			mem.Advance(time.Duration(r.IntN(100)) * time.Millisecond)
			if seed%2 == 0 && r.IntN(50) == 0 {
				mem.Advance(-time.Duration(r.IntN(3000)) * time.Millisecond)
			}
			used := 0
			for _, h := range all {
				if !mem.Now().Before(h.until) {
					h.until = time.Time{} // for good, wherever the clock goes; the store may still count it then
				} else {
					used += h.units
				}
			}
			switch pick := r.IntN(4); {
			case pick < 2:
				n := 1 + r.IntN(2)
				lease, res, err := both[r.IntN(2)].AcquireN(t.Context(), "x", n)
				if err != nil || res.Allowed && used+n > limit || seed%2 != 0 && !res.Allowed && used+n <= limit || res.Allowed != (lease != nil) {
					t.Fatalf("LARDER_SEED=%d step %d: %d units of %d in use, %d wanted: %+v, %v", seed, step, used, limit, n, res, err)
				}
				if res.Allowed {
					all = append(all, &held{lease, n, mem.Now().Add(ttl)})
				}
			case len(all) == 0:
			case pick == 2:
				h := all[r.IntN(len(all))]
				ok, err := h.lease.Extend(t.Context())
				if want := mem.Now().Before(h.until); err != nil || seed%2 != 0 && ok != want {
					t.Fatalf("LARDER_SEED=%d step %d: extended: %v, %v; want %v", seed, step, ok, err, want)
				}
				h.until = time.Time{}
				if ok {
					h.until = mem.Now().Add(ttl)
				}
			default:
				i := r.IntN(len(all))
				if err := all[i].lease.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				all = append(all[:i], all[i+1:]...)
			}
		}
	}
}
