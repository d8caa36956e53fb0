package lock

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// How long a lease is good for
//
// The store ends a lease by its clock; the holder must know before. It never compares its own clock with the store's.
// Each reply tells the store's time and when the lease ends: the difference is what was left when the step ran, which
// was not before the call was sent. So the lease lasts, by the holder's monotonic clock, at least from the sending of
// the call for that difference. A twentieth of it, and the millisecond to which the store's times are cut, are taken off
// for clocks that do not run equally fast and for the time that it takes to hear of the cancellation.
//
// A lease that was given to a waiter comes by a message, which may have been under way for any time. There the
// difference is between the lease's end and the store's time in the reply to the waiter's own last call, counted from
// the sending of that; and never more than what the message itself says, from its arrival.
//
// What this cannot cover: a store whose wall clock is set forward ends leases early, and a holder that is stopped as a
// whole (a paused machine, a long garbage collection) acts after its time until it looks at its context. That is what
// fencing tokens are for.

// Lease is a lock that is held. It is safe for concurrent use.
type Lease struct {
	lock   *Lock
	id     string
	parent context.Context
	woken  chan struct{} // of a waiter: something is to be looked at; set before it is in the queue
	ticket int64         // of a waiter: its place in the queue; owned by the goroutine that waits

	heard heard // of the last call that took it or waited for it; owned by that goroutine
	words words // of who takes it or waits for it, and then of who releases it

	newer, older *Lease // in the Locker's list; guarded by its mu, as are the next two
	listed       bool
	swept        bool

	mu        sync.Mutex // guards the rest, and the setting of woken
	state     state
	token     int64
	deadline  time.Duration // of the clock's monotonic time: the lease is good until then
	offer     *offer        // of a waiter: what it was given by a message
	due       time.Duration // when to extend it, first
	timer     clock.Timer   // nil at first: see Locker.sweep
	late      bool          // the sweep has been
	extending bool
	cause     error // why it is over
	ctx       context.Context
	cancel    context.CancelCauseFunc
}

type state uint8

const (
	waiting state = iota
	held
	over
)

// heard is the store's time in a reply, and when the call was sent, by the monotonic clock.
type heard struct {
	sent time.Duration
	now  int64
}

// offer is a lock given by a message that arrived at a time.
type offer struct {
	answer
	at time.Duration
}

// answer is a script's reply.
type answer struct {
	granted   bool
	token     int64 // or the ticket
	ends, now int64 // Unix ms by the store's clock
	ahead     int64
}

func parse(r store.Reply) (a answer, err error) {
	text, err := r.Text()
	if err != nil {
		return a, err
	}
	var granted int64
	if len(text) != 5*wide || !whole(text, &granted, &a.token, &a.ends, &a.now, &a.ahead) {
		return a, store.ErrReply
	}
	a.granted = granted == 1
	return a, nil
}

// left is what the lease has left of its time at the moment that the store's clock read since.
func (a answer) left(since int64) time.Duration {
	return time.Duration(a.ends-since) * time.Millisecond
}

// margin is what is taken off.
func margin(length time.Duration) time.Duration { return length/20 + time.Millisecond }

// Token is the fencing token: greater than that of every lease given before on this lock. Pass it with each write to
// what the lock protects, so that the other side can refuse a smaller one than it has seen; see Guard.
func (le *Lease) Token() int64 {
	le.mu.Lock()
	defer le.mu.Unlock()
	return le.token
}

// Name is the lock's.
func (le *Lease) Name() string { return le.lock.name }

// Context is derived from the ctx that the lock was taken with. It ends when the lease does: with the cause ErrLost in
// time before anybody else can have the lock, or ErrReleased. It also carries the token; see TokenOf.
func (le *Lease) Context() context.Context {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.ctx == nil {
		le.ctx, le.cancel = context.WithCancelCause(tokenContext{le.parent, le.token})
		if le.state == over {
			le.cancel(le.cause)
		}
	}
	return le.ctx
}

type tokenContext struct {
	context.Context
	token int64
}

type tokenKey struct{}

func (c tokenContext) Value(key any) any {
	if _, ours := key.(tokenKey); ours {
		return c.token
	}
	return c.Context.Value(key)
}

// TokenOf is the fencing token of the lease that a context belongs to. ok is false if it belongs to none.
func TokenOf(ctx context.Context) (token int64, ok bool) {
	token, ok = ctx.Value(tokenKey{}).(int64)
	return token, ok
}

// Remaining is how long the lease is certainly good for, should no extension succeed any more. It is 0 when it is over.
func (le *Lease) Remaining() time.Duration {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state != held {
		return 0
	}
	return max(0, le.deadline-le.lock.l.clock.Monotonic())
}

// hold makes a waiter's or newcomer's lease one that is held: good for so long from a moment. false: it is over already,
// as the Locker was closed.
func (le *Lease) hold(token int64, from, good time.Duration) bool {
	l := le.lock.l
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state != waiting {
		return false
	}
	le.state, le.token = held, token
	le.deadline, le.due = from+good-margin(good), from+good/3
	if le.late || good < l.o.TTL/4*3 {
		le.arm()
	}
	return true
}

// arm makes the timer. mu is held.
func (le *Lease) arm() {
	l := le.lock.l
	le.timer = l.clock.AfterFunc(until(le.due, l.clock.Monotonic()), le.tick)
}

// until is the time to a moment, at least a little: timers of the test clock fire at once for none.
func until(at, now time.Duration) time.Duration { return max(at-now, 10*time.Microsecond) }

