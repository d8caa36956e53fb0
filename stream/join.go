package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/larderdb/larder/store"
)

// disappeared tells that the group, or the stream with it, is no more.
func disappeared(err error) bool {
	var e store.ServerError
	return errors.As(err, &e) && (e.Code() == "NOGROUP" || e.Code() == "UNBLOCKED")
}

// join creates the group if it does not exist and learns how far it is.
func (c *consumer[T]) join(ctx context.Context) error {
	return c.s.insist(ctx, "consume", func() error {
		if err := c.create(ctx, string(c.g.From)); err != nil {
			return err
		}
		g, err := c.s.group(ctx, c.g.Name)
		if err != nil {
			return err
		}
		c.last = g.last
		c.top, c.added, err = c.whole(ctx)
		return err
	})
}

func (c *consumer[T]) create(ctx context.Context, from string) error {
	ctx, cancel := c.s.timeout.Bound(ctx)
	defer cancel()
	err := c.s.st.Do(ctx, "XGROUP", "CREATE", c.s.o.Name, c.g.Name, from, "MKSTREAM").Err()
	var e store.ServerError
	if errors.As(err, &e) && e.Code() == "BUSYGROUP" {
		return nil
	}
	return err
}

// rejoin makes the group anew after it disappeared, and with it the memory of what was delivered and not acknowledged. It
// begins before the oldest entry that is held here unfinished, so that the group knows of it again; in a new stream, at
// its beginning. What dead consumers had left unfinished is forgotten.
//
// A new stream shows by ids that begin lower than where the group was, or by having got fewer entries than this consumer
// knows of: within a millisecond ids can be the same again.
func (c *consumer[T]) rejoin(ctx context.Context, cause error) error {
	c.s.shared.n.rejoined.Add(1)
	c.s.event(ctx, "rejoined", 1)
	c.s.report(ctx, store.Wrap("stream", "consume", c.s.o.Name, fmt.Errorf("group %q is made anew: %w", c.g.Name, cause)))
	from := c.last
	c.mu.Lock()
	for id, f := range c.held {
		if before := previousID(id); f.state != settled && lessID(before, from) {
			from = before
		}
	}
	c.mu.Unlock()
	top, added, err := c.whole(ctx)
	if err != nil {
		return err
	}
	if lessID(top, from) || added >= 0 && added < c.added {
		from, c.top, c.added = "0-0", top, max(added, 0)
	}
	return c.create(ctx, from)
}

// whole tells the stream's newest id and how many entries it ever got, which is -1 where the store does not count. A stream
// that does not exist has got none.
func (c *consumer[T]) whole(ctx context.Context) (top string, added int64, err error) {
	ctx, cancel := c.s.timeout.Bound(ctx)
	defer cancel()
	info, err := c.s.st.Do(ctx, "XINFO", "STREAM", c.s.o.Name).Pairs()
	var e store.ServerError
	if errors.As(err, &e) && e.Code() == "ERR" && !hopeless(err) { // ERR no such key
		return "0-0", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	added = -1
	for i := 0; i < len(info); i += 2 {
		switch name, _ := info[i].Text(); name {
		case "last-generated-id":
			top, _ = info[i+1].Text()
		case "entries-added":
			added, _ = info[i+1].Int64()
		}
	}
	return top, added, nil
}

// resume takes up what a consumer of the same name left unfinished.
func (c *consumer[T]) resume(ctx context.Context) error {
	if !c.fixed {
		return nil
	}
	for from := "0"; ; {
		n := c.room(ctx)
		if n == 0 {
			return nil
		}
		var found []entry
		err := c.s.insist(ctx, "consume", func() (err error) {
			if found, err = c.fetch(ctx, from, min(n, holdBatch)); err != nil {
				return err
			}
			return c.adopt(ctx, found)
		})
		if err != nil || len(found) == 0 {
			return err
		}
		from = found[len(found)-1].id
	}
}
