package stream_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/stream"
)

func benchStores(b *testing.B, run func(b *testing.B, st store.Store)) {
	b.Run("embedded", func(b *testing.B) {
		db, err := larder.Open(larder.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		run(b, db)
	})
	b.Run("redis", func(b *testing.B) { run(b, fleet.Start(b, fleet.Redis).Open(b)) })
}

// BenchmarkPublish is many goroutines that publish one entry at a time.
func BenchmarkPublish(b *testing.B) {
	benchStores(b, func(b *testing.B, st store.Store) {
		s, err := stream.New[order](st, stream.Options{Name: "orders", MaxLen: 10_000})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.Publish(b.Context(), order{7, "ann"}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkConsume is what a consumer takes from a stream that is full: reading, decoding, handling, acknowledging.
func BenchmarkConsume(b *testing.B) {
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			benchStores(b, func(b *testing.B, st store.Store) {
				s, err := stream.New[order](st, stream.Options{Name: "orders", NoTrim: true})
				if err != nil {
					b.Fatal(err)
				}
				st.Do(b.Context(), "DEL", "orders")
				batch := make([]order, 1000)
				for left := b.N; left > 0; left -= len(batch) {
					if _, err := s.PublishMany(b.Context(), batch[:min(left, len(batch))]...); err != nil {
						b.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(b.Context())
				var n atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				err = s.Consume(ctx, stream.Group{Name: "billing", Concurrency: workers, Prefetch: 500}, func(context.Context, *stream.Message[order]) error {
					if n.Add(1) == int64(b.N) {
						cancel()
					}
					return nil
				})
				cancel()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
				if err != nil || n.Load() != int64(b.N) {
					b.Errorf("%d of %d, %v", n.Load(), b.N, err)
				}
			})
		})
	}
}
