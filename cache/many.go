package cache

import (
	"context"
	"errors"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// GetOrLoadMany is FetchMany for those who need not know which values are stale.
func (c *Cache[T]) GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, missing []string) (map[string]T, error)) (map[string]T, error) {
	results, err := c.FetchMany(ctx, keys, load)
	found := make(map[string]T, len(results))
	for k, r := range results {
		found[k] = r.Value
	}
	return found, err
}

// FetchMany is Fetch for many keys at once: one round trip to read, one to plant the leases of what is missing, one call of
// load for all that nobody else loads, one round trip to store. load returns what it found by key; what it leaves out does
// not exist, as if ErrNotFound had been returned for it.
//
// The result has an entry for every key that exists. If a loader fails, or ctx ends, the error comes with what could be
// had without it. Values that FailSafe has are among that; if it has all that are missing, there is no error.
func (c *Cache[T]) FetchMany(ctx context.Context, keys []string, load func(ctx context.Context, missing []string) (map[string]T, error)) (map[string]Result[T], error) {
	ctx, end := c.begin(ctx, "get", "")
	b := &batch[T]{
		c: c, load: many(load), found: make(map[string]Result[T], len(keys)), kept: map[string]Result[T]{},
		leaseless: map[string]bool{},
		p:         patience{clk: c.clk, soft: c.o.SoftTimeout, hard: c.o.LoadTimeout},
	}
	defer b.p.end()
	todo := distinct(keys)
	missed := false
	var err error
	for first := true; len(todo) > 0 && err == nil; first = false {
		b.reset(c.seq.Load())
		b.read(ctx, todo, first)
		missed = missed || !b.complete()
		if todo, err = b.rest(ctx); err != nil {
			err = b.failSafe(err)
			todo = nil
		}
	}
	switch {
	case err != nil:
		end(observe.Failed, err)
	case missed:
		end(observe.Miss, nil)
	default:
		end(observe.Hit, nil)
	}
	return b.found, err
}

func distinct(keys []string) []string {
	asked := make(map[string]bool, len(keys))
	unique := make([]string, 0, len(keys))
	for _, k := range keys {
		if !asked[k] {
			asked[k] = true
			unique = append(unique, k)
		}
	}
	return unique
}

// many makes a loader of what FetchMany is given.
func many[T any](load func(context.Context, []string) (map[string]T, error)) loader[T] {
	return func(ctx context.Context, f *flight[T], won []int) error {
		keys := make([]string, len(won))
		for n, i := range won {
			keys[n] = f.keys[i]
		}
		values, err := load(ctx, keys)
		if err != nil {
			return err
		}
		for _, i := range won {
			v, ok := values[f.keys[i]]
			if f.answers[i] = (answer[T]{v: v}); !ok {
				f.answers[i].err = ErrNotFound
			}
		}
		return nil
	}
}

// batch is one FetchMany.
type batch[T any] struct {
	c     *Cache[T]
	load  loader[T]
	found map[string]Result[T]
	kept  map[string]Result[T] // for FailSafe
	p     patience

	leaseless map[string]bool // keys for which the store gives no lease

	// Of one look at the keys that are left.
	start   uint64
	missing []string
	seen    [][]byte           // of missing
	aging   []string           // found, to be refreshed
	old     [][]byte           // of aging
	busy    map[string]reading // somebody loads them
	held    []string           // the source has just failed for them
	alone   []string           // the store gave no answer
	later   []string           // of alone: a load that is too old has to end first
}

func (b *batch[T]) reset(start uint64) {
	*b = batch[T]{c: b.c, load: b.load, found: b.found, kept: b.kept, p: b.p, leaseless: b.leaseless, start: start, busy: map[string]reading{}}
}

// complete tells that nothing is left to be done.
func (b *batch[T]) complete() bool {
	return len(b.missing)+len(b.busy)+len(b.held)+len(b.alone) == 0
}

// read looks at keys and sorts them.
func (b *batch[T]) read(ctx context.Context, keys []string, first bool) {
	c := b.c
	read := c.eachRead(ctx, keys)
	for i, k := range keys {
		var v T
		r, err := read(i, &v)
		if err != nil {
			c.storeFailed(ctx, "get", k, err)
			b.alone = append(b.alone, k)
			continue
		}
		if first {
			c.count(r.outcome, nil)
		}
		if r.kept {
			b.kept[k] = Result[T]{Value: v, Stale: true}
		}
		switch {
		case r.outcome == negative:
		case r.outcome != miss:
			b.found[k] = Result[T]{Value: v, Stale: r.outcome == stale}
			if (r.outcome == stale || r.early) && r.token == 0 {
				b.aging, b.old = append(b.aging, k), append(b.old, r.seen)
			}
		case r.kept && r.held:
			b.held = append(b.held, k)
		case b.leaseless[k]:
			b.alone = append(b.alone, k)
		case r.token != 0:
			b.busy[k] = r
		default:
			b.missing, b.seen = append(b.missing, k), append(b.seen, r.seen)
		}
	}
}

