package lock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Defaults of Options.
const (
	DefaultPrefix    = "lock:"
	DefaultTTL       = 15 * time.Second
	DefaultTimeout   = 2 * time.Second
	DefaultRetention = 24 * time.Hour
)

// NoTTL as a time to keep something keeps it for ever.
const NoTTL time.Duration = -1

const (
	minTTL     = 10 * time.Millisecond
	longest    = 100 * 365 * 24 * time.Hour // of any time
	claimTime  = 2 * time.Second            // longest claim of a waiter that was served
	aliveTime  = 15 * time.Second           // how long a waiter counts as alive after it was last heard of
	pollTime   = 100 * time.Millisecond     // how often waiters look where the store cannot wake them
	bodySuffix = ":body"
	changes    = ":changes" // ends the channel on which a leader's lock tells of changes
)

// The errors of this package besides those of store.
var (
	// ErrHeld means that somebody else has the lock, or waits for it: Try and AcquireWithin did not get it.
	ErrHeld = errors.New("held by another")

	// ErrLost means that a lease ended before it was released: it could not be extended in time, or the store has
	// forgotten it. Somebody else may hold the lock. It is the cause of the lease's context, and what Release and With
	// return.
	ErrLost = errors.New("lock lost")

	// ErrReleased is the cause of a lease's context after Release.
	ErrReleased = errors.New("lock released")
)

// Options of a Locker. The zero value is usable.
type Options struct {
	// Prefix begins every key and channel in the store. Default DefaultPrefix.
	Prefix string

	// TTL is how long a lease lasts without extension, and so how long a lock stands idle when its holder has died. It
	// is extended automatically, every third of it. From 10 ms to 100 years; default DefaultTTL.
	TTL time.Duration

	// Timeout is how long the store may take for one call; default DefaultTimeout, but never more than TTL; negative
	// for no limit but the ctx's. It does not limit the waiting for a lock. A store in this process needs none.
	Timeout time.Duration

	// Retention is how long the store keeps the last fencing token of a lock that nobody uses. It must be at least TTL
	// and 15 s; default DefaultRetention. Tokens grow beyond it as long as the store's clock does. NoTTL keeps them for
	// ever.
	Retention time.Duration

	// Owner names this process in Inspect and to those who observe a leader: an address to reach it by, say. At most
	// 100 bytes without white space. Default: host name and process id.
	Owner string

	// Observer hears of operations (acquire, try, release) and of the events "extended", "lost" and "waited".
	Observer observe.Observer

	// Clock is for tests of this module; nil is the system's.
	Clock clock.Clock
}

// Locker takes locks. It is safe for concurrent use; make one per process and store with New, and Close it.
type Locker struct {
	st      store.Store
	o       Options
	clock   clock.Clock
	timeout *store.CallTimeout
	client  string // owner and a random number: unique
	keep    string // Retention in ms; "0" for ever
	wake    string // what channels of clients begin with
	extend  string // ARGV[3] of extendScript

	seq    atomic.Uint64
	stats  counters
	ctx    context.Context // ends when Close is called; for calls that no caller waits for
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines of this Locker

	mu       sync.Mutex // guards the rest
	closed   bool
	newest   *Lease            // held or waited for: a list, the newest first
	count    int64             // of these
	waiters  map[string]*Lease // those of them that may hear from the store, by id
	listener *listener         // nil until somebody waits
	sweeper  clock.Timer       // nil until somebody holds
	sweeping bool              // it is going to fire
}

