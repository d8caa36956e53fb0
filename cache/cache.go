package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/store"
)

// Defaults of Options.
const (
	DefaultJitter  = 0.1
	DefaultTimeout = 100 * time.Millisecond
)

// ErrNotFound is what a loader returns (itself, or wrapped) when the source has no such thing. With
// Options.NegativeTTL that is remembered, and Get and GetOrLoad return an error that is ErrNotFound.
var ErrNotFound = errors.New("not found")

// Options of a Cache. Prefix and TTL are required.
type Options struct {
	// Prefix begins every key in the store: "product:". It separates this cache from everything else there.
	Prefix string

	// TTL is how long an entry lives. There is no entry without one.
	TTL time.Duration

	// Jitter is the share of TTL by which an entry may live shorter, at random, so that what was written at the same
	// time is not loaded at the same time again. Default DefaultJitter; negative for none; at most 0.9.
	Jitter float64

	// NegativeTTL is how long ErrNotFound is remembered; 0 for not at all. Choose it short: what comes into being
	// meanwhile stays invisible until then, unless Set or Delete is called for it.
	NegativeTTL time.Duration

	// Codec turns values into bytes and back. Default: strings and []byte as they are, everything else MessagePack.
	Codec Codec

	// Schema names the form of the entries. By default it is derived from the fields of T. Set it to share entries
	// between programs whose types differ, or to make old entries invalid when only the meaning of T has changed.
	Schema string

	// Timeout is how long one call to the store may take; default DefaultTimeout, negative for no limit but the ctx's.
	// A store in this process needs none and gets none.
	Timeout time.Duration

	// OnError, if set, hears of every failure that callers do not see: the store's, and entries that cannot be decoded.
	// OnLoad hears of every call of a loader when it is done. They run on the goroutine at work and should be quick.
	OnError func(ctx context.Context, key string, err error)
	OnLoad  func(ctx context.Context, key string, took time.Duration, err error)
}

// Cache holds values of type T. It is safe for concurrent use; make one per kind of thing with New. There is nothing to
// close.
type Cache[T any] struct {
	o       Options
	st      store.Store
	get     store.Getter
	set     store.Setter
	timeout time.Duration // 0 for none
	local   bool          // the store is in this process
	codec   Codec
	header  [headerBytes]byte // of an ordinary entry
	buffers sync.Pool         // of *[]byte

	mu      sync.Mutex            // guards flights, and refs of each
	flights map[string]*flight[T] // loads under way, by key without prefix
	landed  atomic.Uint64         // how many loads have ended; written under mu

	n counters
}

// New makes a Cache of T on st. It does not touch the store; it fails only for options that make no sense.
func New[T any](st store.Store, o Options) (*Cache[T], error) {
	switch {
	case o.Prefix == "":
		return nil, fmt.Errorf("cache: %w: no Prefix; choose one such as \"product:\"", store.ErrInvalid)
	case o.TTL <= 0:
		return nil, fmt.Errorf("cache: %w: TTL %v, want more than 0", store.ErrInvalid, o.TTL)
	case o.NegativeTTL < 0:
		return nil, fmt.Errorf("cache: %w: NegativeTTL %v", store.ErrInvalid, o.NegativeTTL)
	case o.Jitter > 0.9:
		return nil, fmt.Errorf("cache: %w: Jitter %v, want at most 0.9 of the TTL", store.ErrInvalid, o.Jitter)
	}
	if o.Jitter == 0 {
		o.Jitter = DefaultJitter
	}
	codec, err := codecFor[T](o.Codec)
	if err != nil {
		return nil, err
	}
	c := &Cache[T]{
		o: o, st: st, get: store.GetterOf(st), set: store.SetterOf(st), local: store.InProcess(st),
		codec: codec, header: newHeader[T](codec, o.Schema), flights: map[string]*flight[T]{},
	}
	c.buffers.New = func() any { return new([]byte) }
	switch {
	case c.local || o.Timeout < 0:
	case o.Timeout == 0:
		c.timeout = DefaultTimeout
	default:
		c.timeout = o.Timeout
	}
	return c, nil
}

// Get reads an entry. ok is false when there is none; err is ErrNotFound when the absence itself is remembered, and
// anything else when the store failed.
func (c *Cache[T]) Get(ctx context.Context, key string) (v T, ok bool, err error) {
	found, err := c.read(ctx, key, &v)
	switch {
	case err != nil:
		var zero T
		return zero, false, store.Wrap("cache", "get", c.o.Prefix+key, err)
	case found == negative:
		return v, false, c.notFound(key)
	}
	return v, found == hit, nil
}

// GetOrLoad reads an entry, and on a miss loads the value and stores it.
//
// load is called at most once at a time per key in this process, on a goroutine of its own. Its ctx carries the values
// of the caller's, but ends only when all who wait for it have left. What it returns is stored and goes to all of them:
// stored first on the embedded store, handed out first where storing is a round trip. Its error is returned as it is; ErrNotFound is remembered for NegativeTTL, other errors are not.
//
// An error that is not the loader's: ctx's, when it ended first; ErrNotFound, when remembered; *PanicError. A loader
// that asks the cache for the key it is loading, with the ctx it was given, gets ErrInvalid instead of waiting for
// itself.
func (c *Cache[T]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context) (T, error)) (T, error) {
	for r := (reading{landed: c.landed.Load()}); ; r.landed = c.landed.Load() {
		var v T
		found, err := c.read(ctx, key, &v)
		switch {
		case err != nil:
			c.storeFailed(ctx, "get", key, err)
			r.failed, r.foreign = true, foreignKey(err)
		case found == hit:
			return v, nil
		case found == negative:
			return v, c.notFound(key)
		}
		if v, again, err := c.load(ctx, key, r, load); !again {
			return v, err
		}
	}
}

