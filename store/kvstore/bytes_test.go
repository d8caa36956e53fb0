package kvstore_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// shy is an answer without the header by which Larder's server says that it takes bytes: a service of others.
type shy struct{ http.ResponseWriter }

func (s shy) WriteHeader(status int) {
	s.Header().Del("Larder-Words")
	s.ResponseWriter.WriteHeader(status)
}

// Bytes that are no UTF-8 reach services whose JSON cannot hold them, too: in paths, bodies and queries.
func TestBytesWithoutJSON(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := rest.Handler(db, rest.Options{Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		longest = max(longest, len(r.RequestURI))
		h.ServeHTTP(shy{w}, r)
	}))
	t.Cleanup(func() { _ = h.Close(); server.Close(); _ = db.Close() })
	cfg, err := store.ParseURL("http://token@" + server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	st, err := kvstore.Open(cfg, kvstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	big := strings.Repeat("\xff\x00/?&=% +é", 50_000)
	for _, words := range [][]string{
		{"ECHO", "\xff"}, {"SET", "k\xff", "v", "PX", "100000"}, {"GET", "k\xff"}, {"SET", "big", big, "PX", "100000", "NX"}, {"GET", "big"}, {"STRLEN", "big"},
		{"HSET", "h", "\xfe", "", "a", "b\xfe"}, {"HGET", "h", "\xfe"}, {"HGETALL", "h"}, {"RPUSH", "l", "\xff", "", ""}, {"LRANGE", "l", "0", "-1"},
		{"SADD", "\xff", "_token"}, {"SMEMBERS", "\xff"}, {"RPUSH", "m", "\xff_", "_token", "x"}, {"LRANGE", "m", "0", "-1"}, {"RPUSH", "n", "long enough\xff", "a", "b", "c"},
		{"LRANGE", "n", "0", "-1"}, {"EVAL", "return ARGV[1] .. KEYS[1]", "1", "\xfd", "\xfc"}, {"EXISTS", "\xff\xff"},
	} {
		here := db.Do(t.Context(), words...)
		if store.TraitsOf(words).Reads || here.Err() != nil || words[0] == "EVAL" {
			if got := st.Do(t.Context(), words...); got.String() != strings.Replace(here.String(), "{", "[", 1) && resp2(got) != resp2(here) && here.Kind() != store.KindMap && here.Kind() != store.KindSet {
				t.Errorf("%.60q: %.100s, want %.100s", words, got, here)
			}
			continue
		}
		// The same once more, over HTTP, of another key.
		words[1] = "copy of " + words[1]
		if err := st.Do(t.Context(), words...).Err(); err != nil {
			t.Errorf("%.60q: %v", words, err)
			continue
		}
		dump := func(key string) string {
			text, err := db.Do(t.Context(), "DUMP", key).Text()
			if err != nil {
				t.Error(key, err)
			}
			return text
		}
		if words[0] != "ECHO" && dump(words[1]) != dump(strings.TrimPrefix(words[1], "copy of ")) {
			t.Errorf("%.60q: what was stored differs", words)
		}
	}
	if err := st.Do(t.Context(), "\xff", "").Err(); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("an unknown command: %v", err)
	}
	if longest > 4096 {
		t.Errorf("a URL of %d bytes", longest)
	}
	if _, err := st.Transaction(t.Context(), store.Cmd{"SET", "k", "\xff"}); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("a transaction with bytes: %v", err)
	}
}
