package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

const (
	tokenHeader = "X-Larder-Token"
	sessionLife = 12 * time.Hour
	maxSessions = 256

	// Log-ins that fail: so many of one address and so many in all within the time; then all are refused, right ones too.
	failWindow     = 10 * time.Minute
	failsOfAddress = 10
	failsOfAll     = 200
)

// protect sets what every response has. Scripts and styles come from files of this server only, and scripts cannot make HTML
// of text (Trusted Types), so a value that looks like a script is never one.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// gate knows who may come in.
type gate struct {
	open     bool // no log-in, for nobody
	password [sha256.Size]byte
	wanted   bool // a log-in
	clock    clock.Clock
	origin   *http.CrossOriginProtection
	token    string // of those who need no log-in

	mu       sync.Mutex
	sessions map[[sha256.Size]byte]login // guarded by mu, by the hash of the cookie
	fails    map[netip.Prefix]fails      // guarded by mu
	all      fails                       // guarded by mu
}

type login struct {
	token string
	until time.Duration // by the monotonic clock
}

type fails struct {
	n     int
	until time.Duration
}

func newGate(o *Options) *gate {
	return &gate{
		open: o.NoLogin, password: sha256.Sum256([]byte(o.Password)), wanted: o.Password != "", clock: o.Clock,
		origin: http.NewCrossOriginProtection(), token: secret(),
		sessions: map[[sha256.Size]byte]login{}, fails: map[netip.Prefix]fails{},
	}
}

// mayTalk tells whether a request is answered at all. Where nobody is asked for a password it must come from this machine, and
// be sent to it by an address or as localhost: a page from elsewhere, whose name was made to lead here, is sent by that name.
func (g *gate) mayTalk(r *http.Request) bool {
	if g.open || g.wanted {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// enter returns the token that changes must come with; ok is false for those who have to log in first.
func (g *gate) enter(r *http.Request) (token string, ok bool) {
	if !g.wanted {
		return g.token, true
	}
	for _, c := range r.CookiesNamed(cookieName(r)) {
		if token, ok = g.session(c.Value); ok {
			return token, true
		}
	}
	return "", false
}

func (g *gate) session(cookie string) (token string, ok bool) {
	key := sha256.Sum256([]byte(cookie))
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.sessions[key]
	if ok && s.until <= g.clock.Monotonic() {
		delete(g.sessions, key)
		return "", false
	}
	return s.token, ok
}

// mayChange tells whether a request was made by the page itself and not by another site's.
func (g *gate) mayChange(r *http.Request, token string) bool {
	return g.origin.Check(r) == nil && subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(token)) == 1
}

// logIn checks a password. late is true while there were too many wrong ones.
func (g *gate) logIn(r *http.Request, password string) (cookie string, late bool) {
	given := sha256.Sum256([]byte(password))
	now, from := g.clock.Monotonic(), addressOf(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.makeRoom(now)
	mine := g.fails[from].at(now)
	g.all = g.all.at(now)
	if mine.n >= failsOfAddress || g.all.n >= failsOfAll {
		return "", true
	}
	if subtle.ConstantTimeCompare(given[:], g.password[:]) != 1 {
		g.all.n++
		mine.n++
		g.fails[from] = mine // at most failsOfAll in a window
		return "", false
	}
	delete(g.fails, from)
	cookie = secret()
	g.sessions[sha256.Sum256([]byte(cookie))] = login{secret(), now + sessionLife}
	return cookie, false
}

// makeRoom drops what has ended, and the session that ends first if there are too many. mu is held.
func (g *gate) makeRoom(now time.Duration) {
	for from, f := range g.fails {
		if f.until <= now {
			delete(g.fails, from)
		}
	}
	var first [sha256.Size]byte
	until := time.Duration(0)
	for key, s := range g.sessions {
		if s.until <= now {
			delete(g.sessions, key)
		} else if until == 0 || s.until < until {
			first, until = key, s.until
		}
	}
	if len(g.sessions) >= maxSessions {
		delete(g.sessions, first)
	}
}

func (g *gate) logOut(r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range r.CookiesNamed(cookieName(r)) {
		delete(g.sessions, sha256.Sum256([]byte(c.Value)))
	}
}

// at is what counts now.
func (f fails) at(now time.Duration) fails {
	if f.until <= now {
		return fails{until: now + failWindow}
	}
	return f
}

// addressOf is whom a request counts for: an address, of IPv6 its first 64 bits, which one customer has.
func addressOf(r *http.Request) netip.Prefix {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) //nolint:errcheck // whoever has none counts together
	addr := at.Addr().Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) //nolint:errcheck // likewise
	return p
}

// cookieName has the port in it: browsers send a cookie to all ports of a host, so logging in to one server's dashboard would
// replace the log-in to another's.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if _, digits := store.Digits(port, 5); err != nil || !digits {
		return "larder_dashboard"
	}
	return "larder_dashboard_" + port
}

// setCookie gives or, with an empty value, takes a session's cookie.
func setCookie(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https", MaxAge: int(sessionLife / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
