package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larderdb/larder/store"
)

// Flights
//
// A flight is one call of a loader, for one key or for a batch, on a goroutine of its own (or its caller's, if that cannot
// leave and storing is no round trip), under a lease for each key (lease.go). It plants the leases first; a value that it finds instead is its answer. Then it loads, stores,
// and answers all who wait: on the embedded store in this order, since storing takes less than a microsecond; across the
// network the answer is handed out before, so that nobody waits for a round trip, nor for a store that stalls. A load
// that failed gives its lease back first: whoever calls again must not meet what has failed.
//
// A caller joins a flight only by the token of its lease, found in the store by a read of its own, and only if the epochs
// that it has read are those of the flight, or the load has not begun yet. So it never gets a value whose load began before
// an invalidation that had returned when the caller came, wherever that was made: Delete and Set took the lease away, others
// changed an epoch; then the caller takes the lease over. Without the store there are no leases; then a caller joins only flights that began after it came.
//
// The flight's ctx ends when the last who waits has left; what nobody waits for gives its lease back at once, so that the
// next caller starts anew instead of joining what is being cancelled.

// flight is one call of a loader.
type flight[T any] struct {
	seq    uint64
	keys   []string       // without prefix
	index  map[string]int // of keys; nil for a single one, which is at 0
	tokens []uint64       // of their leases; nil: none
	seen   [][]byte       // what the leases are to replace
	scope  scope          // for calls to the store, which nobody's leaving ends
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the answers are there

	answers []answer[T] // set before done is closed
	own     bool        // likewise: the failure concerns only who started the flight; others load anew
	took    time.Duration

	// Of the flight's goroutine.
	complete bool // the answers are set; a hook may have panicked before
	told     bool // done is closed

	// Guarded by Cache.mu.
	now       []epochs        // as of before the load; clear is 0 until that is about to begin
	refs      int             // who waits
	detached  bool            // goes on when nobody waits
	abandoned bool            // nobody waits: not to be stored
	dropped   map[string]bool // keys not to be stored
	loading   []int           // the keys whose leases are to be renewed

	room [1]roomForOne[T] // where the slices above lie if there is one key
}

// roomForOne spares a flight of one key an allocation for each of its slices.
type roomForOne[T any] struct {
	keys    [1]string
	tokens  [1]uint64
	seen    [1][]byte
	answers [1]answer[T]
	now     [1]epochs
	all     [1]int
}

// answer is what a flight has for a key.
type answer[T any] struct {
	v       T
	err     error
	outcome outcome // miss: it was loaded
	again   bool    // nothing: the caller has to look again
	alone   bool    // nothing: there was no lease to be had
	unread  bool    // alone, and what the store has was not read
}

// loader sets a flight's answers for the given indexes. Its error is all of theirs.
type loader[T any] func(ctx context.Context, f *flight[T], won []int) error

