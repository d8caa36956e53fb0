package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/httpcache"
)

// rule is a case of RFC 9111: a response is fetched, time passes, and a second request is made.
type rule struct {
	name   string
	o      httpcache.Options
	first  []string // header lines of the first request
	status int      // of the first response; 0 is 200
	head   []string // its header lines
	wait   time.Duration
	second []string // header lines of the second request
	down   bool     // the origin then answers 503
	want   string   // "hit", "fetch", "validate", "504"
	only   way
}

func (c rule) run(t *testing.T, w way) {
	s := newSite(t, w, c.o)
	if c.status == 0 {
		c.status = 200
	}
	s.answer(c.status, "first", c.head...)
	if got := s.get("/page", c.first...); got.body != "first" && c.status != 204 && c.status != 304 {
		t.Fatalf("first: %+v", got)
	}
	s.Advance(c.wait)
	if c.down {
		s.answer(503, "down")
	} else {
		s.answer(c.status, "second", c.head...)
	}
	got := s.get("/page", c.second...)
	conditional := s.asked() == 2 && (s.last().Header.Get("If-None-Match") != "" || s.last().Header.Get("If-Modified-Since") != "")
	switch c.want {
	case "hit":
		if !got.cached() || s.asked() != 1 || got.body != "first" || got.header.Get("Age") == "" {
			t.Errorf("no hit: %+v", got)
		}
	case "fetch":
		if got.cached() || s.asked() != 2 || conditional || got.body == "first" && c.status == 200 {
			t.Errorf("not fetched: %+v, %v", got, s.last().Header)
		}
	case "validate":
		if got.cached() || s.asked() != 2 || !conditional {
			t.Errorf("not validated: %+v", got)
		}
	case "stale": // asked, and the stored response stands in
		if s.asked() != 2 || got.body != "first" || got.status != 200 {
			t.Errorf("not the stale response: %+v", got)
		}
	case "504":
		if got.status != 504 || s.asked() != 1 {
			t.Errorf("not refused: %+v", got)
		}
	default:
		t.Fatalf("want %q?", c.want)
	}
}

var heuristic = httpcache.Options{Heuristic: 0.1}

func cc(directives string) []string { return []string{"Cache-Control: " + directives} }

