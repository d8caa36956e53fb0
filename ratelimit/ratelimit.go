package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/store"
)

// DefaultPrefix begins the keys of a Limiter. It names the layout of the log, so that other algorithms, or the sorted
// sets that many services keep under "ratelimit:", never meet it.
const DefaultPrefix = "rl:log:"

// DefaultTimeout is how long the store may take to decide.
const DefaultTimeout = 100 * time.Millisecond

// maxLimit keeps sums far below the 2^48 at which the log's running totals wrap.
const maxLimit = 1 << 40

// Options of a Limiter. Limit and Window are required.
type Options struct {
	// Limit is how many units pass in any span of Window. A request is one unit unless AllowN says otherwise.
	Limit int

	// Window is the length of the span: whole milliseconds, at least one.
	Window time.Duration

	// Prefix begins every key in the store. Limiters that share store, Prefix and ids share their counts. Default
	// DefaultPrefix; two limits for the same ids need two prefixes: "rl:log:login:".
	Prefix string

	// Timeout is how long the store may take; default DefaultTimeout, negative for no limit but the ctx's. A store in
	// this process needs none and gets none.
	Timeout time.Duration

	// FailClosed denies while the store fails. By default requests pass.
	FailClosed bool

	// OnDenied, if set, is called for every denied request; OnError for every failure of the store. They run on the
	// request's goroutine and should be quick.
	OnDenied func(ctx context.Context, id string, res Result)
	OnError  func(ctx context.Context, id string, err error)
}

// Result is a decision.
type Result struct {
	Allowed    bool
	Limit      int           // as in Options
	Remaining  int           // units that would still pass right now
	RetryAfter time.Duration // until this request would pass if no other came; 0 if it was allowed
	ResetAfter time.Duration // until all of Limit is free again if no other came
}

// Stats counts what a Limiter did in this process since it was made. Peek and Reset count only in Failed.
type Stats struct {
	Allowed uint64 // passed by the store's decision
	Denied  uint64 // denied by the store's decision
	Failed  uint64 // not decided, because the store failed
}

// Limiter decides. It is safe for concurrent use; make one per limit with New.
type Limiter struct {
	st      store.Store
	o       Options
	timeout time.Duration // 0 for none
	one     []string      // the script's arguments for a cost of 1; shared by all calls, never changed

	allowed, denied, failed atomic.Uint64
}

