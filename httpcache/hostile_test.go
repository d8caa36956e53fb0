package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderdb/larder/httpcache"
)

// reflect is a site whose answers show what a careless framework makes of a request.
func reflect(t *testing.T, w way, o httpcache.Options) *site {
	s := newSite(t, w, o)
	s.origin = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "max-age=100")
		fmt.Fprint(w, r.Method, " ", r.URL.RawQuery, " ", string(body))
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Uri", "X-Original-Uri", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Original-Url", "X-Rewrite-Url", "X-Host", "X-Http-Method-Override", "Forwarded"} {
			fmt.Fprint(w, " ", r.Header.Get(name))
		}
	}
	return s
}

// TestPoison: nothing that one client sends shows in what another one gets.
func TestPoison(t *testing.T) {
	const evil = "evil.example"
	for _, attack := range []string{
		"X-Forwarded-Host: " + evil, "X-Forwarded-Uri: /" + evil, "X-Original-Uri: /" + evil, "X-Forwarded-Proto: " + evil, "X-Forwarded-Scheme: " + evil, "X-Original-Url: /" + evil,
		"X-Rewrite-Url: /" + evil, "X-Host: " + evil, "X-Http-Method-Override: " + evil, "Forwarded: for=1.2.3.4; host=" + evil,
		"Range: bytes=0-1", "If-None-Match: *", "Upgrade: " + evil,
	} {
		both(t, func(t *testing.T, w way) {
			s := reflect(t, w, httpcache.Options{})
			s.get("/", attack)
			got := s.get("/")
			if got.status != 200 || strings.Contains(got.body, evil) || !strings.HasPrefix(got.body, "GET") {
				t.Errorf("%s: the next client got %+v", attack, got)
			}
			if again := s.get("/"); !again.cached() {
				t.Errorf("%s: keeps the cache from working: %+v", attack, again)
			}
			if mine := s.get("/", attack); strings.HasPrefix(attack, "X-") && !strings.Contains(mine.body, evil) {
				t.Errorf("%s: answered with another's response: %+v", attack, mine)
			}
		})
	}
}

// TestForwardedKeyed: behind a proxy that always sends such a header hits are hits, and a purge finds them.
func TestForwardedKeyed(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := reflect(t, w, httpcache.Options{})
		const proto, other = "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"
		s.get("/", proto)
		s.get("/", other)
		s.get("/")
		for _, line := range []string{proto, other, "X-Other: x", "Forwarded: for=9.9.9.9"} {
			if got := s.get("/", line); !got.cached() {
				t.Errorf("%s: %+v", line, got)
			}
		}
		if err := s.cache.Purge(t.Context(), "https://site.example/"); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{proto, other, "X-Other: x"} {
			if got := s.get("/", line); got.cached() {
				t.Errorf("after the purge, %s: %+v", line, got)
			}
		}
	})
}

// TestFatGet: a GET with a body, whose answer may depend on it, leaves the cache alone.
func TestFatGet(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := reflect(t, w, httpcache.Options{})
		r := httptest.NewRequest("GET", "http://site.example/", strings.NewReader("evil"))
		s.send(r)
		if got := s.get("/"); strings.Contains(got.body, "evil") || got.cached() {
			t.Errorf("%+v", got)
		}
	})
}

func TestQueryPolicy(t *testing.T) {
	for _, c := range []struct {
		name string
		key  httpcache.KeyPolicy
		a, b string
		same bool
		seen string // by the origin; "" for as it was
	}{
		{"order", httpcache.KeyPolicy{}, "a=1&b=2", "b=2&a=1", true, ""},
		{"order of one name", httpcache.KeyPolicy{}, "a=1&a=2", "a=2&a=1", false, ""},
		{"order kept", httpcache.KeyPolicy{KeepOrder: true}, "a=1&b=2", "b=2&a=1", false, ""},
		{"values", httpcache.KeyPolicy{}, "a=1", "a=2", false, ""},
		{"empty", httpcache.KeyPolicy{}, "a", "a=", false, ""},
		{"allowed", httpcache.KeyPolicy{Query: []string{"a"}}, "a=1&b=2", "a=1&b=3", true, "a=1"},
		{"allowed differs", httpcache.KeyPolicy{Query: []string{"a"}}, "a=1&b=2", "a=2&b=2", false, "a=1"},
		{"none allowed", httpcache.KeyPolicy{Query: []string{}}, "a=1", "b=2", true, "-"},
		{"except", httpcache.KeyPolicy{QueryExcept: []string{"utm_*"}}, "a=1&utm_source=x", "a=1", true, "a=1"},
		{"except encoded", httpcache.KeyPolicy{QueryExcept: []string{"utm_*"}}, "a=1&utm%5Fsource=x", "a=1", true, "a=1"},
		{"cloaked", httpcache.KeyPolicy{QueryExcept: []string{"utm_*"}}, "a=1&utm_source=x;a=2", "a=1", true, "a=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, w way) {
				s := reflect(t, w, httpcache.Options{Key: c.key})
				s.get("/?" + c.a)
				want := c.seen
				if want == "" {
					want = c.a
				}
				if got := s.last().URL.RawQuery; got != strings.Trim(want, "-") {
					t.Errorf("the origin saw %q, want %q", got, want)
				}
				if got := s.get("/?" + c.b); got.cached() != c.same {
					t.Errorf("%s and %s: %+v", c.a, c.b, got)
				}
			})
		})
	}
}

