package session_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// browser sends one request through a Manager's Handler.
func browse(t testing.TB, m *session.Manager, cookies string, handler http.HandlerFunc) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://shop.example/", nil)
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	m.Handler(handler).ServeHTTP(w, r)
	return w.Result()
}

func write(v string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := theme.Set(session.From(r.Context()), v); err != nil {
			panic(err)
		}
		io.WriteString(w, "done")
	}
}

// themeOf is what a request with these cookies finds.
func themeOf(t testing.TB, m *session.Manager, cookies string) (v string) {
	t.Helper()
	browse(t, m, cookies, func(w http.ResponseWriter, r *http.Request) {
		v, _, _ = theme.Get(session.From(r.Context()))
	})
	return v
}

// cookieOf is the one cookie of a response, as a request's header.
func cookieOf(t testing.TB, resp *http.Response) (*http.Cookie, string) {
	t.Helper()
	all := resp.Cookies()
	if len(all) != 1 {
		t.Fatalf("%d cookies: %v", len(all), all)
	}
	return all[0], all[0].Name + "=" + all[0].Value
}

func TestHandler(t *testing.T) {
	m := manager(t, fleet.NewClocked(t), session.Options{})
	resp := browse(t, m, "", func(http.ResponseWriter, *http.Request) {})
	if len(resp.Cookies()) != 0 {
		t.Error("a cookie for nothing:", resp.Cookies())
	}
	resp = browse(t, m, "", write("dark"))
	c, header := cookieOf(t, resp)
	if c.Name != "__Host-session" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
		t.Errorf("%+v", c)
	}
	if resp.Header.Get("Vary") != "Cookie" || resp.Header.Get("Cache-Control") != `no-cache="Set-Cookie"` {
		t.Error(resp.Header)
	}
	if got := themeOf(t, m, header); got != "dark" {
		t.Error("theme", got)
	}
	if resp = browse(t, m, header, write("light")); len(resp.Cookies()) != 0 {
		t.Error("the same token is set again")
	}
	resp = browse(t, m, header, func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r.Context()).Login("ann"); err != nil {
			t.Error(err)
		}
	})
	_, loggedIn := cookieOf(t, resp)
	if loggedIn == header || themeOf(t, m, header) != "" || themeOf(t, m, loggedIn) != "light" {
		t.Error("fixation")
	}
	resp = browse(t, m, loggedIn, func(w http.ResponseWriter, r *http.Request) { session.From(r.Context()).Destroy() })
	if c, _ := cookieOf(t, resp); c.MaxAge >= 0 || c.Value != "" || !c.Secure || !c.HttpOnly {
		t.Errorf("%+v", c)
	}
	if themeOf(t, m, loggedIn) != "" {
		t.Error("logged out, and still there")
	}
}

// TestAttackersCookies: what is no token does not reach the store, and of two different ones none is believed.
func TestAttackersCookies(t *testing.T) {
	faulty := storetest.NewFaulty(fleet.NewClocked(t))
	m := manager(t, faulty, session.Options{})
	_, mine := cookieOf(t, browse(t, m, "", write("mine")))
	_, evil := cookieOf(t, browse(t, m, "", write("evil")))
	calls := faulty.Calls()
	for _, cookies := range []string{
		"__Host-session=", "__Host-session=x", "__Host-session=" + strings.Repeat("A", 1<<16), `__Host-session="` + mine[15:] + `x"`,
		"__Host-session=../../../etc/passwd", "__Host-session=%7Bx%7D", "__Host-session=" + strings.Repeat("{", 45),
		"session=" + mine[15:], "__host-session=" + mine[15:], evil + "; " + mine, mine + "; " + evil,
		"__Host-session=x; " + mine, strings.Repeat(mine+"x; ", 500), "\x00\x01;=;=", strings.Repeat(";", 4096),
	} {
		if got := themeOf(t, m, cookies); got != "" {
			t.Errorf("%.80q led to %q", cookies, got)
		}
	}
	if n := faulty.Calls() - calls; n != 0 {
		t.Errorf("garbage made %d calls", n)
	}
	if m.Stats().Ambiguous == 0 || m.Stats().Garbage == 0 {
		t.Errorf("%+v", m.Stats())
	}
	if got := themeOf(t, m, mine+"; "+mine); got != "mine" {
		t.Error("the same cookie twice is one")
	}
}

