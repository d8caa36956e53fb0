package stream

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// holdBatch bounds the ids of one hold script: the store does nothing else meanwhile.
const holdBatch = 500

func itoa[N ~int | ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// hold runs the hold script, in batches: signs of life, counting, giving back.
func (c *consumer[T]) hold(ctx context.Context, mode string, ids ...string) ([]int64, error) {
	counts := make([]int64, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), holdBatch)
		args := append(make([]string, 0, 4+n), c.g.Name, c.g.Consumer, mode, itoa(c.g.ClaimIdle.Milliseconds()))
		bounded, cancel := c.s.timeout.Bound(ctx)
		got, err := c.s.st.Run(bounded, holdScript, []string{c.s.o.Name}, append(args, ids[:n]...)...).Ints()
		cancel()
		if err == nil && len(got) != n {
			err = fmt.Errorf("%w: %d counts for %d ids", store.ErrReply, len(got), n)
		}
		if err != nil {
			return counts, err
		}
		counts, ids = append(counts, got...), ids[n:]
	}
	return counts, nil
}

// keep gives signs of life and sweeps until quit is closed; it sweeps only until ctx ends.
//
// A sign of life comes four times in ClaimIdle. A sweep comes twice in that time, for the whole group: the consumer that
// gets the lease does it, the others learn from its TTL when to try again. The first comes when this consumer has taken up
// what was its own already: both at once would hand the same entries out, in no order.
func (c *consumer[T]) keep(ctx context.Context) {
	beat := c.s.clock.NewTicker(c.g.ClaimIdle / 4)
	defer beat.Stop()
	sweep, resumed := c.s.clock.NewTimer(time.Hour), c.resumed
	defer sweep.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-resumed:
			resumed = nil
			sweep.Reset(0)
		case <-beat.C():
			if err := c.beat(); err != nil && !disappeared(err) {
				c.s.trouble(c.base, "consume", err)
			}
		case <-sweep.C():
			if ctx.Err() != nil {
				continue
			}
			wait, err := c.sweep(ctx)
			if err != nil && !disappeared(err) {
				c.s.trouble(ctx, "claim", err)
			}
			sweep.Reset(wait)
		}
	}
}

