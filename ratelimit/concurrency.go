package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// DefaultLeasePrefix begins the keys of a Concurrency.
const DefaultLeasePrefix = "rl:lease:"

// ConcurrencyOptions are those of a Concurrency. Limit and TTL are required.
type ConcurrencyOptions struct {
	// Limit is how many units an id may have in use at once.
	Limit int

	// TTL is how long a lease lasts that is neither released nor extended: its holder died. Whole milliseconds.
	TTL time.Duration

	// Prefix begins every key in the store; default DefaultLeasePrefix.
	Prefix string

	// Timeout is how long the store may take; default DefaultTimeout, negative for no limit but the ctx's. A store in
	// this process needs none and gets none.
	Timeout time.Duration

	// FailClosed denies while the store fails. By default leases that nothing counts are given.
	FailClosed bool

	// Observer hears of "acquire" (observe.OK, observe.Denied), "extend" (observe.OK, or "lost"), "release", "peek" and
	// "reset".
	Observer observe.Observer
}

// Concurrency limits how many of something are at work at once: exports per customer, calls to a slow partner. What is
// taken is given back, or ends by itself after TTL. It is safe for concurrent use; make one per limit with NewConcurrency.
//
// At no moment of the store's clock do leases of more than Limit units exist for an id.
type Concurrency struct {
	st      store.Store
	o       ConcurrencyOptions
	timeout *store.CallTimeout
	limit   string
	ttl     string // ms

	acquired, denied, failed, lost atomic.Uint64
}

// ConcurrencyStats counts what a Concurrency did in this process since it was made.
type ConcurrencyStats struct {
	Acquired uint64
	Denied   uint64
	Failed   uint64 // calls that the store failed
	Lost     uint64 // leases that had ended when they were to be extended or released
}

// NewConcurrency makes a Concurrency on st. It does not touch the store; it fails only for options that make no sense.
func NewConcurrency(st store.Store, o ConcurrencyOptions) (*Concurrency, error) {
	if o.Limit < 1 || int64(o.Limit) > maxLimit {
		return nil, fmt.Errorf("ratelimit: %w: Limit %d, want 1 to %d", store.ErrInvalid, o.Limit, int64(maxLimit))
	}
	if o.TTL < time.Millisecond || o.TTL%time.Millisecond != 0 || o.TTL > maxBlock {
		return nil, fmt.Errorf("ratelimit: %w: TTL %v, want whole milliseconds, up to a century", store.ErrInvalid, o.TTL)
	}
	if o.Prefix == "" {
		o.Prefix = DefaultLeasePrefix
	}
	return &Concurrency{
		st: st, o: o, timeout: store.CallTimeoutFor(st, o.Timeout, DefaultTimeout),
		limit: strconv.Itoa(o.Limit), ttl: strconv.FormatInt(o.TTL.Milliseconds(), 10),
	}, nil
}

// Lease is what an id has in use. Release it; Extend it in time where the work may take longer than TTL.
type Lease struct {
	c        *Concurrency
	id       string
	token    string
	unsure   bool // the store failed, so it may count or not
	released atomic.Bool
}

// Acquire takes one unit for id, in one round trip. lease is nil if res.Allowed is false; then res.RetryAfter is when a
// lease ends by itself: mostly one is released earlier. If the store fails, err tells why, and unless FailClosed is set
// there is a lease nonetheless, which the store may count or not.
func (c *Concurrency) Acquire(ctx context.Context, id string) (lease *Lease, res Result, err error) {
	return c.AcquireN(ctx, id, 1)
}

// AcquireN takes n units with one lease: all or none. An n below 1 or above Limit is denied with ErrInvalid.
func (c *Concurrency) AcquireN(ctx context.Context, id string, n int) (lease *Lease, res Result, err error) {
	ctx, end := observe.Begin(ctx, c.o.Observer, c.op("acquire", id))
	token := newToken()
	res, err = c.step(ctx, "acquire", id, "a", token, n)
	switch {
	case err != nil:
		res.Allowed = !c.o.FailClosed && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, context.Canceled)
		if res.Allowed {
			lease = &Lease{c: c, id: id, token: token, unsure: true}
		} else if errors.Is(err, store.ErrUnavailable) {
			c.giveBack(ctx, id, token)
		}
		end(observe.Failed, err)
		return lease, res, err
	case !res.Allowed:
		c.denied.Add(1)
		end(observe.Denied, nil)
		return nil, res, nil
	}
	c.acquired.Add(1)
	end(observe.OK, nil)
	return &Lease{c: c, id: id, token: token}, res, nil
}

// giveBack releases what an Acquire without an answer may have taken: a stalled store would run it later, and count it
// until its TTL. If this fails too, it does.
func (c *Concurrency) giveBack(ctx context.Context, id, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), DefaultTimeout)
	defer cancel()
	_, _ = c.step(ctx, "release", id, "r", token, 1)
}

// Peek tells what Acquire would answer now, and takes nothing.
func (c *Concurrency) Peek(ctx context.Context, id string) (Result, error) {
	ctx, end := observe.Begin(ctx, c.o.Observer, c.op("peek", id))
	res, err := c.step(ctx, "peek", id, "p", noToken, 1)
	if err != nil {
		res.Allowed = !c.o.FailClosed
		end(observe.Failed, err)
		return res, err
	}
	end(observe.OK, nil)
	return res, nil
}

