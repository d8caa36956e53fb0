package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func TestNewRefuses(t *testing.T) {
	for _, o := range []lock.Options{
		{Prefix: "a{b}"}, {TTL: time.Millisecond}, {TTL: -1}, {Owner: "a b"}, {Owner: strings.Repeat("x", 101)},
		{Retention: time.Second}, {Retention: -2}, {TTL: time.Hour, Retention: time.Minute},
		{TTL: math.MaxInt64}, {Retention: math.MaxInt64},
	} {
		if _, err := lock.New(storetest.NewMemory(), o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := lock.NewGuard(storetest.NewMemory(), -2); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("NewGuard: %v", err)
	}
	l := locker(t, fleet.NewClocked(t), lock.Options{})
	ctx := context.Background()
	for _, k := range []*lock.Lock{l.Mutex(""), l.Mutex("}x"), l.Semaphore("s", 0), l.Semaphore("s", -1)} {
		if _, err := k.Try(ctx); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", k.Name(), err)
		}
	}
}

// TestExtension drives a lease by the clock: it is extended every third of its TTL, through failures that end in time,
// and lost at the end of what it certainly has.
func TestExtension(t *testing.T) {
	leaktest.Check(t)
	db := fleet.NewClocked(t)
	st := storetest.NewFaulty(db)
	seen := &events{}
	l := locker(t, st, lock.Options{TTL: 30 * time.Second, Timeout: -1, Clock: db.Fake, Observer: seen, Prefix: "p:"})
	ctx := context.Background()
	le := must(l.Acquire(ctx, "x"))(t)
	until := func(n uint64, what string, count func(lock.Stats) uint64) {
		t.Helper()
		fleet.Eventually(t, fmt.Sprintf("%d %s", n, what), func() bool { return count(l.Stats()) >= n })
	}
	extended := func(s lock.Stats) uint64 { return s.Extended }
	for i := range uint64(5) {
		db.Advance(9 * time.Second)
		if n := l.Stats().Extended; n != i {
			t.Errorf("%d extensions before the %dth is due", n, i+1)
		}
		db.Advance(time.Second)
		until(i+1, "extended", extended)
	}
	st.Fail(3)
	db.Advance(10 * time.Second)
	for i := range uint64(3) {
		until(i+1, "failed", func(s lock.Stats) uint64 { return s.Failed })
		db.Advance(1500 * time.Millisecond)
	}
	until(6, "extended", extended)
	st.Fail(-1)
	left := le.Remaining()
	db.Advance(left - time.Millisecond)
	if le.Context().Err() != nil {
		t.Error("lost before its time")
	}
	db.Advance(time.Millisecond)
	<-le.Context().Done()
	if cause := context.Cause(le.Context()); !errors.Is(cause, lock.ErrLost) {
		t.Errorf("cause: %v", cause)
	}
	st.Heal()
	if s, err := l.Inspect(ctx, "x"); err != nil {
		t.Error(err)
	} else if len(s.Holders) > 0 && s.Holders[0].TTL < time.Second { // unless it has been given up already
		t.Errorf("only %v were left to the store", s.Holders[0].TTL)
	}
	want := "begin acquire x,end acquire ok,extended x,extended x,extended x,extended x,extended x,extended x,lost x"
	if got := seen.String(); got != want {
		t.Errorf("observed %s\nwant     %s", got, want)
	}
}

// events is an Observer that writes down what it hears.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, s)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.list, ",")
}

func (e *events) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	e.add("begin " + op.Verb + " " + op.Key)
	return ctx, func(result string, _ error) { e.add("end " + op.Verb + " " + result) }
}
func (e *events) Count(_ context.Context, op observe.Op, _ int64)   { e.add(op.Verb + " " + op.Key) }
func (e *events) Gauge(_ context.Context, op observe.Op, _ float64) { e.add(op.Verb) }

// TestLostAnswers: a call whose effect nobody heard of leaves no lock behind.
func TestLostAnswers(t *testing.T) {
	leaktest.Check(t)
	db := fleet.NewClocked(t)
	st := storetest.NewFaulty(db)
	l := locker(t, st, lock.Options{Clock: db.Fake})
	other := locker(t, db, lock.Options{Clock: db.Fake})
	ctx := context.Background()
	st.Forget(1)
	if _, err := l.Try(ctx, "x"); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Try: %v", err)
	}
	le := must(other.Acquire(ctx, "x"))(t) // once it is given up, behind the scenes
	if err := le.Release(ctx); err != nil {
		t.Error(err)
	}
	le = must(l.Acquire(ctx, "x"))(t)
	st.Forget(1)
	if err := le.Release(ctx); err != nil { // repeated; that there is nothing to release any more is as it should be
		t.Errorf("Release: %v", err)
	}
	le = must(l.Acquire(ctx, "x"))(t)
	st.Fail(2)
	if err := le.Release(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Release: %v", err)
	}
	if err := must(other.Acquire(ctx, "x"))(t).Release(ctx); err != nil {
		t.Error(err)
	}
}

// TestPolling: where the store cannot wake anybody, waiters look by themselves.
func TestPolling(t *testing.T) {
	leaktest.Check(t)
	db := fleet.NewClocked(t)
	l := locker(t, deafStore{db}, lock.Options{})
	ctx := bounded(t)
	le := must(l.Acquire(ctx, "x"))(t)
	results := make(chan got, 1)
	acquire(ctx, l.Mutex("x"), 1, results)
	queue(t, l.Mutex("x"), 1)
	if err := le.Release(ctx); err != nil {
		t.Error(err)
	}
	if g := <-results; g.err != nil || g.le.Release(ctx) != nil {
		t.Errorf("%+v", g)
	}
}

type deafStore struct{ store.Store }

func (deafStore) Subscribe(context.Context, store.Subscription) error { return store.ErrUnsupported }

// TestStrangers: what is not a lock is refused and left as it is.
func TestStrangers(t *testing.T) {
	db := fleet.NewClocked(t)
	l := locker(t, db, lock.Options{Clock: db.Fake})
	ctx := context.Background()
	db.Do(ctx, "SET", l.Mutex("a").Key(), "something else")
	db.Do(ctx, "RPUSH", l.Mutex("b").Key(), "a list")
	if _, err := l.Acquire(ctx, "a"); err == nil || !strings.Contains(err.Error(), "something other than a lock") {
		t.Errorf("a string: %v", err)
	}
	if _, err := l.Acquire(ctx, "b"); !errors.Is(err, store.ErrWrongType) {
		t.Errorf("a list: %v", err)
	}
	if _, err := l.Inspect(ctx, "a"); !errors.Is(err, store.ErrReply) {
		t.Errorf("Inspect: %v", err)
	}
	if s, err := db.Do(ctx, "GET", l.Mutex("a").Key()).Text(); s != "something else" {
		t.Errorf("it was changed to %q, %v", s, err)
	}
}
