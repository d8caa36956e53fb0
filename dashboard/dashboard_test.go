package dashboard_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
)

const hostile = `<img src=x onerror="pwned()"><script>pwned()</script>`

func open(t *testing.T, settings map[string]string) *larder.DB {
	t.Helper()
	leaktest.Check(t)
	db, err := larder.Open(larder.Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // again, where a test has closed it
	return db
}

// board makes a dashboard of a store.
func board(t *testing.T, st store.Store, o dashboard.Options) *dashboard.Dashboard {
	t.Helper()
	d, err := dashboard.Handler(st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // never fails
	return d
}

// request is one from this machine.
func request(method, path, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080/"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func answer(d http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// get reads JSON of the API.
func get[T any](t *testing.T, d http.Handler, path string) T {
	t.Helper()
	w := answer(d, request("GET", path, ""))
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %.300s %v", path, w.Code, w.Body, err)
	}
	return v
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func token(t *testing.T, d http.Handler) string {
	t.Helper()
	return get[struct{ Token string }](t, d, "api/me").Token
}

// change posts to the API as the page does.
func change(t *testing.T, d http.Handler, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	return answer(d, request("POST", path, body, "Content-Type", "application/json", "X-Larder-Token", token(t, d)))
}

func do(t *testing.T, st store.Store, words ...string) store.Reply {
	t.Helper()
	r := st.Do(t.Context(), words...)
	if r.Err() != nil {
		t.Fatalf("%.80q: %v", words, r.Err())
	}
	return r
}

func TestOptions(t *testing.T) {
	db := open(t, nil)
	for _, c := range []struct {
		st   store.Store
		o    dashboard.Options
		want string
	}{
		{nil, dashboard.Options{}, "no Store"},
		{db, dashboard.Options{Password: "x", NoLogin: true}, "both"},
		{db, dashboard.Options{Every: time.Millisecond}, "want 100ms"},
		{db, dashboard.Options{Limiters: []dashboard.Limiter{{Prefix: "x"}}}, "no Peek"},
		{db, dashboard.Options{Counters: []dashboard.Counters{{Name: "x"}}}, "no Read"},
	} {
		if _, err := dashboard.Handler(c.st, c.o); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

// Every response, of whatever kind, says the same to browsers.
func TestHeaders(t *testing.T) {
	d := board(t, open(t, nil), dashboard.Options{})
	for path, kind := range map[string]string{
		"": "text/html", "app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml", "api/me": "application/json", "api/keys": "application/json",
		"api/nothing": "text/plain", "../go.mod": "text/plain", "assets/app.js": "text/plain", "api/key": "application/json",
	} {
		w := answer(d, request("GET", path, ""))
		h := w.Header()
		if !strings.HasPrefix(h.Get("Content-Type"), kind) || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%q: %d %v", path, w.Code, h)
		}
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%q: no %s in %s", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "data:") {
			t.Errorf("%q: %s", path, csp)
		}
		if kind == "application/json" && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%q is kept: %q", path, h.Get("Cache-Control"))
		}
	}
}

func TestAssets(t *testing.T) {
	d := board(t, open(t, nil), dashboard.Options{})
	plain := answer(d, request("GET", "app.js", ""))
	small := answer(d, request("GET", "app.js", "", "Accept-Encoding", "gzip, br"))
	if small.Header().Get("Content-Encoding") != "gzip" || small.Body.Len() >= plain.Body.Len()/2 {
		t.Error(small.Header(), small.Body.Len(), plain.Body.Len())
	}
	same := answer(d, request("GET", "app.js", "", "If-None-Match", plain.Header().Get("ETag")))
	if same.Code != http.StatusNotModified || same.Body.Len() != 0 {
		t.Error(same.Code, same.Body.Len())
	}
	if w := answer(d, request("POST", "app.js", "")); w.Code != http.StatusMethodNotAllowed {
		t.Error(w.Code)
	}
	all := 0
	for _, name := range []string{"", "app.css", "app.js", "icon.svg", "keys.js", "lib.js", "overview.js", "patterns.js", "theme.js", "uplot.css", "uplot.js", "uplot.LICENSE"} {
		w := answer(d, request("GET", name, ""))
		if w.Code != 200 {
			t.Errorf("%q: %d", name, w.Code)
		}
		all += w.Body.Len()
		if text := w.Body.String(); !strings.HasPrefix(name, "uplot") {
			for _, never := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "http://", "https://", " style=\"", "onclick=\""} {
				if strings.Contains(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), never) {
					t.Errorf("%s contains %s", name, never)
				}
			}
		}
	}
	if all > 150_000 {
		t.Errorf("the page weighs %d bytes", all)
	}
}

