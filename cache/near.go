package cache

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/larderdb/larder/store"
)

// What is near
//
// A copy of what was read, decoded, in a cache bounded by bytes (W-TinyLFU). Three things end a copy: its time (that of the
// entry), an invalidation of this process, which takes effect before it returns, and a message about one of another.
//
// Messages come from the store's tracking of changes where it has that; else from a channel on which every cache with Near
// tells of its writes; else nothing comes, and copies live for NearTTL. They also live no longer than that while the
// tracking's connection is lost; losing and regaining it drops all.
//
// A read and a message may overtake each other: a message that comes while a value is on its way must keep it from
// becoming a copy. So every read takes a ticket before it asks the store, a note of counters that messages change, and the
// copy is made only if they stand as they did; and looked at again after it was made, as a message may come between.

// near is what this process keeps besides. Its methods do nothing on nil.
type near[T any] struct {
	c      *Cache[T]
	copies *otter.Cache[string, *nearCopy[T]]
	seed   maphash.Seed

	gen     atomic.Uint64 // changed when all copies are dropped
	stripes [256]atomic.Uint64
	mode    atomic.Uint32
	closed  atomic.Bool
	end     context.CancelFunc
	ended   chan struct{}

	mu   sync.Mutex
	tags map[string]*atomic.Uint64 // how often a tag was invalidated; guarded by mu
}

// How copies are kept coherent.
const (
	byTTL uint32 = iota
	byChannel
	byTracking
)

// nearCopy is a value with what may end it. It is never changed.
type nearCopy[T any] struct {
	v        T
	negative bool
	bytes    uint32
	gen      uint64
	until    time.Duration // by the monotonic clock
	tags     []tagMark
}

// tagMark is how often a tag had been invalidated.
type tagMark struct {
	counter *atomic.Uint64
	was     uint64
}

func (m tagMark) same() bool { return m.counter.Load() == m.was }

// ticket is what a read knew of invalidations before it began.
type ticket struct {
	stripe, gen uint64
	tags        []tagMark
}

// What a copy costs besides its key and its encoded value, about.
const nearOverhead = 160 // bytes

// channelLives bounds the life of copies where a lost message would not be noticed, in NearTTLs.
const channelLives = 10

// maxNearTags bounds the tags that are remembered. Past it all copies are dropped and it begins anew.
const maxNearTags = 1 << 16

func newNear[T any](c *Cache[T]) *near[T] {
	ctx, cancel := context.WithCancel(context.Background())
	n := &near[T]{c: c, seed: maphash.MakeSeed(), end: cancel, ended: make(chan struct{}), tags: map[string]*atomic.Uint64{}}
	n.copies = otter.Must(&otter.Options[string, *nearCopy[T]]{
		MaximumWeight: uint64(c.o.Near),
		Weigher: func(key string, e *nearCopy[T]) uint32 {
			return e.bytes + uint32(len(key)) + nearOverhead
		},
		Executor: func(fn func()) { fn() }, // no goroutines that Close would have to wait for
	})
	go n.listen(ctx)
	return n
}

