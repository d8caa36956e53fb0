package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

// opener gives a store that other tests may share: every queue has a name of its own.
type opener func(testing.TB) store.Store

func suite(t *testing.T, open opener) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, opener)
	}{
		{"all jobs are done", allDone},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

func newQueue[T any](t testing.TB, st store.Store, o queue.Options) *queue.Queue[T] {
	t.Helper()
	if o.Name == "" {
		o.Name = t.Name()
	}
	q, err := queue.New[T](st, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// work runs a worker until the end of the test.
func work[T any](t testing.TB, q *queue.Queue[T], w queue.Workers, handle func(context.Context, *queue.Job[T]) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Work(ctx, w, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("Work: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Work does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

func allDone(t *testing.T, open opener) {
	q := newQueue[int](t, open(t), queue.Options{})
	const jobs = 300
	var mu sync.Mutex
	seen := map[int]int{}
	all := make(chan struct{})
	handle := func(_ context.Context, j *queue.Job[int]) error {
		mu.Lock()
		defer mu.Unlock()
		seen[j.Payload]++
		if len(seen) == jobs {
			close(all)
		}
		return nil
	}
	work(t, q, queue.Workers{}, handle)
	stop := work(t, q, queue.Workers{Concurrency: 3}, handle)
	for i := range jobs / 2 {
		if _, err := q.Enqueue(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	many := make([]int, jobs/2)
	for i := range many {
		many[i] = jobs/2 + i
	}
	ids, err := q.EnqueueMany(t.Context(), many)
	if err != nil || len(ids) != len(many) {
		t.Fatal(ids, err)
	}
	<-all
	stop()
	for i, n := range seen {
		if n != 1 {
			t.Errorf("job %d was done %d times", i, n)
		}
	}
}
