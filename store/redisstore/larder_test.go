package redisstore_test

import (
	"context"
	"net"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
	"github.com/larderdb/larder/store/storetest"
)

// TestConformanceInMemory runs the suite over connections that never leave the process, which an embedded store's Dial gives.
func TestConformanceInMemory(t *testing.T) {
	leaktest.Check(t)
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dial := func(context.Context, string) (net.Conn, error) { return db.Dial() }
	for _, query := range []string{"", "?protocol=2"} {
		t.Run("query"+query, func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) store.Store {
				return open(t, "redis://larder.test"+query, redisstore.Options{Dial: dial})
			})
		})
	}
}
