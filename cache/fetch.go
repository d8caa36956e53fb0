package cache

import (
	"context"
	"errors"

	"github.com/larderdb/larder/store"
)

// fetch is Fetch, and says where the value came from.
func (c *Cache[T]) fetch(ctx context.Context, key string, load func(ctx context.Context) (T, error)) (res Result[T], from outcome, err error) {
	if c.near.get(key, &res.Value) == nearHit {
		c.n.nearHits.Add(1)
		return res, nearHit, nil
	}
	return c.fetchFar(ctx, key, load)
}

// fetchFar is fetch for what is not near.
func (c *Cache[T]) fetchFar(ctx context.Context, key string, load func(ctx context.Context) (T, error)) (res Result[T], from outcome, err error) {
	p := patience{clk: c.clk, soft: c.o.SoftTimeout, hard: c.o.LoadTimeout}
	defer p.end()
	for first := true; ; first = false {
		start := c.seq.Load()
		if first && c.cold() && c.o.FailSafe == 0 && c.near == nil { // the load's bid will be the read
			if err = c.mayAsk(ctx, key); err != nil {
				return res, miss, store.Wrap("cache", "get", c.o.Prefix+key, err)
			}
			a, err := c.lead(ctx, c.launch(ctx, key, nil), key, single(load), &p)
			if a.unread {
				continue
			}
			c.count(a.outcome, nil)
			if done, res, from, err := c.take(ctx, key, a, err, start, single(load), &p, Result[T]{}, false); done {
				return res, from, err
			}
			continue
		}
		r, err := c.readNear(ctx, key, &res.Value)
		if first && err == nil {
			c.count(r.outcome, nil)
		}
		switch {
		case errors.Is(err, store.ErrInvalid):
			return Result[T]{}, miss, store.Wrap("cache", "get", c.o.Prefix+key, err)
		case err != nil:
			c.storeFailed(ctx, "get", key, err)
			res, err := c.fetchAlone(ctx, key, start, single(load), &p)
			return res, miss, err
		case r.outcome == negative:
			return Result[T]{}, negative, c.notFound(key)
		case r.outcome != miss:
			res.Stale, res.Cause = r.outcome == stale, nil
			if res.Stale || r.early {
				c.refresh(ctx, key, r, single(load))
			}
			return res, r.outcome, nil
		}
		old := Result[T]{Stale: true}
		if r.kept {
			old.Value = res.Value
		}
		var zero T
		res.Value = zero
		if r.kept && r.held {
			return c.failSafe(old, ErrHeld), stale, nil
		}
		p.begin(r.kept)
		if done, res, from, err := c.miss(ctx, key, r, start, single(load), &p, old); done {
			return res, from, err
		}
	}
}

// miss joins the load whose lease the read has found, waits for it where it is another process's, or begins one.
func (c *Cache[T]) miss(ctx context.Context, key string, r reading, start uint64, load loader[T], p *patience, old Result[T]) (done bool, res Result[T], from outcome, err error) {
	if err = c.mayAsk(ctx, key); err != nil {
		return true, res, miss, store.Wrap("cache", "load", c.o.Prefix+key, err)
	}
	var a answer[T]
	if f := c.join(r.token); f != nil {
		a, err = c.follow(ctx, f, key, p)
	} else if r.token != 0 && !c.adopt(r.token) {
		if err = c.await(ctx, key, p); err == nil {
			return false, res, miss, nil
		}
	} else {
		a, err = c.lead(ctx, c.launch(ctx, key, r.seen), key, load, p)
	}
	return c.take(ctx, key, a, err, start, load, p, old, r.kept)
}

// take makes a result of a flight's answer, or of the error with which waiting for it ended.
func (c *Cache[T]) take(ctx context.Context, key string, a answer[T], err error, start uint64, load loader[T], p *patience, old Result[T], kept bool) (done bool, _ Result[T], from outcome, _ error) {
	limit := errors.Is(err, ErrSoftTimeout) || errors.Is(err, ErrLoadTimeout)
	switch {
	case err != nil && kept && limit:
		return true, c.failSafe(old, err), stale, nil
	case err != nil:
		return true, Result[T]{}, miss, store.Wrap("cache", "load", c.o.Prefix+key, err)
	case a.again:
		return false, Result[T]{}, miss, nil
	case a.alone:
		res, err := c.fetchAlone(ctx, key, start, load, p)
		return true, res, miss, err
	case a.err != nil && kept && !errors.Is(a.err, ErrNotFound):
		return true, c.failSafe(old, a.err), stale, nil
	}
	return true, Result[T]{Value: a.v, Stale: a.outcome == stale}, a.outcome, a.err
}

func (c *Cache[T]) failSafe(old Result[T], cause error) Result[T] {
	c.n.failSafe.Add(1)
	old.Cause = cause
	return old
}

// fetchAlone loads without the store, which cannot be reached or holds something else under the key. Callers share a load
// that began after they came: nothing could tell of an invalidation since an earlier one began.
func (c *Cache[T]) fetchAlone(ctx context.Context, key string, start uint64, load loader[T], p *patience) (res Result[T], err error) {
	p.begin(false)
	for {
		if err := c.mayAsk(ctx, key); err != nil {
			return res, store.Wrap("cache", "load", c.o.Prefix+key, err)
		}
		f, leads := c.joinAlone(ctx, key, start)
		var a answer[T]
		switch {
		case leads:
			a, err = c.lead(ctx, f, key, load, p)
		case f.seq > start:
			a, err = c.follow(ctx, f, key, p)
		default:
			if err = p.wait(ctx, f.done, nil); err == nil {
				continue
			}
		}
		switch {
		case err != nil:
			return res, store.Wrap("cache", "load", c.o.Prefix+key, err)
		case a.again:
			continue
		}
		return Result[T]{Value: a.v}, a.err
	}
}

// refresh loads a value that is still served, in the background, unless somebody does already.
func (c *Cache[T]) refresh(ctx context.Context, key string, r reading, load loader[T]) {
	if r.token != 0 && !c.adopt(r.token) || c.mayAsk(context.WithoutCancel(ctx), key) != nil {
		return
	}
	c.mu.Lock()
	if c.byKey[key] != nil {
		c.mu.Unlock()
		return
	}
	f := c.launchLocked(ctx, []string{key}, [][]byte{r.seen}, false)
	f.detached = true
	c.mu.Unlock()
	c.n.refreshes.Add(1)
	c.event(ctx, "refresh", key)
	go c.fly(f, load)
}
