package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/codec"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// What Options leave zero.
const (
	DefaultPrefix        = "queue:"
	DefaultMaxAttempts   = 10
	DefaultLease         = 30 * time.Second
	DefaultTimeout       = 3 * time.Second
	DefaultDeadRetention = 30 * 24 * time.Hour
	DefaultMaxPayload    = 1 << 20 // bytes
)

// NoTTL as Options.DeadRetention keeps dead letters until somebody deletes or replays them.
const NoTTL = time.Duration(-1)

// minLease leaves time for a third of it to pass between two turns.
const minLease = 30 * time.Millisecond

// Options of a Queue. Only Name is required. All processes that work on a queue should agree on PerKey.
type Options struct {
	// Name of the queue, without braces: "emails". Queues of the same store, Prefix and Name are one.
	Name string

	// Prefix begins all keys. Default DefaultPrefix. The keys of a queue are "<Prefix>{<Name>}:ready" and so on: one
	// slot of a Cluster holds a queue.
	Prefix string

	// MaxAttempts is how often a job may fail before it becomes a dead letter; one job may have its own: Attempts.
	// Default DefaultMaxAttempts.
	MaxAttempts int

	// Backoff is the pause after the attempt-th failure, counted from 1. Default: Exponential(time.Second, time.Hour).
	Backoff func(attempt int) time.Duration

	// Lease is for how long a process may be silent before its jobs go to others. It is extended as long as the process
	// lives, so jobs may run longer. Default DefaultLease.
	Lease time.Duration

	// RunTimeout ends the ctx of an attempt that takes longer; 0: never. One job may have its own: RunTimeout.
	RunTimeout time.Duration

	// Retention is how long jobs that are done are kept, with their results; 0: they are forgotten at once. One job may
	// have its own: Keep.
	Retention time.Duration

	// DeadRetention is how long dead letters are kept. Default DefaultDeadRetention; NoTTL keeps them for ever.
	DeadRetention time.Duration

	// PerKey limits jobs that have the same Key. The zero value does not.
	PerKey Limit

	// MaxPayload is the most bytes an encoded job may have. Default DefaultMaxPayload.
	MaxPayload int

	// Codec encodes jobs, progress and results. Default: strings and []byte as they are, everything else as JSON.
	Codec codec.Codec

	// Timeout is how long the store may take for a call. Default DefaultTimeout, negative for no limit but the ctx's.
	// A store in this process needs none and gets none.
	Timeout time.Duration

	// Inject, if set, gives headers that go with a job: what ctx, that of Enqueue, says of the trace it is part of. Extract, if
	// set, makes a handler's ctx from them; its result must be, or come from, the ctx given. The headers of a job may have
	// some 16 KB. See larderotel.Inject and larderotel.Extract in metrics/opentelemetry.
	Inject  func(ctx context.Context) map[string]string
	Extract func(ctx context.Context, headers map[string]string) context.Context

	// Observer hears of "enqueue" and "run" (results: observe.OK, Retried, Dead, Given, Lost), counts "duplicate" and "lost",
	// and, while there are workers, gauges "ready", "delayed", "active" and "dead" each third of a lease.
	Observer observe.Observer

	// Logger gets a line when a handler panics, a lease is lost, or the store fails or may evict jobs. Nil: no lines.
	Logger *slog.Logger

	// Clock, if set, is where workers take time from, for tests of this module. What is due is decided by the store's.
	Clock clock.Clock
}

// Limit bounds the jobs of one key, over all processes.
type Limit struct {
	// Concurrency is how many may run (or wait in the memory of a process) at a time; 0: any number. 1 makes them run one
	// after another, in the order of their enqueueing as long as none fails.
	Concurrency int

	// Rate is how many may start in any span of Per: starts are Per/Rate apart, rounded up to a millisecond. 0: any number.
	Rate int
	Per  time.Duration
}

// Queue is a queue of jobs whose payload is a T. It is safe for concurrent use; make it with New.
type Queue[T any] struct{ *core }

// core is what does not depend on T.
type core struct {
	st      store.Store
	o       Options
	codec   codec.Codec // of payloads
	values  codec.Codec // of progress and results
	clock   clock.Clock
	keys    []string // in the order of the scripts
	timeout *store.CallTimeout
	log     *slog.Logger
	gap     time.Duration // between starts of one key
	stats   counters
	group   group
	buffers sync.Pool // of *[]byte, to encode in

	mu      sync.Mutex
	workers map[*worker]struct{} // guarded by mu
	closed  bool                 // guarded by mu
}

// counters are what this process did.
type counters struct {
	enqueued, duplicates, taken, done, failed, retried, dead, given, lost, panics, errors atomic.Uint64
	running                                                                               atomic.Int64
}

// Stats is what a Queue did in this process since it was made. Depth tells what the queue holds.
type Stats struct {
	Enqueued   uint64 // jobs added
	Duplicates uint64 // jobs not added, because their unique key was taken
	Taken      uint64 // attempts that this process took
	Done       uint64 // attempts that succeeded
	Failed     uint64 // attempts that failed, Retried and Dead
	Retried    uint64 // attempts that failed and were not the last
	Dead       uint64 // attempts after which the job became a dead letter
	GivenBack  uint64 // attempts not made or not finished, given back
	Lost       uint64 // attempts whose lease was lost
	Panics     uint64 // handlers that panicked; they are Failed, too
	Errors     uint64 // failed calls of the store by workers
	Running    int    // handlers at work now
}

