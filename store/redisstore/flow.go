package redisstore

import (
	"context"
	"sync/atomic"

	"github.com/larderdb/larder/store"
)

// flow tells whether calls may be made by their callers' own goroutines, which is cheapest: nothing then makes them outstay their
// ctx. rueidis makes them wait regardless of it while somebody else makes the connection, and while its queue is full.
// Then calls are made by goroutines that can be left behind.
type flow struct {
	unproven atomic.Int32 // connections that were begun and have not answered yet
	waiting  atomic.Int32 // calls under way
	lanes    []lane       // by slot in a Cluster, where one node may be silent while others answer; else one
}

// lane is a part of the slots.
type lane struct {
	left    atomic.Uint64 // calls that have ended without an answer
	settled atomic.Uint64 // as many of them are known to wait for none any more: what was sent after them has been answered
	apart   chan struct{} // a place for each call that is made by a goroutine of its own, until it is answered
}

// queueRoom is how many calls callers make themselves, and how many goroutines make: together less than the 1024 of
// rueidis's queue of one connection, so that nobody ever waits for a place there.
const queueRoom = 480

// clusterLanes divides slots and queueRoom.
const clusterLanes = 16

func (f *flow) init(cluster bool) {
	f.lanes = make([]lane, 1)
	if cluster {
		f.lanes = make([]lane, clusterLanes)
	}
	for i := range f.lanes {
		f.lanes[i].apart = make(chan struct{}, queueRoom/len(f.lanes))
	}
}

// lane is that of a command.
func (f *flow) lane(words []string, tr store.Traits) *lane {
	if len(f.lanes) == 1 || tr.Key <= 0 || tr.Key >= len(words) {
		return &f.lanes[0]
	}
	return &f.lanes[slotOf(words[tr.Key])/(slots/clusterLanes)]
}

// owner is under which key a call's context holds that of its caller.
type owner struct{}

// attend makes a call, and returns when it is over or ctx is: with ctx's error then. Blocking calls have a connection each, to be
// made at first, and do not count.
func attend[R any](f *flow, ctx context.Context, l *lane, blocks bool, call func(context.Context) R) (R, error) {
	if blocks {
		return leave(ctx, func() R { return call(ctx) })
	}
	before := l.left.Load()
	calm := f.waiting.Add(1) <= queueRoom && f.unproven.Load() == 0 && before == l.settled.Load()
	defer func() {
		if ctx.Err() == nil {
			l.settle(before)
		} else {
			l.left.Add(1) // before it counts as waiting no more
		}
		f.waiting.Add(-1)
	}()
	if calm {
		return call(ctx), nil
	}
	select {
	case l.apart <- struct{}{}:
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
	// It keeps its place in the queue when ctx ends. Only a connection that is made for it ends then.
	outlasting := context.WithValue(context.WithoutCancel(ctx), owner{}, ctx)
	return leave(ctx, func() R {
		defer func() { <-l.apart }()
		return call(outlasting)
	})
}

// settle notes that all calls up to the n-th that was left behind are over. A connection answers in order.
func (l *lane) settle(n uint64) {
	for {
		old := l.settled.Load()
		if old >= n || l.settled.CompareAndSwap(old, n) {
			return
		}
	}
}

// ownerOf is the context of the caller for whom ctx makes a connection.
func ownerOf(ctx context.Context) context.Context {
	if o, ok := ctx.Value(owner{}).(context.Context); ok {
		return o
	}
	return ctx
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
