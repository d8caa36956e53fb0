package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// Flights
//
// A flight is one call of a loader, for one key or for a batch, on a goroutine of its own. Who misses a key joins its
// flight or starts one, and waits for the flight or for its own ctx, whichever ends first. The flight's ctx ends when
// the last who waits has left; a flight that nobody waits for is forgotten at once, so that the next caller starts
// anew instead of joining what is being cancelled.
//
// A flight lands when the loader has returned. On the embedded store the answer is stored, then all who wait get it:
// storing takes less than a microsecond, and who has an answer finds it in the cache. On a store across the network they
// get it first, and do not wait for a round trip, nor for a store that stalls; until it is stored, late-comers get the
// flight's answer too. Then the flight is forgotten. A failed flight is forgotten first. Delete and Set forget a flight
// and mark it: what it loads is no longer stored. mu is held while an answer is stored, so a Delete waits for that to
// end before it deletes.
//
// Between a caller's miss and its joining, a flight may have come and gone: its answer is in the store by now. The
// count of landed flights tells, and the caller reads again.

// flight is one call of a loader.
type flight[T any] struct {
	keys   []string // without prefix
	batch  bool     // the answer is in many
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the loader has returned
	refs   int           // who waits; guarded by Cache.mu

	// Set before done is closed.
	one  T
	many map[string]T // what the loader left out does not exist
	err  error
	own  bool // the failure concerns only who started the flight: others load anew

	mu      sync.Mutex
	dropped map[string]bool // keys not to store; guarded by mu
	foreign map[string]bool // keys that hold something else: not to store
}

// reading is what a caller knows from its miss.
type reading struct {
	landed  uint64 // Cache.landed before the read
	failed  bool   // the store gave no answer
	foreign bool   // the key holds something else
}

// PanicError is a loader's panic, as its caller gets it.
type PanicError struct {
	Value any    // what the loader panicked with
	Stack []byte // where
}

// Error tells the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("cache: the loader panicked: %v", e.Value) }

// Unwrap gives the value, if the loader panicked with an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errExited is the end of a loader by runtime.Goexit, as testing.T.FailNow does.
var errExited = errors.New("cache: the loader ended its goroutine")

// load joins the key's flight or starts one. again means that nothing came of it and the caller should read again.
func (c *Cache[T]) load(ctx context.Context, key string, r reading, load func(context.Context) (T, error)) (v T, again bool, err error) {
	if err := c.mayWait(ctx, key); err != nil {
		return v, false, store.Wrap("cache", "load", c.o.Prefix+key, err)
	}
	c.mu.Lock()
	f := c.flights[key]
	if f == nil && !r.failed && c.landed.Load() != r.landed {
		c.mu.Unlock()
		return v, true, nil
	}
	leads := f == nil
	if leads {
		f = c.launch(ctx, []string{key})
		if r.foreign {
			f.foreign = map[string]bool{key: true}
		}
	}
	f.refs++
	c.mu.Unlock()
	if leads {
		go c.fly(f, func(ctx context.Context) (err error) {
			f.one, err = load(ctx)
			return err
		})
	}
	if err := c.wait(ctx, f); err != nil {
		return v, false, store.Wrap("cache", "load", c.o.Prefix+key, err)
	}
	if !leads {
		if f.own {
			return v, true, nil
		}
		c.n.shared.Add(1)
	}
	v, err = f.value(key)
	return v, false, err
}

// launch registers a flight, with mu held.
func (c *Cache[T]) launch(ctx context.Context, keys []string) *flight[T] {
	f := &flight[T]{keys: keys, done: make(chan struct{})}
	outer, _ := ctx.Value(c).(*ancestry)
	inner := context.WithValue(context.WithoutCancel(ctx), c, &ancestry{keys, outer})
	f.ctx, f.cancel = context.WithCancel(inner)
	for _, k := range keys {
		c.flights[k] = f
	}
	return f
}

// ancestry is what the loaders up the stack are loading, in the ctx that they were given. The cache is its key there.
type ancestry struct {
	keys  []string
	outer *ancestry
}

