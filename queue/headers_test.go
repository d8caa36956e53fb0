package queue_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

// traceKey is where these tests have a trace in a ctx.
type traceKey struct{}

func traced(ctx context.Context, headers map[string]string) context.Context {
	return context.WithValue(ctx, traceKey{}, headers)
}

func traceOf(ctx context.Context) map[string]string {
	headers, _ := ctx.Value(traceKey{}).(map[string]string)
	return headers
}

// headers go with a job from whatever enqueues it through all its attempts, beside everything else that a record has.
func headers(t *testing.T, open opener) {
	q := newQueue[string](t, open(t), queue.Options{Inject: traceOf, Extract: traced, Backoff: queue.Constant(0), PerKey: queue.Limit{Concurrency: 1}})
	sent := map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "": "", "binary\x00;:": "\xff,3:\n"}
	ctx := traced(t.Context(), sent)
	if _, err := q.Enqueue(ctx, "alone"); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(ctx, "with all", queue.Key("k;"), queue.Unique("u:", 0), queue.Keep(time.Hour), queue.In(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := q.EnqueueMany(ctx, []string{"first", "second"}); err != nil {
		t.Fatal(err)
	}
	add(t, q, "none")
	work(t, q, queue.Workers{}, func(ctx context.Context, j *queue.Job[string]) error {
		want := sent
		if j.Payload == "none" {
			want = nil
		}
		if got := traceOf(ctx); !maps.Equal(got, want) {
			t.Errorf("%q, attempt %d: %q", j.Payload, j.Attempt(), got)
		}
		if j.Payload == "with all" && (j.Key() != "k;" || j.Attempt() == 1) {
			return errors.New("once more")
		}
		return nil
	})
	if d := settled(t, q); d.TotalDone != 5 || d.TotalFailed != 1 {
		t.Errorf("%+v", d)
	}
	kept, err := q.List(t.Context(), queue.Done, 0, 10)
	if err != nil || len(kept) != 1 || kept[0].Payload != "with all" || kept[0].Unique != "u:" {
		t.Errorf("%+v, %v", kept, err)
	}
}

// TestHostileHeaders refuses what is too large, and bears an Extract that panics or says nothing of use.
func TestHostileHeaders(t *testing.T) {
	st := db(t)
	large := map[string]string{"baggage": strings.Repeat("x", 16<<10)}
	q := newQueue[int](t, st, queue.Options{
		Inject: traceOf, Extract: func(context.Context, map[string]string) context.Context { panic("extract") },
	})
	if _, err := q.Enqueue(traced(t.Context(), large), 1); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Enqueue: %v", err)
	}
	if _, err := q.EnqueueMany(traced(t.Context(), large), []int{1, 2}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("EnqueueMany: %v", err)
	}
	large["baggage"] = large["baggage"][:16<<10-32]
	if _, err := q.Enqueue(traced(t.Context(), large), 1); err != nil {
		t.Error(err)
	}
	work(t, q, queue.Workers{}, func(ctx context.Context, _ *queue.Job[int]) error { return ctx.Err() })
	if d := settled(t, q); d.TotalDone != 1 || d.TotalFailed != 0 {
		t.Errorf("%+v", d)
	}
}

// TestHeadersOfOthers lets a process that does not know of headers work beside one that sends them.
func TestHeadersOfOthers(t *testing.T) {
	st := db(t)
	sender := newQueue[int](t, st, queue.Options{Inject: traceOf})
	plain := newQueue[int](t, st, queue.Options{})
	if _, err := sender.Enqueue(traced(t.Context(), map[string]string{"a": "b"}), 7); err != nil {
		t.Fatal(err)
	}
	got := make(chan int, 1)
	work(t, plain, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error { got <- j.Payload; return nil })
	if n := <-got; n != 7 {
		t.Error(n)
	}
}