// tick is called when an extension or the end is due. It must not block.
func (le *Lease) tick() {
	l := le.lock.l
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state != held {
		return
	}
	now := l.clock.Monotonic()
	if now >= le.deadline {
		le.lose()
		return
	}
	le.timer.Reset(until(le.deadline, now)) // whatever becomes of the extension
	if !le.extending {
		le.extending = l.spawn(le.extend)
	}
}

// extend asks the store for another TTL.
func (le *Lease) extend() {
	k, l := le.lock, le.lock.l
	sent := l.clock.Monotonic()
	a, err := parse(k.run(l.ctx, extendScript, new(words), le.id, l.extend))
	le.mu.Lock()
	defer le.mu.Unlock()
	le.extending = false
	now := l.clock.Monotonic()
	switch {
	case le.state != held:
	case err != nil:
		l.stats.failed.Add(1)
		again := max(l.o.TTL/20, time.Millisecond)
		le.timer.Reset(until(min(now+again, le.deadline), now))
	case !a.granted:
		le.lose()
	default:
		good := a.left(a.now)
		le.deadline = sent + good - margin(good)
		l.stats.extended.Add(1)
		observe.Count(l.ctx, l.o.Observer, k.op("extended"), 1)
		le.timer.Reset(until(min(sent+good/3, le.deadline), now))
	}
}

// lose ends a lease that could not be kept. mu is held.
func (le *Lease) lose() {
	l := le.lock.l
	le.end(store.Wrap("lock", "extend", le.lock.keys[0], ErrLost))
	l.stats.lost.Add(1)
	observe.Count(l.ctx, l.o.Observer, le.lock.op("lost"), 1)
	l.forget(le)
	l.spawn(func() { l.abandon(le.lock, le.id, 0) })
}

// end makes the lease over. mu is held.
func (le *Lease) end(cause error) {
	le.state, le.cause = over, cause
	if le.timer != nil {
		le.timer.Stop()
	}
	if le.cancel != nil {
		le.cancel(cause)
	}
}

// Release gives the lock back, to the waiter who is next if there is one. Its context ends first. It is an error
// (ErrLost) to release what was lost: what the lock protected may have been touched by another meanwhile. Releasing
// twice is a no-op and returns nil.
//
// Release works with a ctx that has ended, so that it can be deferred; it takes no longer than Options.Timeout twice. If
// the store fails, so that the error is store.ErrUnavailable, it is tried again in the background for as long as the
// lease lasts.
func (le *Lease) Release(ctx context.Context) error {
	switch cause := le.finish(ErrReleased); {
	case cause == nil:
	case errors.Is(cause, ErrLost):
		return le.lock.wrap("release", ErrLost)
	default:
		return nil
	}
	if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	return le.giveBack(ctx)
}

// errWaiting is what finish says of a lease that is still waited for.
var errWaiting = errors.New("not held yet")

// finish ends a lease that is held, and then is nil; else it is why there is nothing to end.
func (le *Lease) finish(cause error) error {
	le.mu.Lock()
	defer le.mu.Unlock()
	switch le.state {
	case held:
		le.end(cause)
		return nil
	case waiting:
		return errWaiting
	}
	return le.cause
}

// giveBack tells the store of a lease that has just ended.
func (le *Lease) giveBack(ctx context.Context) error {
	k, l := le.lock, le.lock.l
	defer l.forget(le) // not before: a late message to an unknown id makes the Locker leave in its name
	ctx, end := observe.Begin(ctx, l.o.Observer, k.op("release"))
	was, err := k.run(ctx, leaveScript, &le.words, le.id, noNumber).Int64()
	repeated := errors.Is(err, store.ErrUnavailable)
	if repeated {
		l.stats.failed.Add(1)
		was, err = k.leave(ctx, le.id, 0)
	}
	switch {
	case err != nil:
		l.stats.failed.Add(1)
		l.spawn(func() { l.abandon(k, le.id, 0) })
	case was == 0 && !repeated: // after a first attempt whose answer was lost, nothing is what is expected
		l.stats.lost.Add(1)
		err = ErrLost
	default:
		l.stats.released.Add(1)
	}
	if err = k.wrap("release", err); err != nil {
		end(observe.Failed, err)
		return err
	}
	end(observe.OK, nil)
	return nil
}

// leave gives up what an id has.
func (k *Lock) leave(ctx context.Context, id string, ticket int64) (was int64, err error) {
	numbers := noNumber
	if ticket != 0 {
		numbers = packed(ticket)
	}
	return k.run(ctx, leaveScript, new(words), id, numbers).Int64()
}

// abandon gives up what an id may have in the store, trying until it has worked or a TTL has passed.
func (l *Locker) abandon(k *Lock, id string, ticket int64) {
	start := l.clock.Monotonic()
	for pause := l.o.TTL / 20; ; pause *= 2 {
		_, err := k.leave(context.WithoutCancel(l.ctx), id, ticket)
		if err == nil || !errors.Is(err, store.ErrUnavailable) || l.clock.Monotonic()-start > l.o.TTL {
			return
		}
		timer := l.clock.NewTimer(min(pause, time.Second))
		select {
		case <-timer.C():
		case <-l.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// stopWaiting is for Locker.Close.
func (le *Lease) stopWaiting(ctx context.Context) {
	le.mu.Lock()
	waits := le.state == waiting
	if waits {
		le.end(store.ErrClosed)
	}
	le.mu.Unlock()
	if waits {
		le.wakeUp()
		le.lock.leave(ctx, le.id, -1) //nolint:errcheck // it counts as alive for a while, then it is passed over
	}
}
