package ratelimit

import (
	"context"
	"fmt"
	"net/http"

	"github.com/larderdb/larder/store"
)

// ConcurrencyMiddleware limits how many requests of a client are at work at once. A request has a lease from before its
// handler runs until the handler has returned, however long that takes: the lease is extended meanwhile, every third of
// its TTL. Should it end nonetheless, because it was Reset or the store lost it, the request's context is cancelled.
//
// Options are those of Middleware but for Plan, which must be nil; Cost is the lease's units. Answers are the same, 429 with
// the Retry-After of a lease that ends by itself: mostly one is released earlier. The draft's fields have the unit
// "concurrent-requests" and no window. Two round trips: one before the handler, one after it.
func ConcurrencyMiddleware(c *Concurrency, o HTTPOptions) (func(http.Handler) http.Handler, error) {
	if o.Plan != nil {
		return nil, fmt.Errorf("ratelimit: %w: a Plan for a Concurrency, which has one limit", store.ErrInvalid)
	}
	m, err := newMiddleware(o)
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.lease(w, r, c, next) })
	}, nil
}

func (m *middleware) lease(w http.ResponseWriter, r *http.Request, c *Concurrency, next http.Handler) {
	req, limited := m.ask(r)
	if !limited {
		next.ServeHTTP(w, r)
		return
	}
	lease, res, err := c.AcquireN(r.Context(), req.ID, req.Cost)
	if err == nil {
		m.o.Headers.set(w.Header(), res, res.concurrency)
	}
	if lease != nil {
		// The units come back although the client has left, or the handler panics. A failure is in Stats.
		defer func() { _ = lease.Release(context.WithoutCancel(r.Context())) }()
	}
	if !m.passes(w, r, res, err) {
		return
	}
	ctx, stop := lease.Keep(r.Context())
	defer stop()
	next.ServeHTTP(w, r.WithContext(ctx))
}

// concurrency gives the draft's fields.
func (r Result) concurrency() (policy, limit string) {
	t := r.ResetAfter
	if !r.Allowed {
		t = r.RetryAfter
	}
	return fmt.Sprintf(`"%s";q=%d;qu="concurrent-requests"`, defaultPolicy, r.Limit), fmt.Sprintf(`"%s";r=%d;t=%d`, defaultPolicy, r.Remaining, seconds(t))
}
