package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

// opener gives a store that other tests may share: every queue has a name of its own.
type opener func(testing.TB) store.Store

// suite is what a queue does on every store, by the store's own clock.
func suite(t *testing.T, open opener) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, opener)
	}{
		{"all jobs are done", allDone},
		{"failures", failures},
		{"priorities", priorities},
		{"unique", unique},
		{"delay", delays},
		{"cancel", cancels},
		{"one per key", onePerKey},
		{"rate per key", ratePerKey},
		{"progress and result", output},
		{"a dead worker", deadWorker},
		{"drain", drains},
		{"schedule", schedules},
		{"headers", headers},
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

func add[T any](t testing.TB, q *queue.Queue[T], payload T, opts ...queue.Option) string {
	t.Helper()
	id, err := q.Enqueue(t.Context(), payload, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// settled waits until the store knows that a queue has come to rest.
func settled[T any](t testing.TB, q *queue.Queue[T]) queue.Depth {
	t.Helper()
	var d queue.Depth
	fleet.Eventually(t, "a queue at rest", func() bool {
		var err error
		d, err = q.Depth(t.Context())
		return err == nil && d.Ready+d.Delayed+d.Active+d.Parked == 0
	})
	return d
}

func allDone(t *testing.T, open opener) {
	q := newQueue[int](t, open(t), queue.Options{})
	const jobs = 1200
	var mu sync.Mutex
	seen := map[int]int{}
	handle := func(_ context.Context, j *queue.Job[int]) error {
		mu.Lock()
		defer mu.Unlock()
		seen[j.Payload]++
		return nil
	}
	work(t, q, queue.Workers{}, handle)
	stop := work(t, q, queue.Workers{Concurrency: 3}, handle)
	var wg sync.WaitGroup
	for i := range jobs / 2 {
		wg.Go(func() {
			if _, err := q.Enqueue(t.Context(), i); err != nil {
				t.Error(err)
			}
		})
	}
	many := make([]int, jobs/2)
	for i := range many {
		many[i] = jobs/2 + i
	}
	ids, err := q.EnqueueMany(t.Context(), many)
	if err != nil || len(ids) != len(many) || ids[0] == "" || ids[0] == ids[1] {
		t.Fatal(ids, err)
	}
	wg.Wait()
	d := settled(t, q)
	stop()
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != jobs || d.TotalDone != jobs {
		t.Errorf("%d jobs of %d were done, counted as %d", len(seen), jobs, d.TotalDone)
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("job %d was done %d times", i, n)
		}
	}
}

var errTest = errors.New("no luck")

func failures(t *testing.T, open opener) {
	q := newQueue[string](t, open(t), queue.Options{MaxAttempts: 3, Backoff: queue.Constant(time.Millisecond)})
	var mu sync.Mutex
	attempts, told, fences := map[string]int{}, map[string]string{}, map[string]int64{}
	work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[string]) error {
		mu.Lock()
		defer mu.Unlock()
		attempts[j.Payload]++
		if attempts[j.Payload] != j.Attempt() {
			t.Errorf("%s: attempt %d is called %d", j.Payload, attempts[j.Payload], j.Attempt())
		}
		if j.Fence() <= fences[j.Payload] {
			t.Errorf("%s: fence %d after %d", j.Payload, j.Fence(), fences[j.Payload])
		}
		fences[j.Payload] = j.Fence()
		told[j.Payload] = j.LastError()
		switch {
		case j.Payload == "dropped":
			return queue.Drop(errTest)
		case j.Payload == "panics":
			panic(errTest)
		case j.Payload == "in the end" && j.Attempt() < 3:
			return queue.Retry(errTest, 2*time.Millisecond)
		case j.Payload == "never", j.Payload == "once":
			return errTest
		}
		return nil
	})
	ids := map[string]string{}
	for _, p := range []string{"dropped", "panics", "in the end", "never"} {
		ids[p] = add(t, q, p)
	}
	add(t, q, "once", queue.Attempts(1))
	d := settled(t, q)
	if d.Dead != 4 || d.TotalDone != 1 {
		t.Errorf("%+v", d)
	}
	mu.Lock()
	defer mu.Unlock()
	for p, want := range map[string]int{"dropped": 1, "panics": 3, "in the end": 3, "never": 3, "once": 1} {
		if attempts[p] != want {
			t.Errorf("%s: %d attempts, want %d", p, attempts[p], want)
		}
	}
	if told["in the end"] != errTest.Error() {
		t.Errorf("the last error was %q", told["in the end"])
	}
	info, err := q.Get(t.Context(), ids["panics"])
	if err != nil || info.State != queue.DeadLetter || info.Attempts != 3 || !strings.Contains(info.Error, "suite_test.go") {
		t.Errorf("%+v, %v", info, err)
	}
	attempts["never"], fences["never"] = 0, 0
	mu.Unlock()
	n, err := q.Replay(t.Context(), ids["never"], "12345")
	if n != 1 || err != nil {
		t.Error(n, err)
	}
	settled(t, q)
	mu.Lock()
	if attempts["never"] != 3 {
		t.Errorf("%d attempts after the replay", attempts["never"])
	}
}

