package httpcache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/store/storetest"
)

// stub is a RoundTripper that gives what make returns, over a fresh cache.
func stub(t *testing.T, o httpcache.Options, make func(r *http.Request) *http.Response) (*site, http.RoundTripper) {
	s := newSite(t, asTransport, o)
	return s, s.cache.Transport(roundTrip(func(r *http.Request) (*http.Response, error) { return make(r), nil }))
}

func read(t *testing.T, rt http.RoundTripper, r *http.Request) (result, error) {
	t.Helper()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return result{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return result{resp.StatusCode, resp.Header, string(body)}, err
}

// TestShortBody: a body that is not as long as its response said is handed on and not stored, whoever said so.
func TestShortBody(t *testing.T) {
	for name, resp := range map[string]func() *http.Response{
		"length": func() *http.Response { return &http.Response{ContentLength: 50} },
		"header": func() *http.Response {
			return &http.Response{ContentLength: -1, Header: http.Header{"Content-Length": {"50"}}}
		},
		"too long": func() *http.Response { return &http.Response{ContentLength: 2} },
	} {
		t.Run(name, func(t *testing.T) {
			s, rt := stub(t, httpcache.Options{}, func(*http.Request) *http.Response {
				r := resp()
				r.StatusCode, r.Body = 200, io.NopCloser(strings.NewReader("short"))
				if r.Header == nil {
					r.Header = http.Header{}
				}
				r.Header.Set("Cache-Control", "max-age=100")
				return r
			})
			for range 2 {
				if got, err := read(t, rt, s.request("GET", "/")); got.body != "short" || got.cached() || err != nil {
					t.Errorf("%+v, %v", got, err)
				}
			}
		})
	}
}

// TestLateTrailers: trailers that no header announced reach a client's caller, and are not forgotten by storing without
// them.
func TestLateTrailers(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Cache-Control", "max-age=100")
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
	}))
	defer srv.Close()
	s := newSite(t, asTransport, httpcache.Options{})
	client := &http.Client{Transport: s.cache.Transport(srv.Client().Transport)}
	for range 2 {
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "body" || err != nil || resp.Trailer.Get("X-Sum") != "42" {
			t.Errorf("%q, %v, trailer %v", body, err, resp.Trailer)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

// TestSloppyOrigin: what a RoundTripper may not return does not panic, and names in odd case count as what they are.
func TestSloppyOrigin(t *testing.T) {
	s, rt := stub(t, httpcache.Options{}, func(r *http.Request) *http.Response {
		switch r.URL.Path {
		case "/none":
			return nil
		case "/bare":
			return &http.Response{StatusCode: 200}
		}
		return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(strings.NewReader("x")),
			Header: http.Header{"cache-control": {"max-age=100"}, "set-cookie": {"a=b"}}}
	})
	for _, method := range []string{"GET", "HEAD", "POST"} {
		if _, err := read(t, rt, s.request(method, "/none")); err == nil {
			t.Errorf("%s: no response and no error", method)
		}
		if got, err := read(t, rt, s.request(method, "/bare")); err != nil || got.status != 200 {
			t.Errorf("%s: %+v, %v", method, got, err)
		}
	}
	for range 2 {
		if got, err := read(t, rt, s.request("GET", "/cookie")); err != nil || got.cached() {
			t.Errorf("a cookie was stored: %+v, %v", got, err)
		}
	}
	if _, err := s.cache.Transport(nil).RoundTrip(&http.Request{Method: "GET"}); err == nil {
		t.Error("a request without a URL went somewhere")
	}
}

// TestOddRequest: credentials under names in odd case are credentials, for they are sent as such.
func TestOddRequest(t *testing.T) {
	s := newSite(t, asTransport, httpcache.Options{})
	s.answer(200, "mine", "Cache-Control: max-age=100")
	r := s.request("GET", "/")
	asWritten := strings.ToLower("Authorization")
	r.Header[asWritten] = []string{"me"}
	s.send(r)
	if len(s.last().Header[asWritten]) == 0 {
		t.Errorf("the origin saw %v", s.last().Header)
	}
	if got := s.get("/"); got.cached() {
		t.Errorf("%+v", got)
	}
}

// TestNoCap: the largest number is a cap like others.
func TestNoCap(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := newSite(t, w, httpcache.Options{MaxBody: math.MaxInt})
		s.answer(200, "body", "Cache-Control: max-age=100")
		s.get("/")
		if got := s.get("/"); got.body != "body" || !got.cached() {
			t.Errorf("%+v", got)
		}
	})
}

