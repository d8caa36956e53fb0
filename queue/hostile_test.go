package queue_test

import (
	"context"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"errors"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

// nilError's Error panics, as that of a typed nil mostly does.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// TestHostileHandlers has handlers and callbacks that break what can be broken. Each costs its job an attempt, and nothing else.
func TestHostileHandlers(t *testing.T) {
	for name, handle := range map[string]func() error{
		"Goexit":                 func() error { runtime.Goexit(); return nil },
		"an error that panics":   func() error { return (*nilError)(nil) },
		"a panic with nil":       func() error { panic(nil) },
		"a panic with a panic":   func() error { panic((*nilError)(nil)) },
		"a Backoff that panics":  func() error { return errors.New("failed") },
		"a Retry of no error":    func() error { return queue.Retry(nil, time.Hour) },
		"a Retry after all time": func() error { return queue.Retry(errors.New("failed"), math.MaxInt64) },
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			st := db(t)
			defer st.Close()
			q := newQueue[int](t, st, queue.Options{Backoff: func(int) time.Duration { panic("backoff") }})
			stop := work(t, q, queue.Workers{Concurrency: 2}, func(_ context.Context, j *queue.Job[int]) error {
				if j.Payload == 0 {
					return handle()
				}
				return nil
			})
			for range 4 { // more than there are handlers
				add(t, q, 0, queue.Attempts(1))
				add(t, q, 0)
			}
			add(t, q, 1)
			fleet.Eventually(t, "an attempt at each job", func() bool {
				d, err := q.Depth(t.Context()) // several commands: between two of them jobs may move
				return err == nil && d.TotalDone == 1 && d.TotalFailed == 8 && d.Dead == 4 && d.Delayed == 4 && d.Ready+d.Active == 0
			})
			stop()
		})
	}
}

// TestHostileOptions refuses what would take all memory, and bears what makes no sense.
func TestHostileOptions(t *testing.T) {
	q := newQueue[int](t, db(t), queue.Options{})
	for _, w := range []queue.Workers{{Concurrency: math.MaxInt}, {Concurrency: 100_001}, {Prefetch: math.MaxInt}, {Concurrency: -1}, {Grace: -1}} {
		if err := q.Work(t.Context(), w, func(context.Context, *queue.Job[int]) error { return nil }); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", w, err)
		}
	}
	for _, c := range [][2]time.Duration{{0, 0}, {-1, time.Hour}, {time.Hour, -1}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64}} {
		for _, attempt := range []int{0, 1, 2000, math.MaxInt} {
			if d := queue.Exponential(c[0], c[1])(attempt); d < 0 {
				t.Errorf("Exponential%v of %d: %v", c, attempt, d)
			}
		}
	}
	add(t, q, 1, nil, queue.Each(nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Enqueue(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if d, err := q.Depth(t.Context()); err != nil || d.Ready != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

// widest remembers the most bytes of a script's arguments.
type widest struct {
	store.Store
	bytes atomic.Int64
}

func (w *widest) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	n := int64(0)
	for _, a := range args {
		n += int64(len(a))
	}
	w.bytes.Store(max(w.bytes.Load(), n))
	return w.Store.Run(ctx, s, keys, args...)
}

// TestManyLargeJobs does not send them all at once.
func TestManyLargeJobs(t *testing.T) {
	st := &widest{Store: db(t)}
	q := newQueue[string](t, st, queue.Options{})
	large := make([]string, 40)
	for i := range large {
		large[i] = strings.Repeat("x", 1<<20)
	}
	ids, err := q.EnqueueMany(t.Context(), large)
	if err != nil || len(ids) != len(large) {
		t.Fatal(len(ids), err)
	}
	if n := st.bytes.Load(); n > 6<<20 {
		t.Errorf("%d bytes in a script", n)
	}
	if d, err := q.Depth(t.Context()); err != nil || d.Ready != 40 {
		t.Errorf("%+v, %v", d, err)
	}
}
