package httpcache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/internal/leaktest"
)

// serve puts a handler with a cache in front behind a real server.
func serve(t *testing.T, o httpcache.Options, h http.HandlerFunc) (*httpcache.Cache, *httptest.Server) {
	t.Helper()
	leaktest.Check(t)
	db, _ := embedded(t)
	o.Prefix = "http:"
	c, err := httpcache.New(db, o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(c.Handler(h))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c, srv
}

func fetch(t *testing.T, url string) result {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return result{resp.StatusCode, resp.Header, string(body)}
}

// TestStreams: what is not stored reaches the client when it is written, not later.
func TestStreams(t *testing.T) {
	for _, c := range []struct {
		name   string
		header string
		size   int // of the first part
		flush  bool
	}{
		{"not storable", "no-store", 10, true},
		{"flushed", "max-age=100", 10, true},
		{"beyond the cap", "max-age=100", 5000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, calls := strings.Repeat("a", c.size), 0
			read := make(chan struct{})
			_, srv := serve(t, httpcache.Options{MaxBody: 1000}, func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Cache-Control", c.header)
				io.WriteString(w, first)
				if c.flush {
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
				}
				if calls == 1 {
					<-read
				}
				io.WriteString(w, "end")
			})
			resp, err := http.Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			buf := make([]byte, min(c.size, 2000)) // what net/http itself does not hold back
			if _, err := io.ReadFull(resp.Body, buf); err != nil {
				t.Fatal(err)
			}
			close(read)
			rest, err := io.ReadAll(resp.Body)
			if err != nil || !strings.HasSuffix(string(rest), "end") || len(buf)+len(rest) != c.size+3 {
				t.Fatalf("%d bytes, %v", len(rest), err)
			}
			if fetch(t, srv.URL); calls != 2 {
				t.Errorf("a stream was stored: %d calls", calls)
			}
		})
	}
}

// TestFlushedAndStored: with StoreFlushed, or a known length, a flushed body is stored too.
func TestFlushedAndStored(t *testing.T) {
	for _, length := range []bool{false, true} {
		calls := 0
		_, srv := serve(t, httpcache.Options{StoreFlushed: !length}, func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Cache-Control", "max-age=100")
			if length {
				w.Header().Set("Content-Length", "6")
			}
			io.WriteString(w, "one")
			w.(http.Flusher).Flush()
			io.WriteString(w, "two")
		})
		for range 3 {
			if got := fetch(t, srv.URL); got.body != "onetwo" {
				t.Errorf("%+v", got)
			}
		}
		if calls != 1 {
			t.Errorf("%d calls, length known: %v", calls, length)
		}
	}
}

// TestReadFrom: io.Copy into the writer works in every state.
func TestReadFrom(t *testing.T) {
	for _, size := range []int{0, 10, 100_000, 3 << 20} {
		calls := 0
		_, srv := serve(t, httpcache.Options{MaxBody: 200_000}, func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Cache-Control", "max-age=100")
			if n, err := io.Copy(w, io.LimitReader(endlessAs{}, int64(size))); n != int64(size) || err != nil {
				t.Errorf("copied %d: %v", n, err)
			}
		})
		for range 2 {
			if got := fetch(t, srv.URL); len(got.body) != size {
				t.Errorf("%d bytes, want %d", len(got.body), size)
			}
		}
		if want := 1 + size/200_000; min(want, 2) != calls {
			t.Errorf("%d bytes: %d calls", size, calls)
		}
	}
}

type endlessAs struct{}

func (endlessAs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestTrailersPassThrough(t *testing.T) {
	calls := 0
	_, srv := serve(t, httpcache.Options{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		h := w.Header()
		h.Set("Cache-Control", "max-age=100")
		if r.URL.Path == "/declared" {
			h.Set("Trailer", "X-Sum")
		}
		io.WriteString(w, "body")
		if r.URL.Path == "/declared" {
			h.Set("X-Sum", "42")
		} else {
			h.Set(http.TrailerPrefix+"X-Sum", "42")
		}
	})
	for _, path := range []string{"/declared", "/prefixed"} {
		for range 2 {
			resp, err := http.Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "body" || resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("%s: %q, trailer %v", path, body, resp.Trailer)
			}
		}
	}
	if calls != 4 {
		t.Errorf("%d calls", calls)
	}
}

