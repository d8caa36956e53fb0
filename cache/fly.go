package cache

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/larderdb/larder/observe"
)

// A flight from its leases to its answers.

// fly gets the leases, calls the loader and lands, also where the loader or a hook ends the goroutine.
func (c *Cache[T]) fly(f *flight[T], load loader[T]) {
	defer c.land(f)
	won := f.all()
	if f.tokens != nil {
		won = c.bid(&f.scope, f)
	}
	if f.ctx.Err() != nil { // everybody has left, and the release may have come before the bid
		if f.tokens != nil {
			c.release(f, won)
		}
		for _, i := range won {
			f.answers[i].again = true
		}
		won = nil
	}
	if f.complete = len(won) == 0; f.complete {
		return
	}
	if f.tokens != nil {
		c.renew(f, won)
	}
	ctx, end := c.begin(f.ctx, "load", f.keys[won[0]])
	if c.o.LoadTimeout > 0 {
		timer := c.clk.AfterFunc(c.o.LoadTimeout, func() { f.cancel(ErrLoadTimeout) })
		defer timer.Stop()
	}
	start := c.clk.Monotonic()
	err := errExited
	defer func() {
		f.took = c.clk.Monotonic() - start
		defer c.deliver(f, won, err)
		c.account(f, won, err, end)
	}()
	err = protect(ctx, f, won, load)
}

// deliver stores the answers; the caller lands. Where storing is a round trip the answers are handed out before.
func (c *Cache[T]) deliver(f *flight[T], won []int, err error) {
	if !c.local && (err == nil || errors.Is(err, ErrNotFound)) {
		f.told = true
		close(f.done)
	}
	if f.tokens != nil {
		c.settle(f, won)
	}
}

// protect turns a panic into an error.
func protect[T any](ctx context.Context, f *flight[T], won []int, load loader[T]) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return load(ctx, f, won)
}

// account counts a call, and decides whose failure it is. A ctx error although the flight's ctx lives comes from a
// loader that used its caller's ctx: it says nothing to the others.
func (c *Cache[T]) account(f *flight[T], won []int, err error, end observe.End) {
	c.n.loads.Add(1)
	result := observe.OK
	switch {
	case errors.Is(err, ErrNotFound):
		result = resultNegative
	case err != nil:
		result = observe.Failed
		if errors.Is(err, context.Canceled) && context.Cause(f.ctx) == ErrLoadTimeout { //nolint:errorlint // it is never wrapped
			err = ErrLoadTimeout
		}
		var panicked *PanicError
		ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		f.own = errors.As(err, &panicked) || errors.Is(err, errExited) || ended && f.ctx.Err() == nil
		c.n.loadErrors.Add(1)
	}
	if err != nil {
		for _, i := range won {
			f.answers[i] = answer[T]{err: err}
		}
	}
	f.complete = true
	if end(result, err); c.o.OnLoad != nil {
		for _, i := range won {
			c.o.OnLoad(f.ctx, f.keys[i], f.took, err)
		}
	}
}

// land forgets the flight, and hands out its answers if that has not been done.
func (c *Cache[T]) land(f *flight[T]) {
	c.mu.Lock()
	c.unregister(f)
	c.mu.Unlock()
	f.cancel(nil)
	if f.told {
		return
	}
	for i := range f.answers {
		f.answers[i].again = f.answers[i].again || !f.complete
	}
	close(f.done)
}
