package kvstore_test

import (
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
	"github.com/larderdb/larder/store/storetest"
)

// TestStore holds it to what every Store promises: with Larder behind the API, and with redis-server.
func TestStore(t *testing.T) {
	for _, kind := range []fleet.Kind{fleet.REST, fleet.RESTRedis} {
		t.Run(string(kind), func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) store.Store { return fleet.Start(t, kind).Open(t) })
		})
	}
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