// beat gives a sign of life for what is held since the last one.
func (c *consumer[T]) beat() error {
	var ids []string
	c.mu.Lock()
	for id, f := range c.held {
		if f.beats++; f.beats > 1 && f.state != settled {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	counts, err := c.hold(c.base, "keep", ids...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range counts {
		f := c.held[ids[i]]
		if n != 0 || f == nil {
			continue
		}
		f.gone = true
		if f.cancel != nil {
			f.cancel(ErrLost)
		}
	}
	return err
}

// period is the time from one sweep of the group to the next.
func (c *consumer[T]) period() time.Duration { return c.g.ClaimIdle / 2 }

// sweep claims what no consumer gave a sign of life for, if it is this one's turn. It tells when to come again.
func (c *consumer[T]) sweep(ctx context.Context) (time.Duration, error) {
	soon := c.period()/8 + rand.N(c.period()/8+1)
	lease := c.s.tag + "sweep:" + c.g.Name
	bounded, cancel := c.s.timeout.Bound(ctx)
	mine, err := c.s.st.Do(bounded, "SET", lease, c.g.Consumer, "NX", "PX", itoa(c.period().Milliseconds())).OK()
	if err != nil || !mine {
		var left int64
		if err == nil {
			left, err = c.s.st.Do(bounded, "PTTL", lease).Int64()
		}
		cancel()
		return max(time.Duration(left)*time.Millisecond, 0) + soon, err
	}
	cancel()
	if err := c.claim(ctx); err != nil {
		return c.period(), err
	}
	if err := c.tidy(ctx); err != nil {
		return c.period(), err
	}
	if c.s.o.Observer != nil {
		err = c.gauge(ctx)
	}
	return c.period(), err
}

// claim takes over idle entries as far as there is room.
func (c *consumer[T]) claim(ctx context.Context) error {
	for cursor := "0-0"; ctx.Err() == nil; {
		c.mu.Lock()
		room := c.capacity - (len(c.held) - c.resting)
		full := c.resting >= mostResting
		c.mu.Unlock()
		if room <= 0 || full {
			return nil
		}
		next, found, err := c.claimSome(ctx, cursor, min(room, holdBatch))
		if err != nil {
			return err
		}
		if err := c.adopt(ctx, found); err != nil {
			return err
		}
		if cursor = next; cursor == "0-0" {
			return nil
		}
	}
	return nil
}

func (c *consumer[T]) claimSome(ctx context.Context, cursor string, n int) (next string, found []entry, err error) {
	ctx, cancel := c.s.timeout.Bound(ctx)
	defer cancel()
	parts, err := c.s.st.Do(ctx, "XAUTOCLAIM", c.s.o.Name, c.g.Name, c.g.Consumer, itoa(c.g.ClaimIdle.Milliseconds()),
		cursor, "COUNT", itoa(n)).Array()
	if err == nil && len(parts) < 2 {
		err = fmt.Errorf("%w: XAUTOCLAIM of %d parts", store.ErrReply, len(parts))
	}
	if err != nil {
		return "", nil, err
	}
	if next, err = parts[0].Text(); err != nil {
		return "", nil, err
	}
	found, err = entries(parts[1])
	return next, found, err
}

// adopt takes entries that this consumer was given by other ways than reading. If it cannot learn how often they were
// delivered it leaves them: they are claimed again when they have been idle.
func (c *consumer[T]) adopt(ctx context.Context, found []entry) error {
	if len(found) == 0 {
		return nil
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].id
	}
	counts, err := c.hold(ctx, "keep", ids...)
	if err != nil {
		return err
	}
	claimed := 0
	for i := range found {
		if counts[i] > 0 {
			claimed++
			c.take(&found[i], int(counts[i]))
		}
	}
	c.s.shared.n.claimed.Add(uint64(claimed))
	c.s.event(ctx, "claimed", claimed)
	return nil
}

// forgetAfter is how long a consumer that holds nothing may be silent before a sweep takes it off the group, in units of
// ClaimIdle. One that lives after all joins anew with its next read.
const forgetAfter = 4

// tidy takes dead consumers off the group.
func (c *consumer[T]) tidy(ctx context.Context) error {
	bounded, cancel := c.s.timeout.Bound(ctx)
	defer cancel()
	list, err := c.s.st.Do(bounded, "XINFO", "CONSUMERS", c.s.o.Name, c.g.Name).Array()
	if err != nil {
		return err
	}
	for _, one := range list {
		info, err := one.Map()
		if err != nil {
			return err
		}
		idle, _ := strconv.ParseInt(info["idle"], 10, 64)
		if info["pending"] != "0" || info["name"] == c.g.Consumer || idle < max(forgetAfter*c.g.ClaimIdle, 2*blocking).Milliseconds() {
			continue
		}
		if _, err := c.remove(info["name"]); err != nil {
			return err
		}
	}
	return nil
}

func (c *consumer[T]) gauge(ctx context.Context) error {
	lag, err := c.s.Lag(ctx, c.g.Name)
	if err != nil {
		return err
	}
	op := observe.Op{Pattern: "stream", Name: c.s.o.Name + "/" + c.g.Name}
	op.Verb = "lag"
	observe.Gauge(ctx, c.s.o.Observer, op, float64(lag.Waiting))
	op.Verb = "pending"
	observe.Gauge(ctx, c.s.o.Observer, op, float64(lag.Pending))
	return nil
}

// splitID reads "ms-seq"; what is not an id is 0-0.
func splitID(id string) (ms, seq uint64) {
	a, b, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(a, 10, 64)
	seq, _ = strconv.ParseUint(b, 10, 64)
	return ms, seq
}

func lessID(a, b string) bool {
	ams, aseq := splitID(a)
	bms, bseq := splitID(b)
	return ams < bms || ams == bms && aseq < bseq
}

func previousID(id string) string {
	ms, seq := splitID(id)
	switch {
	case seq > 0:
		seq--
	case ms > 0:
		ms, seq = ms-1, math.MaxUint64
	}
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(seq, 10)
}
