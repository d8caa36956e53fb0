package httpcache

import (
	"context"
	"hash/maphash"
	"sync"
)

// Flights
//
// A flight is one fetch from the origin, for which others that want the same wait. Its leader is the request that made
// it; the fetch runs on the leader's goroutine (Handler) or on its own (Transport), with a ctx that ends only when the
// leader and all who wait have left: a leader whose client goes away fetches on for the others.
//
// A request joins a flight only if its lookup saw what the flight's saw: after a purge, by whichever process, it gets a
// flight of its own. Those who wait get the response if it may be stored and is fresh enough for them, and only once it
// is complete; otherwise each asks for itself.

type flight struct {
	token  token
	key    string
	runway uint8
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when there is something to tell

	once    sync.Once
	entry   *entry // to share; nil if there is nothing. Set before done is closed
	variant string // where it lies: whoever finds it there by its own header may have it
	failed  bool   // it stands in for an origin that failed

	refs int // leader and waiters; guarded by Cache.mu

	outer *flight // that this one is a part of: its handler asked for what this one fetches
}

type flightKey struct{}

// within tells whether ctx belongs to what f waits for. Who is there cannot wait for f.
func (f *flight) within(ctx context.Context) bool {
	at, _ := ctx.Value(flightKey{}).(*flight)
	for at != nil && at != f {
		at = at.outer
	}
	return at == f
}

// role of a request towards a flight.
type role uint8

const (
	leads   role = iota
	follows      // waits
	again        // a flight has landed since the lookup: look again
	alone        // it is a part of that flight
)

// runways is how many counts of landings there are; each URL has one of them.
const runways = 256

func (c *Cache) runway(base string) uint8 { return uint8(maphash.String(c.seed, base)) }

// landings is how many flights have landed, of this URL and some others.
func (c *Cache) landings(base string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.landed[c.runway(base)]
}

// join finds the flight for what a lookup saw, or begins one. landed is landings before the lookup.
func (c *Cache) join(ctx context.Context, base string, v *view, landed uint64) (*flight, role) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[v.flight]; f != nil && f.token == v.token && f.refs > 0 {
		if f.within(ctx) {
			return nil, alone
		}
		f.refs++
		return f, follows
	}
	if v.known && c.landed[c.runway(base)] != landed {
		return nil, again
	}
	return c.launch(ctx, base, v), leads
}

// launch registers a flight, with mu held.
func (c *Cache) launch(ctx context.Context, base string, v *view) *flight {
	f := &flight{token: v.token, key: v.flight, runway: c.runway(base), done: make(chan struct{}), refs: 1}
	f.outer, _ = ctx.Value(flightKey{}).(*flight)
	f.ctx, f.cancel = context.WithCancel(context.WithValue(context.WithoutCancel(ctx), flightKey{}, f))
	c.flights[v.flight] = f
	return f
}

// lead begins a flight unless there is one, for a fetch in the background.
func (c *Cache) lead(ctx context.Context, base string, v *view) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[v.flight]; f != nil && f.token == v.token && f.refs > 0 {
		return nil
	}
	return c.launch(ctx, base, v)
}

// leave is what a waiter does that has waited long enough, and what anybody does whose client is gone.
func (c *Cache) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.refs--; f.refs == 0 {
		f.cancel()
	}
}

// abandoned tells whether nobody waits for the flight any more.
func (c *Cache) abandoned(f *flight) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.refs <= 0
}

// publish lets those who wait go, with an entry or without. Only the first call counts.
func (f *flight) publish(e *entry, variant string, failed bool) {
	if f == nil {
		return
	}
	f.once.Do(func() {
		f.entry, f.variant, f.failed = e, variant, failed
		close(f.done)
	})
}

// release publishes what is for those who wait now, and not for who comes later.
func (c *Cache) release(f *flight, e *entry, variant string, failed bool) {
	if f == nil {
		return
	}
	c.mu.Lock()
	c.unregister(f)
	c.mu.Unlock()
	f.publish(e, variant, failed)
}

// unregister forgets a flight, with mu held.
func (c *Cache) unregister(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// land is the end of a flight. It publishes nothing, if nothing was published.
func (c *Cache) land(f *flight) {
	if f == nil {
		return
	}
	c.mu.Lock()
	c.landed[f.runway]++
	c.unregister(f)
	c.mu.Unlock()
	f.publish(nil, "", false)
	f.cancel()
}

// wait is until a flight has something to tell, or for the ctx's end.
func (c *Cache) wait(ctx context.Context, f *flight) error {
	defer c.leave(f) // else a stream would go on for those who have long been told that it is none of theirs
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shared is what a flight's end gives to one who waited.
func (c *Cache) shared(t *target, q *request, f *flight) *entry {
	e := f.entry
	if e == nil || t.place(q, e.spec) != f.variant {
		return nil
	}
	now := c.Clock.Now()
	if f.failed && c.mayServeOnError(&q.asked, e, now) {
		return e
	}
	if u := c.decide(&q.asked, e, now); u == useFresh || u == useStale {
		return e
	}
	return nil
}

// place is where a response with this Vary lies for a request: the base, or a variant.
func (t *target) place(q *request, spec string) string {
	if spec == "" && t.implied == "" {
		return t.base
	}
	return t.variantKey(spec, q.header)
}
