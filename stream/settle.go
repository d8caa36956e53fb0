package stream

import (
	"errors"
	"time"

	"github.com/larderdb/larder/store"
)

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ack hands a flight to the goroutine that acknowledges.
func (c *consumer[T]) ack(f *flight[T]) {
	c.mu.Lock()
	f.state = settled
	c.done = append(c.done, f.msg.ID)
	c.mu.Unlock()
	token(c.acks)
}

// ackBatch bounds the ids of one XACK.
const ackBatch = 1000

func (c *consumer[T]) acknowledge() {
	for failures := 0; ; {
		select {
		case <-c.quit:
			return
		case <-c.acks:
		}
		for {
			more, err := c.ackSome()
			if err != nil {
				c.s.trouble(c.base, "ack", err)
				timer := c.s.clock.NewTimer(again(failures))
				failures++
				select {
				case <-timer.C():
					continue
				case <-c.quit:
				}
				timer.Stop()
				return
			}
			failures = 0
			if !more {
				break
			}
		}
	}
}

// ackSome acknowledges what is settled. What a failure left open is acknowledged again: twice is once.
func (c *consumer[T]) ackSome() (more bool, err error) {
	c.mu.Lock()
	ids := c.done
	if len(ids) > ackBatch {
		ids, c.done = ids[:ackBatch:ackBatch], ids[ackBatch:]
		more = true
	} else {
		c.done = nil
	}
	c.mu.Unlock()
	if len(ids) == 0 {
		return false, nil
	}
	ctx, cancel := c.s.timeout.Bound(c.base)
	defer cancel()
	words := append(make([]string, 0, 3+len(ids)), "XACK", c.s.o.Name, c.g.Name)
	if _, err := c.s.st.Do(ctx, append(words, ids...)...).Int64(); err != nil {
		c.mu.Lock()
		c.done = append(ids, c.done...)
		c.mu.Unlock()
		return true, err
	}
	c.s.shared.n.acked.Add(uint64(len(ids)))
	c.forget(ids...)
	return more, nil
}

// flush acknowledges what is left at the end, if the store lets it.
func (c *consumer[T]) flush() {
	for more := true; more; {
		var err error
		if more, err = c.ackSome(); err != nil {
			c.s.trouble(c.base, "ack", err)
			return
		}
	}
}

// forget ends flights.
func (c *consumer[T]) forget(ids ...string) {
	c.mu.Lock()
	for _, id := range ids {
		delete(c.held, id)
	}
	empty := len(c.held) == 0
	c.mu.Unlock()
	token(c.freed)
	if empty {
		token(c.emptied)
	}
}

// lose is the end of a flight that is not this consumer's any more.
func (c *consumer[T]) lose(f *flight[T]) {
	c.s.shared.n.lost.Add(1)
	c.s.event(c.base, "lost", 1)
	c.forget(f.msg.ID)
}

// abandon leaves a flight's entry to others, for the consumer ends.
func (c *consumer[T]) abandon(f *flight[T]) { c.forget(f.msg.ID) }

func (c *consumer[T]) isGone(f *flight[T]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.gone
}

// rest lets a timer bring the flight back to its lane. It is false if the consumer ends.
func (c *consumer[T]) rest(f *flight[T], pause time.Duration) bool {
	c.mu.Lock()
	if c.drained {
		c.mu.Unlock()
		c.abandon(f)
		return false
	}
	f.state = resting
	c.resting++
	c.mu.Unlock()
	token(c.freed)
	timer := c.s.clock.AfterFunc(pause, func() { c.wake(f) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.state == resting {
		f.timer = timer
	} else {
		timer.Stop()
	}
	return true
}

// wake queues a flight that has rested.
func (c *consumer[T]) wake(f *flight[T]) {
	c.mu.Lock()
	was := f.state == resting
	if was {
		f.state, f.timer = queued, nil
		c.resting--
	}
	c.mu.Unlock()
	if was {
		c.lanes[0] <- f
	}
}

// sit is rest where order is kept: the worker waits.
func (c *consumer[T]) sit(pause time.Duration) {
	if pause <= 0 {
		return
	}
	timer := c.s.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-c.draining:
	case <-c.handlers.Done():
	}
}

// bury moves the flight's entry to the dead letters.
func (c *consumer[T]) bury(f *flight[T]) (done bool, pause time.Duration) {
	ctx, cancel := c.s.timeout.Bound(c.base)
	defer cancel()
	n, err := c.s.st.Run(ctx, buryScript, []string{c.s.o.Name, c.s.deadKey(c.g.Name)}, c.g.Name, c.g.Consumer, f.msg.ID,
		itoa(f.msg.Deliveries), clip(f.reason.Error()), itoa(c.g.MaxDead)).Int64()
	if err != nil {
		return c.miss(f, err)
	}
	if n != 1 {
		c.lose(f)
		return true, 0
	}
	c.s.shared.n.dead.Add(1)
	c.s.event(c.base, "dead", 1)
	c.forget(f.msg.ID)
	return true, 0
}

// clip bounds a reason: errors may quote what they failed on.
func clip(s string) string {
	const most = 1 << 10 // bytes
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// drain lets what is held come to its end, up to the time that the group allows.
func (c *consumer[T]) drain(err error) {
	c.mu.Lock()
	c.drained = true
	for id, f := range c.held {
		if f.state == resting {
			if f.timer != nil {
				f.timer.Stop()
			}
			f.state = settled
			c.resting--
			delete(c.held, id)
		}
	}
	empty := len(c.held) == 0
	c.mu.Unlock()
	close(c.draining)
	if err != nil { // the store is closed, or says no: nothing can be acknowledged
		c.expel(err)
		return
	}
	timer := c.s.clock.NewTimer(c.g.Drain)
	defer timer.Stop()
	for !empty {
		select {
		case <-c.emptied:
			c.mu.Lock()
			empty = len(c.held) == 0
			c.mu.Unlock()
		case <-timer.C():
			c.expel(ErrDrained)
			return
		}
	}
}

// leave gives back what is still this consumer's and takes it off the group, if nothing is.
func (c *consumer[T]) leave() {
	if n, err := c.remove(c.g.Consumer); err != nil || n == 1 {
		if err != nil && !errors.Is(err, store.ErrClosed) {
			c.s.trouble(c.base, "leave", err)
		}
		return
	}
	from := "-"
	for {
		ids, err := c.unfinished(from)
		if err != nil || len(ids) == 0 {
			return
		}
		if _, err := c.hold(c.base, "give", ids...); err != nil {
			c.s.trouble(c.base, "leave", err)
			return
		}
		from = "(" + ids[len(ids)-1]
	}
}

// remove takes a consumer without entries off the group.
func (c *consumer[T]) remove(consumer string) (int64, error) {
	ctx, cancel := c.s.timeout.Bound(c.base)
	defer cancel()
	return c.s.st.Run(ctx, leaveScript, []string{c.s.o.Name}, c.g.Name, consumer).Int64()
}

// unfinished lists ids that are this consumer's.
func (c *consumer[T]) unfinished(from string) ([]string, error) {
	ctx, cancel := c.s.timeout.Bound(c.base)
	defer cancel()
	list, err := c.s.st.Do(ctx, "XPENDING", c.s.o.Name, c.g.Name, from, "+", itoa(holdBatch), c.g.Consumer).Array()
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(list))
	for _, one := range list {
		parts, err := one.Array()
		if err != nil || len(parts) == 0 {
			return nil, store.ErrReply
		}
		id, err := parts[0].Text()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
