package httpcache

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/larderdb/larder/observe"
)

// heuristicShare is RFC 9111's: a tenth of its age.
const heuristicShare = 0.1

// Transport puts the cache behind an http.Client:
//
//	client := &http.Client{Transport: pages.Transport(http.DefaultTransport)}
//
// Responses are stored by the rules of a shared cache, as one process seldom speaks for one user only; Options.Private
// says that it does. Without an explicit lifetime a response is fresh for a tenth of its age (see Options.Heuristic).
//
// A body comes as fast as it is read from the origin; up to Options.MaxBody it is read ahead of the caller. Cancelling a
// request ends the fetch only if no other waits for it. As always, a response's Body must be closed.
func (c *Cache) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	share := c.Heuristic
	if share == 0 {
		share = heuristicShare
	}
	return &transport{Cache: c, next: next, share: max(share, 0)}
}

type transport struct {
	*Cache
	next  http.RoundTripper
	share float64
}

// RoundTrip answers from the cache, or asks the origin.
func (rt *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil {
		return rt.next.RoundTrip(r)
	}
	host, secure := originOf(r)
	switch r.Method {
	case "", http.MethodGet, http.MethodHead:
	case http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return rt.next.RoundTrip(r)
	default:
		resp, err := rt.ask(r)
		if err == nil {
			rt.changed(r, host, secure, resp.StatusCode, resp.Header)
		}
		return resp, err
	}
	seen := r
	if odd(r.Header) {
		seen = r.WithContext(r.Context())
		seen.Header = canonical(r.Header)
	}
	q := rt.request(seen, true)
	if q.method == "" {
		q.method = http.MethodGet
	}
	if rt.leftAlone(seen, q) || r.Body != nil && r.Body != http.NoBody {
		return rt.pass(r, outcome{forward: fwdBypass})
	}
	ctx, end := observe.Begin(r.Context(), rt.Observer, rt.op("get", r.URL.Path))
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	t := rt.target(seen, host, secure)
	resp, result, err := rt.get(rt.narrow(r, &t), &t, q)
	if err != nil {
		result = observe.Failed
	}
	end(result, err)
	return resp, err
}

// originOf is where a request goes. A Host header that differs from the address makes another origin.
func originOf(r *http.Request) (host string, secure bool) {
	host = r.URL.Host
	if r.Host != "" && r.Host != host {
		host = r.Host + "@" + host
	}
	return host, r.URL.Scheme == "https"
}

func (rt *transport) get(r *http.Request, t *target, q *request) (*http.Response, string, error) {
	p, err := rt.resolve(r.Context(), t, q)
	if err != nil {
		return nil, "", err
	}
	switch p.next {
	case serve:
		if p.refresh {
			rt.refresh(r, t, q, &p.view)
		}
		return rt.respond(r, q, p.answer, p.outcome), p.result, nil
	case refuse:
		resp := rt.respond(r, q, &entry{status: http.StatusGatewayTimeout, header: http.Header{"Cache-Control": {"no-store"}}}, p.outcome)
		return resp, observe.Miss, nil
	case forward:
		resp, err := rt.pass(r, p.outcome)
		if err == nil && q.method == http.MethodHead {
			rt.headSeen(r.Context(), t, p.view.entry, resp.StatusCode, resp.Header)
		}
		return resp, resultBypass, err
	default:
		return rt.fetch(r, t, q, &p)
	}
}

// pass lets the origin answer, and stores nothing.
func (rt *transport) pass(r *http.Request, o outcome) (*http.Response, error) {
	if o.forward == fwdBypass {
		rt.n.bypassed.Add(1)
		rt.count(r.Context(), resultBypass)
	}
	resp, err := rt.ask(r)
	if err == nil {
		rt.announce(resp.Header, o, nil, rt.Clock.Now())
	}
	return resp, err
}

// ask asks the origin. What it answers is as http.RoundTripper wants it, also where the next one is sloppy about it.
func (rt *transport) ask(r *http.Request) (*http.Response, error) {
	resp, err := rt.next.RoundTrip(r)
	switch {
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errors.New("httpcache: the RoundTripper gave neither a response nor an error")
	case resp.Header == nil:
		resp.Header = http.Header{}
	case odd(resp.Header):
		resp.Header = canonical(resp.Header)
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	return resp, nil
}

// odd tells whether names of a header are not as package http writes them. They are sent all the same.
func odd(h http.Header) bool {
	for name := range h {
		if http.CanonicalHeaderKey(name) != name {
			return true
		}
	}
	return false
}

// canonical is a header with all names as package http writes them.
func canonical(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		out[name] = append(out[name], values...)
	}
	return out
}

// respond makes a response of a stored one.
func (rt *transport) respond(r *http.Request, q *request, e *entry, o outcome) *http.Response {
	now := rt.Clock.Now()
	a := rt.answer(q, e)
	header := make(http.Header, len(a.header)+3)
	a.into(header)
	if e.received != 0 {
		header["Age"] = []string{itoa(e.ageAt(now) / 1000)}
	}
	rt.announce(header, o, e, now)
	resp := &http.Response{
		Status: itoa(int64(a.status)) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: int64(a.length), Request: r,
		Body: http.NoBody,
	}
	if a.length < 0 {
		resp.ContentLength = 0
	}
	if a.body != "" {
		resp.Body = io.NopCloser(strings.NewReader(a.body))
	}
	return resp
}