func TestKeyPolicy(t *testing.T) {
	both(t, func(t *testing.T, w way) {
		s := reflect(t, w, httpcache.Options{Key: httpcache.KeyPolicy{
			Headers: []string{"x-tenant"}, Cookies: []string{"lang"},
			Partition: func(r *http.Request) string { return r.Header.Get("Role") },
		}})
		base := []string{"X-Tenant: 1", "Cookie: lang=de; other=1", "Role: admin"}
		s.get("/", base...)
		if got := s.get("/", "X-Tenant: 1", "Cookie: other=2; lang=de", "Role: admin"); !got.cached() {
			t.Errorf("the same: %+v", got)
		}
		for i, other := range []string{"X-Tenant: 2", "Cookie: lang=en", "Role: guest"} {
			lines := append([]string{}, base...)
			lines[i] = other
			if got := s.get("/", lines...); got.cached() {
				t.Errorf("%s: %+v", other, got)
			}
		}
		if got := s.get("/"); got.cached() {
			t.Errorf("none of all: %+v", got)
		}
		if got := s.get("http://other.example/"); got.cached() {
			t.Errorf("another host: %+v", got)
		}
		if got := s.get("http://SITE.example:80/"); !got.cached() {
			t.Errorf("the same host: %+v", got)
		}
		if got := s.get("https://site.example/"); got.cached() {
			t.Errorf("another scheme: %+v", got)
		}
		if got := s.get("/%2e"); got.cached() {
			t.Errorf("another path: %+v", got)
		}
	})
}

func TestIgnoreHost(t *testing.T) {
	s := reflect(t, asHandler, httpcache.Options{Key: httpcache.KeyPolicy{IgnoreHost: true}})
	s.get("http://a.example/x")
	if got := s.get("http://b.example/x"); !got.cached() {
		t.Errorf("%+v", got)
	}
	if err := s.cache.Purge(t.Context(), "/x"); err != nil {
		t.Fatal(err)
	}
	if got := s.get("http://a.example/x"); got.cached() {
		t.Errorf("%+v", got)
	}
}

// TestInvalidation: unsafe methods and what they name (RFC 9111, 4.4; RFC 9875).
func TestInvalidation(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		status int
		head   []string
		gone   []string // of /a?x=1 (its URL), /b, /c, https /b, group member /g
	}{
		{"post", "POST", 200, nil, []string{"/a"}},
		{"unknown method", "M-SEARCH", 200, nil, []string{"/a"}},
		{"redirect", "POST", 303, nil, []string{"/a"}},
		{"failed", "PUT", 500, nil, nil},
		{"refused", "DELETE", 403, nil, nil},
		{"location", "POST", 201, []string{"Location: /b"}, []string{"/a", "/b"}},
		{"relative", "POST", 201, []string{"Location: b"}, []string{"/a", "/b"}},
		{"absolute", "POST", 201, []string{"Content-Location: http://site.example/b"}, []string{"/a", "/b"}},
		{"both", "POST", 201, []string{"Content-Location: /c", "Location: /b"}, []string{"/a", "/b", "/c"}},
		{"other origin", "POST", 201, []string{"Location: http://other.example/b"}, []string{"/a"}},
		{"other origin looks alike", "POST", 201, []string{"Location: //site.example.evil/b"}, []string{"/a"}},
		{"no URL", "POST", 201, []string{"Location: http://%zz/"}, []string{"/a"}},
		{"group", "POST", 204, []string{`Cache-Group-Invalidation: "x", "scripts"`}, []string{"/a", "/g"}},
		{"group of a failure", "POST", 500, []string{`Cache-Group-Invalidation: "scripts"`}, nil},
		{"options", "OPTIONS", 200, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, w way) {
				s := newSite(t, w, httpcache.Options{})
				pages := []string{"/a", "/b", "/c", "/g", "http://other.example/b"}
				for _, p := range pages {
					lines := []string{"Cache-Control: max-age=100"}
					if p == "/g" {
						lines = append(lines, `Cache-Groups: "scripts";v=1, "more"`)
					}
					s.answer(200, p, lines...)
					s.get(p)
				}
				s.answer(c.status, "", c.head...)
				s.send(s.request(c.method, "/a"))
				s.answer(200, "new", "Cache-Control: max-age=100")
				for _, p := range pages {
					gone := strings.Contains(strings.Join(c.gone, " ")+" ", p+" ")
					if got := s.get(p); got.cached() == gone {
						t.Errorf("%s: gone %v, want %v", p, !got.cached(), gone)
					}
				}
			})
		})
	}
}

