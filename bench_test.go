package larder_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/larderdb/larder"
)

const benchKeys = 1_000_000

// keyer makes keys in a buffer of its own: a slice of a million strings would cost as many cache misses as the store.
type keyer struct {
	r   uint64
	buf [11]byte
}

// next is a random key of the million. It is valid until the next call.
func (k *keyer) next() string {
	k.r = k.r*6364136223846793005 + 1442695040888963407
	n := (k.r >> 33) % benchKeys
	copy(k.buf[:], "key:")
	for i := len(k.buf) - 1; i >= 4; i-- {
		k.buf[i] = byte('0' + n%10)
		n /= 10
	}
	return unsafe.String(&k.buf[0], len(k.buf))
}

func benchStore(b *testing.B) *larder.DB {
	b.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	value := []byte(strings.Repeat("v", 32))
	for i := range benchKeys {
		if err := db.SetBytes(context.Background(), fmt.Sprintf("key:%07d", i), value, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	return db
}

// BenchmarkGetBytes reads 32 B out of a million keys in random order, with one goroutine and with several.
func BenchmarkGetBytes(b *testing.B) {
	db := benchStore(b)
	ctx := context.Background()
	b.Run("one", func(b *testing.B) {
		buf := make([]byte, 0, 64)
		k := keyer{r: 1}
		for range b.N {
			buf, _, _ = db.GetBytes(ctx, k.next(), buf[:0])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		var seed atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			buf := make([]byte, 0, 64)
			k := keyer{r: seed.Add(0x9e3779b97f4a7c15)}
			for pb.Next() {
				buf, _, _ = db.GetBytes(ctx, k.next(), buf[:0])
			}
		})
	})
}

func BenchmarkDoGet(b *testing.B) {
	db := benchStore(b)
	ctx := context.Background()
	k := keyer{r: 1}
	for range b.N {
		if err := db.Do(ctx, "GET", k.next()).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetBytes(b *testing.B) {
	db := benchStore(b)
	ctx := context.Background()
	value := []byte(strings.Repeat("w", 32))
	k := keyer{r: 1}
	for range b.N {
		if err := db.SetBytes(ctx, k.next(), value, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
