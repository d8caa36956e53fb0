package httpcache

import (
	"context"

	"github.com/larderdb/larder/observe"
)

// step is what is to be done with a request.
type step uint8

const (
	serve   step = iota // answer with plan.answer
	refuse              // 504: the request wants only what is stored
	forward             // ask the origin for this request alone, and store nothing
	fetch               // ask the origin, for all who wait at plan.flight
)

// plan is the way a request goes.
type plan struct {
	next    step
	view    view
	answer  *entry
	refresh bool    // fetch in the background too
	flight  *flight // nil if nobody waits
	outcome outcome
	result  string // for the Observer
}

// patience is how often a request waits for others' flights before it asks for itself.
const patience = 3

// resolve finds out how to answer a request. It waits while another one fetches the same. Its error is the ctx's.
func (c *Cache) resolve(ctx context.Context, t *target, q *request) (plan, error) {
	for try := 0; ; try++ {
		landed := c.landings(t.base)
		p := plan{}
		var err error
		if p.view, err = c.lookup(ctx, t, q); err != nil {
			if ctx.Err() != nil {
				return p, ctx.Err()
			}
			c.failed(ctx, "get", t.base, err)
			p.view = view{flight: t.base}
			if t.implied != "" {
				p.view.flight = t.variantKey("", q.header)
			}
		}
		if c.fromStore(q, &p) {
			return p, nil
		}
		p.outcome.forward = c.reason(q, &p.view, c.Clock.Now())
		if q.single() {
			c.n.misses.Add(1)
			p.next = forward
			return p, nil
		}
		p.next = fetch
		// What answers Authorization is seldom for others: it leads nobody, and others' responses do not depend on it.
		if try >= patience || q.authorized && !c.Private || c.hints.waitInVain(t.base, c.Clock.Now()) {
			return p, nil
		}
		f, role := c.join(ctx, t.base, &p.view, landed)
		switch role {
		case leads:
			p.flight = f
			return p, nil
		case follows:
			if err := c.wait(ctx, f); err != nil {
				return p, err
			}
			if p.answer = c.shared(t, q, f); p.answer != nil {
				c.n.shared.Add(1)
				p.next, p.result, p.outcome.collapsed = serve, observe.Hit, true
				return p, nil
			}
		case alone:
			return p, nil
		case again:
		}
	}
}

// fromStore tells whether what a lookup found will do, or that nothing else may.
func (c *Cache) fromStore(q *request, p *plan) bool {
	now := c.Clock.Now()
	switch c.decide(&q.asked, p.view.entry, now) {
	case useFresh:
		c.n.hits.Add(1)
		p.result = observe.Hit
	case useRevalidate:
		p.refresh = true
		fallthrough
	case useStale:
		c.n.staleHits.Add(1)
		p.result = observe.Stale
	case useNot:
		if q.cc.onlyIfCached {
			p.next, p.outcome = refuse, outcome{forward: c.reason(q, &p.view, now), detail: "only-if-cached"}
			return true
		}
		return false
	}
	p.next, p.answer = serve, p.view.entry
	return true
}