// New makes a Locker on st. It does not touch the store; it fails only for options that make no sense.
func New(st store.Store, o Options) (*Locker, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Owner == "" {
		o.Owner = defaultOwner()
	}
	switch {
	case strings.ContainsAny(o.Prefix, "{}"):
		return nil, fmt.Errorf("lock: %w: Prefix %q has a brace; the name of a lock is its hash tag", store.ErrInvalid, o.Prefix)
	case o.TTL < minTTL || o.TTL > longest:
		return nil, fmt.Errorf("lock: %w: TTL %v, want %v to %v", store.ErrInvalid, o.TTL, minTTL, longest)
	case len(o.Owner) > 100 || strings.ContainsAny(o.Owner, spaces):
		return nil, fmt.Errorf("lock: %w: Owner %q, want at most 100 bytes without white space", store.ErrInvalid, o.Owner)
	}
	keep, err := keepFor("Retention", o.Retention, max(DefaultRetention, o.TTL), max(o.TTL, aliveTime))
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	var random [8]byte
	rand.Read(random[:]) //nolint:errcheck // it never fails
	l := &Locker{
		st: st, o: o, clock: o.Clock, keep: keep, wake: o.Prefix + "wake:",
		client:  o.Owner + "/" + hex.EncodeToString(random[:]),
		waiters: map[string]*Lease{},
		extend:  packed(store.Millis(o.TTL)),
	}
	l.timeout = store.CallTimeoutFor(st, min(o.Timeout, o.TTL), min(DefaultTimeout, o.TTL))
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// keepFor is a time to keep something, in the store's milliseconds.
func keepFor(name string, d, otherwise, least time.Duration) (string, error) {
	switch {
	case d == NoTTL:
		return "0", nil
	case d == 0:
		d = otherwise
	case d < least || d > longest:
		return "", fmt.Errorf("lock: %w: %s %v, want %v to %v, or NoTTL", store.ErrInvalid, name, d, least, longest)
	}
	return digits(store.Millis(d)), nil
}

func defaultOwner() string {
	host, _ := os.Hostname() //nolint:errcheck // then the process id must do
	host = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, host)
	return host[:min(len(host), 60)] + ":" + strconv.Itoa(os.Getpid())
}

// Lock is one way of holding a name: alone, as one of n, reading or writing. It is a small immutable handle; keep it or
// make it anew for every use.
type Lock struct {
	l         *Locker
	name      string
	keys      []string
	mode      string
	capacity  int
	try, wait string // ARGV[3] of acquireScript
}

// Mutex is a lock that one holds at a time.
func (l *Locker) Mutex(name string) *Lock { return l.lock(name, "", "x", 0) }

// Semaphore is a lock that up to n hold at a time. All who use the name must agree on n: who waits counts by its own.
func (l *Locker) Semaphore(name string, n int) *Lock {
	return l.lock(name, ":sem", "s", min(max(n, 0), maxReaders))
}

// Reader is a read-write lock's side that any number hold at a time, while no Writer does.
func (l *Locker) Reader(name string) *Lock { return l.lock(name, ":rw", "s", maxReaders) }

// Writer is a read-write lock's side that one holds alone. Readers and writers are served in the order in which they
// came: a waiting writer is passed by no reader.
func (l *Locker) Writer(name string) *Lock { return l.lock(name, ":rw", "x", 0) }

const maxReaders = 1<<31 - 1 // also where an int has 32 bits

const spaces = " \t\n\v\f\r"

func (l *Locker) lock(name, kind, mode string, capacity int) *Lock {
	head := l.o.Prefix + "{" + name + "}" + kind
	length, claim := store.Millis(l.o.TTL), store.Millis(min(l.o.TTL, claimTime))
	wait := packed(0, int64(capacity), length, claim, store.Millis(aliveTime))
	return &Lock{l: l, name: name, keys: []string{head, head + bodySuffix}, mode: mode, capacity: capacity,
		try: wait[:4*wide] + noNumber, wait: wait}
}

// check finds names and numbers that cannot work.
func (k *Lock) check() error {
	switch {
	case k.name == "" || k.name[0] == '}':
		return fmt.Errorf("%w: name %q: it must not be empty or begin with }", store.ErrInvalid, k.name)
	case k.mode == "s" && k.capacity == 0:
		return fmt.Errorf("%w: a semaphore of no places", store.ErrInvalid)
	}
	return nil
}