// Reset ends all leases of id. Their holders find out when they extend them.
func (c *Concurrency) Reset(ctx context.Context, id string) error {
	ctx, end := observe.Begin(ctx, c.o.Observer, c.op("reset", id))
	bounded, cancel := c.timeout.Bound(ctx)
	defer cancel()
	if err := c.st.Do(bounded, "DEL", c.o.Prefix+id).Err(); err != nil {
		err = c.fail("reset", id, err)
		end(observe.Failed, err)
		return err
	}
	end(observe.OK, nil)
	return nil
}

// Stats is a snapshot of the counters.
func (c *Concurrency) Stats() ConcurrencyStats {
	return ConcurrencyStats{c.acquired.Load(), c.denied.Load(), c.failed.Load(), c.lost.Load()}
}

// Extend lets the lease last a TTL from now. ok is false if it has ended: then others may have taken its place, and the work
// should stop. A lease from while the store failed is not extended, and always there. One round trip.
func (l *Lease) Extend(ctx context.Context) (ok bool, err error) {
	if l == nil || l.released.Load() {
		return false, nil
	}
	if l.unsure {
		return true, nil
	}
	return l.call(ctx, "extend", "e")
}

// Keep extends the lease every third of its TTL until stop is called, for work that may take longer: stop before Release, or
// instead of it where the lease is to end by itself. The ctx that it returns is for that work: it is cancelled when the lease has
// ended nonetheless, because it was Reset or the store lost it; with FailClosed also when the store failed for a whole TTL. That
// parent ends does not end the lease: who works may not have noticed.
func (l *Lease) Keep(parent context.Context) (ctx context.Context, stop func()) {
	ctx, lost := context.WithCancel(parent)
	if l == nil || l.unsure {
		return ctx, lost
	}
	calls, end := context.WithCancel(context.WithoutCancel(parent))
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.extendAll(calls, lost)
	}()
	return ctx, func() {
		end()
		<-done
		lost()
	}
}

// extendAll extends the lease until ctx ends, or calls lost.
func (l *Lease) extendAll(ctx context.Context, lost func()) {
	ttl := l.c.o.TTL
	every := time.NewTicker(max(ttl/3, time.Millisecond))
	defer every.Stop()
	sure := time.Now().Add(ttl)
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		now := time.Now()
		ok, err := l.Extend(ctx)
		switch {
		case ok:
			sure = now.Add(ttl)
		case err == nil, l.c.o.FailClosed && now.After(sure):
			lost()
			return
		}
	}
}

// Release gives the units back. A second call is a no-op, and so is one after the lease has ended, or of the nil lease of a
// denial. If the store fails the lease ends by itself after its TTL. One round trip.
func (l *Lease) Release(ctx context.Context) error {
	if l == nil || l.released.Swap(true) {
		return nil
	}
	_, err := l.call(ctx, "release", "r")
	return err
}

func (l *Lease) call(ctx context.Context, verb, op string) (bool, error) {
	c := l.c
	ctx, end := observe.Begin(ctx, c.o.Observer, c.op(verb, l.id))
	res, err := c.step(ctx, verb, l.id, op, l.token, 1)
	switch {
	case err != nil:
		end(observe.Failed, err)
		return false, err
	case !res.Allowed:
		if l.unsure {
			break
		}
		c.lost.Add(1)
		end("lost", nil)
		return false, nil
	}
	end(observe.OK, nil)
	return true, nil
}

func (c *Concurrency) op(verb, id string) observe.Op {
	return observe.Op{Pattern: "ratelimit", Name: c.o.Prefix, Verb: verb, Key: id}
}

// step runs the script and reads its reply.
func (c *Concurrency) step(ctx context.Context, verb, id, op, token string, n int) (Result, error) {
	res := Result{Limit: c.o.Limit}
	if n < 1 || n > c.o.Limit {
		err := fmt.Errorf("%w: %d units, want 1 to the limit of %d", store.ErrInvalid, n, c.o.Limit)
		return res, store.Wrap("ratelimit", verb, c.o.Prefix+id, err)
	}
	bounded, cancel := c.timeout.Bound(ctx)
	defer cancel()
	list, err := c.st.Run(bounded, leaseScript, []string{c.o.Prefix + id}, op, token, strconv.Itoa(n), c.limit, c.ttl).Ints()
	if err == nil && len(list) != 4 {
		err = fmt.Errorf("%w: %d elements, want 4", store.ErrReply, len(list))
	}
	if err != nil {
		return res, c.fail(verb, id, err)
	}
	res.Allowed, res.Remaining = list[0] == 1, int(list[1])
	res.RetryAfter, res.ResetAfter = millis(list[2]), millis(list[3])
	return res, nil
}

func (c *Concurrency) fail(verb, id string, err error) error {
	if !errors.Is(err, context.Canceled) {
		c.failed.Add(1)
	}
	return store.Wrap("ratelimit", verb, c.o.Prefix+id, err)
}

// noToken is no lease's.
const noToken = "\x00\x00\x00\x00\x00\x00\x00\x00"

// newToken is 8 random bytes: two leases of one id meet with a chance of 2^-64.
func newToken() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return string(b[:])
}

func sortByEnd(list []lease) {
	slices.SortFunc(list, func(a, b lease) int { return cmp.Compare(a.till, b.till) })
}
