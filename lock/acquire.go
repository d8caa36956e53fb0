package lock

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

const forever time.Duration = -1

// Try takes the lock if nobody has it and nobody waits for it; else the error is ErrHeld. One round trip.
func (k *Lock) Try(ctx context.Context) (*Lease, error) { return k.take(ctx, "try", 0) }

// Acquire takes the lock, or waits for it until ctx ends: first come, first served, over all processes. Where nobody has
// it, it is one round trip. Who waits costs the store nothing but a call every few seconds; when it is served it holds
// the lock already, without a further call.
//
// A store that fails is an error before the wait has begun. A wait that has begun goes on until the store is back; the
// place in the queue is kept as long as the store keeps it.
func (k *Lock) Acquire(ctx context.Context) (*Lease, error) { return k.take(ctx, "acquire", forever) }

// AcquireWithin is Acquire, but waits no longer than wait: then the error is ErrHeld. The lease's context derives from
// ctx and has nothing to do with wait.
func (k *Lock) AcquireWithin(ctx context.Context, wait time.Duration) (*Lease, error) {
	return k.take(ctx, "acquire", max(wait, 0))
}

// With takes the lock as Acquire does, calls do with the lease's context, and releases, also when do panics. It returns
// the error of acquiring, else that of do, joined with that of releasing. So ErrLost tells that the lock was lost while
// do ran, whatever do returned.
func (k *Lock) With(ctx context.Context, do func(ctx context.Context) error) (err error) {
	le, err := k.Acquire(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if failed := le.Release(ctx); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	return do(le.Context())
}

func (k *Lock) take(ctx context.Context, verb string, wait time.Duration) (*Lease, error) {
	l := k.l
	spanned, end := observe.Begin(ctx, l.o.Observer, k.op(verb))
	le := &Lease{lock: k, parent: ctx, id: l.newID(k.mode)}
	err := k.check()
	if err == nil {
		err = k.obtain(spanned, le, wait)
	}
	if err == nil {
		l.stats.acquired.Add(1)
		end(observe.OK, nil)
		return le, nil
	}
	err = k.wrap(verb, err)
	if errors.Is(err, ErrHeld) {
		l.stats.denied.Add(1)
		end(observe.Denied, nil)
	} else {
		end(observe.Failed, err)
	}
	return nil, err
}

func (l *Locker) newID(mode string) string {
	b := make([]byte, 0, 160) // an Owner is at most 100
	b = append(append(b, mode...), l.client...)
	return string(strconv.AppendUint(append(b, '.'), l.seq.Add(1), 36))
}

// obtain makes le a lease that is held, or fails.
func (k *Lock) obtain(ctx context.Context, le *Lease, wait time.Duration) error {
	l := k.l
	listening := false
	if wait != 0 {
		if listening = l.listens(); listening {
			le.woken = make(chan struct{}, 1)
		}
	}
	if !l.register(le, listening) {
		return store.ErrClosed
	}
	a, err := k.ask(ctx, le, 0, listening)
	if err == nil && a.granted {
		return k.hold(le, a.token, le.heard.sent, a.left(a.now))
	}
	if err == nil && wait == 0 {
		err = ErrHeld
	}
	ticket, left := int64(-1), unsure(err)
	if err == nil {
		err = k.await(ctx, le, a, wait)
		ticket, left = le.ticket, err != nil
	}
	if err != nil {
		l.forget(le)
	}
	if errors.Is(err, ErrHeld) && left { // it has lost patience, not the store
		_, failed := k.leave(ctx, le.id, ticket)
		left = failed != nil
	}
	if left {
		l.spawn(func() { l.abandon(k, le.id, ticket) })
	}
	return err
}

// unsure reports that a call may have had effects of which nobody heard.
func unsure(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ask calls the script: for the lock, or a place in the queue if it is to wait, or with a ticket to look again.
func (k *Lock) ask(ctx context.Context, le *Lease, ticket int64, wait bool) (answer, error) {
	l := k.l
	numbers := k.try
	if wait {
		numbers = k.wait
	}
	if ticket != 0 {
		numbers = packed(ticket) + numbers[wide:]
	}
	sent := l.clock.Monotonic()
	a, err := parse(k.run(ctx, acquireScript, &le.words, le.id, numbers))
	if err != nil {
		if ctx.Err() == nil {
			l.stats.failed.Add(1)
		}
		return a, err
	}
	le.heard = heard{sent, a.now}
	return a, nil
}

func (k *Lock) hold(le *Lease, token int64, from, good time.Duration) error {
	if le.hold(token, from, good) {
		return nil
	}
	k.leave(context.WithoutCancel(le.parent), le.id, 0) //nolint:errcheck // its time to live does the rest
	return store.ErrClosed
}

// await waits for the lock. a is the answer so far; its place in the queue is still to be taken if it has no ticket.
func (k *Lock) await(ctx context.Context, le *Lease, a answer, patience time.Duration) error {
	l := k.l
	l.stats.waiting.Add(1)
	defer l.stats.waiting.Add(-1)
	var tooLate <-chan time.Time
	if patience > 0 {
		timer := l.clock.NewTimer(patience)
		defer timer.Stop()
		tooLate = timer.C()
	}
	if le.woken == nil {
		le.mu.Lock()
		le.woken = make(chan struct{}, 1)
		le.mu.Unlock()
		l.expect(le)
		select {
		case <-l.listen().ready:
		case <-tooLate:
			return ErrHeld
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ctx.Done():
			return store.ErrClosed
		}
		le.wakeUp() // the place is still to be taken
	}
	if err := k.queue(ctx, le, a, tooLate); err != nil {
		return err
	}
	l.stats.waited.Add(1)
	observe.Count(ctx, l.o.Observer, k.op("waited"), 1)
	return nil
}

// queue waits in the queue.
func (k *Lock) queue(ctx context.Context, le *Lease, a answer, tooLate <-chan time.Time) error {
	l := k.l
	le.ticket = a.token
	timer := l.clock.NewTimer(l.lookAgain(a))
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-le.woken:
		case <-timer.C():
		case <-tooLate:
			return ErrHeld
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ctx.Done():
			return store.ErrClosed
		}
		if token, from, good, ok := le.accept(); ok {
			return k.hold(le, token, from, good)
		}
		if le.closed() {
			return store.ErrClosed
		}
		a, err := k.ask(ctx, le, le.ticket, true)
		switch {
		case err != nil && (!errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed) || ctx.Err() != nil):
			return err
		case err != nil: // the store is out: stay, and ask in a while whatever the answer might have been
			le.ticket = -1
			failures++
			timer.Reset(backoff(failures))
			continue
		case a.granted:
			return k.hold(le, a.token, le.heard.sent, a.left(a.now))
		}
		failures, le.ticket = 0, a.token
		timer.Reset(l.lookAgain(a))
	}
}

