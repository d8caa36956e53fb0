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

// fetchFar is fetch for what is not near. A plain hit is all that happens here.
func (c *Cache[T]) fetchFar(ctx context.Context, key string, load func(ctx context.Context) (T, error)) (Result[T], outcome, error) {
	start := c.seq.Load()
	if c.near == nil && c.o.FailSafe == 0 && c.cold() {
		return c.fetchCold(ctx, key, start, load)
	}
	res, _ := c.results.Get().(*Result[T])
	defer c.giveBackResult(res)
	r, err := c.readNear(ctx, key, &res.Value)
	if err == nil {
		c.count(r.outcome, nil)
		if (r.outcome == hit || r.outcome == nearHit) && !r.early {
			return *res, r.outcome, nil
		}
	}
	p := patience{clk: c.clk, soft: c.o.SoftTimeout, hard: c.o.LoadTimeout}
	defer p.end()
	return c.fetchFrom(ctx, key, start, r, err, res, single(load), &p)
}

// fetchCold is fetch where most reads miss: the bid for the lease is the read.
func (c *Cache[T]) fetchCold(ctx context.Context, key string, start uint64, load func(ctx context.Context) (T, error)) (res Result[T], from outcome, err error) {
	p := patience{clk: c.clk, hard: c.o.LoadTimeout}
	defer p.end()
	if err = c.mayAsk(ctx, key); err != nil {
		return res, miss, store.Wrap("cache", "get", c.o.Prefix+key, err)
	}
	one := single(load)
	a, err := c.lead(ctx, c.launch(ctx, key, nil), key, one, &p)
	if !a.unread {
		c.count(a.outcome, nil)
		done, res, from, err := c.take(ctx, key, a, err, start, one, &p, res, false)
		if done {
			return res, from, err
		}
	}
	start = c.seq.Load()
	r, err := c.readNear(ctx, key, &res.Value)
	return c.fetchFrom(ctx, key, start, r, err, &res, one, &p)
}

// fetchFrom goes on from what a read has found, and reads again as often as that turns out to be of the past.
func (c *Cache[T]) fetchFrom(ctx context.Context, key string, start uint64, r reading, err error, res *Result[T], load loader[T], p *patience) (Result[T], outcome, error) {
	for {
		switch {
		case errors.Is(err, store.ErrInvalid):
			return Result[T]{}, miss, store.Wrap("cache", "get", c.o.Prefix+key, err)
		case err != nil:
			c.storeFailed(ctx, "get", key, err)
			res, err := c.fetchAlone(ctx, key, start, load, p)
			return res, miss, err
		case r.outcome == negative:
			return Result[T]{}, negative, c.notFound(key)
		case r.outcome != miss:
			res.Stale = r.outcome == stale
			if res.Stale || r.early {
				c.refresh(ctx, key, r, load)
			}
			return *res, r.outcome, nil
		}
		old := Result[T]{Stale: true}
		if r.kept {
			old.Value = res.Value
		}
		*res = Result[T]{}
		if r.kept && r.held {
			return c.failSafe(old, ErrHeld), stale, nil
		}
		p.begin(r.kept)
		if done, res, from, err := c.miss(ctx, key, r, start, load, p, old); done {
			return res, from, err
		}
		start = c.seq.Load()
		r, err = c.readNear(ctx, key, &res.Value)
	}
}

// miss joins the load whose lease the read has found, waits for it where it is another process's, or begins one.
func (c *Cache[T]) miss(ctx context.Context, key string, r reading, start uint64, load loader[T], p *patience, old Result[T]) (done bool, res Result[T], from outcome, err error) {
	if err = c.mayAsk(ctx, key); err != nil {
		return true, res, miss, store.Wrap("cache", "load", c.o.Prefix+key, err)
	}
	var a answer[T]
	if f, old := c.join(key, &r); f != nil {
		a, err = c.follow(ctx, f, key, p)
	} else if r.token != 0 && !old {
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
	if r.token != 0 || c.mayAsk(context.WithoutCancel(ctx), key) != nil {
		return
	}
	c.mu.Lock()
	if len(c.byKey[key]) > 0 {
		c.mu.Unlock()
		return
	}
	f := c.flightOf(ctx, key, r.seen)
	f.detached = true
	c.registerLocked(f)
	c.mu.Unlock()
	c.n.refreshes.Add(1)
	c.event(ctx, "refresh", key)
	go c.fly(f, load)
}
