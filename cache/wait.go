package cache

import (
	"context"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// Waiting for another process's load
//
// Who finds a foreign lease subscribes to the cache's channel, marks the lease as waited for, and sleeps until the
// process that ends the lease says so there; it publishes only for leases so marked. All who wait in this process share
// one subscription, which ends with the last of them. Messages may be lost and leases may end in other ways (Delete, their
// TTL), so nobody sleeps longer than recheck before looking again; on a store without publish and subscribe that is all
// there is.

const (
	recheck      = 250 * time.Millisecond // with a subscription
	recheckBlind = 50 * time.Millisecond  // without one
)

// waits are those who wait in this process.
type waits struct {
	channel string

	mu    sync.Mutex // guards the rest
	keys  map[string]map[chan struct{}]struct{}
	refs  int
	ready chan struct{} // closed when the subscription is confirmed, or has failed
	blind bool          // it has failed
	end   context.CancelFunc
}

// enter registers who waits for a key, and starts the subscription for the first. leave must follow.
func (c *Cache[T]) enter(key string) (woken, ready chan struct{}) {
	w := &c.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refs++; w.refs == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		w.ready, w.end, w.blind = make(chan struct{}), cancel, false
		w.keys = map[string]map[chan struct{}]struct{}{}
		go w.listen(ctx, c.st, w.ready)
	}
	woken = make(chan struct{}, 1)
	if w.keys[key] == nil {
		w.keys[key] = map[chan struct{}]struct{}{}
	}
	w.keys[key][woken] = struct{}{}
	return woken, w.ready
}

func (w *waits) leave(key string, woken chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.keys[key], woken); len(w.keys[key]) == 0 {
		delete(w.keys, key)
	}
	if w.refs--; w.refs == 0 {
		w.end()
	}
}

// listen is the subscription.
func (w *waits) listen(ctx context.Context, st store.Store, ready chan struct{}) {
	var once sync.Once
	confirmed := func() { once.Do(func() { close(ready) }) }
	err := st.Subscribe(ctx, store.Subscription{
		Channels:  []string{w.channel},
		OnMessage: func(m store.Message) { w.wake(m.Payload) },
		OnReady: func(resumed bool) {
			if confirmed(); resumed {
				w.wakeAll()
			}
		},
	})
	if err != nil && ctx.Err() == nil {
		w.mu.Lock()
		w.blind = true
		w.mu.Unlock()
	}
	confirmed()
}

func (w *waits) wake(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for woken := range w.keys[key] {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}

func (w *waits) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, all := range w.keys {
		for woken := range all {
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	}
}

// publish tells those who wait for keys, in any process, to look again.
func (c *Cache[T]) publish(ctx context.Context, over []string) {
	var cmds []store.Cmd
	for _, key := range over {
		cmds = append(cmds, store.Cmd{"PUBLISH", c.waits.channel, key})
	}
	if len(cmds) > 0 {
		c.st.Pipe(ctx, cmds...) // who does not hear of it looks again by itself
	}
}

// await returns when a foreign lease may have ended, or with the error of ctx or of p.
func (c *Cache[T]) await(ctx context.Context, key string, p *patience) error {
	c.n.waits.Add(1)
	c.event(ctx, "wait", key)
	woken, ready := c.enter(key)
	defer c.waits.leave(key, woken)
	if err := p.wait(ctx, ready, nil); err != nil {
		return err
	}
	bounded, cancel := c.timeout.Bound(ctx)
	r := c.st.Run(bounded, lease, []string{c.o.Prefix + key}, leaseWait, token8(0), token8(0), "1")
	cancel()
	if n, err := r.Int64(); err == nil && n == 0 {
		return nil // it has ended
	}
	c.waits.mu.Lock()
	slice := recheck
	if c.waits.blind {
		slice = recheckBlind
	}
	c.waits.mu.Unlock()
	timer := c.clk.NewTimer(slice)
	defer timer.Stop()
	return p.wait(ctx, woken, timer.C())
}

// patience is how long a caller waits, in sum: for loads of this process and of others.
type patience struct {
	clk        clock.Clock
	soft, hard time.Duration // 0: no limit

	timers [2]clock.Timer
	fired  [2]<-chan time.Time
}

// begin starts the limits, at the first call. softly counts the soft one in.
func (p *patience) begin(softly bool) {
	for i, d := range [...]time.Duration{p.soft, p.hard} {
		if d > 0 && p.timers[i] == nil && (softly || i == 1) {
			p.timers[i] = p.clk.NewTimer(d)
			p.fired[i] = p.timers[i].C()
		}
	}
}

// limited tells whether a limit has begun.
func (p *patience) limited() bool { return p.timers[0] != nil || p.timers[1] != nil }

func (p *patience) end() {
	for _, t := range p.timers {
		if t != nil {
			t.Stop()
		}
	}
}

// wait ends with one of two events; or with ctx, or a limit, and its error.
func (p *patience) wait(ctx context.Context, done <-chan struct{}, or <-chan time.Time) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
	case <-or:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.fired[0]:
		return ErrSoftTimeout
	case <-p.fired[1]:
		return ErrLoadTimeout
	}
	return nil
}
