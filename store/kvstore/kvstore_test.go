package kvstore_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/rest"
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

// A token that cannot be sent is refused at once: it would look as if the server were away.
func TestTokensThatNoHeaderBrings(t *testing.T) {
	for _, token := range []string{"s3cret\n", "s3cret\r\nX: y", "s3 cret", "s3cret\u00e9", "\x00s3cret"} {
		st, err := kvstore.Open(store.Config{Target: store.REST, Addrs: []string{"host"}, Password: token}, kvstore.Options{})
		if !errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v, %v", token, st, err)
		}
	}
}

// A store that is down behind an API that is up is ErrUnavailable, alone and within a pipeline.
func TestWhatIsBehindIsDown(t *testing.T) {
	st := storetest.NewFaulty(storetest.NewMemory())
	h, err := rest.Handler(st, rest.Options{Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() { _ = h.Close(); server.Close() })
	cfg, err := store.ParseURL("http://token@" + server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kvstore.Open(cfg, kvstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	st.Fail(100)
	for _, r := range append(client.Pipe(t.Context(), store.Cmd{"GET", "k"}, store.Cmd{"SET", "k", "v"}), client.Do(t.Context(), "GET", "k")) {
		if !errors.Is(r.Err(), store.ErrUnavailable) {
			t.Errorf("%v", r)
		}
	}
}