// New makes a Limiter on st. It does not touch the store; it fails only for options that make no sense.
func New(st store.Store, o Options) (*Limiter, error) {
	if o.Limit < 1 || int64(o.Limit) > maxLimit {
		return nil, fmt.Errorf("ratelimit: %w: Limit %d, want 1 to %d", store.ErrInvalid, o.Limit, int64(maxLimit))
	}
	if o.Window < time.Millisecond || o.Window%time.Millisecond != 0 { // longest: 292 years, 13 digits
		return nil, fmt.Errorf("ratelimit: %w: Window %v, want whole milliseconds", store.ErrInvalid, o.Window)
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	l := &Limiter{st: st, o: o, timeout: o.Timeout}
	switch {
	case o.Timeout == 0:
		l.timeout = DefaultTimeout
	case o.Timeout < 0:
		l.timeout = 0
	}
	if store.InProcess(st) {
		l.timeout = 0
	}
	l.one = l.args(1)
	return l, nil
}

// Allow asks for one unit for id: a user, an account, an address. See AllowN.
func (l *Limiter) Allow(ctx context.Context, id string) (Result, error) {
	return l.decide(ctx, takeScript, id, 1)
}

// AllowN asks for cost units at once: all or none pass. What passes is counted, what is denied is not.
//
// If the store fails, err tells why, and Result.Allowed is what Options.FailClosed wants: code that looks only at
// Allowed does the right thing. A cost below 1 or above Limit could never be decided; it is denied with ErrInvalid.
func (l *Limiter) AllowN(ctx context.Context, id string, cost int) (Result, error) {
	return l.decide(ctx, takeScript, id, cost)
}

// Peek tells what Allow would answer now, and counts nothing.
func (l *Limiter) Peek(ctx context.Context, id string) (Result, error) {
	return l.decide(ctx, peekScript, id, 1)
}

// Reset forgets what id used, so that all of Limit is free. Resetting an unknown id is a no-op.
func (l *Limiter) Reset(ctx context.Context, id string) error {
	ctx, cancel := l.bound(ctx)
	defer cancel()
	key := l.o.Prefix + id
	if err := l.st.Do(ctx, "DEL", key).Err(); err != nil {
		return l.fail(ctx, "reset", id, err)
	}
	return nil
}

// Stats is a snapshot of the counters.
func (l *Limiter) Stats() Stats {
	return Stats{Allowed: l.allowed.Load(), Denied: l.denied.Load(), Failed: l.failed.Load()}
}

// Limit is the Options' Limit.
func (l *Limiter) Limit() int { return l.o.Limit }

// Window is the Options' Window.
func (l *Limiter) Window() time.Duration { return l.o.Window }

func (l *Limiter) args(cost int) []string {
	return []string{strconv.Itoa(cost), strconv.Itoa(l.o.Limit), strconv.FormatInt(l.o.Window.Milliseconds(), 10)}
}

func (l *Limiter) decide(ctx context.Context, script *store.Script, id string, cost int) (Result, error) {
	args := l.one
	if cost != 1 {
		if cost < 1 || cost > l.o.Limit {
			err := fmt.Errorf("%w: cost %d, want 1 to the limit of %d", store.ErrInvalid, cost, l.o.Limit)
			return Result{Limit: l.o.Limit}, store.Wrap("ratelimit", op(script), l.o.Prefix+id, err)
		}
		args = l.args(cost)
	}
	keys := []string{l.o.Prefix + id}
	var reply store.Reply
	if l.timeout == 0 {
		reply = l.st.Run(ctx, script, keys, args...)
	} else {
		bounded, cancel := context.WithTimeout(ctx, l.timeout)
		reply = l.st.Run(bounded, script, keys, args...)
		cancel()
	}
	res, err := l.result(reply)
	if err != nil {
		return Result{Allowed: !l.o.FailClosed, Limit: l.o.Limit}, l.fail(ctx, op(script), id, err)
	}
	if script != takeScript {
		return res, nil
	}
	if res.Allowed {
		l.allowed.Add(1)
		return res, nil
	}
	l.denied.Add(1)
	if l.o.OnDenied != nil {
		l.o.OnDenied(ctx, id, res)
	}
	return res, nil
}

// op is what a script does, in an error.
func op(s *store.Script) string {
	if s == takeScript {
		return "allow"
	}
	return "peek"
}

// result reads the script's reply.
func (l *Limiter) result(r store.Reply) (Result, error) {
	list, err := r.Array()
	if err != nil {
		return Result{}, err
	}
	if len(list) != 4 {
		return Result{}, fmt.Errorf("%w: %d elements, want 4", store.ErrReply, len(list))
	}
	var n [4]int64
	for i := range n {
		if n[i], err = list[i].Int64(); err != nil {
			return Result{}, err
		}
	}
	return Result{
		Allowed: n[0] != 0, Limit: l.o.Limit, Remaining: int(n[1]),
		RetryAfter: time.Duration(n[2]) * time.Millisecond, ResetAfter: time.Duration(n[3]) * time.Millisecond,
	}, nil
}

func (l *Limiter) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, l.timeout)
}

// fail counts and reports a failure of the store. A caller that left is none.
func (l *Limiter) fail(ctx context.Context, op, id string, err error) error {
	err = store.Wrap("ratelimit", op, l.o.Prefix+id, err)
	if errors.Is(err, context.Canceled) {
		return err
	}
	l.failed.Add(1)
	if l.o.OnError != nil {
		l.o.OnError(ctx, id, err)
	}
	return err
}