var rules = []rule{
	// Freshness
	{name: "max-age", head: cc("max-age=10"), wait: 9 * time.Second, want: "hit"},
	{name: "max-age over", head: cc("max-age=10"), wait: 10 * time.Second, want: "fetch"},
	{name: "max-age 0", head: cc("max-age=0"), want: "fetch"},
	{name: "max-age huge", head: cc("max-age=99999999999"), wait: time.Hour, want: "hit"},
	{name: "max-age beyond 64 bits", head: cc("max-age=99999999999999999999999"), wait: time.Hour, want: "hit"},
	{name: "max-age negative", head: cc("max-age=-10"), want: "fetch"},
	{name: "max-age no number", head: cc("max-age=ten"), want: "fetch"},
	{name: "max-age decimal", head: cc("max-age=10.5"), want: "fetch"},
	{name: "max-age empty", head: cc("max-age="), want: "fetch"},
	{name: "max-age quoted", head: cc(`max-age="10"`), wait: 9 * time.Second, want: "hit"},
	{name: "max-age single quotes", head: cc(`max-age='10'`), want: "fetch"},
	{name: "max-age with space", head: cc("max-age =10"), want: "fetch"},
	{name: "max-age leading zeros", head: cc("max-age=0010"), wait: 9 * time.Second, want: "hit"},
	{name: "max-age twice", head: cc("max-age=100, max-age=1"), wait: 5 * time.Second, want: "fetch"},
	{name: "max-age in a quoted string", head: cc(`ext="max-age=100, ", max-age=1`), wait: 5 * time.Second, want: "fetch"},
	{name: "case", head: cc("MaX-aGe=10"), want: "hit"},
	{name: "extension", head: cc(`foo, bar="x,y", max-age=10`), want: "hit"},
	{name: "two lines", head: []string{"Cache-Control: public", "Cache-Control: max-age=10"}, want: "hit"},
	{name: "s-maxage wins", head: cc("max-age=1, s-maxage=10"), wait: 5 * time.Second, want: "hit"},
	{name: "s-maxage short", head: cc("max-age=10, s-maxage=1"), wait: 5 * time.Second, want: "fetch"},
	{name: "s-maxage private cache", o: httpcache.Options{Private: true}, head: cc("max-age=1, s-maxage=10"), wait: 5 * time.Second, want: "fetch"},
	{name: "expires", head: []string{"Expires: {10s}"}, wait: 9 * time.Second, want: "hit"},
	{name: "expires over", head: []string{"Expires: {10s}"}, wait: 10 * time.Second, want: "fetch"},
	{name: "expires past", head: []string{"Expires: {-10s}"}, want: "fetch"},
	{name: "expires 0", head: []string{"Expires: 0"}, want: "fetch"},
	{name: "expires with max-age", head: []string{"Expires: {1s}", "Cache-Control: max-age=10"}, wait: 5 * time.Second, want: "hit"},
	{name: "expires with max-age 0", head: []string{"Expires: {100s}", "Cache-Control: max-age=0"}, want: "fetch"},
	{name: "nothing said", want: "fetch"},
	{name: "default TTL", o: httpcache.Options{DefaultTTL: 10 * time.Second}, wait: 9 * time.Second, want: "hit"},
	{name: "default TTL not with a cookie", o: httpcache.Options{DefaultTTL: 10 * time.Second}, first: []string{"Cookie: a=b"}, want: "fetch"},
	{name: "default TTL not against max-age", o: httpcache.Options{DefaultTTL: time.Hour}, head: cc("max-age=1"), wait: 5 * time.Second, want: "fetch"},
	{name: "age", head: []string{"Cache-Control: max-age=10", "Age: 5"}, wait: 4 * time.Second, want: "hit"},
	{name: "age over", head: []string{"Cache-Control: max-age=10", "Age: 5"}, wait: 5 * time.Second, want: "fetch"},
	{name: "age no number", head: []string{"Cache-Control: max-age=10", "Age: old"}, wait: 5 * time.Second, want: "hit"},
	{name: "age first of two", head: []string{"Cache-Control: max-age=10", "Age: 20, 0"}, want: "fetch"},
	{name: "apparent age", head: []string{"Cache-Control: max-age=10", "Date: {-20s}"}, want: "fetch"},
	{name: "heuristic", o: heuristic, head: []string{"Last-Modified: {-100s}"}, wait: 9 * time.Second, want: "hit"},
	{name: "heuristic over", o: heuristic, head: []string{"Last-Modified: {-100s}"}, wait: 10 * time.Second, want: "validate"},
	{name: "heuristic at most a day", o: heuristic, head: []string{"Last-Modified: {-8760h}"}, wait: 24 * time.Hour, want: "fetch"},
	{name: "heuristic 201", o: heuristic, status: 201, head: []string{"Last-Modified: {-1000s}"}, want: "fetch"},
	{name: "heuristic 404", o: heuristic, status: 404, head: []string{"Last-Modified: {-1000s}"}, want: "hit"},
	{name: "heuristic off by default", only: asHandler, head: []string{"Last-Modified: {-1000s}"}, want: "fetch"},
	{name: "heuristic on by default", only: asTransport, head: []string{"Last-Modified: {-1000s}"}, want: "hit"},
	{name: "heuristic never", o: httpcache.Options{Heuristic: -1}, only: asTransport, head: []string{"Last-Modified: {-1000s}"}, want: "fetch"},

	// What may be stored
	{name: "no-store", head: cc("max-age=10, no-store"), want: "fetch"},
	{name: "private", head: cc("max-age=10, private"), want: "fetch"},
	{name: "private cache", o: httpcache.Options{Private: true}, head: cc("max-age=10, private"), want: "hit"},
	{name: "set-cookie", head: []string{"Cache-Control: max-age=10, public", "Set-Cookie: a=b"}, want: "fetch"},
	{name: "no-cache", head: cc("max-age=10, no-cache"), want: "fetch"},
	{name: "no-cache etag", head: []string{"Cache-Control: max-age=10, no-cache", `Etag: "1"`}, want: "validate"},
	{name: "no-cache alone etag", head: []string{"Cache-Control: no-cache", `Etag: "1"`}, want: "validate"},
	{name: "authorization", first: []string{"Authorization: me"}, head: cc("max-age=10"), want: "fetch"},
	{name: "authorization public", first: []string{"Authorization: me"}, head: cc("max-age=10, public"), want: "hit"},
	{name: "authorization s-maxage", first: []string{"Authorization: me"}, head: cc("s-maxage=10"), want: "hit"},
	{name: "authorization private cache", o: httpcache.Options{Private: true}, first: []string{"Authorization: me"}, head: cc("max-age=10"), want: "hit"},
	{name: "must-understand", head: cc("max-age=10, no-store, must-understand"), want: "hit"},
	{name: "must-understand 299", status: 299, head: cc("max-age=10, no-store, must-understand"), want: "fetch"},
	{name: "404", status: 404, head: cc("max-age=10"), want: "hit"},
	{name: "500", status: 500, head: cc("max-age=10"), want: "hit"},
	{name: "204", status: 204, head: cc("max-age=10"), want: "fetch204"},
	{name: "206", status: 206, head: []string{"Cache-Control: max-age=10", "Content-Range: bytes 0-4/10"}, want: "fetch"},
	{name: "206 unasked", status: 206, head: cc("max-age=10"), want: "fetch"},
	{name: "trailer", only: asHandler, head: []string{"Cache-Control: max-age=10", "Trailer: X-Sum"}, want: "fetch"},
	{name: "newline in a header", only: asHandler, head: []string{"Cache-Control: max-age=10", "X: a\r\nSet-Cookie: b=c"}, want: "fetch"},
	{name: "header bomb", head: []string{"Cache-Control: max-age=10", "X: " + strings.Repeat("x", 70<<10)}, want: "fetch"},
	{name: "too many groups", head: []string{"Cache-Control: max-age=10", "Cache-Groups: " + strings.Repeat(`"a", `, 3) + manyGroups()}, want: "fetch"},

	// Vary
	{name: "vary same", first: []string{"Foo: 1"}, head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, second: []string{"Foo: 1"}, want: "hit"},
	{name: "vary other", first: []string{"Foo: 1"}, head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, second: []string{"Foo: 2"}, want: "fetch"},
	{name: "vary missing", first: []string{"Foo: 1"}, head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, want: "fetch"},
	{name: "vary missing is not empty", first: []string{"Foo: "}, head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, want: "fetch"},
	{name: "vary added", head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, second: []string{"Foo: 1"}, want: "fetch"},
	{name: "vary both missing", head: []string{"Cache-Control: max-age=10", "Vary: Foo, Bar"}, want: "hit"},
	{name: "vary star", head: []string{"Cache-Control: max-age=10", "Vary: *"}, want: "fetch"},
	{name: "vary star among", head: []string{"Cache-Control: max-age=10", "Vary: Foo, *"}, want: "fetch"},
	{name: "vary star second line", head: []string{"Cache-Control: max-age=10", "Vary: Foo", "Vary: *"}, want: "fetch"},
	{name: "vary huge", head: []string{"Cache-Control: max-age=10", "Vary: " + strings.Repeat("Foo, ", 100)}, want: "fetch"},
	{name: "vary long name", head: []string{"Cache-Control: max-age=10", "Vary: " + strings.Repeat("F", 600)}, want: "fetch"},
	{name: "vary lines joined", first: []string{"Foo: 1, 2"}, head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, second: []string{"Foo: 1", "Foo: 2"}, want: "hit"},
	{name: "vary language", first: []string{"Accept-Language: en, de"}, head: []string{"Cache-Control: max-age=10", "Vary: accept-language"}, second: []string{"Accept-Language: EN,de "}, want: "hit"},
	{name: "vary language order", first: []string{"Accept-Language: en, de"}, head: []string{"Cache-Control: max-age=10", "Vary: accept-language"}, second: []string{"Accept-Language: de, en"}, want: "fetch"},
	{name: "vary type order", first: []string{"Accept: text/html, application/json"}, head: []string{"Cache-Control: max-age=10", "Vary: accept"}, second: []string{"Accept: application/json, text/html"}, want: "fetch"},
	{name: "vary encoding order", first: []string{"Accept-Encoding: gzip, br"}, head: []string{"Cache-Control: max-age=10", "Vary: accept-encoding"}, second: []string{"Accept-Encoding: BR, gzip"}, want: "hit"},
	{name: "vary language weights", first: []string{"Accept-Language: en, de;q=0.5"}, head: []string{"Cache-Control: max-age=10", "Vary: accept-language"}, second: []string{"Accept-Language: de, en;q=0.5"}, want: "fetch"},
	{name: "vary not listed", first: []string{"Foo: 1", "Bar: 1"}, head: []string{"Cache-Control: max-age=10", "Vary: Foo"}, second: []string{"Foo: 1", "Bar: 2"}, want: "hit"},

	// Directives of requests
	{name: "request no-cache", head: []string{"Cache-Control: max-age=10", `Etag: "1"`}, second: cc("no-cache"), want: "validate"},
	{name: "request no-cache ignored", only: asHandler, o: httpcache.Options{IgnoreRequests: true}, head: cc("max-age=10"), second: cc("no-cache"), want: "hit"},
	{name: "request no-store", head: cc("max-age=10"), second: cc("no-store"), want: "fetch"},
	{name: "request max-age", head: cc("max-age=10"), wait: 5 * time.Second, second: cc("max-age=4"), want: "fetch"},
	{name: "request max-age enough", head: cc("max-age=10"), wait: 5 * time.Second, second: cc("max-age=6"), want: "hit"},
	{name: "request max-age immutable", head: cc("max-age=10, immutable"), wait: 5 * time.Second, second: cc("max-age=0"), want: "hit"},
	{name: "request no-cache immutable", head: cc("max-age=10, immutable"), second: cc("no-cache"), want: "fetch"},
	{name: "request min-fresh", head: cc("max-age=10"), wait: 5 * time.Second, second: cc("min-fresh=6"), want: "fetch"},
	{name: "request min-fresh enough", head: cc("max-age=10"), wait: 5 * time.Second, second: cc("min-fresh=5"), want: "hit"},
	{name: "request max-stale", head: cc("max-age=10"), wait: 15 * time.Second, second: cc("max-stale=5"), want: "hit"},
	{name: "request max-stale any", head: cc("max-age=10"), wait: 15 * time.Second, second: cc("max-stale"), want: "hit"},
	{name: "request max-stale too stale", head: cc("max-age=10"), wait: 16 * time.Second, second: cc("max-stale=5"), want: "fetch"},
	{name: "request max-stale forbidden", head: cc("max-age=10, must-revalidate"), wait: 15 * time.Second, second: cc("max-stale=100"), want: "fetch"},
	{name: "request only-if-cached", head: cc("max-age=10"), wait: 15 * time.Second, second: cc("only-if-cached"), want: "504"},
	{name: "request only-if-cached hit", head: cc("max-age=10"), second: cc("only-if-cached"), want: "hit"},
	{name: "request pragma", head: cc("max-age=10"), second: []string{"Pragma: no-cache"}, want: "hit"},
	{name: "cookie", head: cc("max-age=10"), second: []string{"Cookie: a=b"}, want: "hit"},
	{name: "if-match goes on", head: cc("max-age=10"), second: []string{`If-Match: "1"`}, want: "fetch"},

	// Stale
	{name: "error", head: cc("max-age=10"), wait: 15 * time.Second, down: true, want: "fetch"},
	{name: "stale-if-error", head: cc("max-age=10, stale-if-error=10"), wait: 15 * time.Second, down: true, want: "stale"},
	{name: "stale-if-error over", head: cc("max-age=10, stale-if-error=10"), wait: 20 * time.Second, down: true, want: "fetch"},
	{name: "stale-if-error must-revalidate", head: cc("max-age=10, stale-if-error=10, must-revalidate"), wait: 15 * time.Second, down: true, want: "fetch"},
	{name: "stale-if-error proxy-revalidate", head: cc("max-age=10, stale-if-error=10, proxy-revalidate"), wait: 15 * time.Second, down: true, want: "fetch"},
	{name: "stale-if-error option", o: httpcache.Options{StaleIfError: time.Minute}, head: cc("max-age=10"), wait: 15 * time.Second, down: true, want: "stale"},
	{name: "stale-if-error option s-maxage", o: httpcache.Options{StaleIfError: time.Minute}, head: cc("s-maxage=10"), wait: 15 * time.Second, down: true, want: "fetch"},
	{name: "stale-while-revalidate", head: cc("max-age=10, stale-while-revalidate=10"), wait: 15 * time.Second, want: "background"},
	{name: "stale-while-revalidate over", head: cc("max-age=10, stale-while-revalidate=10"), wait: 20 * time.Second, want: "fetch"},
	{name: "stale-while-revalidate must-revalidate", head: cc("max-age=10, stale-while-revalidate=10, must-revalidate"), wait: 15 * time.Second, want: "fetch"},

	// Validation
	{name: "etag", head: []string{"Cache-Control: max-age=10", `Etag: "1"`}, wait: 15 * time.Second, want: "validate"},
	{name: "last-modified", head: []string{"Cache-Control: max-age=10", "Last-Modified: {-1h}"}, wait: 15 * time.Second, want: "validate"},
	{name: "kept no longer", o: httpcache.Options{KeepStale: time.Minute}, head: []string{"Cache-Control: max-age=10", `Etag: "1"`}, wait: 71 * time.Second, want: "fetch"},
}

