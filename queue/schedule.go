package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Missed says what happens to ticks that are past and not noted: no process was there, or the store was not, or it has lost
// them.
type Missed uint8

const (
	// MissedLatest enqueues one job, for the latest of them. It is the default.
	MissedLatest Missed = iota

	// MissedNone enqueues none that is more than 10 s late.
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
// ever after. So there is no leader that could be missing. It costs each process one script per tick, and a look at the notes
// before and each minute.
//
// A tick is enqueued by the store's clock, never early. An entry whose name the store does not know begins at the
// time of the call; ticks before have not been missed. A store that comes back without its last moments has lost a tick's
// job together with its note, so the tick counts as missed: see Missed.
func (q *Queue[T]) Schedule(ctx context.Context, entries ...Entry[T]) error {
	names := map[string]bool{}
	for _, e := range entries {
		if e.Name == "" || e.Payload == nil || e.Spec.zone == nil || names[e.Name] || e.Missed > MissedAll {
			return q.wrap("schedule", e.Name, fmt.Errorf("%w: an entry wants a name of its own, a Spec of ParseSpec, and a Payload", store.ErrInvalid))
		}
		if s := q.settle(ctx, e.Options); s.err != nil {
			return q.wrap("schedule", e.Name, s.err)
		}
		names[e.Name] = true
	}
	if len(entries) == 0 {
		return q.wrap("schedule", "", fmt.Errorf("%w: no entries", store.ErrInvalid))
	}
	timer := q.clock.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		wait, err := q.tickAll(ctx, entries)
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

const (
	// mostTicks is how many ticks of an entry are caught up with before others have their turn.
	mostTicks = 100

	// lookAgain is after how long the notes are looked at although nothing is due: a failover may have lost some, and clocks may
	// have been set.
	lookAgain = time.Minute
)

// tickAll enqueues what is due and tells how long nothing will be. It goes by the store's notes alone and remembers nothing.
func (q *Queue[T]) tickAll(ctx context.Context, entries []Entry[T]) (wait time.Duration, err error) {
	now, err := q.now(ctx)
	if err != nil {
		return 0, err
	}
	read := store.Cmd{"HMGET", q.keys[kMeta]}
	for _, e := range entries {
		read = append(read, cronField(e.Name))
	}
	notes, err := q.do(ctx, read...).Strings()
	if err == nil && len(notes) != len(entries) {
		err = store.ErrReply
	}
	if err != nil {
		return 0, err
	}
	wait = lookAgain
	for i := range entries {
		last, known := number(notes[i])
		if !known {
			if last, err = q.begin(ctx, entries[i].Name, now); err != nil {
				return 0, err
			}
		}
		left, err := q.catchUp(ctx, &entries[i], time.UnixMilli(last), now)
		if err != nil {
			return 0, err
		}
		wait = min(wait, left)
	}
	return wait, nil
}

// catchUp enqueues the ticks of an entry that are due after the last one and tells when the next one is.
func (q *Queue[T]) catchUp(ctx context.Context, e *Entry[T], last, now time.Time) (time.Duration, error) {
	switch e.Missed {
	case MissedNone:
		if recent := now.Add(-tardy); recent.After(last) {
			last = recent
		}
	case MissedLatest:
		if latest := e.Spec.latest(last, now); !latest.IsZero() {
			last = latest.Add(-time.Millisecond)
		}
	}
	for range mostTicks {
		tick := e.Spec.Next(last)
		if tick.IsZero() {
			return lookAgain, nil
		}
		if tick.After(now) {
			return tick.Sub(now), nil
		}
		early, err := q.tick(ctx, e, tick)
		if err != nil || early > 0 {
			return early, err
		}
		last = tick
	}
	return 0, nil
}

// tick enqueues the job of a tick, if nobody has. early is how long it is too early for it, by the clock of the server that
// has the queue: others may be ahead.
func (q *Queue[T]) tick(ctx context.Context, e *Entry[T], tick time.Time) (early time.Duration, err error) {
	s := q.settle(ctx, e.Options)
	payload := e.Payload(tick)
	args, err := q.appendArgs([]string{e.Name, itoa(tick.UnixMilli())}, &s, &payload)
	if err != nil {
		return 0, err
	}
	answer, err := q.run(ctx, tickScript, q.keys[:enqueueKeys], args...).Array()
	if err == nil && len(answer) != 2 {
		err = store.ErrReply
	}
	if err != nil {
		return 0, err
	}
	switch outcome, err := answer[0].Int64(); {
	case err != nil:
		return 0, err
	case outcome < 0:
		left, err := answer[1].Int64()
		return time.Duration(left) * time.Millisecond, err
	case outcome == 1:
		id, err := answer[1].Text()
		if strings.HasPrefix(id, "=") {
			q.duplicate(ctx, 1)
			return 0, err
		}
		q.stats.enqueued.Add(1)
		observe.Count(ctx, q.o.Observer, q.op("tick", e.Name), 1)
		return 0, err
	}
	return 0, nil
}

func cronField(name string) string { return "cron:" + name }

// begin notes now as the last tick of an entry that the store does not know, and returns what is noted, by anybody.
func (q *Queue[T]) begin(ctx context.Context, name string, now time.Time) (last int64, err error) {
	meta, field := q.keys[kMeta], cronField(name)
	replies := q.pipe(ctx, store.Cmd{"HSETNX", meta, field, itoa(now.UnixMilli())}, store.Cmd{"HGET", meta, field})
	last, err = replies[1].Int64()
	return last, errors.Join(replies[0].Err(), err)
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
