package ratelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// heard tells verbs and results of operations as they end.
type heard chan string

func (h heard) Begin(ctx context.Context, op observe.Op) (context.Context, observe.End) {
	return ctx, func(result string, _ error) { h <- op.Verb + " " + result }
}

func (heard) Count(context.Context, observe.Op, int64)   {}
func (heard) Gauge(context.Context, observe.Op, float64) {}

func (h heard) wait(want string) {
	for got := range h {
		if got == want {
			return
		}
	}
}

func concurrent(t testing.TB, st store.Store, o ratelimit.ConcurrencyOptions, work http.HandlerFunc) http.Handler {
	t.Helper()
	c, err := ratelimit.NewConcurrency(st, o)
	if err != nil {
		t.Fatal(err)
	}
	protect, err := ratelimit.ConcurrencyMiddleware(c, ratelimit.HTTPOptions{Paths: []string{"/api/"}})
	if err != nil {
		t.Fatal(err)
	}
	return protect(work)
}

func TestConcurrencyMiddleware(t *testing.T) {
	leaktest.Check(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	h := concurrent(t, storetest.NewMemory(), ratelimit.ConcurrencyOptions{Limit: 1, TTL: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/slow":
			close(begun)
			<-finish
		case "/api/panic":
			panic(http.ErrAbortHandler)
		}
	})
	const peer = "203.0.113.7:4711"
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- get(h, "/api/slow", peer) }()
	<-begun
	w := get(h, "/api/x", peer)
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" || w.Header().Get("X-RateLimit-Remaining") != "0" ||
		w.Header().Get("RateLimit-Policy") != `"default";q=1;qu="concurrent-requests"` || w.Header().Get("RateLimit") != `"default";r=0;t=60` {
		t.Errorf("a second at once: %d %v", w.Code, w.Header())
	}
	if w := get(h, "/api/x", "203.0.113.8:4711"); w.Code != 200 {
		t.Errorf("another client: %d", w.Code)
	}
	if w := get(h, "/about", peer); w.Code != 200 || w.Header().Get("X-RateLimit-Limit") != "" {
		t.Errorf("a free path: %d %v", w.Code, w.Header())
	}
	close(finish)
	if w := <-first; w.Code != 200 || w.Header().Get("X-RateLimit-Limit") != "1" {
		t.Errorf("the first: %d %v", w.Code, w.Header())
	}
	func() {
		defer func() { _ = recover() }()
		get(h, "/api/panic", peer)
	}()
	if w := get(h, "/api/x", peer); w.Code != 200 {
		t.Errorf("after a panic: %d", w.Code)
	}
}

// TestConcurrencyMiddlewareKeepsItsLease: a handler may take longer than the TTL, though its client has left; one whose lease
// is lost is told.
func TestConcurrencyMiddlewareKeepsItsLease(t *testing.T) {
	leaktest.Check(t)
	mem, ops := storetest.NewMemory(), make(heard, 1000)
	ctx, leave := context.WithCancel(t.Context())
	h := concurrent(t, mem, ratelimit.ConcurrencyOptions{Limit: 1, TTL: 30 * time.Millisecond, Observer: ops}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/lost" {
			mem.Do(t.Context(), "DEL", ratelimit.DefaultLeasePrefix+"203.0.113.7")
			<-r.Context().Done()
			return
		}
		leave()
		<-r.Context().Done()
		for range 5 {
			mem.Advance(20 * time.Millisecond)
			ops.wait("extend ok")
			ops.wait("extend ok") // the one before may have begun before the clock went on
		}
	})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/slow", nil)
	r.RemoteAddr = "203.0.113.7:4711"
	h.ServeHTTP(httptest.NewRecorder(), r)
	ops.wait("release ok")
	get(h, "/api/lost", r.RemoteAddr)
	ops.wait("extend lost")
}

func TestConcurrencyMiddlewareOptions(t *testing.T) {
	c, err := ratelimit.NewConcurrency(storetest.NewMemory(), ratelimit.ConcurrencyOptions{Limit: 1, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []ratelimit.HTTPOptions{{Plan: func(*http.Request) *ratelimit.Plan { return nil }}, {Paths: []string{"api"}}, {Headers: 9}} {
		if _, err := ratelimit.ConcurrencyMiddleware(c, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