func manyGroups() string {
	var b strings.Builder
	for i := range 70 {
		b.WriteString(`"g`)
		b.WriteString(strings.Repeat("x", i))
		b.WriteString(`", `)
	}
	return b.String()
}

func TestRules(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		for _, c := range rules {
			if c.only != "" && c.only != w {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				switch c.want {
				case "background":
					c.background(t, w)
				case "fetch204":
					s := newSite(t, w, c.o)
					s.answer(204, "", c.head...)
					s.get("/page")
					if got := s.get("/page"); !got.cached() || got.status != 204 || got.header.Get("Content-Length") != "" {
						t.Errorf("%+v", got)
					}
				default:
					c.run(t, w)
				}
			})
		}
	})
}

// background is a rule whose second answer is stale while another is fetched.
func (c rule) background(t *testing.T, w way) {
	s := newSite(t, w, c.o)
	s.answer(200, "first", c.head...)
	s.get("/page")
	s.Advance(c.wait)
	s.answer(200, "second", c.head...)
	if got := s.get("/page"); !got.cached() || got.body != "first" {
		t.Fatalf("%+v", got)
	}
	if err := s.cache.Close(t.Context()); err != nil { // waits for the background
		t.Fatal(err)
	}
	if got := s.get("/page"); got.body != "second" || s.asked() != 2 {
		t.Errorf("%+v after %d", got, s.asked())
	}
}