// eachRead gives a function that reads the i-th key: from this process one by one, else from one pipeline.
func (c *Cache[T]) eachRead(ctx context.Context, keys []string) func(i int, v *T) (reading, error) {
	if c.local || len(keys) == 1 {
		return func(i int, v *T) (reading, error) { return c.readNear(ctx, keys[i], v) }
	}
	near := make([]outcome, len(keys))
	values := make([]T, len(keys))
	tickets := make([]ticket, len(keys))
	at := make([]int, len(keys)) // of a key's replies
	now := make([]epochs, len(keys))
	tags := make([][]string, len(keys))
	errs := make([]error, len(keys))
	var cmds []store.Cmd
	asked := c.ask()
	for i, k := range keys {
		if near[i] = c.near.get(k, &values[i]); near[i] != miss {
			continue
		}
		tickets[i] = c.near.ticket(k)
		if errs[i] = usable(k); errs[i] == nil {
			tags[i], errs[i] = c.tagsOf(k)
		}
		if at[i] = len(cmds); errs[i] == nil {
			cmds, now[i] = c.readCmds(append(cmds, store.Cmd{"GET", c.o.Prefix + k}), tags[i])
		}
	}
	var replies []store.Reply
	if len(cmds) > 0 {
		bounded, cancel := c.timeout.Bound(ctx)
		replies = c.st.Pipe(bounded, cmds...) // not MGET: on a Cluster the keys live apart
		cancel()
	}
	return func(i int, v *T) (r reading, err error) {
		if near[i] != miss {
			*v = values[i]
			return reading{outcome: near[i]}, nil
		}
		if errs[i] != nil {
			return r, errs[i]
		}
		text, found, err := replies[at[i]].Lookup()
		if err != nil || !found {
			return r, err
		}
		if err := c.collect(&now[i], tags[i], nil, asked, replies[at[i]+1:]); err != nil {
			return r, err
		}
		r, err = c.view(ctx, keys[i], []byte(text), &now[i], v)
		if err == nil && (r.outcome == hit && !r.early || r.outcome == negative) {
			c.near.put(keys[i], tickets[i], v, r)
		}
		return r, err
	}
}

// joined is a flight that the batch waits for, and the keys it wants of it.
type joined[T any] struct {
	f     *flight[T]
	keys  []string
	leads bool
}

// rest gets what was not found, and returns the keys to look at again.
func (b *batch[T]) rest(ctx context.Context) (again []string, err error) {
	c := b.c
	if len(b.aging) > 0 {
		c.refreshMany(ctx, b.aging, b.old, b.load)
	}
	if b.complete() {
		return nil, nil
	}
	for _, k := range b.held {
		b.found[k] = c.failSafe(b.kept[k], ErrHeld)
	}
	left := append(append([]string(nil), b.missing...), b.alone...)
	for k := range b.busy {
		left = append(left, k)
	}
	if len(left) == 0 {
		return nil, nil
	}
	if err := c.mayAsk(ctx, left...); err != nil {
		return nil, store.Wrap("cache", "load", c.o.Prefix+left[0], err)
	}
	flights, waitFor, foreign := b.join(ctx)
	for _, j := range flights {
		if j.leads {
			go c.fly(j.f, b.load)
		}
	}
	b.p.begin(b.allKept(left))
	for _, j := range flights {
		more, e := b.collect(ctx, j)
		again, err = append(again, more...), errors.Join(err, e)
	}
	for _, f := range waitFor {
		if e := b.p.wait(ctx, f.done, nil); e != nil {
			return nil, errors.Join(err, e)
		}
	}
	if len(foreign) > 0 && err == nil {
		if e := c.await(ctx, foreign[0], &b.p); e != nil { // the others may have ended by then
			err = store.Wrap("cache", "load", c.o.Prefix+foreign[0], e)
		}
	}
	return append(append(again, foreign...), b.later...), alone(err)
}