func priorities(t *testing.T, open opener) {
	q := newQueue[string](t, open(t), queue.Options{})
	if err := q.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	work(t, q, queue.Workers{Concurrency: 1, Prefetch: -1}, func(_ context.Context, j *queue.Job[string]) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, j.Payload)
		return nil
	})
	add(t, q, "low", queue.Priority(queue.Low))
	add(t, q, "normal 1")
	add(t, q, "lowest", queue.Priority(queue.Lowest))
	add(t, q, "normal 2")
	add(t, q, "high", queue.Priority(queue.High))
	add(t, q, "highest", queue.Priority(queue.Highest))
	if d, err := q.Depth(t.Context()); err != nil || d.Ready != 6 || !d.Paused {
		t.Errorf("%+v, %v", d, err)
	}
	list, err := q.List(t.Context(), queue.Ready, 1, 2)
	if err != nil || len(list) != 2 || list[0].Payload != "high" || list[0].Priority != queue.High || list[1].Payload != "normal 1" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := q.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled(t, q)
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(order, ", "); got != "highest, high, normal 1, normal 2, low, lowest" {
		t.Error(got)
	}
}

func unique(t *testing.T, open opener) {
	q := newQueue[int](t, open(t), queue.Options{MaxAttempts: 1})
	first := add(t, q, 1, queue.Unique("k", 0))
	if id, err := q.Enqueue(t.Context(), 2, queue.Unique("k", 0)); !errors.Is(err, queue.ErrDuplicate) || id != first {
		t.Errorf("%s, %v; the first is %s", id, err, first)
	}
	ids, err := q.EnqueueMany(t.Context(), []int{3, 4, 5}, queue.Each(func(i int) []queue.Option {
		return []queue.Option{queue.Unique([]string{"k", "l", "l"}[i], time.Hour)}
	}))
	if !errors.Is(err, queue.ErrDuplicate) || ids[0] != "" || ids[1] == "" || ids[2] != "" {
		t.Errorf("%q, %v", ids, err)
	}
	work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error {
		if j.Payload == 7 {
			return errTest
		}
		return nil
	})
	settled(t, q)
	add(t, q, 6, queue.Unique("k", 0)) // free, as the other has ended
	if id, err := q.Enqueue(t.Context(), 2, queue.Unique("l", 0)); !errors.Is(err, queue.ErrDuplicate) || id != ids[1] {
		t.Errorf("within its hour: %s, %v", id, err)
	}
	settled(t, q)
	dead := add(t, q, 7, queue.Unique("k", 0))
	settled(t, q)
	if err := q.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := add(t, q, 8, queue.Unique("k", 0))
	if n, err := q.Replay(t.Context(), dead); n != 0 || err != nil {
		t.Errorf("a dead letter came back beside another of its unique key: %d, %v", n, err)
	}
	if found, err := q.Cancel(t.Context(), other); !found || err != nil {
		t.Error(found, err)
	}
	if n, err := q.ReplayAll(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// now is the store's clock.
func now(t testing.TB, st store.Store) time.Time {
	t.Helper()
	n, err := st.Do(t.Context(), "TIME").Ints()
	if err != nil {
		t.Error(err)
		return time.Time{}
	}
	return time.Unix(n[0], n[1]*1000)
}

func delays(t *testing.T, open opener) {
	st := open(t)
	q := newQueue[string](t, st, queue.Options{})
	var mu sync.Mutex
	ran := map[string]time.Time{}
	work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[string]) error {
		at := now(t, st)
		mu.Lock()
		defer mu.Unlock()
		ran[j.Payload] = at
		if j.Payload == "snoozed" && len(ran) < 100 && j.Attempt() == 1 && ran["again"].IsZero() {
			ran["again"] = at
			return queue.Snooze(30 * time.Millisecond)
		}
		return nil
	})
	began := now(t, st)
	add(t, q, "late", queue.In(120*time.Millisecond))
	add(t, q, "soon", queue.In(40*time.Millisecond)) // its worker waits for the other
	add(t, q, "at", queue.At(began.Add(60*time.Millisecond)))
	add(t, q, "past", queue.At(began.Add(-time.Hour)))
	add(t, q, "snoozed")
	settled(t, q)
	mu.Lock()
	defer mu.Unlock()
	for p, want := range map[string]int64{"late": 120, "soon": 40, "at": 60, "past": 0, "snoozed": 30} {
		took := ran[p].Sub(began)
		if took.Milliseconds() < want-1 { // times are whole milliseconds
			t.Errorf("%s ran after %v, want %d ms", p, took, want)
		}
		if took > 5*time.Second {
			t.Errorf("%s ran after %v, want %d ms", p, took, want)
		}
	}
}