// Stats is a snapshot. It costs no call of the store.
func (c *core) Stats() Stats {
	s := &c.stats
	return Stats{
		Enqueued: s.enqueued.Load(), Duplicates: s.duplicates.Load(), Taken: s.taken.Load(), Done: s.done.Load(),
		Failed: s.failed.Load(), Retried: s.retried.Load(), Dead: s.dead.Load(), GivenBack: s.given.Load(), Lost: s.lost.Load(),
		Panics: s.panics.Load(), Errors: s.errors.Load(), Running: int(s.running.Load()),
	}
}

// Name is the Options' Name.
func (c *core) Name() string { return c.o.Name }

// New makes a Queue on st. It does not touch the store; it fails only for options that make no sense.
func New[T any](st store.Store, o Options) (*Queue[T], error) {
	format, err := codec.For[T](o.Codec, codec.JSON{})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("queue: %w: %w", store.ErrInvalid, err)
	}
	c := &core{st: st, o: o, codec: format, values: o.Codec, clock: o.Clock, timeout: store.CallTimeoutFor(st, o.Timeout, DefaultTimeout), log: o.Logger, workers: map[*worker]struct{}{}}
	if c.values == nil {
		c.values = codec.JSON{}
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = clock.System()
	}
	if o.PerKey.Rate > 0 {
		c.gap = (o.PerKey.Per + time.Duration(o.PerKey.Rate) - 1) / time.Duration(o.PerKey.Rate)
	}
	for _, name := range keyNames {
		c.keys = append(c.keys, o.Prefix+"{"+o.Name+"}:"+name)
	}
	return &Queue[T]{c}, nil
}

func (o *Options) complete() error {
	if o.Name == "" || len(o.Name) > maxKey || strings.ContainsAny(o.Name, "{}") || strings.ContainsAny(o.Prefix, "{}") {
		return fmt.Errorf("Name %q with Prefix %q: want a short name without braces, such as \"emails\"", o.Name, o.Prefix)
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	setDefault(&o.MaxAttempts, DefaultMaxAttempts)
	setDefault(&o.MaxPayload, DefaultMaxPayload)
	setDefault(&o.Lease, DefaultLease)
	setDefault(&o.DeadRetention, DefaultDeadRetention)
	if o.Backoff == nil {
		o.Backoff = Exponential(time.Second, time.Hour)
	}
	switch {
	case o.MaxAttempts < 1 || o.MaxAttempts > maxAttempts:
		return fmt.Errorf("MaxAttempts %d, want 1 to %d", o.MaxAttempts, maxAttempts)
	case o.Lease < minLease || o.Lease > longest:
		return fmt.Errorf("Lease %v, want at least %v", o.Lease, minLease)
	case o.RunTimeout < 0 || o.Retention < 0 || o.MaxPayload < 0 || o.DeadRetention < 0 && o.DeadRetention != NoTTL:
		return errors.New("a negative RunTimeout, Retention, DeadRetention or MaxPayload")
	case o.RunTimeout > longest || o.Retention > longest || o.DeadRetention > longest:
		return fmt.Errorf("a RunTimeout, Retention or DeadRetention above %v", longest)
	}
	l := o.PerKey
	if l.Concurrency < 0 || l.Concurrency >= noLimit || l.Rate < 0 || l.Rate > 0 && (l.Per < time.Millisecond || l.Per > longest || int64(l.Rate) > l.Per.Milliseconds()) {
		return fmt.Errorf("PerKey %+v: want a Concurrency of at least 0, and a Rate of at most one per millisecond of Per", l)
	}
	return nil
}

// longest is the longest time that anything may take or be kept: 100 years.
const longest = 100 * 365 * 24 * time.Hour

func setDefault[N int | time.Duration](v *N, to N) {
	if *v == 0 {
		*v = to
	}
}

// Exponential doubles the pause from first up to most, and takes a random part of it, between a half and all, so that
// jobs which failed together do not come back together.
func Exponential(first, most time.Duration) func(attempt int) time.Duration {
	return func(attempt int) time.Duration {
		d := most
		if f := float64(first) * math.Pow(2, float64(attempt-1)); f < float64(most) {
			d = time.Duration(f)
		}
		d = max(d, 0)
		return d/2 + rand.N(d/2+1)
	}
}

// Constant is the same pause after each failure.
func Constant(d time.Duration) func(attempt int) time.Duration {
	return func(int) time.Duration { return d }
}

// run calls a script of the queue, within Options.Timeout.
func (c *core) run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	return c.st.Run(ctx, s, keys, args...)
}

func (c *core) do(ctx context.Context, args ...string) store.Reply {
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	return c.st.Do(ctx, args...)
}

func (c *core) pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	return c.st.Pipe(ctx, cmds...)
}

func (c *core) wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if key == "" {
		key = c.o.Name
	}
	return store.Wrap("queue", op, key, err)
}

func (c *core) op(verb, key string) observe.Op {
	return observe.Op{Pattern: "queue", Name: c.o.Name, Verb: verb, Key: key}
}

// encode turns progress or a result into bytes: strings and []byte as they are.
func (c *core) encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return []byte(v), nil
	case []byte:
		return append([]byte(nil), v...), nil
	}
	b, err := c.values.Append(nil, v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return b, nil
}

func (c *core) decode(text string, v any) error {
	switch v := v.(type) {
	case *string:
		*v = text
		return nil
	case *[]byte:
		*v = []byte(text)
		return nil
	}
	return c.values.Decode([]byte(text), v)
}
