package ratelimit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/ratelimit"
)

// BenchmarkAllow decides on the embedded store, for clients that stay below a limit and for one that is at it.
func BenchmarkAllow(b *testing.B) {
	for _, bench := range []struct {
		name  string
		limit int
		ids   int
	}{{"allowed,100 a minute", 100, 100_000}, {"denied,100 a minute", 100, 1}, {"allowed,1e6 a second", 1_000_000, 1000}} {
		b.Run(bench.name, func(b *testing.B) {
			db, err := larder.Open(larder.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			window := time.Minute
			if bench.limit > 1000 {
				window = time.Second
			}
			l := limiter(b, db, ratelimit.Options{Limit: bench.limit, Window: window})
			ids := make([]string, bench.ids)
			for i := range ids {
				ids[i] = "client:" + strconv.Itoa(i)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := l.Allow(ctx, ids[i%len(ids)]); err != nil {
					b.Fatal(err)
				}
			}
			s := l.Stats()
			b.ReportMetric(float64(s.Denied)/float64(s.Allowed+s.Denied), "denied/op")
		})
	}
}

// BenchmarkAlgorithms decides for clients that stay below their limit, and for one that is at it.
func BenchmarkAlgorithms(b *testing.B) {
	for a := ratelimit.SlidingLog; a <= ratelimit.GCRA; a++ {
		for _, denied := range []bool{false, true} {
			name, limit, clients := a.String()+",allowed", 1_000_000, 10_000
			if denied {
				name, limit, clients = a.String()+",denied", 1, 1
			}
			b.Run(name, func(b *testing.B) {
				db, err := larder.Open(larder.Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				l := limiter(b, db, ratelimit.Options{Algorithm: a, Limit: limit, Window: time.Hour})
				ids := make([]string, clients)
				for i := range ids {
					ids[i] = "client:" + strconv.Itoa(i)
				}
				ctx := b.Context()
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := l.Allow(ctx, ids[i%len(ids)]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