// Set stores a value for a TTL, replacing what is there. A load of the key that is under way will not overwrite it.
func (c *Cache[T]) Set(ctx context.Context, key string, v T) error {
	c.forget(key)
	if err := c.write(ctx, key, &v, nil); err != nil {
		return store.Wrap("cache", "set", c.o.Prefix+key, err)
	}
	return nil
}

// Delete removes entries, remembered absences included. A load that is under way in this process will not bring its
// key back. Missing keys are no error. An error means that entries may still be there: until their TTL ends, or until
// Delete succeeds.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	cmds := make([]store.Cmd, len(keys)) // not one DEL: on a Cluster the keys live apart
	for i, key := range keys {
		c.forget(key)
		cmds[i] = store.Cmd{"DEL", c.o.Prefix + key}
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	for i, r := range c.st.Pipe(ctx, cmds...) {
		if err := r.Err(); err != nil {
			c.n.storeErrors.Add(1)
			return store.Wrap("cache", "delete", c.o.Prefix+keys[i], err)
		}
	}
	return nil
}

// outcome of a read.
type outcome uint8

const (
	miss outcome = iota
	hit
	negative
)

// read looks into the store and counts what it finds. v is set on a hit.
func (c *Cache[T]) read(ctx context.Context, key string, v *T) (outcome, error) {
	buf, _ := c.buffers.Get().(*[]byte)
	defer c.giveBack(buf)
	var found bool
	var err error
	if c.timeout == 0 {
		*buf, found, err = c.get.GetBytes(ctx, c.o.Prefix+key, (*buf)[:0])
	} else {
		bounded, cancel := context.WithTimeout(ctx, c.timeout)
		*buf, found, err = c.get.GetBytes(bounded, c.o.Prefix+key, (*buf)[:0])
		cancel()
	}
	if err != nil {
		return miss, err
	}
	if !found {
		c.n.misses.Add(1)
		return miss, nil
	}
	return c.open(ctx, key, *buf, v)
}

// open reads an entry's bytes and counts.
func (c *Cache[T]) open(ctx context.Context, key string, entry []byte, v *T) (outcome, error) {
	payload, kind := c.parse(entry)
	switch kind {
	case ours:
		err := c.decode(payload, v)
		if err == nil {
			c.n.hits.Add(1)
			return hit, nil
		}
		c.n.decodeErrors.Add(1)
		c.report(ctx, "decode", key, err)
	case absent:
		c.n.negativeHits.Add(1)
		return negative, nil
	case foreign:
		return miss, errForeign
	case outdated:
	}
	c.n.misses.Add(1)
	var zero T
	*v = zero
	return miss, nil
}

// decode keeps a codec's panic from its caller.
func (c *Cache[T]) decode(payload []byte, v *T) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the codec panicked: %v", p)
		}
	}()
	return c.codec.Decode(payload, v)
}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 1 << 20 // bytes

func (c *Cache[T]) giveBack(buf *[]byte) {
	if cap(*buf) <= keepBuffer {
		c.buffers.Put(buf)
	}
}

// write stores v, or remembers its absence when cause is ErrNotFound.
func (c *Cache[T]) write(ctx context.Context, key string, v *T, cause error) error {
	buf, _ := c.buffers.Get().(*[]byte)
	defer c.giveBack(buf)
	entry, ttl, err := c.encode((*buf)[:0], v, cause)
	*buf = entry
	if err != nil {
		return err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if err := c.set.SetBytes(ctx, c.o.Prefix+key, entry, ttl); err != nil {
		if !errors.Is(err, context.Canceled) {
			c.n.storeErrors.Add(1)
		}
		return err
	}
	return nil
}

// encode appends an entry to dst and says how long it may live.
func (c *Cache[T]) encode(dst []byte, v *T, cause error) (entry []byte, ttl time.Duration, err error) {
	dst = append(dst, c.header[:]...)
	if cause != nil {
		dst[flagsAt] |= flagAbsent
		return dst, c.jitter(c.o.NegativeTTL), nil //nolint:nilerr // the cause is what the entry says
	}
	entry, err = c.append(dst, v)
	if err != nil {
		return dst, 0, fmt.Errorf("encode: %w", err)
	}
	return entry, c.jitter(c.o.TTL), nil
}

// append keeps a codec's panic from its caller, and from all who wait for the same flight.
func (c *Cache[T]) append(dst []byte, v *T) (entry []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			entry, err = dst, fmt.Errorf("the codec panicked: %v", p)
		}
	}()
	return c.codec.Append(dst, v)
}

// jitter shortens a TTL at random.
func (c *Cache[T]) jitter(ttl time.Duration) time.Duration {
	if c.o.Jitter < 0 {
		return ttl
	}
	return ttl - time.Duration(rand.Float64()*c.o.Jitter*float64(ttl))
}

func (c *Cache[T]) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
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