// Without a password only this machine is answered, and only by its own names: a page from elsewhere whose name leads here is not.
func TestThisMachineOnly(t *testing.T) {
	d := board(t, open(t, nil), dashboard.Options{})
	for _, c := range []struct {
		from, host string
		want       int
	}{
		{"127.0.0.1:5", "127.0.0.1:8080", 200}, {"127.0.0.1:5", "localhost:8080", 200}, {"127.0.0.1:5", "LOCALHOST", 200}, {"[::1]:5", "[::1]:8080", 200}, {"[::ffff:127.0.0.1]:5", "127.0.0.1", 200},
		{"127.0.0.1:5", "evil.example:8080", 403}, {"127.0.0.1:5", "localhost.evil.example", 403}, {"127.0.0.1:5", "192.168.1.7:8080", 403}, {"127.0.0.1:5", "", 403},
		{"192.168.1.7:5", "127.0.0.1:8080", 403}, {"203.0.113.9:5", "localhost", 403}, {"", "localhost", 403}, {"[fe80::1]:5", "localhost", 403},
	} {
		r := request("GET", "api/me", "")
		r.RemoteAddr, r.Host = c.from, c.host
		if w := answer(d, r); w.Code != c.want {
			t.Errorf("from %q to %q: %d", c.from, c.host, w.Code)
		}
	}
	free := board(t, open(t, nil), dashboard.Options{NoLogin: true})
	r := request("GET", "api/me", "")
	r.RemoteAddr, r.Host = "203.0.113.9:5", "admin.example"
	if w := answer(free, r); w.Code != 200 || !strings.Contains(w.Body.String(), `"in":true`) {
		t.Error(w.Code, w.Body)
	}
}

func logIn(d http.Handler, password, from string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]string{"password": password})
	r := request("POST", "api/login", string(body), "Content-Type", "application/json")
	r.RemoteAddr = from
	return answer(d, r)
}

func TestLogIn(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	d := board(t, open(t, nil), dashboard.Options{Password: "correct horse", Writable: true, Clock: fake})
	for path := range map[string]bool{"api/keys": true, "api/key?key=YQ": true, "api/history": true, "api/overview": true, "api/slowlog": true, "api/queues": true} {
		if w := answer(d, request("GET", path, "")); w.Code != 401 {
			t.Errorf("%s without a log-in: %d", path, w.Code)
		}
	}
	if w := logIn(d, "wrong", "203.0.113.1:1"); w.Code != 401 || w.Header().Get("Set-Cookie") != "" {
		t.Error(w.Code, w.Header())
	}
	w := logIn(d, "correct horse", "203.0.113.1:1")
	set := w.Header().Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(set, want) {
			t.Errorf("no %s in %s", want, set)
		}
	}
	cookie := w.Result().Cookies()[0]
	in := func(path string) int {
		r := request("GET", path, "")
		r.AddCookie(cookie)
		return answer(d, r).Code
	}
	if code := in("api/keys"); code != 200 {
		t.Error(code)
	}
	r := request("GET", "api/me", "")
	r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value[1:]})
	r.AddCookie(cookie)
	if w := answer(d, r); !strings.Contains(w.Body.String(), `"in":true`) {
		t.Error("of two cookies the right one is not found: ", w.Body)
	}
	fake.Advance(12*time.Hour - time.Second)
	if code := in("api/keys"); code != 200 {
		t.Error(code)
	}
	fake.Advance(time.Second)
	if code := in("api/keys"); code != 401 {
		t.Error("a session lasted longer than 12 hours: ", code)
	}
	cookie = logIn(d, "correct horse", "203.0.113.1:1").Result().Cookies()[0]
	out := request("POST", "api/logout", "{}", "Content-Type", "application/json")
	out.AddCookie(cookie)
	if w := answer(d, out); w.Code != 200 || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Error(w.Code, w.Header())
	}
	if code := in("api/keys"); code != 401 {
		t.Error("a cookie is good after the log-out: ", code)
	}
}