func cancels(t *testing.T, open opener) {
	q := newQueue[int](t, open(t), queue.Options{DeadRetention: queue.NoTTL})
	delayed := add(t, q, 1, queue.In(time.Hour), queue.Unique("u", 0))
	for range 2 {
		found, err := q.Cancel(t.Context(), delayed)
		if err != nil || found != (delayed != "") {
			t.Errorf("%q: %v, %v", delayed, found, err)
		}
		delayed = ""
	}
	running := make(chan struct{})
	cause := make(chan error, 1)
	work(t, q, queue.Workers{}, func(ctx context.Context, j *queue.Job[int]) error {
		close(running)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return ctx.Err()
	})
	id := add(t, q, 2, queue.Unique("u", 0), queue.Key("k"))
	<-running
	if info, err := q.Get(t.Context(), id); err != nil || info.State != queue.Active {
		t.Errorf("%+v, %v", info, err)
	}
	if list, err := q.List(t.Context(), queue.Active, 0, 10); err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("%+v, %v", list, err)
	}
	if found, err := q.Cancel(t.Context(), id); !found || err != nil {
		t.Error(found, err)
	}
	if err := <-cause; !errors.Is(err, queue.ErrCancelled) {
		t.Errorf("the ctx ended for %v", err)
	}
	if d := settled(t, q); d.Dead != 0 {
		t.Errorf("%+v", d)
	}
	if _, err := q.Get(t.Context(), id); !errors.Is(err, store.ErrNil) {
		t.Error(err)
	}
}

func onePerKey(t *testing.T, open opener) {
	q := newQueue[int](t, open(t), queue.Options{PerKey: queue.Limit{Concurrency: 1}})
	var mu sync.Mutex
	active, last := map[string]bool{}, map[string]int{}
	handle := func(_ context.Context, j *queue.Job[int]) error {
		mu.Lock()
		if active[j.Key()] {
			t.Errorf("two of %s", j.Key())
		}
		if j.Payload <= last[j.Key()] {
			t.Errorf("%s: %d after %d", j.Key(), j.Payload, last[j.Key()])
		}
		active[j.Key()], last[j.Key()] = true, j.Payload
		mu.Unlock()
		mu.Lock()
		active[j.Key()] = false
		mu.Unlock()
		return nil
	}
	for i := range 60 {
		add(t, q, i+1, queue.Key([]string{"a", "b", "c"}[i%3]))
	}
	work(t, q, queue.Workers{Concurrency: 4}, handle)
	work(t, q, queue.Workers{Concurrency: 4}, handle)
	if d := settled(t, q); d.TotalDone != 60 {
		t.Errorf("%+v", d)
	}
}

func ratePerKey(t *testing.T, open opener) {
	st := open(t)
	q := newQueue[int](t, st, queue.Options{PerKey: queue.Limit{Rate: 50, Per: time.Second}})
	var mu sync.Mutex
	var starts []time.Time
	work(t, q, queue.Workers{}, func(context.Context, *queue.Job[int]) error {
		at := now(t, st)
		mu.Lock()
		defer mu.Unlock()
		starts = append(starts, at)
		return nil
	})
	began := now(t, st)
	if _, err := q.EnqueueMany(t.Context(), make([]int, 12), queue.Key("k")); err != nil {
		t.Fatal(err)
	}
	settled(t, q)
	mu.Lock()
	defer mu.Unlock()
	if took := starts[11].Sub(began); took < 11*20*time.Millisecond-time.Millisecond || took > 8*time.Second {
		t.Errorf("12 jobs, 20 ms apart, took %v", took)
	}
}

func output(t *testing.T, open opener) {
	q := newQueue[int](t, open(t), queue.Options{Retention: time.Hour, Backoff: queue.Constant(time.Millisecond)})
	type step struct{ At, Of int }
	var before []step
	work(t, q, queue.Workers{}, func(ctx context.Context, j *queue.Job[int]) error {
		var s step
		if _, err := j.Progress(&s); err != nil {
			t.Error(err)
		}
		before = append(before, s)
		if j.Attempt() == 1 {
			if err := j.SetProgress(ctx, step{3, 7}); err != nil {
				t.Error(err)
			}
			return errTest
		}
		return j.SetResult(step{7, 7})
	})
	id := add(t, q, 1)
	d := settled(t, q)
	if len(before) != 2 || before[1] != (step{3, 7}) || d.Done != 1 {
		t.Errorf("%v, %+v", before, d)
	}
	var s step
	if ok, err := q.Result(t.Context(), id, &s); !ok || err != nil || s.At != 7 {
		t.Errorf("%v, %v, %v", s, ok, err)
	}
	list, err := q.List(t.Context(), queue.Done, 0, 5)
	if err != nil || len(list) != 1 || list[0].ID != id || list[0].Attempts != 1 || string(list[0].Output) != `{"At":7,"Of":7}` {
		t.Errorf("%+v, %v", list, err)
	}
	if found, err := q.Cancel(t.Context(), id); !found || err != nil {
		t.Error(found, err)
	}
	if ok, err := q.Result(t.Context(), id, &s); ok || err != nil {
		t.Error(ok, err)
	}
}
