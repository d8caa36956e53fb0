package httpcache

import (
	"context"
	"errors"
	"sync/atomic"
)

// A store that hangs costs each request that asks it the whole of Options.Timeout. So when several calls in a row have not
// been answered in time the store counts as out, and of the requests that come then only one in a while asks it. One
// answer, be it an error, ends that. A store that refuses at once costs little and is asked by everybody: it is used
// again as soon as it is back.

const (
	outAfter = 3 // timeouts in a row
	outFor   = 5 // Timeouts between two requests that try
)

var errOut = errors.New("httpcache: the store has not answered lately")

type outage struct {
	missed atomic.Int32 // timeouts in a row
	next   atomic.Int64 // when to try again, by the monotonic clock
}

func (o *outage) on() bool { return o.missed.Load() >= outAfter }

// mayAsk tells whether a request is to ask the store.
func (c *Cache) mayAsk() bool {
	o := &c.outage
	if !o.on() {
		return true
	}
	next, now := o.next.Load(), c.Clock.Monotonic()
	return int64(now) >= next && o.next.CompareAndSwap(next, int64(now+outFor*c.timeout.Duration()))
}

// heard notes how a call to the store ended for which ctx was bounded.
func (c *Cache) heard(ctx, bounded context.Context, err error) {
	o := &c.outage
	switch {
	case err == nil || bounded.Err() == nil:
		if o.missed.Load() != 0 {
			o.missed.Store(0)
		}
	case ctx.Err() == nil: // else the client has left, which says nothing about the store
		o.next.Store(int64(c.Clock.Monotonic() + outFor*c.timeout.Duration()))
		o.missed.Add(1)
	}
}
