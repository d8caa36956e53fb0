package clock

import (
	"slices"
	"sync"
	"time"
)

// Fake is a Clock that stands still until Advance moves it.
//
// Advance is deterministic: waiters fire in the order of their deadlines, and in the order in which they were made when
// deadlines are equal; the clock reads exactly the deadline while one fires. Functions given to AfterFunc run on the
// goroutine that calls Advance, one after another, with no lock held, so they may use the clock. They must not call
// Advance.
//
// A test that must first see another goroutine go to wait calls BlockUntilWaiters.
type Fake struct {
	advancing sync.Mutex // held through one Advance: concurrent ones queue up

	mu      sync.Mutex
	changed *sync.Cond // waiters grew or shrank
	start   time.Time
	now     time.Time
	seq     uint64
	waiters []*fakeWaiter // sorted by deadline, then seq; a handful in any test
}

// NewFake makes a clock that reads now. Its monotonic time begins at zero.
func NewFake(now time.Time) *Fake {
	f := &Fake{start: now, now: now}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// Now returns the time that Advance has reached.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Monotonic returns the sum of all Advances.
func (f *Fake) Monotonic() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.Sub(f.start)
}

// Advance moves the clock by d and fires what falls due on the way, including waiters made by functions that fire.
func (f *Fake) Advance(d time.Duration) {
	f.advancing.Lock()
	defer f.advancing.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	target := f.now.Add(d)
	for len(f.waiters) > 0 && !f.waiters[0].at.After(target) {
		w := f.waiters[0]
		if w.at.After(f.now) {
			f.now = w.at
		}
		f.fire(w)
	}
	f.now = target
}

// Waiters is the number of timers and tickers that are waiting.
func (f *Fake) Waiters() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiters)
}

// BlockUntilWaiters returns once at least n timers and tickers are waiting.
func (f *Fake) BlockUntilWaiters(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiters) < n {
		f.changed.Wait()
	}
}

// NewTimer implements Clock.
func (f *Fake) NewTimer(d time.Duration) Timer {
	w := &fakeWaiter{clock: f, ch: make(chan time.Time, 1)}
	w.Reset(d)
	return w
}

// NewTicker implements Clock.
func (f *Fake) NewTicker(d time.Duration) Ticker {
	t := &fakeTicker{fakeWaiter{clock: f, ch: make(chan time.Time, 1)}}
	t.Reset(d)
	return t
}

// AfterFunc implements Clock. A d <= 0 runs fn before AfterFunc returns, and so does Reset.
func (f *Fake) AfterFunc(d time.Duration, fn func()) Timer {
	w := &fakeWaiter{clock: f, fn: fn}
	w.Reset(d)
	return w
}

// fire takes w off the list (a ticker goes back in) and lets it go off. mu is held, and let go around a function.
func (f *Fake) fire(w *fakeWaiter) {
	f.remove(w)
	if w.every > 0 {
		f.insert(w, f.now.Add(w.every))
	}
	if w.fn != nil {
		f.mu.Unlock()
		w.fn()
		f.mu.Lock()
		return
	}
	select {
	case w.ch <- f.now:
	default: // nobody took the last tick
	}
}

func (f *Fake) insert(w *fakeWaiter, at time.Time) {
	f.seq++
	w.at, w.seq, w.waiting = at, f.seq, true
	i, _ := slices.BinarySearchFunc(f.waiters, w, func(a, b *fakeWaiter) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return int(int64(a.seq - b.seq))
	})
	f.waiters = slices.Insert(f.waiters, i, w)
	f.changed.Broadcast()
}

// remove reports whether w was waiting.
func (f *Fake) remove(w *fakeWaiter) bool {
	if !w.waiting {
		return false
	}
	w.waiting = false
	f.waiters = slices.DeleteFunc(f.waiters, func(x *fakeWaiter) bool { return x == w })
	f.changed.Broadcast()
	return true
}

// fakeWaiter is a timer, or the core of a ticker. All fields but the first three are guarded by clock.mu.
type fakeWaiter struct {
	clock *Fake
	ch    chan time.Time
	fn    func()

	at      time.Time
	seq     uint64
	every   time.Duration // > 0: a ticker
	waiting bool
}

func (w *fakeWaiter) C() <-chan time.Time { return w.ch }

func (w *fakeWaiter) Stop() bool {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	return w.stop()
}

func (w *fakeWaiter) stop() bool {
	was := w.clock.remove(w)
	select {
	case <-w.ch: // no stale value after Stop or Reset
	default:
	}
	return was
}

func (w *fakeWaiter) Reset(d time.Duration) bool {
	f := w.clock
	f.mu.Lock()
	defer f.mu.Unlock()
	was := w.stop()
	if d > 0 {
		f.insert(w, f.now.Add(d))
	} else {
		f.fire(w)
	}
	return was
}

type fakeTicker struct{ w fakeWaiter }

func (t *fakeTicker) C() <-chan time.Time { return t.w.ch }
func (t *fakeTicker) Stop()               { t.w.Stop() }

func (t *fakeTicker) Reset(d time.Duration) {
	if d <= 0 {
		panic("clock: the period of a ticker must be positive")
	}
	f := t.w.clock
	f.mu.Lock()
	defer f.mu.Unlock()
	t.w.stop()
	t.w.every = d
	f.insert(&t.w, f.now.Add(d))
}