// join registers the batch with the flights of other callers, and launches its own.
func (b *batch[T]) join(ctx context.Context) (flights []*joined[T], waitFor []*flight[T], foreign []string) {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	byFlight := map[*flight[T]]*joined[T]{}
	follow := func(f *flight[T], k string) { // whose refs count this key
		j := byFlight[f]
		if j == nil {
			j = &joined[T]{f: f}
			byFlight[f] = j
			flights = append(flights, j)
		} else {
			f.refs-- // a batch counts once
		}
		j.keys = append(j.keys, k)
	}
	for k, r := range b.busy {
		switch f, old := c.joinLocked(k, &r); {
		case f != nil:
			follow(f, k)
		case old:
			b.missing, b.seen = append(b.missing, k), append(b.seen, r.seen)
		default:
			foreign = append(foreign, k)
		}
	}
	var mine []string
	for _, k := range b.alone {
		switch f := c.alone[k]; {
		case f == nil:
			mine = append(mine, k)
		case f.seq > b.start:
			f.refs++
			follow(f, k)
		default:
			waitFor = append(waitFor, f)
			b.later = append(b.later, k)
		}
	}
	lead := func(keys []string, seen [][]byte, alone bool) {
		if len(keys) > 0 {
			f := c.flightOfMany(ctx, keys, seen)
			if f.refs++; alone {
				c.registerAloneLocked(f)
			} else {
				c.registerLocked(f)
			}
			flights = append(flights, &joined[T]{f: f, keys: keys, leads: true})
		}
	}
	lead(b.missing, b.seen, false)
	lead(mine, nil, true)
	return flights, waitFor, foreign
}

// collect waits for a flight and takes its answers. What does not exist is no error here.
func (b *batch[T]) collect(ctx context.Context, j *joined[T]) (again []string, err error) {
	c := b.c
	if e := c.wait(ctx, j.f, &b.p); e != nil {
		return nil, store.Wrap("cache", "load", c.o.Prefix+j.keys[0], e)
	}
	if j.f.own && !j.leads {
		return j.keys, nil
	}
	if !j.leads {
		c.n.shared.Add(1)
	}
	for _, k := range j.keys {
		a := j.f.answer(k)
		old, kept := b.kept[k]
		switch {
		case a.alone:
			b.leaseless[k] = true
			again = append(again, k)
		case a.again:
			again = append(again, k)
		case a.err == nil:
			b.found[k] = Result[T]{Value: a.v, Stale: a.outcome == stale}
		case errors.Is(a.err, ErrNotFound):
		case kept:
			b.found[k] = c.failSafe(old, a.err)
		default:
			err = a.err
		}
	}
	return again, err
}

// allKept tells whether FailSafe has all of these.
func (b *batch[T]) allKept(keys []string) bool {
	for _, k := range keys {
		if _, ok := b.kept[k]; !ok {
			return false
		}
	}
	return true
}

// failSafe adds what it has to what was found, and tells what error is left.
func (b *batch[T]) failSafe(err error) error {
	if !errors.Is(err, ErrSoftTimeout) && !errors.Is(err, ErrLoadTimeout) {
		return err
	}
	left := append(append(append([]string(nil), b.missing...), b.alone...), b.held...)
	for k := range b.busy {
		left = append(left, k)
	}
	cause := ErrLoadTimeout
	if errors.Is(err, ErrSoftTimeout) {
		cause = ErrSoftTimeout
	}
	rest := false
	for _, k := range left {
		if _, has := b.found[k]; has {
			continue
		}
		if old, kept := b.kept[k]; kept {
			b.found[k] = b.c.failSafe(old, cause)
		} else {
			rest = true
		}
	}
	if rest {
		return err
	}
	return nil
}

// refreshMany is refresh for a batch.
func (c *Cache[T]) refreshMany(ctx context.Context, keys []string, seen [][]byte, load loader[T]) {
	if c.mayAsk(context.WithoutCancel(ctx), keys...) != nil {
		return
	}
	c.mu.Lock()
	var mine []string
	var theirs [][]byte
	for i, k := range keys {
		if len(c.byKey[k]) == 0 {
			mine, theirs = append(mine, k), append(theirs, seen[i])
		}
	}
	if len(mine) == 0 {
		c.mu.Unlock()
		return
	}
	f := c.flightOfMany(ctx, mine, theirs)
	f.detached = true
	c.registerLocked(f)
	c.mu.Unlock()
	c.n.refreshes.Add(uint64(len(mine)))
	go c.fly(f, load)
}

// alone unwraps a join of one, so that a loader's error comes back as it was.
func alone(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		if list := many.Unwrap(); len(list) == 1 {
			return alone(list[0])
		}
	}
	return err
}
