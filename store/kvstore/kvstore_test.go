package kvstore_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
	"github.com/larderdb/larder/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		db, err := larder.Open(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := rest.Handler(db, rest.Options{Token: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(h)
		t.Cleanup(func() { _ = h.Close(); server.Close(); _ = db.Close() })
		cfg, err := store.ParseURL("http://secret@" + server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		st, err := kvstore.Open(cfg, kvstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		return st
	})
}

// The token is in no text that might be logged.
func TestTokenIsSecret(t *testing.T) {
	for _, url := range []string{"https://s3cret@host", "https://:s3cret@host", "https://host?token=s3cret"} {
		cfg, err := store.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		st, err := kvstore.Open(cfg, kvstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if text := st.String() + cfg.String(); strings.Contains(text, "s3cret") {
			t.Errorf("%s is shown as %s", url, text)
		}
		_ = st.Close()
	}
}