func TestAge(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := newSite(t, w, httpcache.Options{})
		s.answer(200, "x", "Cache-Control: max-age=100", "Age: 30")
		s.get("/")
		s.Advance(7 * time.Second)
		got := s.get("/")
		if got.header.Get("Age") != "37" || got.header.Get("Cache-Status") != "larder; hit; ttl=63" {
			t.Errorf("Age %q, %q", got.header.Get("Age"), got.header["Cache-Status"])
		}
		if got.header.Get("Date") != s.Now().Add(-7*time.Second).Format(http.TimeFormat) {
			t.Errorf("Date %q", got.header.Get("Date"))
		}
	})
}

func TestNotModifiedFromStore(t *testing.T) {
	for _, c := range []struct {
		name string
		head []string
		cond string
		want int
	}{
		{"etag", []string{`Etag: "a"`}, `If-None-Match: "a"`, 304},
		{"other", []string{`Etag: "a"`}, `If-None-Match: "b"`, 200},
		{"weak", []string{`Etag: W/"a"`}, `If-None-Match: "a"`, 304},
		{"weak asked", []string{`Etag: "a"`}, `If-None-Match: W/"a"`, 304},
		{"one of many", []string{`Etag: "a,b"`}, `If-None-Match: "x", "a,b", "y"`, 304},
		{"star", nil, `If-None-Match: *`, 304},
		{"date", []string{"Last-Modified: {-1h}"}, "If-Modified-Since: {-1h}", 304},
		{"later date", []string{"Last-Modified: {-1h}"}, "If-Modified-Since: {-30m}", 304},
		{"earlier date", []string{"Last-Modified: {-1h}"}, "If-Modified-Since: {-2h}", 200},
		{"bad date", []string{"Last-Modified: {-1h}"}, "If-Modified-Since: yesterday", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, w way) {
				s := newSite(t, w, httpcache.Options{})
				s.answer(200, "body", append(c.head, "Cache-Control: max-age=10", "Content-Type: text/x")...)
				s.get("/")
				got := s.get("/", c.cond)
				if got.status != c.want || !got.cached() || (got.body == "") != (c.want == 304) {
					t.Errorf("%+v", got)
				}
				if c.want == 304 && (got.header.Get("Content-Type") != "" || got.header.Get("Content-Length") != "" || got.header.Get("Cache-Control") == "") {
					t.Errorf("header of 304: %v", got.header)
				}
			})
		})
	}
}

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		ask, ifRange string
		status       int
		body, what   string
	}{
		{"bytes=0-1", "", 206, "01", "bytes 0-1/10"},
		{"bytes=4-", "", 206, "456789", "bytes 4-9/10"},
		{"bytes=-3", "", 206, "789", "bytes 7-9/10"},
		{"bytes=-30", "", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=5-100", "", 206, "56789", "bytes 5-9/10"},
		{"bytes=10-", "", 416, "", "bytes */10"},
		{"bytes=-0", "", 416, "", "bytes */10"},
		{"bytes=5-4", "", 200, "0123456789", ""},
		{"bytes=0-1,3-4", "", 200, "0123456789", ""},
		{"lines=0-1", "", 200, "0123456789", ""},
		{"bytes=99999999999999999999-", "", 200, "0123456789", ""},
		{"bytes=0-1", `"tag"`, 206, "01", "bytes 0-1/10"},
		{"bytes=0-1", `"other"`, 200, "0123456789", ""},
		{"bytes=0-1", `W/"tag"`, 200, "0123456789", ""},
	} {
		both(t, func(t *testing.T, w way) {
			s := newSite(t, w, httpcache.Options{})
			s.answer(200, "0123456789", "Cache-Control: max-age=10", `Etag: "tag"`)
			s.get("/")
			lines := []string{"Range: " + c.ask}
			if c.ifRange != "" {
				lines = append(lines, "If-Range: "+c.ifRange)
			}
			got := s.get("/", lines...)
			if got.status != c.status || got.body != c.body || got.header.Get("Content-Range") != c.what || !got.cached() {
				t.Errorf("%s %s: %+v", c.ask, c.ifRange, got)
			}
		})
	}
}

