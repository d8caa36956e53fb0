package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// CallTimeout bounds how long one call to a Store may take. A nil CallTimeout bounds nothing.
//
// context.WithTimeout makes a timer for every call, which is a good part of what a call costs its process. So callers whose
// own ctx never ends share one that does.
type CallTimeout struct {
	d      time.Duration
	mu     sync.Mutex // for who replaces shared
	shared atomic.Pointer[sharedDeadline]
}

// sharedDeadline is a context that is handed out for a while.
type sharedDeadline struct {
	ctx   context.Context
	until time.Time // when to make the next one
}

// CallTimeoutFor reads a Timeout option of a pattern: asked, or usual if that is zero. It is nil, for none, where asked is
// negative, and for a store in this process, which does not wait for a network.
func CallTimeoutFor(st Store, asked, usual time.Duration) *CallTimeout {
	if asked == 0 {
		asked = usual
	}
	if asked < 0 || InProcess(st) {
		return nil
	}
	return NewCallTimeout(asked)
}

// NewCallTimeout makes a CallTimeout of d, which is more than zero.
func NewCallTimeout(d time.Duration) *CallTimeout { return &CallTimeout{d: d} }

// Duration is how long a call may take; 0 for no bound.
func (t *CallTimeout) Duration() time.Duration {
	if t == nil {
		return 0
	}
	return t.d
}

// Bound is ctx for one call: it ends when ctx does, and after the timeout or up to an eighth more. cancel is to be called
// when the call is over. A ctx that ends sooner anyway is returned as it is.
func (t *CallTimeout) Bound(ctx context.Context) (bounded context.Context, cancel context.CancelFunc) {
	if t == nil {
		return ctx, nothing
	}
	now := time.Now()
	if ctx.Done() == nil {
		return valued{t.share(now), ctx}, nothing
	}
	if end, ok := ctx.Deadline(); ok && end.Sub(now) <= t.d {
		return ctx, nothing
	}
	return context.WithTimeout(ctx, t.d)
}

func nothing() {}

// share is a context that has at least the timeout left.
func (t *CallTimeout) share(now time.Time) context.Context {
	if s := t.shared.Load(); s != nil && now.Before(s.until) {
		return s.ctx
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.shared.Load(); s != nil && now.Before(s.until) {
		return s.ctx
	}
	slack := t.d / 8
	ctx, cancel := context.WithDeadline(context.Background(), now.Add(t.d+slack))
	context.AfterFunc(ctx, cancel) // its timer ends it; nobody else may
	t.shared.Store(&sharedDeadline{ctx, now.Add(slack)})
	return ctx
}

// valued ends like its Context, and has the values of another.
type valued struct {
	context.Context
	values context.Context
}

// Value looks into the caller's ctx. What package context itself asks for is the other's.
func (v valued) Value(key any) any {
	if val := v.Context.Value(key); val != nil {
		return val
	}
	return v.values.Value(key)
}
