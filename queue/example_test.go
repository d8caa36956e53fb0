package queue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/queue"
)

type Email struct{ To, Subject string }

func Example() {
	st, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer st.Close()
	emails, err := queue.New[Email](st, queue.Options{Name: "emails"})
	if err != nil {
		panic(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	if _, err := emails.Enqueue(ctx, Email{To: "ann@example.com", Subject: "Welcome"}); err != nil {
		panic(err)
	}
	err = emails.Work(ctx, queue.Workers{Concurrency: 4}, func(_ context.Context, job *queue.Job[Email]) error {
		fmt.Println("to", job.Payload.To, "attempt", job.Attempt())
		stop() // in life: the signal to end
		return nil
	})
	fmt.Println(err)
	// Output:
	// to ann@example.com attempt 1
	// <nil>
}

func ExampleQueue_Enqueue() {
	st, _ := larder.Open(larder.Options{})
	defer st.Close()
	q, _ := queue.New[string](st, queue.Options{Name: "reports"})
	ctx := context.Background()

	_, err := q.Enqueue(ctx, "daily", queue.Unique("daily:7", time.Hour), queue.In(5*time.Minute), queue.Priority(queue.High))
	fmt.Println(err)
	_, err = q.Enqueue(ctx, "daily", queue.Unique("daily:7", time.Hour))
	fmt.Println(errors.Is(err, queue.ErrDuplicate))
	depth, _ := q.Depth(ctx)
	fmt.Println(depth.Ready, "ready,", depth.Delayed, "delayed")
	// Output:
	// <nil>
	// true
	// 0 ready, 1 delayed
}

func ExampleQueue_Replay() {
	st, _ := larder.Open(larder.Options{})
	defer st.Close()
	q, _ := queue.New[string](st, queue.Options{Name: "charges"})
	ctx, stop := context.WithCancel(context.Background())

	id, _ := q.Enqueue(ctx, "order 7")
	_ = q.Work(ctx, queue.Workers{}, func(context.Context, *queue.Job[string]) error {
		stop()
		return queue.Drop(errors.New("no such card")) // trying again is no use
	})

	ctx = context.Background()
	dead, _ := q.List(ctx, queue.DeadLetter, 0, 10)
	fmt.Println(dead[0].Payload, "failed:", dead[0].Error)
	n, _ := q.Replay(ctx, id)
	fmt.Println(n, "replayed")
	// Output:
	// order 7 failed: no such card
	// 1 replayed
}

func ExampleQueue_Schedule() {
	st, _ := larder.Open(larder.Options{})
	defer st.Close()
	q, _ := queue.New[string](st, queue.Options{Name: "reports"})
	zone := time.FixedZone("CET", 3600) // in life: time.LoadLocation
	nightly, err := queue.ParseSpec("30 3 * * mon-fri", zone)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // in life: when the program ends
	err = q.Schedule(ctx, queue.Entry[string]{
		Name: "nightly", Spec: nightly,
		Payload: func(tick time.Time) string { return tick.Format(time.DateOnly) },
	})
	fmt.Println(err, nightly.Next(time.Date(2026, 5, 1, 12, 0, 0, 0, zone)))
	// Output: <nil> 2026-05-04 03:30:00 +0100 CET
}

// A job takes along what the ctx of its Enqueue says, here the request that it comes from. For OpenTelemetry's traces the
// two functions are larderotel.Inject and larderotel.Extract.
func ExampleOptions() {
	st, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer st.Close()
	type request struct{} // the key in a ctx
	q, _ := queue.New[string](st, queue.Options{
		Name: "mails",
		Inject: func(ctx context.Context) map[string]string {
			id, _ := ctx.Value(request{}).(string)
			return map[string]string{"request": id}
		},
		Extract: func(ctx context.Context, headers map[string]string) context.Context {
			return context.WithValue(ctx, request{}, headers["request"])
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	q.Enqueue(context.WithValue(ctx, request{}, "4711"), "hello")
	q.Work(ctx, queue.Workers{}, func(ctx context.Context, job *queue.Job[string]) error {
		fmt.Println(job.Payload, "of request", ctx.Value(request{}))
		stop()
		return nil
	})
	// Output: hello of request 4711
}
