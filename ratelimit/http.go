package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"github.com/larderdb/larder/store"
)

// HTTPOptions say which requests a Middleware limits and by what. The zero value limits all requests by client address.
type HTTPOptions struct {
	// Paths are prefixes of the paths to limit: "/api/". None means all.
	Paths []string

	// Key gives the id to limit a request by: a user, an API key. A request with an empty id is not limited. Default:
	// the client's address, as ClientAddr finds it.
	Key func(*http.Request) string

	// Cost is what a request counts; default 1. A request that costs more than the whole limit can never pass: it is
	// answered 429 without Retry-After.
	Cost func(*http.Request) int

	// TrustedProxies are the networks of the proxies in front of this service, by CIDR: 10.0.0.0/8. Only what comes
	// from these is believed about X-Forwarded-For. Default: nobody is.
	TrustedProxies []string

	// IPv6Prefix is how many leading bits of an IPv6 address make a client; default DefaultIPv6Prefix.
	IPv6Prefix int

	// Headers says how limits are told; default both ways.
	Headers Headers

	// Plan, if set, chooses the rules by request; nil means the Limiter's own or its PlanFor's. Where a client asks under
	// several plans, Key must tell them apart; see Request.
	Plan func(*http.Request) *Plan

	// Denied answers a denied request instead of the JSON below. The headers are set already, the status is not.
	Denied func(w http.ResponseWriter, r *http.Request, res Result)
}

// Middleware limits requests before they reach a handler:
//
//	protect, err := ratelimit.Middleware(limit, ratelimit.HTTPOptions{Paths: []string{"/api/"}})
//	http.ListenAndServe(addr, protect(mux))
//
// Every limited response tells X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset (seconds until all is
// free again, rounded up) of the tightest rule, and all rules in RateLimit-Policy and RateLimit as the IETF's draft
// (draft-ietf-httpapi-ratelimit-headers) has them:
//
//	RateLimit-Policy: "10/1s";q=10;w=1, "1000/1h0m0s";q=1000;w=3600
//	RateLimit: "10/1s";r=9;t=1, "1000/1h0m0s";r=412;t=1807
//
// A denied request is answered 429 with Retry-After (seconds until it would pass, rounded up) and
//
//	{"error":"Too many requests","retryAfter":7}
//
// When the store fails, requests pass without these headers, or with FailClosed are answered 503 and
// {"error":"Rate limiter unavailable"}. A request whose client has left meanwhile is dropped with 499 unseen.
//
// It fails only for a CIDR or prefix that makes no sense.
func Middleware(l *Limiter, o HTTPOptions) (func(http.Handler) http.Handler, error) {
	m, err := newMiddleware(o)
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.limit(w, r, l, next) })
	}, nil
}

// newMiddleware checks options and fills in the defaults.
func newMiddleware(o HTTPOptions) (*middleware, error) {
	m := &middleware{o: o}
	for _, s := range o.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("ratelimit: %w: trusted proxy %q is not a CIDR such as 10.0.0.0/8", store.ErrInvalid, s)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		m.trusted = append(m.trusted, p.Masked())
	}
	for _, p := range o.Paths {
		if !strings.HasPrefix(p, "/") {
			return nil, fmt.Errorf("ratelimit: %w: path %q does not begin with /", store.ErrInvalid, p)
		}
	}
	if m.o.IPv6Prefix == 0 {
		m.o.IPv6Prefix = DefaultIPv6Prefix
	}
	if m.o.IPv6Prefix < 1 || m.o.IPv6Prefix > 128 {
		return nil, fmt.Errorf("ratelimit: %w: IPv6Prefix %d, want 1 to 128", store.ErrInvalid, o.IPv6Prefix)
	}
	if m.o.Headers > NoHeaders {
		return nil, fmt.Errorf("ratelimit: %w: unknown Headers %d", store.ErrInvalid, o.Headers)
	}
	if m.o.Denied == nil {
		m.o.Denied = deniedJSON
	}
	return m, nil
}

type middleware struct {
	o       HTTPOptions
	trusted []netip.Prefix
}

// unknownClient is the id of requests whose peer has no IP address. They share one limit: better too strict than none.
const unknownClient = "unknown"

func (m *middleware) limit(w http.ResponseWriter, r *http.Request, l *Limiter, next http.Handler) {
	req, limited := m.ask(r)
	if !limited {
		next.ServeHTTP(w, r)
		return
	}
	if m.o.Plan != nil {
		req.Plan = m.o.Plan(r)
	}
	res, err := l.Decide(r.Context(), req)
	if err == nil {
		m.o.Headers.set(w.Header(), res, func() (string, string) { return res.fields(l) })
	}
	if m.passes(w, r, res, err) {
		next.ServeHTTP(w, r)
	}
}

// ask gives what a request asks for; limited is false where it is not to be limited.
func (m *middleware) ask(r *http.Request) (req Request, limited bool) {
	if !m.covers(r.URL.Path) {
		return req, false
	}
	if req = (Request{ID: m.id(r), Cost: 1}); req.ID == "" {
		return req, false
	}
	if m.o.Cost != nil {
		if req.Cost = m.o.Cost(r); req.Cost == 0 {
			req.Cost = -1 // refused, as AllowN does
		}
	}
	return req, true
}

// passes tells whether a request goes on; if not, it has been answered.
func (m *middleware) passes(w http.ResponseWriter, r *http.Request, res Result, err error) bool {
	switch {
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		const clientClosedRequest = 499 // nginx's word for it; nobody reads the answer
		w.WriteHeader(clientClosedRequest)
	case res.Allowed:
		return true
	case err != nil && !errors.Is(err, store.ErrInvalid):
		writeJSON(w, http.StatusServiceUnavailable, `{"error":"Rate limiter unavailable"}`)
	default:
		m.o.Denied(w, r, res)
	}
	return false
}

// covers tells whether a path is limited. It looks at the clean form, so that //api and /x/../api count as /api.
func (m *middleware) covers(p string) bool {
	if len(m.o.Paths) == 0 {
		return true
	}
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	for _, prefix := range m.o.Paths {
		if strings.HasPrefix(clean, prefix) || strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}

func (m *middleware) id(r *http.Request) string {
	if m.o.Key != nil {
		return m.o.Key(r)
	}
	addr, ok := ClientAddr(r, m.trusted)
	if !ok {
		return unknownClient
	}
	return ClientID(addr, m.o.IPv6Prefix)
}

func deniedJSON(w http.ResponseWriter, _ *http.Request, res Result) {
	body := `{"error":"Too many requests"}`
	if res.RetryAfter > 0 {
		body = fmt.Sprintf(`{"error":"Too many requests","retryAfter":%d}`, seconds(res.RetryAfter))
	}
	writeJSON(w, http.StatusTooManyRequests, body)
}

func writeJSON(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n")) // the client may be gone
}