// Name is what the lock was made with.
func (k *Lock) Name() string { return k.name }

// Key is the lock's first key in the store; its second is the same with ":body" behind it. They share a hash tag.
func (k *Lock) Key() string { return k.keys[0] }

// Try is Mutex(name).Try(ctx).
func (l *Locker) Try(ctx context.Context, name string) (*Lease, error) { return l.Mutex(name).Try(ctx) }

// Acquire is Mutex(name).Acquire(ctx).
func (l *Locker) Acquire(ctx context.Context, name string) (*Lease, error) {
	return l.Mutex(name).Acquire(ctx)
}

// With is Mutex(name).With(ctx, do).
func (l *Locker) With(ctx context.Context, name string, do func(ctx context.Context) error) error {
	return l.Mutex(name).With(ctx, do)
}

// words are the ARGV of a script.
type words [4]string

// run calls a script, within the Locker's timeout. w is not to be touched before it returns.
func (k *Lock) run(ctx context.Context, script *store.Script, w *words, id, numbers string) store.Reply {
	l := k.l
	*w = words{id, l.keep, numbers, l.wake}
	ctx, cancel := l.timeout.Bound(ctx)
	defer cancel()
	return l.st.Run(ctx, script, k.keys, w[:]...)
}

func (k *Lock) op(verb string) observe.Op {
	return observe.Op{Pattern: "lock", Name: k.l.o.Prefix, Verb: verb, Key: k.name}
}

// wrap makes an error one of this package.
func (k *Lock) wrap(op string, err error) error { return store.Wrap("lock", op, k.keys[0], err) }

// Close ends waiting (with store.ErrClosed), releases what is still held, whose contexts end first, and waits for the Locker's
// goroutines; all that for no longer than ctx lasts. Call it before the Store is closed. Closing twice is a no-op.
func (l *Locker) Close(ctx context.Context) error {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	if l.sweeper != nil {
		l.sweeper.Stop()
	}
	l.mu.Unlock()
	if was {
		return nil
	}
	all := l.all()
	var ending []*Lease
	for _, le := range all {
		if le.finish(ErrReleased) == nil {
			ending = append(ending, le)
		}
	}
	each(all, func(le *Lease) { le.stopWaiting(ctx) }) // first: what is released is not for them
	each(ending, func(le *Lease) { le.giveBack(ctx) }) //nolint:errcheck // its time to live does the rest
	l.cancel()
	done := make(chan struct{})
	go func() {
		l.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lock: close: %w", ctx.Err())
	}
}

// each does something with all leases, with some at a time.
func each(all []*Lease, do func(le *Lease)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(len(all), 32) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				do(all[i])
			}
		})
	}
	wg.Wait()
}

// Stats counts what a Locker did in this process since it was made.
type Stats struct {
	Acquired uint64 // leases, waited for or not
	Waited   uint64 // of these, after waiting
	Denied   uint64 // tries that found the lock held, and waits that ended before they were served
	Released uint64
	Extended uint64 // extensions that succeeded
	Lost     uint64 // leases that ended before they were released
	Failed   uint64 // calls that the store failed
	Holding  int64  // leases now
	Waiting  int64  // waiters now
}

type counters struct {
	acquired, waited, denied, released, extended, lost, failed atomic.Uint64
	waiting                                                    atomic.Int64
}

// Stats is a snapshot of the counters.
func (l *Locker) Stats() Stats {
	c := &l.stats
	s := Stats{
		Acquired: c.acquired.Load(), Waited: c.waited.Load(), Denied: c.denied.Load(), Released: c.released.Load(),
		Extended: c.extended.Load(), Lost: c.lost.Load(), Failed: c.failed.Load(), Waiting: c.waiting.Load(),
	}
	l.mu.Lock()
	s.Holding = l.count - s.Waiting
	l.mu.Unlock()
	return s
}
