package queue_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

type email struct {
	To, Subject string
	User        int
}

func benchmark(b *testing.B, st store.Store, many bool) {
	q := newQueue[email](b, st, queue.Options{})
	var done atomic.Int64
	all := make(chan struct{})
	n := int64(b.N)
	stop := work(b, q, queue.Workers{Concurrency: 64}, func(context.Context, *queue.Job[email]) error {
		if done.Add(1) == n {
			close(all)
		}
		return nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	payload := email{To: "someone@example.com", Subject: "Welcome", User: 7}
	if many {
		batch := make([]email, 100)
		for i := range batch {
			batch[i] = payload
		}
		for left := b.N; left > 0; left -= len(batch) {
			if _, err := q.EnqueueMany(b.Context(), batch[:min(left, len(batch))]); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := q.Enqueue(b.Context(), payload); err != nil {
					b.Error(err)
				}
			}
		})
	}
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	stop()
}

func db(b testing.TB) store.Store {
	st, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close() })
	return st
}

// BenchmarkEmbedded enqueues and processes, in one process on the embedded store.
func BenchmarkEmbedded(b *testing.B)     { benchmark(b, db(b), false) }
func BenchmarkEmbeddedMany(b *testing.B) { benchmark(b, db(b), true) }

// BenchmarkRedis is the same over loopback, with redis-server on the same processors.
func BenchmarkRedis(b *testing.B)     { benchmark(b, redis(b), false) }
func BenchmarkRedisMany(b *testing.B) { benchmark(b, redis(b), true) }

// wake measures from Enqueue to the handler's begin, with a worker that has nothing to do.
func wake(b *testing.B, st store.Store) {
	q := newQueue[int](b, st, queue.Options{})
	began := make(chan struct{})
	stop := work(b, q, queue.Workers{}, func(context.Context, *queue.Job[int]) error { began <- struct{}{}; return nil })
	for b.Loop() {
		if _, err := q.Enqueue(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
		<-began
	}
	stop()
}

func BenchmarkWakeEmbedded(b *testing.B) { wake(b, db(b)) }
func BenchmarkWakeRedis(b *testing.B)    { wake(b, redis(b)) }
