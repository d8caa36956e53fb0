package cache

import (
	"context"
	"errors"
	"strconv"

	"github.com/larderdb/larder/store"
)

// GetOrLoadMany is GetOrLoad for many keys at once: one round trip to read, one call of load for all that is missing and
// that nobody else loads, one round trip to store. load returns what it found by key; what it leaves out does not
// exist, as if ErrNotFound had been returned for it.
//
// The result has an entry for every key that exists. If a loader fails, or ctx ends, the error comes with what could be
// had without it.
func (c *Cache[T]) GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, missing []string) (map[string]T, error)) (map[string]T, error) {
	found := make(map[string]T, len(keys))
	missing, foreign := c.readMany(ctx, keys, found)
	for len(missing) > 0 {
		again, err := c.loadMany(ctx, missing, foreign, found, load)
		if err != nil {
			return found, err
		}
		missing = again
	}
	return found, nil
}

// readMany reads what is there into found and lists what is missing, without duplicates.
func (c *Cache[T]) readMany(ctx context.Context, keys []string, found map[string]T) (missing []string, foreign map[string]bool) {
	asked := make(map[string]bool, len(keys))
	unique := make([]string, 0, len(keys))
	for _, k := range keys {
		if !asked[k] {
			asked[k] = true
			unique = append(unique, k)
		}
	}
	read := c.eachRead(ctx, unique)
	for i, k := range unique {
		var v T
		outcome, err := read(i, &v)
		switch {
		case outcome == hit:
			found[k] = v
		case outcome == negative:
		default:
			missing = append(missing, k)
			if foreignKey(err) {
				if foreign == nil {
					foreign = map[string]bool{}
				}
				foreign[k] = true
			}
		}
	}
	return missing, foreign
}

// eachRead gives a function that reads the i-th key: from this process one by one, else from one pipeline.
func (c *Cache[T]) eachRead(ctx context.Context, keys []string) func(i int, v *T) (outcome, error) {
	if c.local {
		return func(i int, v *T) (outcome, error) {
			o, err := c.read(ctx, keys[i], v)
			if err != nil {
				c.storeFailed(ctx, "get", keys[i], err)
			}
			return o, err
		}
	}
	cmds := make([]store.Cmd, len(keys)) // not MGET: on a Cluster the keys live apart
	for i, k := range keys {
		cmds[i] = store.Cmd{"GET", c.o.Prefix + k}
	}
	bounded, cancel := c.bound(ctx)
	replies := c.st.Pipe(bounded, cmds...)
	cancel()
	return func(i int, v *T) (outcome, error) {
		text, ok, err := replies[i].Lookup()
		if err == nil && ok {
			var o outcome
			if o, err = c.open(ctx, keys[i], []byte(text), v); err == nil {
				return o, nil
			}
		}
		if err != nil {
			c.storeFailed(ctx, "get", keys[i], err)
		} else {
			c.n.misses.Add(1)
		}
		return miss, err
	}
}

// joined is a flight that a caller waits for, and the keys it wants of it.
type joined[T any] struct {
	f     *flight[T]
	keys  []string
	leads bool
}

// loadMany joins the flights of keys and starts one for the rest. It returns the keys to try again.
func (c *Cache[T]) loadMany(ctx context.Context, keys []string, foreign map[string]bool, found map[string]T, load func(context.Context, []string) (map[string]T, error)) (again []string, err error) {
	if err := c.mayWait(ctx, keys...); err != nil {
		return nil, store.Wrap("cache", "load", c.o.Prefix+keys[0], err)
	}
	all := c.joinMany(ctx, keys, foreign)
	for _, j := range all {
		if j.leads {
			go c.fly(j.f, func(ctx context.Context) (err error) {
				j.f.many, err = load(ctx, append([]string(nil), j.keys...))
				return err
			})
		}
	}
	for _, j := range all {
		if e := c.wait(ctx, j.f); e != nil {
			err = errors.Join(err, store.Wrap("cache", "load", c.o.Prefix+j.keys[0], e))
			continue
		}
		if j.f.own && !j.leads {
			again = append(again, j.keys...)
			continue
		}
		if !j.leads {
			c.n.shared.Add(1)
		}
		err = errors.Join(err, j.collect(found))
	}
	return again, single(err)
}

// joinMany registers the caller with the flights of keys: those under way, and a new one for all other keys.
func (c *Cache[T]) joinMany(ctx context.Context, keys []string, foreign map[string]bool) (all []*joined[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var mine []string
	for _, k := range keys {
		f := c.flights[k]
		if f == nil {
			mine = append(mine, k)
			continue
		}
		var j *joined[T]
		for _, have := range all {
			if have.f == f {
				j = have
			}
		}
		if j == nil {
			j = &joined[T]{f: f}
			f.refs++
			all = append(all, j)
		}
		j.keys = append(j.keys, k)
	}
	if len(mine) > 0 {
		f := c.launch(ctx, mine)
		f.batch, f.foreign = true, foreign
		f.refs++
		all = append(all, &joined[T]{f: f, keys: mine, leads: true})
	}
	return all
}

// collect takes a landed flight's answers. What does not exist is no error here.
func (j *joined[T]) collect(found map[string]T) error {
	for _, k := range j.keys {
		v, err := j.f.value(k)
		switch {
		case err == nil:
			found[k] = v
		case !errors.Is(err, ErrNotFound):
			return err
		}
	}
	return nil
}

// single unwraps a join of one, so that a loader's error comes back as it was.
func single(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		if list := many.Unwrap(); len(list) == 1 {
			return single(list[0])
		}
	}
	return err
}

// keepMany stores a batch in one round trip, with the flight's mu held.
func (c *Cache[T]) keepMany(ctx context.Context, f *flight[T]) {
	var cmds []store.Cmd
	var keys []string
	for _, k := range f.keys {
		v, err := f.value(k)
		if !f.storable(k, err, c.o.NegativeTTL) {
			continue
		}
		entry, ttl, err := c.encode(nil, &v, err)
		if err != nil {
			c.report(ctx, "set", k, err)
			continue
		}
		keys = append(keys, k)
		cmds = append(cmds, store.Cmd{"SET", c.o.Prefix + k, string(entry), "PX", strconv.FormatInt(store.Millis(ttl), 10)})
	}
	if len(cmds) == 0 {
		return
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	for i, r := range c.st.Pipe(ctx, cmds...) {
		if err := r.Err(); err != nil {
			c.storeFailed(ctx, "set", keys[i], err)
		}
	}
}
