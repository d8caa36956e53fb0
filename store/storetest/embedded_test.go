package storetest_test

import (
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestEmbedded is the suite on the embedded store.
func TestEmbedded(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		db, err := larder.Open(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	})
}