func TestWrongPasswordsAreLimited(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	d := board(t, open(t, nil), dashboard.Options{Password: "correct horse", Clock: fake})
	for range 10 {
		if w := logIn(d, "wrong", "203.0.113.1:1"); w.Code != 401 {
			t.Fatal(w.Code)
		}
	}
	for _, c := range []struct {
		from, password string
		want           int
	}{
		{"203.0.113.1:2", "correct horse", 429}, {"203.0.113.2:1", "correct horse", 200},
		{"[2001:db8::1]:1", "wrong", 401},
	} {
		if w := logIn(d, c.password, c.from); w.Code != c.want || (c.want == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: %d %v", c, w.Code, w.Header())
		}
	}
	for i := range 9 { // one customer's addresses count together
		logIn(d, "wrong", fmt.Sprintf("[2001:db8::%x]:1", i+2))
	}
	if w := logIn(d, "correct horse", "[2001:db8::ffff]:1"); w.Code != 429 {
		t.Error(w.Code)
	}
	fake.Advance(10 * time.Minute)
	if w := logIn(d, "correct horse", "203.0.113.1:1"); w.Code != 200 {
		t.Error(w.Code)
	}
	for i := range 200 { // a botnet
		logIn(d, "wrong", fmt.Sprintf("198.51.%d.%d:1", i/200, i%200))
	}
	if w := logIn(d, "correct horse", "203.0.113.77:1"); w.Code != 429 {
		t.Error(w.Code)
	}
}

