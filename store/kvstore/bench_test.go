package kvstore_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// counted is a client of an embedded store's REST API, and a count of the requests that came.
func counted(b *testing.B) (st store.Store, n *atomic.Int64) {
	b.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h, err := rest.Handler(db, rest.Options{Token: "token"})
	if err != nil {
		b.Fatal(err)
	}
	n = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h.ServeHTTP(w, r)
	}))
	b.Cleanup(func() { _ = h.Close(); server.Close(); _ = db.Close() })
	cfg, err := store.ParseURL("http://token@" + server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	client, err := kvstore.Open(cfg, kvstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	if err := db.Do(b.Context(), "SET", "k", strings.Repeat("v", 100)).Err(); err != nil {
		b.Fatal(err)
	}
	return client, n
}

// report tells the requests per operation.
func report(b *testing.B, n *atomic.Int64) {
	b.ReportMetric(float64(n.Load())/float64(b.N), "requests/op")
	b.ReportAllocs()
}

func BenchmarkGet(b *testing.B) {
	st, n := counted(b)
	for b.Loop() {
		if err := st.Do(b.Context(), "GET", "k").Err(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, n)
}

func BenchmarkGetBy64(b *testing.B) {
	st, n := counted(b)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := st.Do(b.Context(), "GET", "k").Err(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	report(b, n)
}

func BenchmarkPipe100(b *testing.B) {
	st, n := counted(b)
	cmds := make([]store.Cmd, 100)
	for i := range cmds {
		cmds[i] = store.Cmd{"GET", "k"}
	}
	for b.Loop() {
		for _, r := range st.Pipe(b.Context(), cmds...) {
			if err := r.Err(); err != nil {
				b.Fatal(err)
			}
		}
	}
	report(b, n)
}