func TestCookieOptions(t *testing.T) {
	db := fleet.NewClocked(t)
	for name, c := range map[string]session.Cookie{
		"__Host-session":   {},
		"__Secure-session": {Domain: "shop.example"},
		"session":          {Insecure: true},
		"sid":              {Name: "sid", SameSite: http.SameSiteStrictMode, Persist: true},
	} {
		m := manager(t, db, session.Options{Cookie: c})
		got, _ := cookieOf(t, browse(t, m, "", write("x")))
		if got.Name != name || got.Secure == c.Insecure || !got.HttpOnly || (got.MaxAge == 24*60*60) != c.Persist {
			t.Errorf("%+v gives %+v", c, got)
		}
	}
	for _, c := range []session.Cookie{
		{Name: "__Host-x", Domain: "shop.example"}, {Name: "__Host-x", Insecure: true}, {Name: "__Host-x", Path: "/app"},
		{Name: "__Secure-x", Insecure: true}, {Name: "a b"}, {Name: "x;y"}, {Domain: "b\x00d"}, {Path: "/;x"},
		{Insecure: true, SameSite: http.SameSiteNoneMode},
	} {
		if _, err := session.New(db, session.Options{Cookie: c}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestCommitComesFirst: the cookie and the store are ready before the client has a byte of the answer, whichever way the
// handler begins it; and what a handler changes later, while it streams, is stored when it returns.
func TestCommitComesFirst(t *testing.T) {
	m := manager(t, fleet.NewClocked(t), session.Options{})
	for name, begin := range map[string]func(http.ResponseWriter) error{
		"Write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"WriteString": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "x"); return err },
		"WriteHeader": func(w http.ResponseWriter) error { w.WriteHeader(http.StatusAccepted); return nil },
		"Flush":       func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"Controller":  func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
			return err
		},
		"nothing": func(http.ResponseWriter) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			srv := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := session.From(r.Context())
				if err := theme.Set(s, "first"); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusEarlyHints) // is not the header yet
				if err := begin(w); err != nil {
					t.Error(err)
				}
				if name == "nothing" {
					return
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				<-release
				if err := theme.Set(s, "last"); err != nil {
					t.Error(err)
				}
				if err := s.Rotate(); !errors.Is(err, session.ErrHeaderSent) {
					t.Error("Rotate after the header:", err)
				}
				if err := s.Login("ann"); !errors.Is(err, session.ErrHeaderSent) {
					t.Error("Login after the header:", err)
				}
			})))
			defer srv.Close()
			resp, err := http.Get(srv.URL)
			must(t, err)
			defer resp.Body.Close()
			_, header := cookieOf(t, resp)
			if got := themeOf(t, m, header); got != "first" {
				t.Errorf("the client has an answer and the store %q", got)
			}
			close(release)
			if name == "nothing" {
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			srv.Close()
			if got := themeOf(t, m, header); got != "last" {
				t.Errorf("changed while streaming: %q", got)
			}
		})
	}
}

func TestHijack(t *testing.T) {
	m := manager(t, fleet.NewClocked(t), session.Options{})
	done := make(chan struct{})
	srv := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		must(t, theme.Set(session.From(r.Context()), "ws"))
		must(t, http.NewResponseController(w).SetWriteDeadline(time.Time{}))
		conn, rw, err := w.(http.Hijacker).Hijack()
		must(t, err)
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
		must(t, w.Header().Write(rw))
		rw.WriteString("\r\n")
		rw.Flush()
		conn.Close()
	})))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	must(t, err)
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	resp.Body.Close()
	<-done
	if _, header := cookieOf(t, resp); themeOf(t, m, header) != "ws" {
		t.Error("the session was not stored before the connection was handed over")
	}
}

