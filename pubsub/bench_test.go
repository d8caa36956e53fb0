package pubsub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/pubsub"
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

// BenchmarkFanOut publishes to n subscribers of this process, each with a goroutine of its own, and waits until all have
// got all. delivered/s is what the subscribers take together.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			topic, err := pubsub.New[price](embedded(b), pubsub.Options{Name: "prices"})
			if err != nil {
				b.Fatal(err)
			}
			defer topic.Close()
			var all sync.WaitGroup
			window := make(chan struct{}, 256) // messages that the first subscriber has not taken yet
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
			for i := range b.N {
				window <- struct{}{}
				if _, err := topic.Publish(b.Context(), price{"EURUSD", i}); err != nil {
					b.Fatal(err)
				}
			}
			all.Wait()
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "delivered/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkPublish is a topic to which nobody listens.
func BenchmarkPublish(b *testing.B) {
	topic, err := pubsub.New[price](embedded(b), pubsub.Options{Name: "prices"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		if _, err := topic.Publish(b.Context(), price{"EURUSD", i}); err != nil {
			b.Fatal(err)
		}
	}
}
