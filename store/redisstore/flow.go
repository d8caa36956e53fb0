package redisstore

import (
	"context"
	"sync/atomic"
)

// flow tells whether calls may be made by their callers' own goroutines, which is cheapest: nothing then makes them outstay their
// ctx. rueidis makes them wait regardless of it while somebody else makes the connection, and while its queue is full.
// Then calls are made by goroutines that can be left behind.
type flow struct {
	unproven atomic.Int32 // connections that were begun and have not answered yet
	overdue  atomic.Bool  // a call has ended without an answer, and none has got one since
	waiting  atomic.Int32 // calls under way
	apart    chan struct{}
}

const (
	// queueRoom is how many calls rueidis's queue of one connection surely takes, of its 1024: those that were left behind
	// keep their places until the answer comes, which is what overdue is for.
	queueRoom = 512

	// mostApart bounds the goroutines.
	mostApart = 4096
)

func newFlow() flow { return flow{apart: make(chan struct{}, mostApart)} }

func (f *flow) calm() bool {
	return f.waiting.Load() < queueRoom && f.unproven.Load() == 0 && !f.overdue.Load()
}

func (f *flow) answered() {
	if f.overdue.Load() {
		f.overdue.Store(false)
	}
}

// attend makes a call, and returns when it is over or ctx is: with ctx's error then. Blocking calls have a connection each, to be
// made at first, and do not count.
func attend[R any](s *Store, ctx context.Context, blocks bool, call func() R) (R, error) {
	if blocks {
		return leave(ctx, call)
	}
	f := &s.flow
	f.waiting.Add(1)
	defer func() {
		if ctx.Err() != nil { // before it counts as waiting no more
			f.overdue.Store(true)
		}
		f.waiting.Add(-1)
	}()
	if f.calm() {
		return call(), nil
	}
	select {
	case f.apart <- struct{}{}:
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
	return leave(ctx, func() R {
		defer func() { <-f.apart }()
		return call()
	})
}

// leave makes a call in a goroutine, which is left behind if ctx ends before.
func leave[R any](ctx context.Context, call func() R) (R, error) {
	done := make(chan R, 1)
	go func() { done <- call() }()
	select {
	case r := <-done:
		return r, nil
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}
