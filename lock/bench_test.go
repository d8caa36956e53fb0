package lock_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/lock"
)

// kinds are the stores that benchmarks run on.
var kinds = []fleet.Kind{fleet.Embedded, fleet.Larder, fleet.Redis}

// BenchmarkUncontended takes and releases locks that nobody else wants, by 64 goroutines.
func BenchmarkUncontended(b *testing.B) {
	for _, kind := range kinds {
		b.Run(string(kind), func(b *testing.B) {
			s := fleet.Start(b, kind)
			s.Register(lock.Scripts()...)
			l := locker(b, s.Open(b), lock.Options{})
			ctx := context.Background()
			b.ReportAllocs()
			b.SetParallelism(32)
			var who atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				k := l.Mutex(fmt.Sprintf("mine:%d", who.Add(1)))
				for pb.Next() {
					le, err := k.Acquire(ctx)
					if err == nil {
						err = le.Release(ctx)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkHandover passes one lock from one process to another: the time from the call of Release to the return of the
// next one's Acquire.
func BenchmarkHandover(b *testing.B) {
	for _, kind := range kinds {
		b.Run(string(kind), func(b *testing.B) {
			s := fleet.Start(b, kind)
			s.Register(lock.Scripts()...)
			ctx := context.Background()
			took := make([]time.Duration, 0, b.N)
			var released time.Time
			done := make(chan bool)
			for range 2 {
				k := locker(b, s.Open(b), lock.Options{}).Mutex("ball")
				go func() {
					defer func() { done <- true }()
					for more := true; more; {
						le, err := k.Acquire(ctx)
						if err != nil {
							b.Error(err)
							return
						}
						if more = len(took) < b.N; more {
							if !released.IsZero() {
								took = append(took, time.Since(released))
							}
							for { // the other one is to wait
								if st, err := k.Inspect(ctx); err != nil || len(st.Waiters) > 0 || len(took) >= b.N {
									break
								}
							}
							released = time.Now()
						}
						if err := le.Release(ctx); err != nil {
							b.Error(err)
						}
					}
				}()
			}
			<-done
			<-done
			slices.Sort(took)
			if len(took) > 0 {
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			}
		})
	}
}
