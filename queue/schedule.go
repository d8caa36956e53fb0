package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Missed says what happens to ticks at which no process was there.
type Missed uint8

const (
	// MissedLatest enqueues one job, for the latest of them. It is the default.
	MissedLatest Missed = iota

	// MissedNone enqueues none: the next is that of the next tick.
	MissedNone

	// MissedAll enqueues a job for each, the oldest first.
	MissedAll
)

// tardy is how late a tick may be before it counts as missed.
const tardy = 10 * time.Second

// Entry is a job that recurs.
type Entry[T any] struct {
	// Name of the entry, unique in its queue. What was enqueued last is remembered under this name.
	Name string

	// Spec is when; see ParseSpec.
	Spec Spec

	// Payload makes the job of a tick, and Options are for it.
	Payload func(tick time.Time) T
	Options []Option

	Missed Missed
}

// Schedule enqueues a job at each tick of each entry, until ctx ends; then it returns nil. Every process may run it, with the
// same entries: a tick's job is enqueued once, because the same script that enqueues it notes the tick and refuses it
// ever after. So there is no leader that could be missing. It costs each process one script per tick.
//
// A tick is enqueued by the store's clock, never early. An entry whose name the store does not know begins at the
// time of the call; ticks before have not been missed.
func (q *Queue[T]) Schedule(ctx context.Context, entries ...Entry[T]) error {
	timers := make([]*ticking[T], len(entries))
	names := map[string]bool{}
	for i, e := range entries {
		if e.Name == "" || e.Payload == nil || e.Spec.zone == nil || names[e.Name] || e.Missed > MissedAll {
			return q.wrap("schedule", e.Name, fmt.Errorf("%w: an entry wants a name of its own, a Spec of ParseSpec, and a Payload", store.ErrInvalid))
		}
		if s := q.settle(ctx, e.Options); s.err != nil {
			return q.wrap("schedule", e.Name, s.err)
		}
		names[e.Name] = true
		timers[i] = &ticking[T]{Entry: e}
	}
	if len(entries) == 0 {
		return q.wrap("schedule", "", fmt.Errorf("%w: no entries", store.ErrInvalid))
	}
	timer := q.clock.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		wait, err := q.tickAll(ctx, timers)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if hopeless(err) {
				return q.wrap("schedule", "", err)
			}
			failures++
			wait = Exponential(firstWait, mostWait)(failures)
			q.log.WarnContext(ctx, "queue: the store failed", "queue", q.o.Name, "call", "schedule", "error", err)
		} else {
			failures = 0
		}
		timer.Reset(wait)
		select {
		case <-timer.C():
		case <-ctx.Done():
			return nil
		}
	}
}

// ticking is an entry at work.
type ticking[T any] struct {
	Entry[T]
	last time.Time // the last tick that the store is known to know; zero: ask
}

// mostTicks is how many ticks of an entry are caught up with before others have their turn.
const mostTicks = 100

// tickAll enqueues what is due and tells how long nothing will be.
func (q *Queue[T]) tickAll(ctx context.Context, entries []*ticking[T]) (wait time.Duration, err error) {
	now, err := q.now(ctx)
	if err != nil {
		return 0, err
	}
	wait = time.Hour // clocks may be set meanwhile
	for _, e := range entries {
		if e.last.IsZero() {
			if e.last, err = q.lastTick(ctx, e.Name, now); err != nil {
				return 0, err
			}
		}
		left, err := q.catchUp(ctx, e, now)
		if err != nil {
			return 0, err
		}
		wait = min(wait, left)
	}
	return wait, nil
}

// catchUp enqueues the due ticks of an entry and tells when the next one is.
func (q *Queue[T]) catchUp(ctx context.Context, e *ticking[T], now time.Time) (time.Duration, error) {
	switch e.Missed {
	case MissedNone:
		if recent := now.Add(-tardy); recent.After(e.last) {
			e.last = recent
		}
	case MissedLatest:
		if latest := e.Spec.latest(e.last, now); !latest.IsZero() {
			e.last = latest.Add(-time.Millisecond)
		}
	}
	for range mostTicks {
		tick := e.Spec.Next(e.last)
		if tick.IsZero() {
			return time.Hour, nil
		}
		if tick.After(now) {
			return tick.Sub(now), nil
		}
		if err := q.tick(ctx, e, tick); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// tick enqueues the job of a tick, if nobody has.
func (q *Queue[T]) tick(ctx context.Context, e *ticking[T], tick time.Time) error {
	s := q.settle(ctx, e.Options)
	payload := e.Payload(tick)
	args, err := q.appendArgs([]string{e.Name, itoa(tick.UnixMilli())}, &s, &payload)
	if err != nil {
		return err
	}
	list, err := q.run(ctx, tickScript, q.keys[:enqueueKeys], args...).Array()
	if err == nil && len(list) != 2 {
		err = store.ErrReply
	}
	if err != nil {
		return err
	}
	outcome, err := list[0].Int64()
	if err != nil {
		return err
	}
	if outcome == 1 {
		q.stats.enqueued.Add(1)
		observe.Count(ctx, q.o.Observer, q.op("tick", e.Name), 1)
	}
	if outcome >= 0 { // else the store's clock was put back: once more
		e.last = tick
	}
	return nil
}

// lastTick is what the store knows of an entry. It notes now for one that it does not know.
func (q *Queue[T]) lastTick(ctx context.Context, name string, now time.Time) (time.Time, error) {
	field := "cron:" + name
	replies := q.pipe(ctx,
		store.Cmd{"HSETNX", q.keys[kMeta], field, itoa(now.UnixMilli())}, store.Cmd{"HGET", q.keys[kMeta], field})
	at, err := replies[1].Int64()
	if err = errors.Join(replies[0].Err(), err); err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(at), nil
}

// now is the store's clock.
func (c *core) now(ctx context.Context) (time.Time, error) {
	t, err := c.do(ctx, "TIME").Ints()
	if err == nil && len(t) != 2 {
		err = store.ErrReply
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(t[0], t[1]*1000), nil
}