// single makes a loader of what Fetch is given.
func single[T any](load func(context.Context) (T, error)) loader[T] {
	return func(ctx context.Context, f *flight[T], won []int) error {
		v, err := load(ctx)
		f.answers[won[0]] = answer[T]{v: v}
		return err
	}
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

// launch registers a flight for a key, which the caller leads.
func (c *Cache[T]) launch(ctx context.Context, key string, seen []byte) *flight[T] {
	f := c.flightOf(ctx, key, seen)
	f.refs = 1
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registerLocked(f)
	return f
}

// flightOf makes a flight for one key.
func (c *Cache[T]) flightOf(ctx context.Context, key string, seen []byte) *flight[T] {
	f := &flight[T]{}
	room := &f.room[0]
	room.keys[0], room.seen[0] = key, seen
	f.keys, f.seen, f.answers, f.now, f.tokens = room.keys[:], room.seen[:], room.answers[:], room.now[:], room.tokens[:]
	c.board(ctx, f)
	return f
}

// flightOfMany makes one for a batch.
func (c *Cache[T]) flightOfMany(ctx context.Context, keys []string, seen [][]byte) *flight[T] {
	n := len(keys)
	f := &flight[T]{keys: keys, seen: seen, answers: make([]answer[T], n), now: make([]epochs, n), tokens: make([]uint64, n)}
	f.index = make(map[string]int, n)
	for i, k := range keys {
		f.index[k] = i
	}
	c.board(ctx, f)
	return f
}

// board gives a flight its ctx, with the values of the caller's.
func (c *Cache[T]) board(ctx context.Context, f *flight[T]) {
	outer, _ := ctx.Value(c).(*scope)
	if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	f.scope = scope{Context: ctx, cache: c, keys: f.keys, outer: outer}
	f.ctx, f.cancel = context.WithCancelCause(&f.scope)
	f.done = make(chan struct{})
}

// registerLocked makes a flight with leases known, with mu held.
func (c *Cache[T]) registerLocked(f *flight[T]) {
	f.seq = c.seq.Add(1)
	for i, k := range f.keys {
		f.tokens[i] = newToken()
		c.flights[f.tokens[i]] = f
		c.byKey[k] = append(c.byKey[k], f)
	}
}

// registerAloneLocked makes one without leases known, with mu held.
func (c *Cache[T]) registerAloneLocked(f *flight[T]) {
	f.seq = c.seq.Add(1)
	f.tokens, f.now = nil, nil
	for _, k := range f.keys {
		c.alone[k] = f
	}
}

// join registers the caller with the flight whose lease it has found: nil if that is not of this process, or too old for
// the caller; then the caller may take the lease over.
func (c *Cache[T]) join(key string, r *reading) (f *flight[T], old bool) {
	if r.token == 0 {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joinLocked(key, r)
}

func (c *Cache[T]) joinLocked(key string, r *reading) (f *flight[T], old bool) {
	if f = c.flights[r.token]; f == nil {
		_, old = c.orphans[r.token] // it stays one: the attempt to replace it may fail
		return nil, old
	}
	if now := &f.now[f.at(key)]; now.clear != 0 && (now.clear != r.now.clear || string(now.tags) != string(r.now.tags)) {
		return nil, true
	}
	f.refs++
	return f, false
}

// joinAlone registers the caller with the key's flight without a lease, if that began after start, or launches one.
func (c *Cache[T]) joinAlone(ctx context.Context, key string, start uint64) (f *flight[T], leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f = c.alone[key]; f == nil {
		f, leads = c.flightOf(ctx, key, nil), true
		c.registerAloneLocked(f)
	}
	if leads || f.seq > start {
		f.refs++
	}
	return f, leads
}

// scope is what a flight's calls to the store get for ctx, and its loader a cancellable child of: the values of the ctx
// that the flight began with, without that one's end. It also tells what the loaders up the stack are loading: the cache
// is the key under which it is found.
type scope struct {
	context.Context
	cache any
	keys  []string
	outer *scope
}

func (s *scope) Value(key any) any {
	if key == s.cache {
		return s
	}
	return s.Context.Value(key)
}

// mayAsk refuses to load for a ctx that has ended, for a key whose loader waits for this very call, and for one that cannot
// be.
func (c *Cache[T]) mayAsk(ctx context.Context, keys ...string) error {
	for a, _ := ctx.Value(c).(*scope); a != nil; a = a.outer {
		for _, k := range keys {
			if slices.Contains(a.keys, k) {
				return fmt.Errorf("%w: the loader of %q asks for it itself", store.ErrInvalid, k)
			}
		}
	}
	for _, k := range keys {
		if err := usable(k); err != nil {
			return err
		}
		if _, err := c.tagsOf(k); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// lead starts a flight and waits for it.
func (c *Cache[T]) lead(ctx context.Context, f *flight[T], key string, load loader[T], p *patience) (answer[T], error) {
	p.begin(false)
	if c.local && ctx.Done() == nil && !p.limited() { // the caller stays to the end anyway, and nothing of it is slow
		c.fly(f, load)
		return f.answer(key), nil
	}
	go c.fly(f, load)
	if err := c.wait(ctx, f, p); err != nil {
		return answer[T]{}, err
	}
	return f.answer(key), nil
}

// follow waits for a flight that another has started.
func (c *Cache[T]) follow(ctx context.Context, f *flight[T], key string, p *patience) (answer[T], error) {
	if err := c.wait(ctx, f, p); err != nil {
		return answer[T]{}, err
	}
	if f.own {
		return answer[T]{again: true}, nil
	}
	a := f.answer(key)
	if !a.again && !a.alone {
		c.n.shared.Add(1)
	}
	return a, nil
}

// wait ends with the flight; or with ctx, or the caller's patience, and its error.
func (c *Cache[T]) wait(ctx context.Context, f *flight[T], p *patience) error {
	err := p.wait(ctx, f.done, nil)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, ErrSoftTimeout) {
		f.detached = true
	}
	if f.refs--; f.refs == 0 && !f.detached && !f.abandoned {
		f.abandoned = true
		f.cancel(ctx.Err())
		c.unregister(f)
		if f.tokens != nil {
			go c.release(f, f.all())
		}
	}
	return err
}

// all is the indexes of the flight's keys. They are not to be changed.
func (f *flight[T]) all() []int {
	if len(f.keys) == 1 {
		return f.room[0].all[:]
	}
	list := make([]int, len(f.keys))
	for i := range list {
		list[i] = i
	}
	return list
}

// unregister forgets a flight, with mu held.
func (c *Cache[T]) unregister(f *flight[T]) {
	for i, k := range f.keys {
		if f.tokens != nil {
			delete(c.flights, f.tokens[i])
		}
		if i := slices.Index(c.byKey[k], f); i >= 0 {
			if c.byKey[k] = slices.Delete(c.byKey[k], i, i+1); len(c.byKey[k]) == 0 {
				delete(c.byKey, k)
			}
		}
		if c.alone[k] == f {
			delete(c.alone, k)
		}
	}
}

// answer is that for one of the flight's keys, after done.
func (f *flight[T]) answer(key string) answer[T] {
	return f.answers[f.at(key)]
}

func (f *flight[T]) at(key string) int { return f.index[key] }

// forget makes sure that no load of this process which began before is stored after, even if the store does not hear of
// what the caller is about to do.
func (c *Cache[T]) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.byKey[key] {
		if f.dropped == nil {
			f.dropped = map[string]bool{}
		}
		f.dropped[key] = true
	}
	delete(c.byKey, key)
}
