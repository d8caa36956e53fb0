package kvstore

import (
	"context"
	"sync"
	"unicode/utf8"

	"github.com/larderdb/larder/store"
)

// batcher makes requests of calls. A call that finds fewer than `requests` under way begins one at once; those that come
// while there are that many wait, and the next request to end takes all of them along, up to a bound.
//
// A caller who leaves before the answer (his ctx ended) may go on with what undoes the call: give a lock back that he might have
// got. So what comes after he left must not overtake what he left behind. While a request that writes and that somebody left is
// under way, none other begins; and calls that wait are sent although their callers left, unless they are very many.
type batcher struct {
	s *Store

	mu      sync.Mutex
	waiting []*call
	running int // requests under way
	left    int // of those, the ones that write and that somebody left
	strays  int // waiting calls whose callers left
}

// maxStrays bounds the calls that are sent though nobody waits for them. What is left beyond that is not sent.
const maxStrays = 1000

// call is what one caller wants: commands in order.
type call struct {
	cmds    []store.Cmd
	replies []store.Reply // set before done is closed
	done    chan struct{}

	// Guarded by batcher.mu.
	batch   *batch // nil while it waits
	stray   bool   // its caller left while it waited
	dropped bool   // and it is not to be sent
}

// batch is a request under way.
type batch struct {
	calls  []*call
	writes bool
	left   bool
}

// Bounds of a batch; a single call may be larger.
const (
	batchCommands = 1000
	batchBytes    = 1 << 20
)

// run sends commands and waits for the replies, for as long as ctx and the Store's timeout let it.
func (b *batcher) run(ctx context.Context, cmds []store.Cmd) []store.Reply {
	if err := b.s.over(ctx); err != nil {
		return failAll(len(cmds), err)
	}
	if own, ok := b.binary(cmds); ok {
		return own(ctx)
	}
	c := &call{cmds: copied(cmds), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	if b.running < requests && b.left == 0 {
		b.running++
		go b.work()
	}
	b.mu.Unlock()
	bounded, cancel := b.s.timeout.Bound(ctx)
	defer cancel()
	select {
	case <-c.done:
		return c.replies
	case <-bounded.Done():
		b.leave(c)
		return failAll(len(cmds), store.Unavailable(bounded.Err()))
	case <-b.s.life.Done():
		return failAll(len(cmds), b.s.over(ctx))
	}
}

// leave notes that nobody waits for a call any more.
func (b *batcher) leave(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case c.batch == nil && (b.strays == maxStrays || reads(c.cmds)):
		c.dropped = true
	case c.batch == nil:
		c.stray = true
		b.strays++
	case c.batch.writes && !c.batch.left:
		c.batch.left = true
		b.left++
	}
}

// copied keeps the callers' slices theirs: they may leave before the request is made.
func copied(cmds []store.Cmd) []store.Cmd {
	own := make([]store.Cmd, len(cmds))
	for i, c := range cmds {
		own[i] = append(store.Cmd(nil), c...)
	}
	return own
}

func failAll(n int, err error) []store.Reply {
	replies := make([]store.Reply, n)
	for i := range replies {
		replies[i] = store.Fail(err)
	}
	return replies
}

// work makes requests until nothing waits, or nothing may be sent.
func (b *batcher) work() {
	for one := b.take(nil); one != nil; one = b.take(one) {
		var cmds []store.Cmd
		for _, c := range one.calls {
			cmds = append(cmds, c.cmds...)
		}
		ctx, cancel := b.s.timeout.Bound(b.s.life)
		replies := b.s.pipeline(ctx, cmds)
		cancel()
		for _, c := range one.calls {
			c.replies, replies = replies[:len(c.cmds):len(c.cmds)], replies[len(c.cmds):]
			close(c.done)
		}
	}
}

// take gives the calls of the next request, after one has ended; nil: this worker is done.
func (b *batcher) take(ended *batch) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ended != nil && ended.left {
		b.left--
	}
	next := &batch{}
	commands, size := 0, 0
	for len(b.waiting) > 0 && b.left == 0 {
		c := b.waiting[0]
		if !c.dropped {
			n := sizeOf(c.cmds)
			if len(next.calls) > 0 && (commands+len(c.cmds) > batchCommands || size+n > batchBytes) {
				break
			}
			next.calls, commands, size = append(next.calls, c), commands+len(c.cmds), size+n
			c.batch, next.writes, next.left = next, next.writes || !reads(c.cmds), next.left || c.stray
			if c.stray {
				b.strays--
			}
		}
		b.waiting[0] = nil
		b.waiting = b.waiting[1:]
	}
	if len(b.waiting) == 0 {
		b.waiting = nil
	}
	if next.calls == nil {
		b.running--
		return nil
	}
	if next.left {
		b.left++
	}
	return next
}

func sizeOf(cmds []store.Cmd) (n int) {
	for _, c := range cmds {
		for _, w := range c {
			n += len(w) + 3
		}
	}
	return n
}

// binary tells whether some commands have words that cannot stand in JSON, and then how to send them all: one by one.
func (b *batcher) binary(cmds []store.Cmd) (run func(ctx context.Context) []store.Reply, ok bool) {
	if b.s.bytes.Load() || allText(cmds) {
		return nil, false
	}
	return func(ctx context.Context) []store.Reply {
		replies := make([]store.Reply, len(cmds))
		for i, c := range cmds {
			ctx, cancel := b.s.timeout.Bound(ctx)
			replies[i] = b.s.single(ctx, c)
			cancel()
		}
		return replies
	}, true
}

func allText(cmds []store.Cmd) bool {
	for _, c := range cmds {
		for _, w := range c {
			if !utf8.ValidString(w) {
				return false
			}
		}
	}
	return true
}

// transaction sends commands as one.
func (b *batcher) transaction(ctx context.Context, cmds []store.Cmd) ([]store.Reply, error) {
	if err := b.s.over(ctx); err != nil {
		return nil, err
	}
	if !b.s.bytes.Load() && !allText(cmds) {
		return nil, &refused{"a transaction", "with words that are no UTF-8 cannot be sent as JSON to this server"}
	}
	ctx, cancel := b.s.timeout.Bound(ctx)
	defer cancel()
	return b.s.exec(ctx, cmds)
}
