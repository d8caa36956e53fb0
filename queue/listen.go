package queue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// listener waits at the store whenever the loop lets it.
func (w *worker) listener(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.listen:
		}
		err := w.await(ctx)
		unable := errors.Is(err, store.ErrUnsupported)
		if err != nil && (unable || !hopeless(err)) && ctx.Err() == nil {
			failures++
			wait := Exponential(firstWait, mostWait)(failures)
			if unable { // such a store has to be asked
				wait = pollEvery
			}
			timer := w.clock.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-timer.C():
			}
			timer.Stop()
		} else {
			failures = 0
		}
		w.mu.Lock()
		w.waits = false
		w.hungry = w.hungry || err != nil // let a turn find out
		w.mu.Unlock()
		w.kick()
	}
}

// pollEvery is how often a store is asked that cannot block.
const pollEvery = time.Second

// await waits until there may be something to take. Who dies here with the element makes the others wait until the next job or
// the next beat.
func (w *worker) await(ctx context.Context) error {
	// The server ends the wait after a lease; a server that has gone silent is given up a little later.
	lease := w.core.o.Lease
	if answers := w.timeout.Duration(); answers > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lease+answers)
		defer cancel()
	}
	r := w.st.Do(ctx, "BLPOP", w.keys[kWake], strconv.FormatFloat(lease.Seconds(), 'f', 3, 64))
	if r.Err() != nil || r.IsNil() {
		return r.Err()
	}
	w.mu.Lock()
	w.hungry = true
	room := w.busy < w.o.Concurrency
	w.mu.Unlock()
	if !room { // others may have some
		return w.do(ctx, "RPUSH", w.keys[kWake], "1").Err()
	}
	return nil
}

// hear makes a turn whenever somebody cancels a running job, so that it does not go on until the next beat.
func (w *worker) hear(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.st.Subscribe(ctx, store.Subscription{
			Channels: []string{w.channel()}, OnMessage: func(store.Message) { w.hurry() },
			OnReady: func(bool) { w.hurry() }, // what was said before was not heard
		})
		if err == nil || hopeless(err) {
			return // the beat has to do
		}
		timer := w.clock.NewTimer(mostWait)
		select {
		case <-ctx.Done():
		case <-timer.C():
		}
		timer.Stop()
	}
}

// hurry makes the next turn, at once, one that hears of cancelled jobs.
func (w *worker) hurry() {
	w.mu.Lock()
	w.urgent = true
	w.mu.Unlock()
	w.kick()
}

// channel is where cancellations are announced.
func (c *core) channel() string { return strings.TrimSuffix(c.keys[kCancelled], "led") }

// drain ends the worker: what was not begun goes back, what runs may end, and all of it is told to the store.
func (w *worker) drain(cause error) error {
	ctx := w.base
	w.mu.Lock()
	if w.stopping == nil {
		over, cancel := context.WithCancel(ctx)
		cancel()
		w.stopping = over
	}
	stopping := w.stopping.Done()
	w.mu.Unlock()
	close(w.jobs)
	timer := w.clock.NewTimer(w.core.o.Lease)
	defer timer.Stop()
	var parted <-chan time.Time
	for {
		left, wait, err := w.flush(ctx, cause)
		if cause == nil && err != nil && hopeless(err) {
			cause = err
		}
		if left == 0 {
			break
		}
		timer.Reset(wait)
		select {
		case <-w.kicked:
		case <-timer.C():
		case <-stopping:
			stopping = nil
			w.stopAll()
			last := w.clock.NewTimer(parting)
			defer last.Stop()
			parted = last.C()
		case <-parted:
			return w.part(ctx, cause)
		}
	}
	w.handlers.Wait()
	return w.part(ctx, cause)
}

// flush makes a turn if one is due while the worker drains. left is what keeps it from ending, wait for how long there is
// nothing to do.
func (w *worker) flush(ctx context.Context, cause error) (left int, wait time.Duration, err error) {
	now := w.clock.Monotonic()
	w.mu.Lock()
	ends := len(w.finished)
	w.mu.Unlock()
	if cause == nil && (ends > 0 || now >= w.nextBeat) {
		if err = w.turn(ctx, now, 0); err != nil {
			w.failures++
			wait = Exponential(firstWait, mostWait)(w.failures)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	left = w.busy
	if cause == nil {
		left += len(w.finished)
	}
	if err == nil {
		wait = max(w.nextBeat-w.clock.Monotonic(), time.Microsecond)
		if len(w.finished) > 0 {
			wait = time.Microsecond
		}
	}
	return left, wait, err
}

func (w *worker) stopAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for r := range w.runs {
		r.stop(ErrDraining)
	}
}

// part says goodbye to the store. Handlers that are still at work keep their leases until these run out.
func (w *worker) part(ctx context.Context, cause error) error {
	w.mu.Lock()
	if w.lease != nil {
		w.lease.Stop()
	}
	busy := w.busy
	w.mu.Unlock()
	final := "1"
	if busy > 0 {
		final = "0"
		w.stopAll()
	}
	if cause != nil {
		return cause
	}
	err := w.leave(ctx, final)
	if busy > 0 {
		return errStillRunning(busy)
	}
	return err
}

type errStillRunning int

func (e errStillRunning) Error() string {
	return strconv.Itoa(int(e)) + " handlers took no notice of the end of their ctx; their jobs go to others when the lease has run out"
}