// TestStoreDown: nobody gets a page that was made without the session, and nobody is told that a change is stored which
// is not.
func TestStoreDown(t *testing.T) {
	faulty := storetest.NewFaulty(fleet.NewClocked(t))
	m := manager(t, faulty, session.Options{})
	_, header := cookieOf(t, browse(t, m, "", write("dark")))
	faulty.Fail(1)
	resp := browse(t, m, header, func(http.ResponseWriter, *http.Request) { t.Error("the handler runs without a session") })
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Error(resp.Status)
	}
	resp = browse(t, m, header, func(w http.ResponseWriter, r *http.Request) {
		must(t, theme.Set(session.From(r.Context()), "lost"))
		faulty.Fail(1)
		if _, err := io.WriteString(w, "saved!"); !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("saved!"))
	})
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(body), "saved!") {
		t.Error(resp.Status, string(body))
	}
	var told []error
	o := session.Options{OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		told = append(told, err)
		w.WriteHeader(http.StatusTeapot)
	}}
	m = manager(t, faulty, o)
	resp = browse(t, m, header, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "streaming")
		must(t, theme.Set(session.From(r.Context()), "late"))
		faulty.Fail(1)
	})
	if len(told) != 1 || !errors.Is(told[0], session.ErrHeaderSent) || resp.StatusCode != http.StatusOK {
		t.Error(told, resp.Status)
	}
	if m.Stats().Failed != 1 {
		t.Errorf("%+v", m.Stats())
	}
}

// TestLateRequest: a request that comes to its end after the log-out leaves neither a session nor a cookie.
func TestLateRequest(t *testing.T) {
	m := manager(t, fleet.NewClocked(t), session.Options{})
	_, header := cookieOf(t, browse(t, m, "", write("dark")))
	resp := browse(t, m, header, func(w http.ResponseWriter, r *http.Request) {
		browse(t, m, header, func(_ http.ResponseWriter, r *http.Request) { session.From(r.Context()).Destroy() })
		write("late")(w, r)
	})
	if len(resp.Cookies()) != 0 || resp.StatusCode != http.StatusOK || themeOf(t, m, header) != "" {
		t.Error(resp.Cookies(), resp.Status, themeOf(t, m, header))
	}
	if m.Stats().Refused != 1 {
		t.Errorf("%+v", m.Stats())
	}
}

// TestClientLeft: a log-out counts although nobody waits for its answer.
func TestClientLeft(t *testing.T) {
	m := manager(t, fleet.NewClocked(t), session.Options{})
	_, header := cookieOf(t, browse(t, m, "", write("dark")))
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://shop.example/", nil)
	r.Header.Set("Cookie", header)
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session.From(r.Context()).Destroy()
		leave()
	})).ServeHTTP(httptest.NewRecorder(), r)
	if themeOf(t, m, header) != "" {
		t.Error("still there")
	}
}

func TestPanicStoresNothing(t *testing.T) {
	m := manager(t, fleet.NewClocked(t), session.Options{})
	_, header := cookieOf(t, browse(t, m, "", write("dark")))
	func() {
		defer func() { _ = recover() }()
		browse(t, m, header, func(_ http.ResponseWriter, r *http.Request) {
			must(t, theme.Set(session.From(r.Context()), "half done"))
			panic(http.ErrAbortHandler)
		})
	}()
	if got := themeOf(t, m, header); got != "dark" {
		t.Error(got)
	}
}

// FuzzCookie: whatever a client sends as its cookie, it gets no session, and nothing panics.
func FuzzCookie(f *testing.F) {
	m := manager(f, fleet.NewClocked(f), session.Options{})
	_, header := cookieOf(f, browse(f, m, "", write("dark")))
	for _, seed := range []string{"", "x", strings.Repeat("A", 45), "\x00", "a; __Host-session=b", header} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodGet, "https://shop.example/", nil)
		r.Header["Cookie"] = []string{"__Host-session=" + value}
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if session.From(r.Context()).ID() != "" && !strings.Contains(value, header[15:]) {
				t.Errorf("%q found a session", value)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}