func TestHeadFromGet(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := newSite(t, w, httpcache.Options{})
		s.answer(200, "<html>hello", "Cache-Control: max-age=10")
		s.get("/")
		got := s.send(s.request("HEAD", "/"))
		if !got.cached() || got.body != "" || got.header.Get("Content-Length") != "11" || w == asHandler && !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Errorf("%+v", got)
		}
		s.send(s.request("HEAD", "/other"))
		if got := s.get("/other"); got.cached() || got.body == "" {
			t.Errorf("GET after HEAD: %+v", got)
		}
	})
}

func TestRenewedBy304(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := newSite(t, w, httpcache.Options{})
		s.answer(200, "body", "Cache-Control: max-age=10", `Etag: "1"`, "X: old", "Y: kept")
		s.get("/")
		s.Advance(15 * time.Second)
		s.answer(200, "never", "Cache-Control: max-age=20", `Etag: "1"`, "X: new", "Content-Length: 99")
		got := s.get("/")
		if got.status != 200 || got.body != "body" || got.header.Get("X") != "new" || got.header.Get("Y") != "kept" || got.header.Get("Content-Length") != "4" {
			t.Fatalf("%+v", got)
		}
		s.Advance(15 * time.Second)
		if got := s.get("/"); !got.cached() || got.header.Get("X") != "new" || got.header.Get("Age") != "15" {
			t.Errorf("%+v", got)
		}
		s.Advance(10 * time.Second)
		if got := s.get("/", `If-None-Match: "1"`); got.status != 304 || s.asked() != 3 {
			t.Errorf("%+v", got)
		}
	})
}