// mayWait refuses to wait for a ctx that has ended, and for a key whose loader waits for this very call.
func (c *Cache[T]) mayWait(ctx context.Context, keys ...string) error {
	for a, _ := ctx.Value(c).(*ancestry); a != nil; a = a.outer {
		for _, k := range keys {
			if slices.Contains(a.keys, k) {
				return fmt.Errorf("%w: the loader of %q asks for it itself", store.ErrInvalid, k)
			}
		}
	}
	return ctx.Err()
}

// wait ends with the flight, or with ctx and its error.
func (c *Cache[T]) wait(ctx context.Context, f *flight[T]) error {
	select {
	case <-f.done:
		return nil
	default:
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.refs--; f.refs == 0 {
		f.cancel()
		c.unregister(f)
	}
	return ctx.Err()
}

// unregister forgets a flight, with mu held.
func (c *Cache[T]) unregister(f *flight[T]) {
	for _, k := range f.keys {
		if c.flights[k] == f {
			delete(c.flights, k)
		}
	}
}

// fly calls the loader and lands.
func (c *Cache[T]) fly(f *flight[T], load func(context.Context) error) {
	start := time.Now()
	f.err = errExited
	defer func() { // also when the loader exits the goroutine
		c.account(f, time.Since(start))
		if f.err == nil || errors.Is(f.err, ErrNotFound) && c.o.NegativeTTL > 0 {
			c.deliver(f)
			return
		}
		c.land(f) // first: whoever calls again must not meet an error of the past
		close(f.done)
	}()
	f.err = protect(f.ctx, load)
}

// deliver hands out and stores the answer, in the order that the store deserves.
func (c *Cache[T]) deliver(f *flight[T]) {
	if c.local {
		c.keep(f)
		c.land(f)
		close(f.done)
		return
	}
	close(f.done)
	c.keep(f)
	c.land(f)
}

// protect turns a panic into an error.
func protect(ctx context.Context, load func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return load(ctx)
}

// account counts a call, and decides whose failure it is. A ctx error although the flight's ctx lives comes from a
// loader that used its caller's ctx: it says nothing to the others.
func (c *Cache[T]) account(f *flight[T], took time.Duration) {
	c.n.loads.Add(1)
	if f.err != nil {
		var panicked *PanicError
		ended := errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded)
		f.own = errors.As(f.err, &panicked) || errors.Is(f.err, errExited) || ended && f.ctx.Err() == nil
		if !errors.Is(f.err, ErrNotFound) {
			c.n.loadErrors.Add(1)
		}
	}
	if c.o.OnLoad != nil {
		for _, k := range f.keys {
			c.o.OnLoad(f.ctx, k, took, f.err)
		}
	}
}

// land forgets the flight.
func (c *Cache[T]) land(f *flight[T]) {
	c.mu.Lock()
	c.landed.Add(1)
	c.unregister(f)
	c.mu.Unlock()
	f.cancel()
}

// keep stores the answer, but for the keys that were invalidated meanwhile.
func (c *Cache[T]) keep(f *flight[T]) {
	ctx := context.WithoutCancel(f.ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.keys) > 1 && !c.local {
		c.keepMany(ctx, f)
		return
	}
	for _, k := range f.keys {
		v, err := f.value(k)
		if !f.storable(k, err, c.o.NegativeTTL) {
			continue
		}
		if err := c.write(ctx, k, &v, err); err != nil {
			c.report(ctx, "set", k, err)
		}
	}
}

// storable tells whether the answer for a key is to be stored, with mu held.
func (f *flight[T]) storable(key string, err error, negativeTTL time.Duration) bool {
	return !f.dropped[key] && !f.foreign[key] && (err == nil || negativeTTL > 0)
}

// value is the answer for one of the flight's keys, after done.
func (f *flight[T]) value(key string) (T, error) {
	if f.err != nil || !f.batch {
		return f.one, f.err
	}
	v, ok := f.many[key]
	if !ok {
		return v, ErrNotFound
	}
	return v, nil
}

// forget makes sure that no load which began before is stored after.
func (c *Cache[T]) forget(key string) {
	c.mu.Lock()
	f := c.flights[key]
	delete(c.flights, key)
	c.mu.Unlock()
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dropped == nil {
		f.dropped = map[string]bool{}
	}
	f.dropped[key] = true
}
