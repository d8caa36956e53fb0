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
// A caller whose ctx ends before the answer does not know whether the call ran. What it does next may be to undo it: release a lock
// that it might have got. So nothing sent later may overtake a write that was left behind: while a request with such a write is
// under way no other begins, and writes that wait are sent even though their callers left, up to maxStrays of them.
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
	body    []byte        // the commands as JSON, with commas between
	n       int           // how many they are
	reads   bool          // all of them only read
	replies []store.Reply // set before done is closed
	done    chan struct{}

	// Guarded by batcher.mu.
	batch   *batch // nil while it waits
	stray   bool   // its caller left while it waited
	dropped bool   // and it is not to be sent
}

// batch is a request under way.
type batch struct {
	calls    []*call
	commands int
	size     int // bytes of JSON
	writes   bool
	left     bool // by a caller
	over     bool // it is answered, so that leaving it holds nothing up
}

// body is the request's.
func (b *batch) body() []byte {
	text := append(make([]byte, 0, b.size+len(b.calls)+1), '[')
	for i, c := range b.calls {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, c.body...)
	}
	return append(text, ']')
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
	c := &call{body: appendCommands(nil, cmds), n: len(cmds), reads: reads(cmds), done: make(chan struct{})}
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
	case c.batch == nil && (b.strays == maxStrays || c.reads):
		c.dropped = true
	case c.batch == nil:
		c.stray = true
		b.strays++
	case c.batch.writes && !c.batch.left && !c.batch.over:
		c.batch.left = true
		b.left++
	}
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
		ctx, cancel := b.s.timeout.Bound(b.s.life)
		replies := b.s.pipeline(ctx, one)
		cancel()
		for _, c := range one.calls {
			c.replies, replies = replies[:c.n:c.n], replies[c.n:]
			close(c.done)
		}
	}
}

// take gives the calls of the next request, after one has ended; nil: this worker is done.
func (b *batcher) take(ended *batch) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ended != nil {
		ended.over = true
		if ended.left {
			b.left--
		}
	}
	next := &batch{}
	for len(b.waiting) > 0 && b.left == 0 {
		c := b.waiting[0]
		if !c.dropped {
			if len(next.calls) > 0 && (next.commands+c.n > batchCommands || next.size+len(c.body) > batchBytes) {
				break
			}
			next.calls, next.commands, next.size = append(next.calls, c), next.commands+c.n, next.size+len(c.body)
			c.batch, next.writes, next.left = next, next.writes || !c.reads, next.left || c.stray
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
		b.run(ctx, []store.Cmd{{"PING"}}) // whose answer tells whether it takes bytes
	}
	if !b.s.bytes.Load() && !allText(cmds) {
		return nil, &refused{"a transaction", "with words that are no UTF-8 cannot be sent as JSON to this server"}
	}
	ctx, cancel := b.s.timeout.Bound(ctx)
	defer cancel()
	return b.s.exec(ctx, cmds)
}
