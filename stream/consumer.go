package stream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// How a consumer works
//
// The goroutine of Consume reads: it blocks in XREADGROUP whenever there is room for entries. Workers handle them. One
// goroutine acknowledges: while its XACK is on the way, the ids of what is handled meanwhile gather, and go together in
// the next. One keeps: it gives signs of life for what is held, and sweeps up what dead consumers left (keeper.go).
//
// An entry that is held is a flight. It is queued, worked on, resting between attempts, or settled: handled or buried, its
// acknowledgement under way. Room is what is not taken by flights; those that rest do not count, but there are at most
// mostResting of them: past that nothing is read until some have been settled. So memory is bounded, by 2 * (Concurrency +
// Prefetch) + mostResting entries.
//
// In a group that keeps order each worker has a lane of its own, which a key's hash chooses, and a flight rests in its
// worker's hands, so that nothing of its key overtakes it. Otherwise all workers share one lane, and a timer puts a
// flight that has rested back into it.
//
// The store counts deliveries: a read is one, a claim is one, and before a flight is handled again here it counts one
// more, in the same step in which the store confirms that the entry is still this consumer's.

const mostResting = 1024

// state of a flight.
type state uint8

const (
	queued state = iota
	working
	resting
	settled
)

// flight is an entry that is held.
type flight[T any] struct {
	msg    Message[T]
	poison error // why it cannot be handled at all
	lane   int

	// Of the worker that has it.
	retry  bool  // handled before, here: count it before it is handled again
	reason error // it is to be buried
	misses int   // failed calls of the store on its behalf, in a row

	// Guarded by consumer.mu.
	state  state
	beats  int  // signs of life that came while it was held
	gone   bool // another consumer has it
	timer  clock.Timer
	cancel context.CancelCauseFunc // ends the handler's ctx
}

// consumer is one running Consume.
type consumer[T any] struct {
	s        *Stream[T]
	g        Group
	fn       func(context.Context, *Message[T]) error
	fixed    bool            // the name will be the same after a restart
	base     context.Context // the caller's values without its end: for calls of the store
	handlers context.Context // handlers' ctx come from it
	expel    context.CancelCauseFunc
	capacity int
	lanes    []chan *flight[T]
	seed     maphash.Seed

	// Of the reading goroutine.
	last  string // the newest entry that the group gave
	top   string // the stream's newest entry at some time,
	added int64  // and how many entries it had got then, plus those that came here since

	resumed  chan struct{} // closed when what a consumer of this name had left is taken up
	draining chan struct{} // closed when nothing is read or retried any more
	stop     chan struct{} // closed when workers should end
	quit     chan struct{} // closed when the rest should end

	freed, acks, emptied chan struct{} // one token each: look again
	workers              sync.WaitGroup

	mu      sync.Mutex // guards the rest
	held    map[string]*flight[T]
	resting int      // of held
	done    []string // ids to acknowledge
	drained bool     // draining is closed
}

func newConsumer[T any](ctx context.Context, s *Stream[T], g Group, fn func(context.Context, *Message[T]) error) *consumer[T] {
	c := &consumer[T]{
		s: s, g: g, fn: fn, fixed: g.Consumer != "", base: context.WithoutCancel(ctx), capacity: g.Concurrency + g.Prefetch,
		seed: maphash.MakeSeed(), resumed: make(chan struct{}), draining: make(chan struct{}), stop: make(chan struct{}), quit: make(chan struct{}),
		freed: make(chan struct{}, 1), acks: make(chan struct{}, 1), emptied: make(chan struct{}, 1), held: map[string]*flight[T]{},
	}
	c.handlers, c.expel = context.WithCancelCause(c.base)
	if !c.fixed {
		c.g.Consumer = consumerName()
	}
	lanes, room := 1, 2*c.capacity+mostResting // so that nobody who puts a flight into a lane ever waits
	if g.Ordered {
		lanes, room = g.Concurrency, 2*c.capacity
	}
	for range lanes {
		c.lanes = append(c.lanes, make(chan *flight[T], room))
	}
	return c
}

