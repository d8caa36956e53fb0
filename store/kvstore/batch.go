package kvstore

import (
	"context"
	"sync"
	"unicode/utf8"

	"github.com/larderdb/larder/store"
)

// batcher makes requests of calls. A call that finds fewer than `requests` under way begins one at once; those that come
// while there are that many wait, and the next request to end takes all of them along, up to a bound.
type batcher struct {
	s *Store

	mu      sync.Mutex
	waiting []*call
	running int
}

// call is what one caller wants: commands in order.
type call struct {
	ctx     context.Context // the caller's
	cmds    []store.Cmd
	replies []store.Reply // set before done is closed
	done    chan struct{}
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
	c := &call{ctx: ctx, cmds: copied(cmds), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	start := b.running < requests
	if start {
		b.running++
	}
	b.mu.Unlock()
	if start {
		go b.work()
	}
	bounded, cancel := b.s.timeout.Bound(ctx)
	defer cancel()
	select {
	case <-c.done:
		return c.replies
	case <-bounded.Done():
		return failAll(len(cmds), store.Unavailable(bounded.Err()))
	case <-b.s.life.Done():
		return failAll(len(cmds), b.s.over(ctx))
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

// work makes requests until nothing waits.
func (b *batcher) work() {
	for {
		calls := b.take()
		if calls == nil {
			return
		}
		var cmds []store.Cmd
		for _, c := range calls {
			cmds = append(cmds, c.cmds...)
		}
		ctx, cancel := b.s.timeout.Bound(b.s.life)
		replies := b.s.pipeline(ctx, cmds)
		cancel()
		for _, c := range calls {
			c.replies, replies = replies[:len(c.cmds):len(c.cmds)], replies[len(c.cmds):]
			close(c.done)
		}
	}
}

// take gives the calls of the next request, without those whose callers have left; nil: this worker is done.
func (b *batcher) take() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	var calls []*call
	commands, size := 0, 0
	for len(b.waiting) > 0 {
		c := b.waiting[0]
		if c.ctx.Err() == nil {
			n := sizeOf(c.cmds)
			if len(calls) > 0 && (commands+len(c.cmds) > batchCommands || size+n > batchBytes) {
				break
			}
			calls, commands, size = append(calls, c), commands+len(c.cmds), size+n
		} else {
			c.replies = failAll(len(c.cmds), store.Unavailable(c.ctx.Err()))
			close(c.done)
		}
		b.waiting[0] = nil
		b.waiting = b.waiting[1:]
	}
	if calls == nil {
		b.running--
		b.waiting = nil
	}
	return calls
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