func TestInterimResponses(t *testing.T) {
	_, srv := serve(t, httpcache.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=100")
		io.WriteString(w, "body")
	})
	for i := range 2 {
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h.Get("Link")))
			return nil
		}}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", srv.URL, nil)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Header.Get("Link") != "" || len(hints) != 1-i {
			t.Errorf("request %d: %v, hints %v", i, resp.Header, hints)
		}
	}
}

func TestHijack(t *testing.T) {
	_, srv := serve(t, httpcache.Options{}, func(w http.ResponseWriter, r *http.Request) {
		var conn net.Conn
		var rw *bufio.ReadWriter
		var err error
		if r.URL.Path == "/asserted" {
			conn, rw, err = w.(http.Hijacker).Hijack()
		} else {
			conn, rw, err = http.NewResponseController(w).Hijack()
		}
		if err != nil {
			t.Error(err)
			return
		}
		rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhijacked")
		rw.Flush()
		conn.Close()
	})
	for _, path := range []string{"/asserted", "/controlled"} {
		if got := fetch(t, srv.URL+path); got.body != "hijacked" {
			t.Errorf("%+v", got)
		}
	}
}

func TestResponseController(t *testing.T) {
	_, srv := serve(t, httpcache.Options{}, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("%s: write deadline: %v", r.Method, err)
		}
		if err := rc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("%s: read deadline: %v", r.Method, err)
		}
		if err := rc.EnableFullDuplex(); err != nil {
			t.Errorf("%s: full duplex: %v", r.Method, err)
		}
		if _, ok := w.(http.Pusher); ok {
			t.Errorf("%s: claims to push", r.Method)
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Cache-Control", "max-age=10")
		io.WriteString(w, "x")
	})
	fetch(t, srv.URL)
	resp, err := http.Post(srv.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// TestPanics: a handler's panic is its caller's, and nobody waits for it for ever.
func TestPanics(t *testing.T) {
	for _, what := range []any{http.ErrAbortHandler, "boom"} {
		c, fake := embedded(t)
		s := newSiteOn(t, asHandler, c, fake, httpcache.Options{})
		calls := 0
		s.origin = func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Cache-Control", "max-age=10")
			io.WriteString(w, "half")
			if calls == 1 {
				panic(what)
			}
		}
		func() {
			defer func() {
				if p := recover(); p != what {
					t.Errorf("recovered %v, want %v", p, what)
				}
			}()
			s.get("/")
		}()
		if s.cache.Flights() != 0 {
			t.Error("the flight goes on")
		}
		if got := s.get("/"); got.body != "half" || got.cached() {
			t.Errorf("%+v", got)
		}
	}
}

// TestBackgroundPanic: a panic in the background does not end the program.
func TestBackgroundPanic(t *testing.T) {
	var mu sync.Mutex
	var told error
	s := newSite(t, asHandler, httpcache.Options{OnError: func(_ context.Context, err error) {
		mu.Lock()
		defer mu.Unlock()
		told = err
	}})
	s.answer(200, "x", "Cache-Control: max-age=1, stale-while-revalidate=100")
	s.get("/")
	s.Advance(2 * time.Second)
	s.origin = func(http.ResponseWriter, *http.Request) { panic("boom") }
	if got := s.get("/"); got.body != "x" {
		t.Errorf("%+v", got)
	}
	s.cache.Close(t.Context())
	mu.Lock()
	defer mu.Unlock()
	if told == nil || !strings.Contains(told.Error(), "boom") || s.cache.Stats().Panics != 1 {
		t.Errorf("told %v", told)
	}
}