// run is Consume.
func (c *consumer[T]) run(ctx context.Context) error {
	defer c.expel(nil)
	if err := c.join(ctx); err != nil {
		return unlessOver(ctx, err)
	}
	var others sync.WaitGroup
	for i := range c.g.Concurrency {
		c.workers.Go(func() { c.work(c.lanes[i%len(c.lanes)]) })
	}
	others.Go(c.acknowledge)
	others.Go(func() { c.keep(ctx) })
	err := c.resume(ctx)
	if err == nil {
		close(c.resumed)
		err = c.read(ctx)
	}
	err = unlessOver(ctx, err)
	c.drain(err)
	close(c.stop)
	c.workers.Wait()
	close(c.quit)
	others.Wait()
	c.flush()
	c.leave()
	return err
}

// unlessOver is err, or nil if ctx has ended: that is how consuming ends well.
func unlessOver(ctx context.Context, err error) error {
	if ended(ctx) {
		return nil
	}
	return err
}

func ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// room waits until entries can be taken and tells how many; 0 if ctx ended before.
func (c *consumer[T]) room(ctx context.Context) int {
	for {
		c.mu.Lock()
		free := c.capacity - (len(c.held) - c.resting)
		full := c.resting >= mostResting
		c.mu.Unlock()
		// Half of what may wait is fetched at once: a command for each entry that leaves would cost more than the entry.
		if !full && free > c.g.Prefetch/2 {
			return free
		}
		select {
		case <-ctx.Done():
			return 0
		case <-c.freed:
		}
	}
}

// read takes new entries until ctx ends or there is no hope.
func (c *consumer[T]) read(ctx context.Context) error {
	for failures := 0; ; {
		n := c.room(ctx)
		if n == 0 {
			return nil
		}
		found, err := c.fetch(ctx, ">", n)
		for i := range found {
			c.last = found[i].id
			if lessID(c.top, c.last) {
				c.added++
			}
			c.take(&found[i], 1)
		}
		c.s.shared.n.received.Add(uint64(len(found)))
		switch {
		case ended(ctx):
			return nil
		case err == nil:
			failures = 0
			continue
		case disappeared(err):
			err = c.rejoin(ctx, err)
		}
		if hopeless(err) {
			return store.Wrap("stream", "consume", c.s.o.Name, err)
		}
		if err != nil {
			c.s.trouble(ctx, "consume", err)
			c.s.pause(ctx, again(failures))
			failures++
		}
	}
}

// fetch asks for entries: new ones (">"), waiting for them, or this consumer's unfinished ones behind an id.
func (c *consumer[T]) fetch(ctx context.Context, from string, n int) ([]entry, error) {
	ctx, cancel := c.s.waiting(ctx)
	defer cancel()
	return sole(c.s.st.Do(ctx, "XREADGROUP", "GROUP", c.g.Name, c.g.Consumer, "COUNT", strconv.Itoa(n),
		"BLOCK", strconv.FormatInt(blocking.Milliseconds(), 10), "STREAMS", c.s.o.Name, from))
}

// take makes an entry a flight and queues it. One that is held already stays as it is.
func (c *consumer[T]) take(e *entry, deliveries int) {
	f := &flight[T]{}
	f.msg.Deliveries = deliveries
	if f.poison = c.s.decode(e, &f.msg); f.poison == nil {
		f.poison = c.choose(f)
	}
	only, addressed := e.field(fieldGroup)
	c.mu.Lock()
	if c.held[e.id] != nil {
		c.mu.Unlock()
		return
	}
	c.held[e.id] = f
	c.mu.Unlock()
	if f.poison == nil && addressed && only != c.g.Name || e.words == nil {
		c.ack(f) // replayed for another group, or deleted
		return
	}
	c.lanes[f.lane] <- f
}

// choose finds the lane of a flight's key. A key function that panics has met a value for which it is not made.
func (c *consumer[T]) choose(f *flight[T]) (err error) {
	if len(c.lanes) == 1 || c.s.key == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("no key for entry %s: the function of KeyBy panicked: %v", f.msg.ID, v)
		}
	}()
	f.lane = int(maphash.String(c.seed, c.s.key(f.msg.Value)) % uint64(len(c.lanes))) //nolint:gosec // below their number
	return nil
}

