package pubsub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/pubsub"
	"github.com/larderdb/larder/store"
)

func embedded(b testing.TB) *larder.DB {
	b.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

func eachStore(b *testing.B, run func(b *testing.B, st store.Store)) {
	b.Run("embedded", func(b *testing.B) { run(b, embedded(b)) })
	b.Run("redis", func(b *testing.B) { run(b, fleet.Start(b, fleet.Redis).Open(b)) })
}

// BenchmarkFanOut publishes, 100 messages at a time, to n subscribers of this process, each with a goroutine of its own, and
// waits until all have got all. delivered/s is what the subscribers take together.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			eachStore(b, func(b *testing.B, st store.Store) { fanOut(b, st, n) })
		})
	}
}

func fanOut(b *testing.B, st store.Store, n int) {
	const many = 100
	topic, err := pubsub.New[price](st, pubsub.Options{Name: "prices"})
	if err != nil {
		b.Fatal(err)
	}
	defer topic.Close()
	var all sync.WaitGroup
	window := make(chan struct{}, 10*many) // messages that the first subscriber has not taken yet
	for i := range n {
		s, err := topic.Open(b.Context(), pubsub.Listener{Buffer: 1 << 20, BufferBytes: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer s.Close()
			for range b.N {
				if _, err := s.Next(context.Background()); err != nil {
					b.Error(err)
					return
				}
				if i == 0 {
					<-window
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	batch := make([]price, many)
	for left := b.N; left > 0; left -= many {
		batch = batch[:min(left, many)]
		for i := range batch {
			window <- struct{}{}
			batch[i] = price{"EURUSD", i}
		}
		if _, err := topic.PublishMany(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "delivered/s")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkPublish is a topic to which nobody listens, and 64 goroutines that publish a message at a time.
func BenchmarkPublish(b *testing.B) {
	eachStore(b, func(b *testing.B, st store.Store) {
		topic, err := pubsub.New[price](st, pubsub.Options{Name: "prices"})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := topic.Publish(b.Context(), price{"EURUSD", i}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