// TestOuterHeaders: what is set around the cache belongs to one client, and is not stored.
func TestOuterHeaders(t *testing.T) {
	db, _ := embedded(t)
	c, err := httpcache.New(db, httpcache.Options{Prefix: "http:"})
	if err != nil {
		t.Fatal(err)
	}
	inner := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if w.Header().Get("X-Request-Id") == "" {
			t.Error("the handler does not see what is set around it")
		}
		w.Header().Del("X-Drop")
		w.Header().Add("Vary", "Accept")
		w.Header().Set("Cache-Control", "max-age=100")
		io.WriteString(w, "body")
	}))
	n := 0
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("X-Request-Id", fmt.Sprint(n))
		w.Header().Set("X-Drop", "me")
		w.Header().Set("Set-Cookie", fmt.Sprint("session=", n))
		inner.ServeHTTP(w, r)
	})
	for i := 1; i <= 3; i++ {
		rec := httptest.NewRecorder()
		outer.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		if id := rec.Header()["X-Request-Id"]; len(id) != 1 || id[0] != fmt.Sprint(i) || rec.Header().Get("Set-Cookie") != fmt.Sprint("session=", i) {
			t.Errorf("response %d carries %v", i, rec.Header())
		}
	}
	if s := c.Stats(); s.Hits != 2 {
		t.Errorf("%+v", s)
	}
}

// TestTruncated: a body that is not whole is not stored.
func TestTruncated(t *testing.T) {
	t.Run("length", func(t *testing.T) {
		s := newSite(t, asHandler, httpcache.Options{})
		s.answer(200, "short", "Cache-Control: max-age=100", "Content-Length: 50")
		s.get("/")
		s.answer(200, "longer", "Cache-Control: max-age=100", "Content-Length: 2")
		s.get("/")
		s.answer(200, "whole", "Cache-Control: max-age=100")
		if got := s.get("/"); got.cached() || got.body != "whole" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("client left", func(t *testing.T) {
		s := newSite(t, asHandler, httpcache.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=100")
			io.WriteString(w, "half")
			cancel()
			<-r.Context().Done() // nobody waits: the ctx ends with the client's
		}
		s.send(s.request("GET", "/").WithContext(ctx))
		s.answer(200, "whole", "Cache-Control: max-age=100")
		if got := s.get("/"); got.cached() || got.body != "whole" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("connection broke", func(t *testing.T) {
		s := newSite(t, asTransport, httpcache.Options{})
		rt := s.cache.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=100"}}, ContentLength: 10,
				Body: io.NopCloser(io.MultiReader(strings.NewReader("half"), broken{}))}, nil
		}))
		for range 2 {
			resp, err := rt.RoundTrip(s.request("GET", "/"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
				t.Errorf("%q, %v, %v", body, err, resp.Header)
			}
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestOddHeaders: names that a handler wrote into the map itself count as what they are sent as, and a Content-Type that
// was switched off stays so.
func TestOddHeaders(t *testing.T) {
	calls := 0
	_, srv := serve(t, httpcache.Options{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		h := w.Header()
		h["cache-control"] = []string{"max-age=100"}
		if r.URL.Path == "/cookie" {
			h["set-cookie"] = []string{"a=b"}
		}
		h["Content-Type"] = nil
		h["ETag"] = []string{`"1"`}
		io.WriteString(w, "<html>")
	})
	for i := range 2 {
		got := fetch(t, srv.URL+"/cookie")
		if strings.Contains(got.header.Get("Cache-Status"), "hit") || got.header.Get("Set-Cookie") == "" {
			t.Errorf("a cookie was stored: %v", got.header)
		}
		got = fetch(t, srv.URL+"/")
		if strings.Contains(got.header.Get("Cache-Status"), "hit") != (i == 1) || got.header.Get("Content-Type") != "" || got.header.Get("Etag") != `"1"` {
			t.Errorf("request %d: %v", i, got.header)
		}
	}
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}
