package httpcache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"

	"github.com/larderdb/larder/observe"
)

// Handler puts the cache in front of a handler:
//
//	http.ListenAndServe(addr, pages.Handler(mux))
//
// It stores what the handler's Cache-Control and Expires say may be stored by a shared cache (or what Options.DefaultTTL
// adds), and answers from that without calling the handler.
//
// The handler of a request that misses sees the request as it came, but for the query parameters that the KeyPolicy
// leaves out; one that validates a stored response sees If-None-Match and If-Modified-Since and may answer 304. The
// request's ctx goes on while others wait for the same response, even if the first client has left.
//
// What cannot be stored is written to the client as it comes. What can be is collected up to Options.MaxBody and written
// when the handler returns, so that a slow client does not keep others waiting; a handler that flushes is not
// collected.
func (c *Cache) Handler(next http.Handler) http.Handler {
	return &handler{Cache: c, next: next}
}

type handler struct {
	*Cache
	next http.Handler
}

// ServeHTTP answers a request from the cache, or lets the handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions, http.MethodTrace, http.MethodConnect:
		h.next.ServeHTTP(w, r)
		return
	default:
		h.unsafe(w, r)
		return
	}
	q := h.request(r, !h.IgnoreRequests)
	if h.leftAlone(r, q) {
		h.pass(w, r, q, fwdBypass)
		return
	}
	ctx, end := observe.Begin(r.Context(), h.Observer, h.op("get", r.URL.Path))
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	result := "panic"
	defer func() { end(result, nil) }()
	t := h.target(r, r.Host, r.TLS != nil)
	result = h.get(w, h.narrow(r, &t), &t, q)
}

// narrow shows the handler only the query that is part of the key.
func (c *Cache) narrow(r *http.Request, t *target) *http.Request {
	if c.Key.Query == nil && len(c.Key.QueryExcept) == 0 || t.query == r.URL.RawQuery {
		return r
	}
	r = r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery = t.query
	r.URL, r.Form, r.PostForm = &u, nil, nil // somebody may have parsed all of it already
	if p, err := url.ParseRequestURI(r.RequestURI); err == nil {
		p.RawQuery = t.query
		r.RequestURI = p.String()
	}
	return r
}

// resultBypass is a result of "get" besides those of package observe.
const (
	resultBypass      = "bypass"
	resultRevalidated = "revalidated"
)

// get answers GET and HEAD, and tells how.
func (h *handler) get(w http.ResponseWriter, r *http.Request, t *target, q *request) string {
	p, err := h.resolve(r.Context(), t, q)
	if err != nil { // the client has left, or it waits yet and somebody else gave it a deadline
		h.fail(w, http.StatusServiceUnavailable, outcome{forward: fwdMiss, detail: "gave-up"})
		return observe.Failed
	}
	switch p.next {
	case serve:
		if p.refresh {
			h.refresh(r, t, q, &p.view)
		}
		h.respond(w, q, p.answer, p.outcome)
		return p.result
	case refuse:
		h.fail(w, http.StatusGatewayTimeout, p.outcome)
		return observe.Miss
	case forward:
		if q.method == http.MethodHead && p.view.entry != nil {
			watch := &watcher{w: w, head: func(status int, header http.Header) {
				h.headSeen(r.Context(), t, p.view.entry, status, header)
			}}
			defer watch.decide(http.StatusOK)
			w = watch
		}
		return h.pass(w, r, q, p.outcome.forward)
	default:
		return h.fetch(w, r, t, q, &p.view, p.flight)
	}
}

// fail answers without the handler and without anything stored.
func (h *handler) fail(w http.ResponseWriter, status int, o outcome) {
	h.announce(w.Header(), o, nil, h.Clock.Now())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}

// pass lets the handler answer, without a look at what it says.
func (h *handler) pass(w http.ResponseWriter, r *http.Request, q *request, why string) string {
	if why == fwdBypass {
		h.n.bypassed.Add(1)
		h.count(r.Context(), resultBypass)
	}
	h.announce(w.Header(), outcome{forward: why}, nil, q.began)
	h.next.ServeHTTP(w, r)
	return resultBypass
}

// respond writes a stored response.
func (h *handler) respond(w http.ResponseWriter, q *request, e *entry, o outcome) {
	now := h.Clock.Now()
	a := h.answer(q, e)
	dst := w.Header()
	a.into(dst)
	if age := e.ageAt(now) / 1000; o.forward == "" || o.collapsed || age > 0 {
		dst["Age"] = []string{itoa(age)}
	}
	h.announce(dst, o, e, now)
	w.WriteHeader(a.status)
	if a.body != "" {
		_, _ = io.WriteString(w, a.body) // the client may be gone
	}
}

// fetch lets the handler answer and stores what it says. f is nil when nobody can wait for it.
func (h *handler) fetch(w http.ResponseWriter, r *http.Request, t *target, q *request, v *view, f *flight) string {
	ctx := r.Context()
	if f != nil {
		defer h.land(f)
		stop := context.AfterFunc(ctx, func() { h.leave(f) })
		defer stop()
		ctx = f.ctx
	}
	rec := &recorder{h: h, w: w, t: t, q: q, v: v, f: f, ctx: ctx, before: w.Header().Clone(), declared: -1, requested: h.Clock.Now()}
	if rec.header = rec.before.Clone(); rec.header == nil {
		rec.header = http.Header{}
	}
	rec.why = h.reason(q, v, rec.requested)
	r = r.WithContext(ctx)
	if v.entry != nil {
		head := r.Header.Clone()
		if rec.validates = v.entry.validators(head); rec.validates {
			r.Header = head
		}
	}
	if rec.validates {
		h.n.revalidations.Add(1)
	} else {
		h.n.misses.Add(1)
	}
	h.next.ServeHTTP(rec, r)
	return rec.finish()
}

// refresh fetches in the background, unless that is under way.
func (h *handler) refresh(r *http.Request, t *target, q *request, v *view) {
	f := h.lead(r.Context(), t.base, v)
	if f == nil {
		return
	}
	later := r.Clone(f.ctx)
	later.Method, later.Body = http.MethodGet, http.NoBody
	unconditional(later.Header)
	again := *q
	again.header, again.method, again.began = later.Header, http.MethodGet, h.Clock.Now()
	seen := *v
	if !h.background(func() { h.revalidate(later, t, &again, &seen, f) }) {
		h.land(f)
	}
}

func (h *handler) revalidate(r *http.Request, t *target, q *request, v *view, f *flight) {
	defer h.land(f)
	stop := context.AfterFunc(h.ctx, f.cancel)
	defer stop()
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			h.panicked(r.Context(), p)
		}
	}()
	h.n.background.Add(1)
	h.fetch(&discard{header: http.Header{}}, r, t, q, v, f)
}

// panicked counts and reports a panic in the background. It is called while it is recovered.
func (c *Cache) panicked(ctx context.Context, p any) {
	c.n.panics.Add(1)
	if c.OnError != nil {
		c.OnError(ctx, fmt.Errorf("httpcache: the origin panicked in the background: %v\n%s", p, debug.Stack()))
	}
}

// discard is the client of a fetch in the background.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
