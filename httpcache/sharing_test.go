package httpcache_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/store/storetest"
)

// TestNested: a cache inside itself, and a handler that asks its own site for what it is answering, wait for nobody.
func TestNested(t *testing.T) {
	bubble(t, httpcache.Options{Key: httpcache.KeyPolicy{IgnoreHost: true}}, func(s *site) {
		s.answer(200, "inner", "Cache-Control: max-age=100")
		inside := s.do
		twice := s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			resp := inside(r)
			defer resp.Body.Close()
			w.Header().Set("Cache-Control", resp.Header.Get("Cache-Control"))
			io.Copy(w, resp.Body)
		}))
		done := make(chan string, 1)
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		go func() {
			rec := httptest.NewRecorder()
			twice.ServeHTTP(rec, s.request("GET", "/").WithContext(ctx))
			done <- rec.Body.String()
		}()
		synctest.Wait()
		select {
		case got := <-done:
			if got != "inner" {
				s.Errorf("got %q", got)
			}
		default:
			s.Error("it waits for itself")
		}
	})
}

// TestStreamEndsWithItsClient: a stream's ctx ends when its client leaves, also if others had waited to see whether the
// response could be shared.
func TestStreamEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiteOn(t, asHandler, storetest.NewMemory(), nil, httpcache.Options{})
		begin := make(chan struct{})
		var streaming atomic.Int32
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			<-begin
			w.Header().Set("Cache-Control", "max-age=100")
			http.NewResponseController(w).Flush()
			streaming.Add(1)
			<-r.Context().Done()
			streaming.Add(-1)
		}
		ctx, leave := context.WithCancel(t.Context())
		for range 5 {
			go s.send(s.request("GET", "/").WithContext(ctx))
			synctest.Wait()
		}
		waiting(s, 4)
		close(begin)
		synctest.Wait()
		if streaming.Load() != 5 {
			t.Errorf("%d streams", streaming.Load())
		}
		leave()
		synctest.Wait()
		if streaming.Load() != 0 {
			t.Errorf("%d streams go on without their clients", streaming.Load())
		}
	})
}

// TestConditionalLeader: one client's condition that the origin answers with 304 does not keep others from sharing.
func TestConditionalLeader(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Cache-Control", "max-age=100")
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			<-release
			io.WriteString(w, "body")
		}
		if got := s.get("/", `If-None-Match: "1"`); got.status != 304 {
			s.Errorf("%+v", got)
		}
		for range 10 {
			go s.get("/")
		}
		synctest.Wait()
		if s.asked() != 2 {
			s.Errorf("%d fetches", s.asked())
		}
		close(release)
		synctest.Wait()
	})
}

// TestDeadlineAround: a client that waits for another's fetch, with a deadline that a middleware has set, is told so when
// it passes; no answer at all would reach it as 200 with an empty body.
func TestDeadlineAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiteOn(t, asHandler, storetest.NewMemory(), nil, httpcache.Options{})
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, _ *http.Request) {
			<-release
			w.Header().Set("Cache-Control", "max-age=100")
			io.WriteString(w, "body")
		}
		first := make(chan result, 1)
		go func() { first <- s.get("/") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := s.send(s.request("GET", "/").WithContext(ctx))
		if got.status != http.StatusServiceUnavailable || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%+v", got)
		}
		close(release)
		if got := <-first; got.body != "body" {
			t.Errorf("who had no deadline: %+v", got)
		}
	})
}

// TestAborted: a fetch in the background that its handler aborts, as ReverseProxy does when the origin's connection
// breaks, is no panic to report.
func TestAborted(t *testing.T) {
	s := newSite(t, asHandler, httpcache.Options{OnError: func(_ context.Context, err error) { t.Error(err) }})
	s.answer(200, "x", "Cache-Control: max-age=1, stale-while-revalidate=100")
	s.get("/")
	s.Advance(2 * time.Second)
	s.origin = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	if got := s.get("/"); got.body != "x" { // not the answer of the background
		t.Errorf("%+v", got)
	}
	if err := s.cache.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if st := s.cache.Stats(); st.Panics != 0 || st.Background != 1 || st.HitRatio() != 0.5 {
		t.Errorf("%+v, hit ratio %v", st, st.HitRatio())
	}
}

// TestRenewedForOne: a 304 that sets a cookie, is private or forbids storing answers the one who asked, and changes
// nothing for others.
func TestRenewedForOne(t *testing.T) {
	for _, line := range []string{"Set-Cookie: a=b", "Cache-Control: private", "Cache-Control: no-store", "Vary: *"} {
		both(t, func(t *testing.T, w way) {
			s := newSite(t, w, httpcache.Options{})
			s.answer(200, "body", "Cache-Control: max-age=10", `Etag: "1"`)
			s.get("/")
			s.Advance(15 * time.Second)
			name, value, _ := strings.Cut(line, ": ")
			s.answer(200, "never", "Cache-Control: max-age=10", `Etag: "1"`, line)
			if got := s.get("/"); got.status != 200 || got.body != "body" || !slices.Contains(got.header[name], value) {
				t.Errorf("%s: %+v", line, got)
			}
			s.answer(200, "body", "Cache-Control: max-age=10", `Etag: "1"`)
			if got := s.get("/"); got.cached() || got.body != "body" || slices.Contains(got.header[name], value) {
				t.Errorf("%s, the next one: %+v", line, got)
			}
		})
	}
}

// TestAround: what is set around the cache is one client's own, but what says there for whom a response is counts.
func TestAround(t *testing.T) {
	s := newSite(t, asHandler, httpcache.Options{DefaultTTL: time.Minute})
	type key struct{}
	inner := s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Context().Value(key{}).(string))
	}))
	get := func(path, lang string) string {
		outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", lang)
			if path == "/mine" {
				w.Header().Set("Cache-Control", "private")
			} else {
				w.Header().Set("Vary", "Accept-Language")
			}
			inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, r.Header.Get("Accept-Language"))))
		})
		rec := httptest.NewRecorder()
		outer.ServeHTTP(rec, s.request("GET", path, "Accept-Language: "+lang))
		if id := rec.Header()["X-Request-Id"]; len(id) != 1 || id[0] != lang {
			t.Errorf("%s %s carries %v", path, lang, id)
		}
		return rec.Body.String()
	}
	for range 2 {
		for _, lang := range []string{"de", "en"} {
			for _, path := range []string{"/", "/mine"} {
				if got := get(path, lang); got != lang {
					t.Errorf("%s: %s got %s", path, lang, got)
				}
			}
		}
	}
	if st := s.cache.Stats(); st.Stored != 2 || st.Hits != 2 {
		t.Errorf("%+v", st)
	}
}

// TestOwnHeaders: what one of those who share a response does to its header is not seen by the others.
func TestOwnHeaders(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			if w.Header().Set("Etag", `"1"`); r.Header.Get("If-None-Match") != "" {
				<-release
			}
			w.Header().Set("Cache-Control", "max-age=10")
			w.Header().Set("X", "plain")
			w.WriteHeader(map[bool]int{false: 200, true: 304}[r.Header.Get("If-None-Match") != ""])
		}
		s.get("/")
		<-time.After(time.Minute) // by the bubble's clock
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				got := s.get("/")
				if got.header.Get("X") != "plain" {
					s.Errorf("%v", got.header)
				}
				got.header["X"][0] = "changed"
			})
		}
		synctest.Wait()
		waiting(s, 4)
		close(release)
		wg.Wait()
	})
}
