package ratelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// site is a protected handler that answers 200.
func site(t testing.TB, l *ratelimit.Limiter, o ratelimit.HTTPOptions) http.Handler {
	t.Helper()
	protect, err := ratelimit.Middleware(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
}

// get sends a request from a peer with X-Forwarded-For lines.
func get(h http.Handler, path, peer string, forwarded ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://shop.test"+path, nil)
	r.RemoteAddr = peer
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMiddleware(t *testing.T) {
	mem := storetest.NewMemory()
	h := site(t, limiter(t, mem, ratelimit.Options{Limit: 2, Window: time.Minute}), ratelimit.HTTPOptions{Paths: []string{"/api/"}})
	const peer = "203.0.113.7:4711"
	w := get(h, "/api/x", peer)
	if w.Code != 200 || w.Header().Get("X-RateLimit-Limit") != "2" || w.Header().Get("X-RateLimit-Remaining") != "1" ||
		w.Header().Get("X-RateLimit-Reset") != "60" || w.Header().Get("Retry-After") != "" {
		t.Errorf("first: %d %v", w.Code, w.Header())
	}
	mem.Advance(500 * time.Millisecond)
	get(h, "//api/../api/y", peer) // the same, in disguise
	w = get(h, "/api/x", peer)
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" || w.Header().Get("X-RateLimit-Remaining") != "0" ||
		w.Header().Get("Content-Type") != "application/json; charset=utf-8" || w.Body.String() != `{"error":"Too many requests","retryAfter":60}`+"\n" {
		t.Errorf("third: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w = get(h, "/about", peer); w.Code != 200 || w.Header().Get("X-RateLimit-Limit") != "" {
		t.Errorf("a free path: %d %v", w.Code, w.Header())
	}
	if w = get(h, "/api/x", "203.0.113.8:4711", "198.51.100.1"); w.Code != 200 {
		t.Errorf("another client: %d", w.Code)
	}
	if w = get(h, "/api/x", peer, "198.51.100.1"); w.Code != 429 {
		t.Errorf("a made-up X-Forwarded-For was believed: %d", w.Code)
	}
	mem.Advance(59500 * time.Millisecond)
	if w = get(h, "/api/x", peer); w.Code != 200 {
		t.Errorf("after Retry-After: %d", w.Code)
	}
}

func TestMiddlewareStoreFails(t *testing.T) {
	for _, closed := range []bool{false, true} {
		f := storetest.NewFaulty(storetest.NewMemory())
		h := site(t, limiter(t, f, ratelimit.Options{Limit: 1, Window: time.Minute, FailClosed: closed, Timeout: time.Millisecond}), ratelimit.HTTPOptions{})
		f.Hang(-1)
		w := get(h, "/", "203.0.113.7:1")
		if closed && (w.Code != 503 || w.Body.String() != `{"error":"Rate limiter unavailable"}`+"\n") || !closed && w.Code != 200 || w.Header().Get("X-RateLimit-Limit") != "" {
			t.Errorf("FailClosed %v: %d %v %s", closed, w.Code, w.Header(), w.Body)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		w = httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 499 {
			t.Errorf("the client left: %d", w.Code)
		}
	}
}

func TestMiddlewareKeyCostDenied(t *testing.T) {
	l := limiter(t, storetest.NewMemory(), ratelimit.Options{Limit: 10, Window: time.Minute})
	h := site(t, l, ratelimit.HTTPOptions{
		Key: func(r *http.Request) string { return r.Header.Get("X-User") },
		Cost: func(r *http.Request) int {
			if r.URL.Path == "/export" {
				return 11
			}
			return 6
		},
		Denied: func(w http.ResponseWriter, _ *http.Request, res ratelimit.Result) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte(res.RetryAfter.String()))
		},
	})
	request := func(path, user string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("X-User", user)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := request("/", "u"); w.Code != 200 || w.Header().Get("X-RateLimit-Remaining") != "4" {
		t.Errorf("first: %d %v", w.Code, w.Header())
	}
	if w := request("/", "u"); w.Code != http.StatusTeapot || w.Body.String() != "1m0s" || w.Header().Get("Retry-After") != "60" {
		t.Errorf("denied: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := request("/export", "v"); w.Code != http.StatusTeapot || w.Header().Get("Retry-After") != "" {
		t.Errorf("more than the limit: %d %v", w.Code, w.Header())
	}
	for range 5 {
		if w := request("/", ""); w.Code != 200 {
			t.Errorf("no id, no limit: %d", w.Code)
		}
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.7:1", nil, "203.0.113.7"},
		{"203.0.113.7:1", []string{"1.2.3.4"}, "203.0.113.7"}, // nobody vouches for it
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"}, // the left one is made up
		{"10.0.0.1:1", []string{"6.6.6.6,1.2.3.4 , 10.9.9.9,fd00::1"}, "1.2.3.4"},
		{"10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4", "10.9.9.9"}, "1.2.3.4"}, // two lines
		{"10.0.0.1:1", []string{"10.1.1.1, 10.2.2.2"}, "10.1.1.1"},
		{"10.0.0.1:1", []string{"1.2.3.4, garbage, 10.2.2.2"}, "10.2.2.2"},
		{"10.0.0.1:1", []string{"1.2.3.4, "}, "10.0.0.1"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"1.2.3.4:5678"}, "1.2.3.4"},
		{"10.0.0.1:1", []string{"[2001:db8::1]:5678"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"[fd00::5%eth0]:1", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		{"@", []string{"1.2.3.4"}, ""},
		{"", nil, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		for _, f := range test.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		addr, ok := ratelimit.ClientAddr(r, trusted)
		if ok != (test.want != "") || ok && addr.String() != test.want {
			t.Errorf("peer %q, forwarded %q: %v, %v; want %s", test.peer, test.forwarded, addr, ok, test.want)
		}
	}
}

func TestIPv6ClientsAreNetworks(t *testing.T) {
	l := limiter(t, storetest.NewMemory(), ratelimit.Options{Limit: 1, Window: time.Minute})
	h := site(t, l, ratelimit.HTTPOptions{TrustedProxies: []string{"10.0.0.0/8"}})
	for i, test := range []struct {
		client string
		want   int
	}{{"2001:db8:1:2::1", 200}, {"2001:db8:1:2:ffff::9", 429}, {"2001:db8:1:3::1", 200}, {"1.2.3.4", 200}, {"1.2.3.5", 200}} {
		if w := get(h, "/", "10.0.0.1:1", test.client); w.Code != test.want {
			t.Errorf("%d: %s: %d, want %d", i, test.client, w.Code, test.want)
		}
	}
	if w := get(h, "/", "@"); w.Code != 200 {
		t.Errorf("no address: %d", w.Code)
	}
	if w := get(h, "/", "pipe"); w.Code != 429 {
		t.Errorf("those without an address share a limit: %d", w.Code)
	}
}

func TestMiddlewareRefuses(t *testing.T) {
	l := limiter(t, storetest.NewMemory(), ratelimit.Options{Limit: 1, Window: time.Minute})
	for _, o := range []ratelimit.HTTPOptions{
		{TrustedProxies: []string{"10.0.0.1"}}, {TrustedProxies: []string{"10.0.0.0/33"}}, {Paths: []string{"api"}}, {IPv6Prefix: 129}, {IPv6Prefix: -1},
	} {
		if _, err := ratelimit.Middleware(l, o); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "ratelimit") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestDraftHeaders(t *testing.T) {
	mem := storetest.NewMemory()
	rules := []ratelimit.Rule{
		{Name: `a "quoted" \ name`, Algorithm: ratelimit.GCRA, Limit: 2, Window: 1500 * time.Millisecond},
		{Algorithm: ratelimit.TokenBucket, Limit: 10, Window: time.Minute},
	}
	l := limiter(t, mem, ratelimit.Options{Rules: rules})
	w := get(site(t, l, ratelimit.HTTPOptions{}), "/", "203.0.113.7:1")
	if got, want := w.Header().Get("RateLimit-Policy"), `"a \"quoted\" \\ name";q=2, "10/1m0s";q=10;w=60`; got != want {
		t.Errorf("RateLimit-Policy: %s, want %s", got, want)
	}
	if got, want := w.Header().Get("RateLimit"), `"a \"quoted\" \\ name";r=1;t=1, "10/1m0s";r=9;t=6`; got != want {
		t.Errorf("RateLimit: %s, want %s", got, want)
	}
	plain := limiter(t, mem, ratelimit.Options{Limit: 1, Window: time.Minute})
	h := site(t, plain, ratelimit.HTTPOptions{Headers: ratelimit.DraftHeaders})
	get(h, "/", "203.0.113.7:1")
	mem.Advance(10 * time.Second)
	w = get(h, "/", "203.0.113.7:1")
	if w.Code != 429 || w.Header().Get("RateLimit-Policy") != `"default";q=1;w=60` || w.Header().Get("RateLimit") != `"default";r=0;t=50` ||
		w.Header().Get("Retry-After") != "50" || w.Header().Get("X-RateLimit-Limit") != "" {
		t.Errorf("denied: %d %v", w.Code, w.Header())
	}
	if w = get(site(t, plain, ratelimit.HTTPOptions{Headers: ratelimit.XHeaders}), "/", "203.0.113.8:1"); w.Header().Get("RateLimit") != "" || w.Header().Get("X-RateLimit-Limit") != "1" {
		t.Errorf("X headers alone: %v", w.Header())
	}
	if w = get(site(t, plain, ratelimit.HTTPOptions{Headers: ratelimit.NoHeaders}), "/", "203.0.113.8:1"); w.Code != 429 || len(w.Header()) != 3 || w.Header().Get("Retry-After") == "" {
		t.Errorf("no headers: %d %v", w.Code, w.Header())
	}
}