// lookAgain is when a waiter calls again unless it is woken: often enough to count as alive, and when a lease that is in
// the way may end. The one at the head comes first, so that the others find the work done.
func (l *Locker) lookAgain(a answer) time.Duration {
	d := aliveTime / 3
	d -= time.Duration(rand.Int64N(int64(d / 8))) // processes that began together need not go on together
	if free := a.left(a.now); a.ends > 0 {
		d = min(d, max(free, 0)+time.Millisecond+min(time.Duration(a.ahead)*20*time.Millisecond, time.Second))
	}
	if l.polls() {
		d = min(d, pollTime)
	}
	return d
}

// accept takes what a message has given, if enough of its time is left; else the store is to be asked.
func (le *Lease) accept() (token int64, from, good time.Duration, ok bool) {
	le.mu.Lock()
	defer le.mu.Unlock()
	o := le.offer
	le.offer = nil
	if o == nil || le.state != waiting {
		return 0, 0, 0, false
	}
	good = o.left(o.now)
	// The moment before which the store cannot have given it: see the head of lease.go.
	from = min(o.at, le.heard.sent+o.left(le.heard.now)-good)
	left := from + good - le.lock.l.clock.Monotonic()
	return o.token, from, good, left > good/2
}

func (le *Lease) closed() bool {
	le.mu.Lock()
	defer le.mu.Unlock()
	return le.state == over
}