// TestBodyPanics: a body that panics while it is read ahead fails for its reader, who does not wait for ever.
func TestBodyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told error
		c, err := httpcache.New(storetest.NewMemory(), httpcache.Options{Prefix: "http:", OnError: func(_ context.Context, err error) { told = err }})
		if err != nil {
			t.Fatal(err)
		}
		rt := c.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=100"}}, ContentLength: -1,
				Body: io.NopCloser(io.MultiReader(strings.NewReader("half"), panicking{}))}, nil
		}))
		r, _ := http.NewRequest("GET", "http://site.example/", nil)
		got, err := read(t, rt, r)
		synctest.Wait()
		if got.body != "half" || err == nil || errors.Is(err, io.EOF) || c.Flights() != 0 || told == nil {
			t.Errorf("%+v, %v; told %v", got, err, told)
		}
	})
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("boom") }

// TestManyFields: a response that lists more fields than anybody has costs nothing, and is not stored.
func TestManyFields(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		for _, line := range []string{`Cache-Control: max-age=100, no-cache="` + strings.Repeat("x,", 200) + `"`, "Connection: " + strings.Repeat("x,", 200)} {
			s := newSite(t, w, httpcache.Options{})
			s.answer(200, "body", "Cache-Control: max-age=100", line)
			s.get("/")
			if got := s.get("/"); got.cached() {
				t.Errorf("stored with %.40s", line)
			}
		}
	})
}

// TestLongHost: what claims a host that no name can be is left alone, so that nothing remembers it.
func TestLongHost(t *testing.T) {
	s := newSite(t, asHandler, httpcache.Options{})
	s.answer(200, "body", "Cache-Control: max-age=100", `Cache-Groups: "g"`)
	for range 2 {
		r := s.request("GET", "/")
		r.Host = strings.Repeat("h", 100_000)
		if got := s.send(r); got.status != 200 || got.cached() {
			t.Errorf("%+v", got)
		}
	}
}

// TestParsedForm: what the key leaves out of the query is not there in a form that was parsed around the cache either.
func TestParsedForm(t *testing.T) {
	s := newSite(t, asHandler, httpcache.Options{Key: httpcache.KeyPolicy{QueryExcept: []string{"utm_*"}}})
	s.origin = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=100")
		io.WriteString(w, r.FormValue("a")+r.FormValue("utm_source"))
	}
	r := s.request("GET", "/?a=1&utm_source=evil")
	if err := r.ParseForm(); err != nil {
		t.Fatal(err)
	}
	if got := s.send(r); got.body != "1" {
		t.Errorf("%+v", got)
	}
	if r.Form.Get("utm_source") != "evil" {
		t.Error("the caller's request was changed")
	}
}

// TestReadAhead: a body is stored whole whatever pieces it comes in.
func TestReadAhead(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 40_000, 1 << 20} {
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		s, rt := stub(t, httpcache.Options{}, func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{"Cache-Control": {"max-age=100"}},
				Body: io.NopCloser(&dripping{bytes.NewReader(want)})}
		})
		for i := range 2 {
			if got, err := read(t, rt, s.request("GET", "/")); got.body != string(want) || err != nil || got.cached() != (i == 1) {
				t.Errorf("%d bytes: got %d, %v, %v", size, len(got.body), got.header, err)
			}
		}
	}
}

// dripping gives odd numbers of bytes, and now and then none.
type dripping struct{ r *bytes.Reader }

func (d *dripping) Read(p []byte) (int, error) {
	return d.r.Read(p[:min(len(p), d.r.Len()%700)|min(len(p), 1)])
}
