package redisstore_test

import (
	"testing"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// open makes a Store for a URL that lasts as long as the test.
func open(t testing.TB, url string, opts redisstore.Options) *redisstore.Store {
	t.Helper()
	cfg, err := store.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	st, err := redisstore.Open(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}