// work handles what comes in a lane. A handler may end its goroutine (runtime.Goexit, as testing.T.FailNow does): then the
// flight is left to others, and another worker takes the place.
func (c *consumer[T]) work(lane <-chan *flight[T]) {
	var f *flight[T]
	returned := false
	defer func() {
		if !returned {
			c.abandon(f)
			c.workers.Go(func() { c.work(lane) })
		}
	}()
	for broken := false; ; {
		select {
		case <-c.stop:
			returned = true
			return
		case f = <-lane:
			if broken {
				c.abandon(f)
			} else if !c.handle(f) && c.g.Ordered {
				broken = true // what comes behind an unfinished entry must not overtake it
			}
		}
	}
}

// handle brings a flight as far as it goes now. It is false if it was given up because the consumer ends.
func (c *consumer[T]) handle(f *flight[T]) bool {
	for {
		if c.over(f) {
			c.abandon(f)
			return false
		}
		done, pause := c.step(f)
		if done {
			return true
		}
		if !c.g.Ordered {
			return c.rest(f, pause)
		}
		c.sit(pause)
	}
}

// over tells whether the consumer's end stops a flight: first attempts are made until the time to drain is over.
func (c *consumer[T]) over(f *flight[T]) bool {
	if c.handlers.Err() != nil {
		return true
	}
	if !f.retry && f.reason == nil {
		return false
	}
	select {
	case <-c.draining:
		return true
	default:
		return false
	}
}

// step makes an attempt. Where the flight is not done it should go on after a pause.
func (c *consumer[T]) step(f *flight[T]) (done bool, pause time.Duration) {
	if f.reason != nil {
		return c.bury(f)
	}
	if done, pause, ready := c.prepare(f); !ready {
		return done, pause
	}
	n := &c.s.shared.n
	switch {
	case f.poison != nil:
		f.reason = f.poison
		c.s.undecodable(c.base, f.poison)
		return c.bury(f)
	case f.msg.Deliveries > c.g.MaxDeliveries:
		f.reason = fmt.Errorf("gave up: its consumers died or lost it %d times", f.msg.Deliveries-1)
		return c.bury(f)
	}
	err := c.attempt(f)
	switch {
	case err == nil:
		n.handled.Add(1)
		c.ack(f)
		return true, 0
	case c.handlers.Err() != nil: // cut short
		return false, 0
	case c.isGone(f):
		c.lose(f)
		return true, 0
	}
	n.failed.Add(1)
	c.s.report(c.base, store.Wrap("stream", "handle", c.s.o.Name, fmt.Errorf("entry %s, delivery %d: %w", f.msg.ID, f.msg.Deliveries, err)))
	if errors.Is(err, ErrDead) || f.msg.Deliveries >= c.g.MaxDeliveries {
		f.reason = err
		return c.bury(f)
	}
	f.retry = true
	return false, c.g.Backoff(f.msg.Deliveries)
}

// prepare sees to it that the flight is still this consumer's and that its delivery counts.
func (c *consumer[T]) prepare(f *flight[T]) (done bool, pause time.Duration, ready bool) {
	if c.isGone(f) {
		c.lose(f)
		return true, 0, false
	}
	if !f.retry {
		return false, 0, true
	}
	counts, err := c.hold(c.base, "next", f.msg.ID)
	if err != nil {
		done, pause = c.miss(f, err)
		return done, pause, false
	}
	if counts[0] <= 0 {
		c.lose(f)
		return true, 0, false
	}
	f.msg.Deliveries = max(int(counts[0]), f.msg.Deliveries+1)
	f.retry, f.misses = false, 0
	c.s.shared.n.retried.Add(1)
	c.s.event(c.base, "retried", 1)
	return false, 0, true
}

// miss is a step that the store did not let happen: it is to be repeated.
func (c *consumer[T]) miss(f *flight[T], err error) (done bool, pause time.Duration) {
	c.s.trouble(c.base, "consume", err)
	f.misses++
	return false, again(f.misses)
}

// attempt calls the handler.
func (c *consumer[T]) attempt(f *flight[T]) (err error) {
	ctx, cancel := context.WithCancelCause(c.handlers)
	defer cancel(nil)
	c.mu.Lock()
	f.state, f.cancel = working, cancel
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		f.state, f.cancel = queued, nil
		c.mu.Unlock()
	}()
	ctx, end := observe.Begin(ctx, c.s.o.Observer, c.s.op("handle", f.msg.ID))
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
		if err != nil {
			end(observe.Failed, err)
			return
		}
		end(observe.OK, nil)
	}()
	m := f.msg // a copy: what the handler does to it stays its own
	return c.fn(ctx, &m)
}
