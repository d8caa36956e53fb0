package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// Workers say how a process works on a queue.
type Workers struct {
	// Concurrency is how many jobs run at a time in this process. Default 16.
	Concurrency int

	// Prefetch is how many jobs at most wait in this process's memory, beside those that run, so that a handler which ends
	// has the next one at once. As many are taken as are likely to start within some milliseconds: none, if handlers
	// take long. Default 64; negative for none.
	Prefetch int

	// Grace is how long handlers may go on when the ctx of Work ends, before their own ctx ends. Default 30 s.
	Grace time.Duration
}

// What Workers leave zero.
const (
	DefaultConcurrency = 16
	DefaultPrefetch    = 64
	DefaultGrace       = 30 * time.Second
)

// maxConcurrency is the most that Concurrency and Prefetch may be: each costs memory from the beginning.
const maxConcurrency = 100_000

// parting is for how long handlers whose ctx has ended are waited for when a worker shuts down.
const parting = time.Second

// Work takes jobs and calls handle for each, until ctx ends; then it shuts down and returns nil: it takes no more, gives back
// what it has not begun, waits up to Grace for the handlers at work, ends their ctx, and gives back what they had.
// Close does the same with a ctx of its own.
//
// A handler that returns nil is done with the job. Any other error, and a panic, is a failure; see Retry, Drop, Snooze. The
// handler's ctx has the values of ctx and ends when the attempt should: see ErrLeaseLost and the causes beside it.
// Handlers should be harmless when run twice: a job is done at least once.
//
// A store that fails is tried again, with growing pauses. Work returns an error at once only if trying again is
// hopeless: the Store was closed, access is denied, the keys hold something else.
func (q *Queue[T]) Work(ctx context.Context, w Workers, handle func(context.Context, *Job[T]) error) error {
	if handle == nil {
		return q.wrap("work", "", fmt.Errorf("%w: no handler", store.ErrInvalid))
	}
	setDefault(&w.Concurrency, DefaultConcurrency)
	setDefault(&w.Prefetch, DefaultPrefetch)
	setDefault(&w.Grace, DefaultGrace)
	if w.Concurrency < 0 || w.Concurrency > maxConcurrency || w.Prefetch > maxConcurrency || w.Grace < 0 {
		return q.wrap("work", "", fmt.Errorf("%w: Concurrency %d, Prefetch %d, Grace %v", store.ErrInvalid, w.Concurrency, w.Prefetch, w.Grace))
	}
	return q.work(ctx, w, func(ctx context.Context, r *run) (result []byte, err error) {
		j := Job[T]{run: r, core: q.core}
		if err := q.codec.Decode([]byte(r.payload), &j.Payload); err != nil {
			return nil, Drop(fmt.Errorf("payload: %w", err))
		}
		err = handle(ctx, &j)
		return j.result, err
	})
}

// Close shuts down what Work does in this process with this Queue, and makes later Works fail: handlers may go on until ctx
// ends, then their own ctx ends. It returns when all Works have ended, or some time after the end of ctx, if handlers take
// no notice, with an error; what they have goes to others when the lease has run out. The Store stays open.
func (c *core) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	all := make([]*worker, 0, len(c.workers))
	for w := range c.workers {
		all = append(all, w)
	}
	c.mu.Unlock()
	for _, w := range all {
		w.shutDown(ctx)
	}
	var errs []error
	for _, w := range all {
		<-w.ended
		errs = append(errs, w.err)
	}
	return errors.Join(errs...)
}

func (c *core) work(ctx context.Context, o Workers, handle handler) error {
	w := newWorker(c, ctx, o, handle)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.wrap("work", "", fmt.Errorf("%w: this Queue", store.ErrClosed))
	}
	c.workers[w] = struct{}{}
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
		timer := c.clock.AfterFunc(o.Grace, cancel)
		defer timer.Stop()
		defer cancel()
		w.shutDown(grace)
		<-w.ended
	})
	defer stop()
	w.err = c.wrap("work", "", w.loop())
	c.mu.Lock()
	delete(c.workers, w)
	c.mu.Unlock()
	close(w.ended)
	return w.err
}

// hopeless says that trying again will not help.
func hopeless(err error) bool {
	for _, e := range []error{store.ErrClosed, store.ErrDenied, store.ErrWrongType, store.ErrUnsupported, store.ErrInvalid, store.ErrReply} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// newSession is a name that no other worker has, ever.
func newSession() string {
	return strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36)
}
