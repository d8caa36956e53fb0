package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Defaults of Group.
const (
	DefaultPrefetch      = 64
	DefaultMaxDeliveries = 10
	DefaultMaxDead       = 10_000
	DefaultClaimIdle     = 30 * time.Second
	DefaultDrain         = 10 * time.Second
)

// Group says how entries are consumed. Name is required. The consumers of a group share the entries; each group gets all.
type Group struct {
	Name string

	// Consumer is this consumer's name, of which the group must have one at a time. Default: host, process and a random
	// part. With a name that stays the same a consumer that restarts takes its unfinished entries up at once; otherwise
	// somebody claims them after ClaimIdle.
	Consumer string

	// Concurrency is how many handlers run at once; default 1.
	Concurrency int

	// Prefetch is how many entries wait here for a handler, at most; default DefaultPrefetch, negative for none. Slow
	// handlers want few, so that other consumers get their share.
	Prefetch int

	// Ordered hands the entries of a key (see Stream.KeyBy) to the handler one after another, as published, retries
	// included; without KeyBy all entries, by one worker. A key that fails holds up others that share its worker. The order
	// is kept within this consumer: where it matters let a group have one consumer at a time, with a fixed name.
	Ordered bool

	// From is where the group begins, if it does not exist yet; default Beginning.
	From Position

	// MaxDeliveries is how often an entry is handed to a handler, at most, counted by the store over all consumers; then
	// it goes to the dead letters. Default DefaultMaxDeliveries; negative for no end.
	MaxDeliveries int

	// Backoff is the pause before the next attempt, after so many deliveries. Default Exponential(100 ms, 1 min).
	Backoff func(deliveries int) time.Duration

	// ClaimIdle is how long an entry may go without a sign of life of its consumer before others take it over. A handler
	// that runs longer is no problem: its consumer gives signs of life. Default DefaultClaimIdle, at least 100 ms.
	ClaimIdle time.Duration

	// MaxDead is how many dead letters of the group are kept, about; default DefaultMaxDead.
	MaxDead int64

	// Drain is how long Consume waits for handlers when ctx has ended, before it cancels theirs; default DefaultDrain,
	// negative for not at all.
	Drain time.Duration
}

// Exponential is a Backoff: first, doubled with each further delivery up to most, less a random part of up to half.
func Exponential(first, most time.Duration) func(deliveries int) time.Duration {
	return func(deliveries int) time.Duration {
		d := most
		if n := max(deliveries-1, 0); n < 62 && first <= most>>n {
			d = first << n
		}
		if d <= 0 {
			return 0
		}
		return d - mathrand.N(d/2+1)
	}
}

// complete checks a Group and fills in defaults.
func (g Group) complete() (Group, error) {
	switch {
	case g.Name == "":
		return g, fmt.Errorf("%w: no Group.Name; choose one such as \"billing\"", store.ErrInvalid)
	case g.Concurrency < 0 || g.Concurrency > 1<<16:
		return g, fmt.Errorf("%w: Concurrency %d", store.ErrInvalid, g.Concurrency)
	case g.Prefetch > 1<<20:
		return g, fmt.Errorf("%w: Prefetch %d", store.ErrInvalid, g.Prefetch)
	case g.MaxDead < 0:
		return g, fmt.Errorf("%w: MaxDead %d", store.ErrInvalid, g.MaxDead)
	case g.ClaimIdle != 0 && g.ClaimIdle < 100*time.Millisecond:
		return g, fmt.Errorf("%w: ClaimIdle %v, want at least 100ms", store.ErrInvalid, g.ClaimIdle)
	}
	if err := g.From.check(); err != nil {
		return g, err
	}
	g.From = Position(orElse(string(g.From), string(Beginning)))
	g.Concurrency = orDefault(g.Concurrency, 1)
	g.Prefetch = max(orDefault(g.Prefetch, DefaultPrefetch), 0)
	g.MaxDeliveries = orDefault(g.MaxDeliveries, DefaultMaxDeliveries)
	if g.MaxDeliveries < 0 {
		g.MaxDeliveries = math.MaxInt
	}
	g.ClaimIdle = orDefault(g.ClaimIdle, DefaultClaimIdle)
	g.MaxDead = orDefault(g.MaxDead, DefaultMaxDead)
	g.Drain = max(orDefault(g.Drain, DefaultDrain), 0)
	if g.Backoff == nil {
		g.Backoff = Exponential(100*time.Millisecond, time.Minute)
	}
	return g, nil
}

func orDefault[N ~int | ~int64](n, otherwise N) N {
	if n == 0 {
		return otherwise
	}
	return n
}

// consumerName is unique: host, process, chance.
func consumerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + rand.Text()[:8]
}

// What a handler may return, and what ends its ctx.
var (
	// ErrDead, wrapped by a handler's error, sends the entry to the dead letters without further attempts.
	ErrDead = errors.New("not worth another attempt")

	// ErrLost is the cause (context.Cause) with which a handler's ctx ends when another consumer has taken its entry over:
	// this one gave no sign of life for ClaimIdle.
	ErrLost = errors.New("another consumer has taken the entry over")

	// ErrDrained is the cause with which handlers' ctx end when they take longer than Group.Drain.
	ErrDrained = errors.New("the time to finish is over")
)

// PanicError is a handler's panic, as OnError hears of it.
type PanicError struct {
	Value any    // what the handler panicked with
	Stack []byte // where
}

// Error tells the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("the handler panicked: %v", e.Value) }

// Unwrap gives the value, if the handler panicked with an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Consume hands the group's entries to fn until ctx ends, as one of the group's consumers. It creates the group (and the
// stream) if need be, and again should they disappear.
//
// fn returning nil acknowledges the entry. An error (or a panic) means another attempt after Backoff; past MaxDeliveries,
// or if the error is ErrDead, the entry goes to the group's dead letters. fn's ctx carries the values of ctx but outlives
// it by up to Group.Drain. Entries are handled at least once: fn must be able to meet one again.
//
// When ctx ends Consume reads no more, lets handlers finish what it holds, acknowledges, gives the rest back to the group
// and returns nil; the consumer is removed from the group if nothing of it is pending. It waits for fn to return, whatever
// fn does. Other errors are those that waiting does not mend: the options, a closed store, no permission, a key of
// another type. A store that is down is asked again; OnError hears of it.
func (s *Stream[T]) Consume(ctx context.Context, group Group, fn func(context.Context, *Message[T]) error) error {
	g, err := group.complete()
	if err == nil && fn == nil {
		err = fmt.Errorf("%w: no handler", store.ErrInvalid)
	}
	if err != nil {
		return store.Wrap("stream", "consume", s.o.Name, err)
	}
	c := newConsumer(ctx, s, g, fn)
	return c.run(ctx)
}

// hopeless errors do not pass by waiting.
func hopeless(err error) bool {
	for _, class := range []error{store.ErrClosed, store.ErrDenied, store.ErrWrongType, store.ErrUnsupported, store.ErrInvalid, store.ErrReply} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// again is the pause after so many failures in a row.
func again(failures int) time.Duration {
	const step, most = 50 * time.Millisecond, 2 * time.Second
	return min(time.Duration(failures+1)*step, most)
}

// pause waits; false if ctx ended before.
func (s *Stream[T]) pause(ctx context.Context, d time.Duration) bool {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Stream[T]) event(ctx context.Context, verb string, n int) {
	if n > 0 {
		observe.Count(ctx, s.o.Observer, s.op(verb, ""), int64(n))
	}
}