func TestStripped(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := newSite(t, w, httpcache.Options{})
		s.answer(200, "x", `Cache-Control: max-age=10, no-cache="A, b", private="c"`, "A: 1", "B: 2", "C: 3", "D: 4", "Connection: e", "E: 5", "Proxy-Authenticate: x")
		if got := s.get("/"); got.header.Get("A") != "1" || got.header.Get("C") != "3" {
			t.Errorf("the first client lacks something: %v", got.header)
		}
		got := s.get("/")
		for _, name := range []string{"A", "B", "C", "E", "Connection", "Proxy-Authenticate"} {
			if got.header.Get(name) != "" {
				t.Errorf("%s was stored: %v", name, got.header)
			}
		}
		if !got.cached() || got.header.Get("D") != "4" {
			t.Errorf("%+v", got)
		}
	})
}

// TestHeadShowsChange: a HEAD that goes to the origin and tells of another representation makes the stored one stale.
func TestHeadShowsChange(t *testing.T) {
	for _, c := range []struct {
		name, head string
		changed    bool
	}{{"same", `Etag: "1"`, false}, {"other etag", `Etag: "2"`, true}, {"other length", "Content-Length: 99", true}} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, w way) {
				s := newSite(t, w, httpcache.Options{})
				s.answer(200, "body", "Cache-Control: max-age=100", `Etag: "1"`)
				s.get("/")
				s.answer(200, "", c.head)
				s.send(s.request("HEAD", "/", "Cache-Control: no-cache"))
				s.answer(200, "new", "Cache-Control: max-age=100")
				if got := s.get("/"); got.cached() == c.changed {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}