func TestSoftPurge(t *testing.T) {
	purges := map[string]func(s *site) error{
		"url":   func(s *site) error { return s.cache.SoftPurge(s.Context(), "http://site.example/") },
		"group": func(s *site) error { return s.cache.SoftPurgeGroups(s.Context(), "site.example", "g") },
		"all":   func(s *site) error { return s.cache.SoftPurgeAll(s.Context()) },
	}
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w way) {
				for _, vary := range []string{"", "Vary: Foo"} {
					s := newSite(t, w, httpcache.Options{})
					head := []string{"Cache-Control: max-age=100, stale-if-error=100", `Cache-Groups: "g"`, `Etag: "1"`}
					if vary != "" {
						head = append(head, vary)
					}
					s.answer(200, "old", head...)
					s.get("/")
					if err := purge(s); err != nil {
						t.Fatal(err)
					}
					s.answer(503, "down")
					if got := s.get("/"); got.status != 200 || got.body != "old" || s.asked() != 2 {
						t.Errorf("origin down: %+v", got)
					}
					s.answer(200, "old", head...) // 304
					if got := s.get("/"); got.body != "old" || s.asked() != 3 || s.last().Header.Get("If-None-Match") != `"1"` {
						t.Errorf("not validated: %+v", got)
					}
					if got := s.get("/"); !got.cached() {
						t.Errorf("not fresh again: %+v", got)
					}
				}
			})
		})
	}
}

func TestBadPurges(t *testing.T) {
	s := newSite(t, asHandler, httpcache.Options{})
	for _, u := range []string{"", "/path", "site.example/x", "mailto:x", "http://%zz/"} {
		if err := s.cache.Purge(t.Context(), u); err == nil {
			t.Errorf("Purge(%q) succeeded", u)
		}
	}
	if err := s.cache.PurgeGroups(t.Context(), "h", "a", ""); err == nil {
		t.Error("a group without a name was purged")
	}
	if err := s.cache.PurgeGroups(t.Context(), "h"); err != nil {
		t.Error(err)
	}
}

// TestStripPrefix: around http.StripPrefix the key is the public URL, which a purge names.
func TestStripPrefix(t *testing.T) {
	s := newSite(t, asHandler, httpcache.Options{})
	get := func(path string) string {
		mount := func(prefix string) http.Handler {
			return s.cache.Handler(http.StripPrefix(prefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=100")
				io.WriteString(w, prefix+" "+r.URL.Path)
			})))
		}
		mux := http.NewServeMux()
		mux.Handle("/v1/", mount("/v1"))
		mux.Handle("/v2/", mount("/v2"))
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, s.request("GET", path))
		return rec.Body.String()
	}
	for range 2 {
		for _, version := range []string{"/v1", "/v2"} {
			if got := get(version + "/x"); got != version+" /x" {
				t.Errorf("%s: %q", version, got)
			}
		}
	}
	if err := s.cache.Purge(t.Context(), "http://site.example/v1/x"); err != nil {
		t.Fatal(err)
	}
	get("/v1/x")
	get("/v2/x")
	if st := s.cache.Stats(); st.Hits != 3 || st.Stored != 3 {
		t.Errorf("%+v", st)
	}
}
