package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// outcome of a read.
type outcome uint8

const (
	miss outcome = iota
	hit
	nearHit
	negative
	stale // within Options.Stale
)

// What the Observer hears besides observe's own results.
const (
	resultNearHit  = "near-hit"
	resultNegative = "negative"
)

func (o outcome) String() string {
	return [...]string{observe.Miss, observe.Hit, resultNearHit, resultNegative, observe.Stale}[o]
}

// reading is what a read tells besides the value.
type reading struct {
	outcome outcome
	early   bool    // a hit that this caller should refresh
	kept    bool    // a miss, but the value is there for FailSafe
	held    bool    // the lease is that of a failure
	token   uint64  // the lease of who is loading; 0: nobody
	seen    []byte  // how what is there begins, if a bid may have to replace it; nil: nothing is there
	fresh   int64   // a hit: until when, by the store's clock; 0: unknown
	cost    int64   // of its load, in milliseconds
	bytes   int     // of the entry
	now     *epochs // with a token: what the read was held against
}

// readNear is read with a look at what is near before.
func (c *Cache[T]) readNear(ctx context.Context, key string, v *T) (reading, error) {
	if err := usable(key); err != nil {
		return reading{}, err
	}
	if c.near == nil {
		return c.read(ctx, key, v)
	}
	if o := c.near.get(key, v); o != miss {
		return reading{outcome: o}, nil
	}
	ticket := c.near.ticket(key)
	r, err := c.read(ctx, key, v)
	if err == nil && (r.outcome == hit && !r.early || r.outcome == negative) {
		c.near.put(key, ticket, v, r)
	}
	return r, err
}

// read looks into the store. v is set on a hit, when stale, and when kept. On a store across the network it is one round
// trip, and that of an untagged cache one GET.
func (c *Cache[T]) read(ctx context.Context, key string, v *T) (r reading, err error) {
	buf, _ := c.buffers.Get().(*[]byte)
	defer c.giveBack(buf)
	clear, known := c.current()
	if !known || c.o.Tags != nil {
		return c.readWithEpochs(ctx, key, buf, v)
	}
	var found bool
	bounded, cancel := c.timeout.Bound(ctx)
	*buf, found, err = c.get.GetBytes(bounded, c.o.Prefix+key, (*buf)[:0])
	cancel()
	if err != nil || !found {
		return reading{}, err
	}
	return c.view(ctx, key, *buf, &epochs{clear: clear}, v)
}

// readWithEpochs is read where epochs have to be fetched too.
func (c *Cache[T]) readWithEpochs(ctx context.Context, key string, buf *[]byte, v *T) (reading, error) {
	tags, err := c.tagsOf(key)
	if err != nil {
		return reading{}, err
	}
	bounded, cancel := c.timeout.Bound(ctx)
	defer cancel()
	asked := c.ask()
	cmds, now := c.readCmds(append(make([]store.Cmd, 0, 2+len(tags)), store.Cmd{"GET", c.o.Prefix + key}), tags)
	replies := c.st.Pipe(bounded, cmds...)
	text, found, err := replies[0].Lookup()
	if err == nil && found {
		err = c.collect(&now, tags, nil, asked, replies[1:])
	} else if err == nil && now.fresh {
		n, _ := epochOf(replies[1]) // a failure shows with the next call
		c.learn(n, asked)
	}
	if err != nil || !found {
		return reading{}, err
	}
	*buf = append((*buf)[:0], text...)
	return c.view(ctx, key, *buf, &now, v)
}

// view says what an entry's bytes mean at this moment.
func (c *Cache[T]) view(ctx context.Context, key string, b []byte, now *epochs, v *T) (r reading, err error) {
	e := c.parse(b)
	switch e.kind {
	case foreign:
		return r, errForeign
	case leased:
		return reading{token: e.token, held: e.state == stateHeld, seen: head(b), now: &epochs{clear: now.clear, tags: now.tags}}, nil
	case outdated:
		return reading{seen: head(b)}, nil
	}
	valid := c.valid(ctx, &e, now)
	var at int64
	if e.fresh != 0 {
		at = c.storeNow(ctx)
		if e.token != 0 && at < e.until {
			r.token, r.held = e.token, e.state == stateHeld
			r.now = &epochs{clear: now.clear, tags: now.tags}
		}
	}
	usable, past := true, at-e.fresh
	switch {
	case valid && (e.fresh == 0 || past < 0):
		r.outcome, r.fresh, r.cost, r.bytes = hit, e.fresh, e.cost, len(b)
		r.early = e.fresh != 0 && c.o.EarlyRefresh > 0 && int64(c.early(e.cost)) >= -past*int64(time.Millisecond)
	case valid && past < c.o.Stale.Milliseconds() && e.kind == ours:
		r.outcome = stale
	default:
		r.seen = head(b)
		usable = c.o.FailSafe > 0 && past < c.o.FailSafe.Milliseconds()
		r.kept = usable && e.kind == ours
	}
	if r.outcome != miss && (r.early || r.outcome == stale) {
		r.seen = head(b)
	}
	if e.kind == absent {
		if r.outcome == hit {
			r.outcome, r.early = negative, false
		}
		return r, nil
	}
	if !usable {
		return r, nil
	}
	if err := c.decode(e.payload, e.compressed, v); err != nil {
		var zero T
		*v = zero
		c.n.decodeErrors.Add(1)
		c.report(ctx, "decode", key, err)
		return reading{seen: head(b), token: r.token, now: r.now}, nil
	}
	return r, nil
}

