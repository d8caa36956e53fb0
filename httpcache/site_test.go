package httpcache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// way is one of the two that the cache works: both must do the same.
type way string

const (
	asHandler   way = "handler"
	asTransport way = "transport"
)

// site is an origin with a cache in front, on a clock that the test moves.
type site struct {
	testing.TB
	*clock.Fake
	way   way
	cache *httpcache.Cache
	do    func(r *http.Request) *http.Response

	mu     sync.Mutex
	origin http.HandlerFunc
	seen   []*http.Request
}

func embedded(t testing.TB) (*larder.DB, *clock.Fake) {
	t.Helper()
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, fake
}

func newSite(t testing.TB, w way, o httpcache.Options) *site {
	t.Helper()
	db, fake := embedded(t)
	return newSiteOn(t, w, db, fake, o)
}

func newSiteOn(t testing.TB, w way, st store.Store, fake *clock.Fake, o httpcache.Options) *site {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = "http:"
	}
	if fake != nil {
		o.Clock = fake
	}
	c, err := httpcache.New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := &site{TB: t, Fake: fake, way: w, cache: c, origin: http.NotFound}
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r)
		origin := s.origin
		s.mu.Unlock()
		if fake != nil && w.Header().Get("Date") == "" {
			w.Header().Set("Date", fake.Now().Format(http.TimeFormat))
		}
		origin(w, r)
	})
	if w == asHandler {
		h := c.Handler(origin)
		s.do = func(r *http.Request) *http.Response {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec.Result()
		}
		return s
	}
	rt := c.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		origin(rec, r)
		if rec.Code == 599 {
			return nil, fmt.Errorf("no connection")
		}
		resp := rec.Result()
		resp.ContentLength = int64(rec.Body.Len())
		return resp, nil
	}))
	s.do = func(r *http.Request) *http.Response {
		resp, err := rt.RoundTrip(r)
		if err != nil {
			return &http.Response{StatusCode: 599, Header: http.Header{}, Body: http.NoBody}
		}
		return resp
	}
	return s
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer makes the origin answer with a status, header lines ("Name: value") and a body.
func (s *site) answer(status int, body string, lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origin = func(w http.ResponseWriter, r *http.Request) {
		for _, l := range s.lines(lines) {
			if l[0] == "Date" {
				w.Header().Del("Date")
			}
			w.Header().Add(l[0], l[1])
		}
		status, tag := status, w.Header().Get("Etag")
		if tag != "" && r.Header.Get("If-None-Match") == tag {
			status = http.StatusNotModified
		}
		w.WriteHeader(status)
		if status != http.StatusNotModified && status != http.StatusNoContent {
			io.WriteString(w, body)
		}
	}
}

// lines splits header lines. {5s} stands for the date in 5 seconds, {-1h} for an hour ago.
func (s *site) lines(lines []string) (out [][2]string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		if from, to := strings.Index(value, "{"), strings.Index(value, "}"); from >= 0 && to > from {
			d, err := time.ParseDuration(value[from+1 : to])
			if err != nil {
				s.Fatal(err)
			}
			value = value[:from] + s.Now().Add(d).UTC().Format(http.TimeFormat) + value[to+1:]
		}
		out = append(out, [2]string{name, value})
	}
	return out
}

// result is a response as a test looks at it.
type result struct {
	status int
	header http.Header
	body   string
}

// cached tells whether the origin was not asked.
func (r result) cached() bool { return strings.Contains(r.header.Get("Cache-Status"), "; hit") }

func (s *site) request(method, url string, lines ...string) *http.Request {
	if strings.HasPrefix(url, "/") {
		url = "http://site.example" + url
	}
	r := httptest.NewRequest(method, url, nil)
	r.RequestURI = ""
	for _, l := range s.lines(lines) {
		r.Header.Add(l[0], l[1])
	}
	return r
}

func (s *site) send(r *http.Request) result {
	resp := s.do(r)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		s.Errorf("body: %v", err)
	}
	return result{resp.StatusCode, resp.Header, string(body)}
}

func (s *site) get(url string, lines ...string) result {
	return s.send(s.request("GET", url, lines...))
}

// asked is how many requests the origin has seen.
func (s *site) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *site) last() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

// both runs a test in both ways.
func both(t *testing.T, run func(t *testing.T, w way)) {
	for _, w := range []way{asHandler, asTransport} {
		t.Run(string(w), func(t *testing.T) { run(t, w) })
	}
}

var _ = storetest.Seeds
