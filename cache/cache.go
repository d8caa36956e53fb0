package cache

import (
	"context"
	"errors"
	"fmt"
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

// Cache holds values of type T. It is safe for concurrent use; make one per kind of thing with New.
type Cache[T any] struct {
	o           Options
	st          store.Store
	get         store.Getter
	set         store.Setter
	clk         clock.Clock
	timeout     *store.CallTimeout
	local       bool          // the store is in this process
	timed       bool          // entries carry times
	grace       time.Duration // how long entries outlive their TTL
	clearKey    string
	leaseMillis string // Options.Lease
	codec       Codec
	header      [headerBytes]byte // of an ordinary entry
	buffers     sync.Pool         // of *[]byte
	results     sync.Pool         // of *Result[T], zero: to decode into, which on the heap of each call would take a tenth of a hit
	near        *near[T]          // nil: none

	ns    namespace
	time  storeClock
	waits waits
	chill atomic.Int32 // how often reads have missed lately; see cold

	mu       sync.Mutex              // guards what follows, and what flights say it guards
	flights  map[uint64]*flight[T]   // loads under way, by the tokens of their leases
	byKey    map[string][]*flight[T] // all of a key, without prefix: one has the lease, others may be bidding
	alone    map[string]*flight[T]   // those without leases, by key
	orphans  map[uint64]struct{}     // tokens of leases that could not be ended
	renewing bool                    // renewAll is due

	seq atomic.Uint64 // of the flight that began last; written under mu

	n counters
}

// New makes a Cache of T on st. It does not touch the store; it fails only for options that make no sense.
func New[T any](st store.Store, o Options) (*Cache[T], error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if st == nil {
		return nil, fmt.Errorf("cache: %w: no store", store.ErrInvalid)
	}
	format, err := codec.For[T](o.Codec, MsgPack{})
	if err != nil {
		return nil, err
	}
	c := &Cache[T]{
		o: o, st: st, get: store.GetterOf(st), set: store.SetterOf(st), clk: o.Clock, local: store.InProcess(st),
		timed: o.Stale > 0 || o.FailSafe > 0 || o.EarlyRefresh > 0 || o.Near > 0, grace: max(o.Stale, o.FailSafe),
		clearKey: o.Prefix + reserved + "clear", leaseMillis: millis(o.Lease), codec: format, header: newHeader[T](format, o.Schema),
		flights: map[uint64]*flight[T]{}, byKey: map[string][]*flight[T]{}, alone: map[string]*flight[T]{}, orphans: map[uint64]struct{}{},
	}
	if c.timed {
		c.grace += o.Lease // a refresh that begins at the last moment has its lease in the entry
	}
	c.waits.channel = "larder:cache:" + o.Prefix
	c.chill.Store(chillStart)
	c.buffers.New = func() any { return new([]byte) }
	c.results.New = func() any { return new(Result[T]) }
	c.timeout = store.CallTimeoutFor(st, o.Timeout, DefaultTimeout)
	if o.Near > 0 {
		c.near = newNear(c)
	}
	return c, nil
}

// Close ends what runs in the background for Options.Near, and waits for that until ctx ends. A Cache without Near has
// nothing to close. Loads that are under way go on; later calls work, without what was near.
func (c *Cache[T]) Close(ctx context.Context) error { return c.near.close(ctx) }

// Result is a value and what is to be known about it.
type Result[T any] struct {
	Value T

	// Stale says that the value is past its TTL or, with FailSafe alone, that it may have been invalidated.
	Stale bool

	// Cause is why FailSafe served the value: the loader's error, ErrSoftTimeout, ErrLoadTimeout or ErrHeld. It is nil
	// for a value that is fresh, or stale within Options.Stale.
	Cause error
}

// Get reads an entry. ok is false when there is none that is fresh, or stale within Options.Stale; err is ErrNotFound when
// the absence itself is remembered, and anything else when the store failed. One round trip.
func (c *Cache[T]) Get(ctx context.Context, key string) (v T, ok bool, err error) {
	ctx, end := c.begin(ctx, "get", key)
	res, _ := c.results.Get().(*Result[T])
	defer c.giveBackResult(res)
	found, err := c.readNear(ctx, key, &res.Value)
	c.count(found.outcome, err)
	switch {
	case err != nil:
		err = store.Wrap("cache", "get", c.o.Prefix+key, err)
		end(observe.Failed, err)
		return v, false, err
	case found.outcome == negative:
		end(resultNegative, nil)
		return v, false, c.notFound(key)
	case found.outcome != miss:
		v, ok = res.Value, true
	}
	end(found.outcome.String(), nil)
	return v, ok, nil
}

// GetOrLoad reads an entry, and on a miss loads the value and stores it. It is Fetch for those who need not know whether
// the value is stale.
func (c *Cache[T]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context) (T, error)) (T, error) {
	r, err := c.Fetch(ctx, key, load)
	return r.Value, err
}