func head(b []byte) []byte { return append([]byte(nil), b[:min(len(b), headBytes)]...) }

// early draws how long before its time to refresh an entry (XFetch, Vattani et al. 2015): at random, exponentially, in
// proportion to what its load cost, so that one of a key's readers will most likely be early enough, and few are.
func (c *Cache[T]) early(costMillis int64) time.Duration {
	if c.o.EarlyRefresh == 0 {
		return 0
	}
	ms := float64(max(costMillis, 1)) * c.o.EarlyRefresh * rand.ExpFloat64()
	return time.Duration(min(ms, 1e12) * float64(time.Millisecond))
}

// decode keeps a codec's panic from its caller.
func (c *Cache[T]) decode(payload []byte, compressed bool, v *T) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the codec panicked: %v", p)
		}
	}()
	if compressed {
		buf, _ := c.buffers.Get().(*[]byte)
		defer c.giveBack(buf)
		if *buf, err = expand((*buf)[:cap(*buf)], payload); err != nil {
			return err
		}
		payload = *buf
	}
	return c.codec.Decode(payload, v)
}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 1 << 20 // bytes

func (c *Cache[T]) giveBack(buf *[]byte) {
	if cap(*buf) <= keepBuffer {
		c.buffers.Put(buf)
	}
}

func (c *Cache[T]) giveBackResult(res *Result[T]) {
	*res = Result[T]{} // it keeps nothing alive
	c.results.Put(res)
}

// count counts a caller's read.
func (c *Cache[T]) count(o outcome, err error) {
	if err != nil {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrInvalid) {
			c.n.storeErrors.Add(1)
		}
		return
	}
	switch o {
	case hit:
		c.n.hits.Add(1)
	case nearHit:
		c.n.nearHits.Add(1)
	case negative:
		c.n.negativeHits.Add(1)
	case stale:
		c.n.staleHits.Add(1)
	case miss:
		c.n.misses.Add(1)
		if !c.local {
			c.chill.Store(min(c.chill.Load()+chillMiss, chillMost))
		}
		return
	}
	if !c.local && c.chill.Load() > 0 {
		c.chill.Add(-1)
	}
}

// A read that will miss had better plant its lease in the same round trip, by SET with NX and GET; one that will hit
// had better be a GET, which takes the server less and changes nothing. Which it will be is guessed from those before:
// above one miss in five the first way is taken. (Precision does not matter, so lost updates do not either.)
const (
	chillStart = 16 // a cache that was just made knows nothing; most likely its entries are not there
	chillMiss  = 4
	chillMost  = 32
	chillCold  = 12
)

func (c *Cache[T]) cold() bool { return !c.local && c.chill.Load() >= chillCold }

// storeClock is what a process knows of the store's clock.
type storeClock struct {
	offset atomic.Int64 // ns to add to the monotonic clock
	due    atomic.Int64 // when to ask again, by the monotonic clock, ns; 0: never asked
}

const (
	clockEvery = time.Minute
	clockRetry = time.Second
)

// storeNow is the time by the store's clock, in Unix milliseconds, right to half a round trip. It asks the store once a
// minute; where that fails, the clock of this machine has to do.
func (c *Cache[T]) storeNow(ctx context.Context) int64 {
	mono := c.clk.Monotonic()
	due := c.time.due.Load()
	if int64(mono) < due || due != 0 && !c.time.due.CompareAndSwap(due, int64(mono+clockEvery)) {
		return (int64(mono) + c.time.offset.Load()) / int64(time.Millisecond)
	}
	ctx, cancel := c.timeout.Bound(context.WithoutCancel(ctx))
	defer cancel()
	parts, err := c.st.Do(ctx, "TIME").Strings()
	after := c.clk.Monotonic()
	now, ok := parseTime(parts)
	if next := after + clockEvery; err != nil || !ok {
		if due == 0 {
			c.time.offset.Store(c.clk.Now().UnixNano() - int64(after))
		}
		c.time.due.Store(int64(after + clockRetry))
	} else {
		c.time.offset.Store(now - int64(mono+after)/2)
		c.time.due.Store(int64(next))
	}
	return (int64(after) + c.time.offset.Load()) / int64(time.Millisecond)
}
