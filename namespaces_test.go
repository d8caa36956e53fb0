package larder_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
)

func ExampleDB_Namespaces() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	_ = db.SetBytes(ctx, "user:7", []byte("ada"), 0)
	_ = db.SetBytes(ctx, "user:8", []byte("ben"), time.Hour)
	_ = db.SetBytes(ctx, "cart:7", []byte("[]"), 10*time.Second)
	_ = db.Do(ctx, "GET", "user:7")
	_ = db.Do(ctx, "GET", "user:9")

	list, err := db.Namespaces()
	if err != nil {
		panic(err)
	}
	for _, n := range list {
		fmt.Printf("%s: %d keys, %d without a TTL, %d hits, %d misses\n", n.Name, n.Keys, n.NoTTL, n.Hits, n.Misses)
	}
	// Output:
	// cart: 1 keys, 0 without a TTL, 0 hits, 0 misses
	// user: 2 keys, 1 without a TTL, 1 hits, 1 misses
}

func TestNamespacesOfAClosedStore(t *testing.T) {
	db, err := larder.Open(larder.Options{Settings: map[string]string{"namespaces": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := db.Namespaces(); err != nil || len(list) != 0 {
		t.Errorf("off: %v, %v", list, err)
	}
	_ = db.Close()
	if _, err := db.Namespaces(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// BenchmarkNamespaces is what counting by namespace costs a GET, and a SET of a key that is there.
func BenchmarkNamespaces(b *testing.B) {
	ctx := context.Background()
	value := []byte(strings.Repeat("v", 32))
	names := [...]string{"user:", "session:", "cart:", "product-list:", "limit:"}
	for _, keys := range []int{10_000, 1_000_000} {
		for _, way := range []string{"off", "depth 1"} {
			db, err := larder.Open(larder.Options{Settings: map[string]string{"namespaces": way}})
			if err != nil {
				b.Fatal(err)
			}
			all := make([]string, keys)
			for i := range all {
				all[i] = fmt.Sprintf("%s%07d", names[i%len(names)], i)
				_ = db.SetBytes(ctx, all[i], value, 0)
			}
			b.Run(fmt.Sprintf("GET/%d/%s", keys, way), func(b *testing.B) {
				buf := make([]byte, 0, 64)
				r := uint64(1)
				for b.Loop() {
					r = r*6364136223846793005 + 1442695040888963407
					buf, _, _ = db.GetBytes(ctx, all[(r>>33)%uint64(keys)], buf[:0])
				}
			})
			b.Run(fmt.Sprintf("SET/%d/%s", keys, way), func(b *testing.B) {
				r := uint64(1)
				for b.Loop() {
					r = r*6364136223846793005 + 1442695040888963407
					_ = db.SetBytes(ctx, all[(r>>33)%uint64(keys)], value, 0)
				}
			})
			_ = db.Close()
		}
	}
}
