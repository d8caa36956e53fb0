// Package clock is where time comes from. Everything that waits or stamps takes a Clock, so that a test can drive
// time by hand: no code outside this package calls time.Now, and no test sleeps.
package clock

import "time"

// A Clock tells the time and makes timers. All methods are safe for concurrent use.
type Clock interface {
	// Now is the wall clock. It can jump; use it only for what leaves the process (expiry times, TIME, logs).
	Now() time.Time

	// Monotonic is the time since some fixed moment of this clock's life. It never goes back; use it for
	// measuring and for waiting.
	Monotonic() time.Duration

	// NewTimer makes a timer that sends the time on its channel once, d from now. d <= 0 fires at once.
	NewTimer(d time.Duration) Timer

	// NewTicker makes a ticker that sends the time every d and drops ticks that nobody takes. d must be positive.
	NewTicker(d time.Duration) Ticker

	// AfterFunc calls f, d from now, on a goroutine of the clock's choice: f must not block. The Timer's
	// channel is nil.
	AfterFunc(d time.Duration, f func()) Timer
}

// A Timer fires once. As with time.Timer since Go 1.23, no stale value is received after Stop or Reset return.
type Timer interface {
	C() <-chan time.Time
	Stop() bool                 // reports whether the call kept the timer from firing
	Reset(d time.Duration) bool // reports whether the timer was still waiting
}

// A Ticker fires again and again until it is stopped.
type Ticker interface {
	C() <-chan time.Time
	Stop()
	Reset(d time.Duration) // d must be positive
}

// System is the clock of the machine.
func System() Clock { return system{time.Now()} }

type system struct {
	start time.Time // carries the runtime's monotonic reading
}

func (system) Now() time.Time             { return time.Now() }
func (s system) Monotonic() time.Duration { return time.Since(s.start) }

func (system) NewTimer(d time.Duration) Timer   { return systemTimer{time.NewTimer(d)} }
func (system) NewTicker(d time.Duration) Ticker { return systemTicker{time.NewTicker(d)} }

func (system) AfterFunc(d time.Duration, f func()) Timer { return systemTimer{time.AfterFunc(d, f)} }

type systemTimer struct{ *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.Timer.C }

type systemTicker struct{ *time.Ticker }

func (t systemTicker) C() <-chan time.Time { return t.Ticker.C }
