package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// Cookie says how Handler carries the token. The zero value is a cookie that no other host and no plain-text request can
// set or read: "__Host-session", Secure, HttpOnly, SameSite=Lax, Path=/, until the browser is closed.
type Cookie struct {
	// Name is the cookie's. Default "__Host-session" where browsers allow that (Secure, Path "/", no Domain), else
	// "__Secure-session", or "session" with Insecure.
	Name string

	// Domain lets other hosts of a domain see the cookie. Every one of them can then set it, too: see the page on
	// sessions before you do that.
	Domain string

	// Path is where the cookie is sent. Default "/".
	Path string

	// SameSite: default Lax.
	SameSite http.SameSite

	// Insecure sends the cookie over plain http, too: for development without https.
	Insecure bool

	// Persist keeps the cookie when the browser is closed, until the session's Deadline.
	Persist bool
}

func (c *Cookie) setDefaults() {
	if c.Path == "" {
		c.Path = "/"
	}
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.Name != "" {
		return
	}
	switch {
	case c.Insecure:
		c.Name = "session"
	case c.Domain != "" || c.Path != "/":
		c.Name = "__Secure-session"
	default:
		c.Name = "__Host-session"
	}
}

func (c *Cookie) check() error {
	host := strings.HasPrefix(c.Name, "__Host-")
	switch {
	case host && (c.Insecure || c.Domain != "" || c.Path != "/"):
		return fmt.Errorf("%w: Cookie: browsers refuse %q with Domain, another Path than \"/\", or Insecure", store.ErrInvalid, c.Name)
	case strings.HasPrefix(c.Name, "__Secure-") && c.Insecure:
		return fmt.Errorf("%w: Cookie: browsers refuse %q with Insecure", store.ErrInvalid, c.Name)
	case c.SameSite == http.SameSiteNoneMode && c.Insecure:
		return fmt.Errorf("%w: Cookie: browsers refuse SameSite=None with Insecure", store.ErrInvalid)
	}
	if err := (&http.Cookie{Name: c.Name, Value: "x", Domain: c.Domain, Path: c.Path}).Valid(); err != nil {
		return fmt.Errorf("%w: Cookie: %w", store.ErrInvalid, err)
	}
	return nil
}

type contextKey struct{}

// From is the session of a request that came through Handler. Without Handler it panics: a page must not go on without
// the session that it was written for.
func From(ctx context.Context) *Session {
	s, ok := ctx.Value(contextKey{}).(*Session)
	if !ok {
		panic("session: From: the request did not come through Manager.Handler")
	}
	return s
}

// With is a ctx in which From finds s: for tests of handlers.
func With(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// DirectClient is Options.Client for a server that clients reach directly: User-Agent and the connection's address.
func DirectClient(r *http.Request) (agent, addr string) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return r.UserAgent(), host
}

// Handler gives the requests of next their sessions: From finds it, changes are stored and the cookie is set when next
// sends the header (or its first byte), or returns. Changes after the header, while a response streams, are stored when
// next returns. Requests without our cookie, whose sessions stay empty, do not reach the store.
//
// The ResponseWriter that next gets can do what the server's can: Flush, Hijack, io.ReaderFrom and whatever
// http.ResponseController finds. If next panics, nothing is stored that is not yet.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := m.tokenOf(r)
		s, err := m.Load(r.Context(), token)
		if err != nil {
			m.fail(w, r, err)
			return
		}
		if m.o.Client != nil {
			s.SetClient(m.o.Client(r))
		}
		r = r.WithContext(With(r.Context(), s))
		rw := &response{ResponseWriter: w, m: m, r: r, s: s, token: token}
		next.ServeHTTP(rw, r)
		rw.finish()
	})
}

// tokenOf is the token in a request's cookie. Several different cookies of our name mean that some other host of the
// domain, or a plain-text connection, has planted one: which is the client's own cannot be told, so none is believed.
func (m *Manager) tokenOf(r *http.Request) string {
	token := ""
	for i, c := range r.CookiesNamed(m.o.Cookie.Name) {
		if i > 0 && c.Value != token {
			m.event(r.Context(), &m.n.ambiguous, "ambiguous")
			return ""
		}
		token = c.Value
	}
	return token
}

// setCookie tells the client its token; an empty one makes it forget.
func (m *Manager) setCookie(h http.Header, s *Session, token string) {
	o := m.o.Cookie
	c := http.Cookie{
		Name: o.Name, Value: token, Domain: o.Domain, Path: o.Path, SameSite: o.SameSite,
		Secure: !o.Insecure, HttpOnly: true,
	}
	switch {
	case token == "":
		c.MaxAge = -1
	case o.Persist:
		left := s.times.end - s.times.now
		c.MaxAge = int(max(1, left/1000))
		c.Expires = time.UnixMilli(s.times.end) // for clients that know no Max-Age
	}
	h.Add("Set-Cookie", c.String())
	h.Add("Cache-Control", `no-cache="Set-Cookie"`)
}

func (m *Manager) fail(w http.ResponseWriter, r *http.Request, err error) {
	if m.o.OnError != nil {
		m.o.OnError(w, r, err)
		return
	}
	if !errors.Is(err, ErrHeaderSent) {
		http.Error(w, "The session is not available; please try again.", http.StatusServiceUnavailable)
	}
}