// A change needs the page's token, and must not come from another site.
func TestChangesComeFromThePage(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{Writable: true})
	do(t, db, "SET", "k", "v")
	right, body := token(t, d), `{"key":"aw"}`
	for name, header := range map[string][]string{
		"no token":           {"Content-Type", "application/json"},
		"a wrong token":      {"Content-Type", "application/json", "X-Larder-Token", right[1:]},
		"another site":       {"Content-Type", "application/json", "X-Larder-Token", right, "Sec-Fetch-Site", "cross-site"},
		"a sister site":      {"Content-Type", "application/json", "X-Larder-Token", right, "Sec-Fetch-Site", "same-site"},
		"another origin":     {"Content-Type", "application/json", "X-Larder-Token", right, "Origin", "http://127.0.0.1:9999"},
		"no origin of a URL": {"Content-Type", "application/json", "X-Larder-Token", right, "Origin", "null"},
	} {
		if w := answer(d, request("POST", "api/key/delete", body, header...)); w.Code != 403 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := answer(d, request("POST", "api/key/delete", body, "Content-Type", "text/plain", "X-Larder-Token", right)); w.Code != 415 {
		t.Error(w.Code)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		if w := answer(d, request(method, "api/key/delete?key=aw", "", "X-Larder-Token", right)); w.Code != 405 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	if n, _ := do(t, db, "EXISTS", "k").Int64(); n != 1 {
		t.Fatal("one of them deleted the key")
	}
	if w := answer(d, request("POST", "api/key/delete", body, "Content-Type", "application/json", "X-Larder-Token", right, "Origin", "http://127.0.0.1:8080", "Sec-Fetch-Site", "same-origin")); w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
	if n, _ := do(t, db, "EXISTS", "k").Int64(); n != 0 {
		t.Error("the key is still there")
	}
	shows := board(t, db, dashboard.Options{})
	do(t, db, "SET", "k", "v")
	for _, path := range []string{"api/key/delete", "api/key/expire", "api/queue/act", "api/sessions/revoke"} {
		if w := change(t, shows, path, `{"key":"aw","ttl":5}`); w.Code != 403 || !strings.Contains(w.Body.String(), "only shows") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if ttl, _ := do(t, db, "TTL", "k").Int64(); ttl != -1 {
		t.Error("a dashboard that only shows changed a key")
	}
}

func TestBadRequests(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{Writable: true})
	do(t, db, "SET", "k", "v")
	do(t, db, "RPUSH", "l", "v")
	do(t, db, "HSET", "h", "f", "v")
	for _, path := range []string{
		"api/key", "api/key?key=!", "api/key?key=a=", "api/keys?cursor=x", "api/keys?count=0", "api/keys?count=501", "api/keys?count=9e9", "api/history?span=year", "api/history?since=-1",
		"api/key?key=" + b64("k") + "&from=-1", "api/key?key=" + b64("l") + "&from=x", "api/key?key=" + b64("h") + "&from=x", "api/keys?match=" + strings.Repeat("a", 2000),
		"api/queue", "api/queue?prefix=&name=", "api/queue?prefix=&name=" + b64("a{b"), "api/sessions?key=" + b64("k"), "api/queues?cursor=-1", "api/board?key=",
	} {
		if w := answer(d, request("GET", path, "")); w.Code != 400 && w.Code != 404 || !strings.Contains(w.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, c := range [][2]string{
		{"api/key/delete", ``}, {"api/key/delete", `[]`}, {"api/key/delete", `{}`}, {"api/key/delete", `{"key":1e`}, {"api/key/expire", `{"key":"aw"}`}, {"api/key/expire", `{"key":"aw","ttl":0}`},
		{"api/key/expire", `{"key":"aw","ttl":-2}`}, {"api/key/expire", `{"key":"aw","ttl":1e99}`}, {"api/key/expire", `{"key":"aw","ttl":"<b>"}`}, {"api/key/delete", `{"key":"` + strings.Repeat("A", 2<<20) + `"}`},
	} {
		if w := change(t, d, c[0], c[1]); w.Code != 400 {
			t.Errorf("%.60s: %d %s", c, w.Code, w.Body)
		}
	}
	if w := answer(d, request("GET", "api/key?key="+b64("missing"), "")); w.Code != 404 {
		t.Error(w.Code)
	}
}

func TestExpire(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{Writable: true})
	do(t, db, "SET", "k", "v")
	if w := change(t, d, "api/key/expire", `{"key":"aw","ttl":10000000}`); w.Code != 200 || !strings.Contains(w.Body.String(), "true") {
		t.Error(w.Code, w.Body)
	}
	if ttl, _ := do(t, db, "TTL", "k").Int64(); ttl < 9990 || ttl > 10000 {
		t.Error(ttl)
	}
	change(t, d, "api/key/expire", `{"key":"aw","ttl":-1}`)
	if ttl, _ := do(t, db, "TTL", "k").Int64(); ttl != -1 {
		t.Error(ttl)
	}
}

// A store that fails is told as such; a handler that was closed, even twice, still answers.
func TestClosed(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{})
	do(t, db, "SET", "k", "v")
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if w := answer(d, request("GET", "api/keys", "")); w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"api/keys", "api/key?key=aw", "api/slowlog", "api/queues", "api/limits", "api/locks", "api/boards", "api/users", "api/caches", "api/caches?prefix=aw"} {
		if w := answer(d, request("GET", path, "")); w.Code != 502 || !strings.Contains(w.Body.String(), "closed") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A request that was given up ends, also in the store.
func TestCancelled(t *testing.T) {
	db := open(t, nil)
	d := board(t, db, dashboard.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w := answer(d, request("GET", "api/keys", "").WithContext(ctx)); w.Code == 200 {
		body, _ := io.ReadAll(w.Body)
		t.Errorf("%d %s", w.Code, body)
	}
}
