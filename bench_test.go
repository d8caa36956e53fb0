package larder_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder"
)

const benchKeys = 1_000_000

func benchStore(b *testing.B) (*larder.DB, []string) {
	b.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	keys := make([]string, benchKeys)
	value := []byte(strings.Repeat("v", 32))
	for i := range keys {
		keys[i] = fmt.Sprintf("key:%07d", i)
		if err := db.SetBytes(context.Background(), keys[i], value, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	return db, keys
}

// BenchmarkGetBytes reads 32 B out of a million keys in random order, with one goroutine and with several.
func BenchmarkGetBytes(b *testing.B) {
	db, keys := benchStore(b)
	ctx := context.Background()
	b.Run("one", func(b *testing.B) {
		buf := make([]byte, 0, 64)
		r := uint64(1)
		for range b.N {
			r = r*6364136223846793005 + 1442695040888963407
			buf, _, _ = db.GetBytes(ctx, keys[(r>>33)%benchKeys], buf[:0])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		var seed atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			buf := make([]byte, 0, 64)
			r := seed.Add(0x9e3779b97f4a7c15)
			for pb.Next() {
				r = r*6364136223846793005 + 1442695040888963407
				buf, _, _ = db.GetBytes(ctx, keys[(r>>33)%benchKeys], buf[:0])
			}
		})
	})
}

func BenchmarkDoGet(b *testing.B) {
	db, keys := benchStore(b)
	ctx := context.Background()
	r := uint64(1)
	for range b.N {
		r = r*6364136223846793005 + 1442695040888963407
		if err := db.Do(ctx, "GET", keys[(r>>33)%benchKeys]).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetBytes(b *testing.B) {
	db, keys := benchStore(b)
	ctx := context.Background()
	value := []byte(strings.Repeat("w", 32))
	r := uint64(1)
	for range b.N {
		r = r*6364136223846793005 + 1442695040888963407
		if err := db.SetBytes(ctx, keys[(r>>33)%benchKeys], value, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