// Fetch reads an entry, and on a miss loads the value and stores it.
//
// load is called at most once at a time per key, in all processes that share the store, on a goroutine of its own; on the
// caller's on a store in this process, if ctx never ends and there is no limit to waiting. Its ctx
// carries the values of the caller's, but ends only when all who wait for it have left, or with Options.LoadTimeout. What
// it returns is stored and goes to all of them: stored first on the embedded store, handed out first where storing is a
// round trip. It is not stored if the key was invalidated meanwhile, and callers who come after that do not get it. Its
// error is returned as it is; ErrNotFound is remembered for NegativeTTL, other errors are not.
//
// An error that is not the loader's: ctx's, when it ended first; ErrNotFound, when remembered; ErrLoadTimeout;
// *PanicError. A loader that asks the cache for the key it is loading, with the ctx it was given, gets ErrInvalid instead
// of waiting for itself.
func (c *Cache[T]) Fetch(ctx context.Context, key string, load func(ctx context.Context) (T, error)) (Result[T], error) {
	if c.o.Observer == nil {
		r, _, err := c.fetch(ctx, key, load)
		return r, err
	}
	ctx, end := c.begin(ctx, "get", key)
	r, found, err := c.fetch(ctx, key, load)
	switch {
	case errors.Is(err, ErrNotFound):
		end(resultNegative, nil)
	case err != nil:
		end(observe.Failed, err)
	case r.Stale:
		end(observe.Stale, nil)
	default:
		end(found.String(), nil)
	}
	return r, err
}

// Set stores a value for a TTL, replacing what is there. A load of the key that is under way, in any process, will not
// overwrite it. One round trip; with Tags a second.
func (c *Cache[T]) Set(ctx context.Context, key string, v T) error {
	err := usable(key)
	if err == nil {
		c.forget(key)
		c.near.drop(key)
		err = c.write(ctx, key, &v)
		c.near.drop(key)
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrInvalid) {
			c.n.storeErrors.Add(1)
		}
		return store.Wrap("cache", "set", c.o.Prefix+key, err)
	}
	return nil
}

// Delete removes entries, remembered absences included. A load that is under way, in any process, will not bring its key
// back. Missing keys are no error. An error means that entries may still be there: until their TTL ends, or until Delete
// succeeds. One round trip for all keys.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	cmds, full := make([]store.Cmd, len(keys)), make([]string, len(keys)) // not one DEL: on a Cluster the keys live apart
	for i, key := range keys {
		if err := usable(key); err != nil {
			return store.Wrap("cache", "delete", c.o.Prefix+key, err)
		}
		c.forget(key)
		c.near.drop(key)
		full[i] = c.o.Prefix + key
		cmds[i] = store.Cmd{"DEL", full[i]}
	}
	defer func() {
		for _, key := range keys {
			c.near.drop(key)
		}
	}()
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	defer c.near.announce(ctx, full...)
	for i, r := range c.st.Pipe(ctx, cmds...) {
		if err := r.Err(); err != nil {
			c.n.storeErrors.Add(1)
			return store.Wrap("cache", "delete", c.o.Prefix+keys[i], err)
		}
	}
	return nil
}

// usable refuses keys that could be taken for what the package keeps besides entries.
func usable(key string) error {
	if strings.HasPrefix(key, reserved) {
		return fmt.Errorf("%w: a key that begins with a NUL byte", store.ErrInvalid)
	}
	return nil
}

// write stores v.
func (c *Cache[T]) write(ctx context.Context, key string, v *T) error {
	buf, _ := c.buffers.Get().(*[]byte)
	defer c.giveBack(buf)
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	now, err := c.plantEpochs(ctx, key)
	if err != nil {
		return err
	}
	entry, ttl, err := c.encode(ctx, (*buf)[:0], v, nil, &now, 0)
	*buf = entry
	if err != nil {
		return err
	}
	defer c.near.announce(ctx, c.o.Prefix+key)
	return c.set.SetBytes(ctx, c.o.Prefix+key, entry, ttl)
}

// jitter shortens a TTL at random.
func (c *Cache[T]) jitter(ttl time.Duration) time.Duration {
	if c.o.Jitter < 0 {
		return ttl
	}
	return ttl - time.Duration(rand.Float64()*c.o.Jitter*float64(ttl))
}

func (c *Cache[T]) notFound(key string) error {
	return &store.OpError{Pattern: "cache", Op: "get", Key: c.o.Prefix + key, Err: ErrNotFound}
}

// storeFailed counts and reports a failure that the caller does not see. One that left is none.
func (c *Cache[T]) storeFailed(ctx context.Context, op, key string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	c.n.storeErrors.Add(1)
	c.report(ctx, op, key, err)
}

func (c *Cache[T]) report(ctx context.Context, op, key string, err error) {
	if c.o.OnError != nil {
		c.o.OnError(ctx, key, store.Wrap("cache", op, c.o.Prefix+key, err))
	}
}

// begin tells the Observer.
func (c *Cache[T]) begin(ctx context.Context, verb, key string) (context.Context, observe.End) {
	return observe.Begin(ctx, c.o.Observer, observe.Op{Pattern: "cache", Name: c.o.Prefix, Verb: verb, Key: key})
}

// event tells the Observer of something that has no duration.
func (c *Cache[T]) event(ctx context.Context, verb, key string) {
	observe.Count(ctx, c.o.Observer, observe.Op{Pattern: "cache", Name: c.o.Prefix, Verb: verb, Key: key}, 1)
}
