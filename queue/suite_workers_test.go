package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store/storetest"
)

// deadWorker cuts a worker off while it has a job. Another gets the job, the first is told to stop before, and its late
// success is refused.
func deadWorker(t *testing.T, open opener) {
	st := open(t)
	o := queue.Options{Name: t.Name(), Lease: 300 * time.Millisecond, Timeout: 200 * time.Millisecond}
	faulty := storetest.NewFaulty(st)
	cut := newQueue[int](t, faulty, o)
	q := newQueue[int](t, st, o)
	began, lost, finish := make(chan struct{}), make(chan error, 1), make(chan struct{})
	work(t, cut, queue.Workers{}, func(ctx context.Context, j *queue.Job[int]) error {
		if j.Attempt() == 1 {
			close(began)
			<-ctx.Done()
			lost <- context.Cause(ctx)
			<-finish
		}
		return nil
	})
	add(t, q, 1)
	<-began
	faulty.Fail(-1)
	second := make(chan int, 1)
	work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error {
		select {
		case err := <-lost:
			if !errors.Is(err, queue.ErrLeaseLost) {
				t.Errorf("the first attempt's ctx ended for %v", err)
			}
		default:
			t.Error("the job is taken by another before the first was told to stop")
		}
		if j.LastError() != "lease lost" {
			t.Errorf("last error %q", j.LastError())
		}
		second <- j.Attempt()
		return nil
	})
	if n := <-second; n != 2 {
		t.Errorf("attempt %d", n)
	}
	if d := settled(t, q); d.TotalDone != 1 || d.TotalLost != 1 {
		t.Errorf("%+v", d)
	}
	faulty.Heal()
	close(finish)
	fleet.Eventually(t, "the refusal of the late success", func() bool { return cut.Stats().Lost == 1 })
	if d := settled(t, q); d.TotalDone != 1 {
		t.Errorf("%+v", d)
	}
}

// drains shuts a worker down in the midst of its work.
func drains(t *testing.T, open opener) {
	st := open(t)
	o := queue.Options{Name: t.Name()}
	q, leaving := newQueue[int](t, st, o), newQueue[int](t, st, o)
	if _, err := q.EnqueueMany(t.Context(), make([]int, 20)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	began, willEnd, wontEnd := make(chan struct{}, 20), make(chan struct{}), 0
	ended := make(chan error, 1)
	go func() {
		ended <- leaving.Work(context.Background(), queue.Workers{Concurrency: 2}, func(ctx context.Context, _ *queue.Job[int]) error {
			mu.Lock()
			wontEnd++
			first := wontEnd == 1
			mu.Unlock()
			began <- struct{}{}
			if first {
				<-willEnd
				return nil
			}
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, queue.ErrDraining) {
				t.Errorf("the ctx ended for %v", cause)
			}
			return ctx.Err()
		})
	}()
	<-began
	<-began
	if err := q.Pause(t.Context()); err != nil { // else it might take one more before it hears of the Close
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	go func() { closed <- leaving.Close(ctx) }()
	close(willEnd)
	fleet.Eventually(t, "the first job's end", func() bool { d, err := q.Depth(t.Context()); return err == nil && d.TotalDone == 1 && d.Active == 1 })
	cancel()
	if err := errors.Join(<-closed, <-ended); err != nil {
		t.Error(err)
	}
	d, err := q.Depth(t.Context())
	if err != nil || d.Ready != 19 || d.Active != 0 || d.TotalFailed != 0 || d.TotalLost != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if err := leaving.Work(t.Context(), queue.Workers{}, func(context.Context, *queue.Job[int]) error { return nil }); err == nil {
		t.Error("a closed Queue works")
	}
	if err := q.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error {
		if j.Attempt() != 1 {
			t.Errorf("attempt %d", j.Attempt())
		}
		return nil
	})
	if d := settled(t, q); d.TotalDone != 20 {
		t.Errorf("%+v", d)
	}
}

// schedules lets three processes schedule the same entry.
func schedules(t *testing.T, open opener) {
	st := open(t)
	q := newQueue[int64](t, st, queue.Options{})
	spec, err := queue.ParseSpec("@every 1s", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	for range 3 {
		go func() {
			ended <- q.Schedule(ctx, queue.Entry[int64]{Name: "e", Spec: spec, Payload: func(tick time.Time) int64 { return tick.Unix() }})
		}()
	}
	var mu sync.Mutex
	var ticks []int64
	two := make(chan struct{})
	work(t, q, queue.Workers{Concurrency: 1}, func(_ context.Context, j *queue.Job[int64]) error {
		mu.Lock()
		defer mu.Unlock()
		if at := now(t, st).Unix(); at < j.Payload {
			t.Errorf("the tick of %d came at %d", j.Payload, at)
		}
		if ticks = append(ticks, j.Payload); len(ticks) == 2 {
			close(two)
		}
		return nil
	})
	<-two
	cancel()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	settled(t, q)
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(ticks); i++ {
		if ticks[i] != ticks[i-1]+1 {
			t.Errorf("ticks %v", ticks)
		}
	}
}