// close ends listening. What is near is not used any more.
func (n *near[T]) close(ctx context.Context) error {
	if n == nil {
		return nil
	}
	n.closed.Store(true)
	n.dropAll()
	n.end()
	select {
	case <-n.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen keeps copies coherent until ctx ends, in the best way that the store has.
func (n *near[T]) listen(ctx context.Context) {
	defer close(n.ended)
	become := func(mode uint32) {
		n.mode.Store(mode)
		n.dropAll()
	}
	if t, ok := n.c.st.(store.Tracker); ok {
		err := t.Track(ctx, store.Tracking{
			Prefixes:     []string{n.c.o.Prefix},
			OnInvalidate: n.invalidated,
			OnReady:      func() { become(byTracking) },
			OnLost:       func() { become(byTTL) },
		})
		if !errors.Is(err, store.ErrUnsupported) && !errors.Is(err, store.ErrDenied) {
			return
		}
		n.c.report(ctx, "track", "", err)
	}
	err := n.c.st.Subscribe(ctx, store.Subscription{
		Channels:  []string{n.channel()},
		OnMessage: func(m store.Message) { n.invalidated([]string{m.Payload}) },
		OnReady:   func(bool) { become(byChannel) },
	})
	if become(byTTL); ctx.Err() == nil {
		n.c.report(ctx, "subscribe", "", err)
	}
}

func (n *near[T]) channel() string { return n.c.waits.channel + ":near" }

// announce tells other processes of changed keys, where nothing else does. It costs a round trip then.
func (n *near[T]) announce(ctx context.Context, keys ...string) {
	if n == nil || n.mode.Load() != byChannel || len(keys) == 0 {
		return
	}
	cmds := make([]store.Cmd, len(keys)) // after the writes, not with them: on a Cluster they could overtake those
	for i, k := range keys {
		cmds[i] = store.Cmd{"PUBLISH", n.channel(), k}
	}
	for _, r := range n.c.st.Pipe(ctx, cmds...) {
		if err := r.Err(); err != nil {
			n.c.storeFailed(ctx, "publish", "", err)
		}
	}
}

// invalidated is told of keys as the store knows them, nil for all. It may be called with locks of the store held.
func (n *near[T]) invalidated(keys []string) {
	if keys == nil {
		n.c.revoke()
		n.dropAll()
		return
	}
	for _, full := range keys {
		key, ok := strings.CutPrefix(full, n.c.o.Prefix)
		if !ok {
			continue
		}
		if tag, isTag := strings.CutPrefix(key, reserved+"tag:"); isTag {
			n.dropTags([]string{tag})
		} else if strings.HasPrefix(key, reserved) {
			n.c.revoke() // or what is read now by the old epoch would be near for longer than that counts
			n.dropAll()
		} else {
			n.drop(key)
		}
	}
}

// get copies what is near into v.
func (n *near[T]) get(key string, v *T) outcome {
	if n == nil {
		return miss
	}
	e, ok := n.copies.GetIfPresent(key)
	if !ok || e.gen != n.gen.Load() || n.c.clk.Monotonic() >= e.until {
		return miss
	}
	for _, m := range e.tags {
		if !m.same() {
			return miss
		}
	}
	if e.negative {
		return negative
	}
	*v = e.v
	return nearHit
}

func (n *near[T]) stripe(key string) *atomic.Uint64 {
	return &n.stripes[maphash.String(n.seed, key)%uint64(len(n.stripes))]
}

// ticket is to be taken before the store is asked.
func (n *near[T]) ticket(key string) (t ticket) {
	if n == nil {
		return t
	}
	t = ticket{stripe: n.stripe(key).Load(), gen: n.gen.Load()}
	if tags, err := n.c.tagsOf(key); err == nil && len(tags) > 0 {
		t.tags = n.marks(tags)
	}
	return t
}

func (n *near[T]) marks(tags []string) []tagMark {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.tags) > maxNearTags {
		clear(n.tags) // copies with the old counters end with the generation
		n.gen.Add(1)
	}
	marks := make([]tagMark, len(tags))
	for i, t := range tags {
		counter := n.tags[t]
		if counter == nil {
			counter = new(atomic.Uint64)
			n.tags[t] = counter
		}
		marks[i] = tagMark{counter, counter.Load()}
	}
	return marks
}

// put keeps what a read has found, unless there was an invalidation since its ticket was taken.
func (n *near[T]) put(key string, t ticket, v *T, r reading) {
	if n == nil || n.closed.Load() {
		return
	}
	now := n.c.clk.Monotonic()
	e := &nearCopy[T]{v: *v, negative: r.outcome == negative, bytes: uint32(r.bytes), gen: t.gen, tags: t.tags, until: now + n.c.o.NearTTL}
	if mode := n.mode.Load(); mode != byTTL && r.fresh != 0 {
		e.until = time.Duration(r.fresh*int64(time.Millisecond) - n.c.time.offset.Load() - int64(n.c.early(r.cost)))
		if mode == byChannel {
			e.until = min(e.until, now+channelLives*n.c.o.NearTTL)
		}
	}
	stands := func() bool {
		for _, m := range t.tags {
			if !m.same() {
				return false
			}
		}
		return n.stripe(key).Load() == t.stripe && n.gen.Load() == t.gen
	}
	if e.until <= now || !stands() {
		return
	}
	n.copies.Set(key, e)
	if !stands() {
		n.copies.Invalidate(key)
	}
}

// drop ends a copy, and those that are being made.
func (n *near[T]) drop(key string) {
	if n == nil {
		return
	}
	n.stripe(key).Add(1)
	n.copies.Invalidate(key)
}

// dropTags ends the copies with any of these tags.
func (n *near[T]) dropTags(tags []string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range tags {
		if counter := n.tags[t]; counter != nil {
			counter.Add(1)
		}
	}
}

// dropAll ends all copies.
func (n *near[T]) dropAll() {
	if n == nil {
		return
	}
	n.gen.Add(1)
	n.copies.InvalidateAll()
}
