package cache_test

import (
	"context"
	"math"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
)

// item takes some 200 bytes encoded.
type item struct {
	ID          int64
	Name        string
	Category    string
	Price       float64
	Stock       int
	Featured    bool
	Description string
	Created     time.Time
}

// BenchmarkHit reads typed entries from the embedded store.
func BenchmarkHit(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for name, codec := range map[string]cache.Codec{"msgpack": cache.MsgPack{}, "json": cache.JSON{}} {
		b.Run(name, func(b *testing.B) {
			c := newCache[item](b, db, cache.Options{Prefix: name + ":", TTL: time.Hour, Codec: codec})
			load := func(context.Context) (item, error) {
				return item{
					123456, "Super Widget 3000 Deluxe", "kitchen-appliances", 129.95, 42, true,
					"A very fine widget for every home, now in blue and with a longer cord, for free.", time.Unix(1700000000, 0),
				}, nil
			}
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = strconv.Itoa(i)
				v, _ := load(b.Context())
				if err := c.Set(b.Context(), keys[i], v); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := c.GetOrLoad(b.Context(), keys[i%len(keys)], load); err != nil {
					b.Fatal(err)
				}
			}
			if s := c.Stats(); s.Misses != 0 {
				b.Errorf("Stats: %+v", s)
			}
		})
	}
	b.Run("string of 200 bytes", func(b *testing.B) {
		c := newCache[string](b, db, cache.Options{Prefix: "s:", TTL: time.Hour})
		if err := c.Set(b.Context(), "k", string(make([]byte, 200))); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := c.Get(b.Context(), "k"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

// BenchmarkMiss loads and stores: with a ctx that can end, as a request's, and with one that cannot.
func BenchmarkMiss(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	load := func(context.Context) (item, error) { return item{ID: 1, Name: "Super Widget 3000 Deluxe"}, nil }
	var workers atomic.Uint64
	for name, ctx := range map[string]context.Context{"request": b.Context(), "background": context.Background()} {
		b.Run(name, func(b *testing.B) {
			c := newCache[item](b, db, cache.Options{Prefix: name + ":", TTL: time.Minute})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				key := strconv.AppendUint(nil, workers.Add(1), 10)
				key = append(key, ':')
				for i := range uint64(math.MaxUint64) {
					if !pb.Next() {
						break
					}
					if _, err := c.GetOrLoad(ctx, string(strconv.AppendUint(key, i, 10)), load); err != nil {
						b.Fatal(err)
					}
				}
			})
			if s := c.Stats(); s.Hits != 0 {
				b.Errorf("Stats: %+v", s)
			}
		})
	}
}

// BenchmarkNear reads what is near.
func BenchmarkNear(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	c := newCache[item](b, db, cache.Options{Prefix: "near:", TTL: time.Hour, Near: 10 << 20})
	defer c.Close(b.Context())
	load := func(context.Context) (item, error) { return item{ID: 1, Name: "Super Widget 3000 Deluxe"}, nil }
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	for range 3 {
		for _, k := range keys {
			if _, err := c.GetOrLoad(b.Context(), k, load); err != nil {
				b.Fatal(err)
			}
		}
	}
	before := c.Stats().NearHits
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := c.GetOrLoad(b.Context(), keys[i%len(keys)], load); err != nil {
			b.Fatal(err)
		}
	}
	if n := c.Stats().NearHits - before; n < uint64(b.N) {
		b.Errorf("%d of %d were near", n, b.N)
	}
}
