package lock

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/larderdb/larder/store"
)

// listener is the subscription to the client's channel, on which the store tells its waiters that they are served. There
// is one for all locks, from the first wait to Close.
type listener struct {
	ready chan struct{} // closed when it listens, or never will
	heard bool          // ready is closed; owned by the goroutine that subscribes
	polls atomic.Bool   // the store cannot wake anybody
}

func (li *listener) begin() {
	if !li.heard {
		li.heard = true
		close(li.ready)
	}
}

// listens reports whether the listener is up.
func (l *Locker) listens() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener == nil {
		return false
	}
	select {
	case <-l.listener.ready:
		return true
	default:
		return false
	}
}

func (l *Locker) polls() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listener != nil && l.listener.polls.Load()
}

// listen starts the listener if there is none.
func (l *Locker) listen() *listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener == nil {
		l.listener = &listener{ready: make(chan struct{})}
		if !l.closed {
			l.wg.Go(func() { l.subscribe(l.listener) })
		}
	}
	return l.listener
}

func (l *Locker) subscribe(li *listener) {
	err := l.st.Subscribe(l.ctx, store.Subscription{
		Channels:  []string{l.wake + l.client},
		OnMessage: func(m store.Message) { l.served(m.Payload) },
		OnReady: func(resumed bool) {
			li.begin()
			if resumed { // messages may be lost: all waiters look for themselves
				l.wakeAll()
			}
		},
	})
	if l.ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return
	}
	li.polls.Store(true)
	li.begin()
	l.wakeAll()
}

func (l *Locker) wakeAll() {
	for _, le := range l.all() {
		le.wakeUp()
	}
}

// all is what is held or waited for.
func (l *Locker) all() (list []*Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for le := l.newest; le != nil; le = le.older {
		list = append(list, le)
	}
	return list
}

// wakeUp makes a waiter look.
func (le *Lease) wakeUp() {
	le.mu.Lock()
	defer le.mu.Unlock()
	select {
	case le.woken <- struct{}{}:
	default: // it will, or it does not wait
	}
}

// served handles a message: "id token ends now key".
func (l *Locker) served(payload string) {
	w := strings.SplitN(payload, " ", 5)
	if len(w) != 5 || !validID(w[0]) || clientOf(w[0]) != l.client {
		return
	}
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(w[1+i], 10, 64); err != nil {
			return
		}
	}
	l.mu.Lock()
	le := l.waiters[w[0]]
	l.mu.Unlock()
	if le == nil { // it left at the same moment
		k := &Lock{l: l, keys: []string{w[4], w[4] + bodySuffix}}
		l.spawn(func() { l.abandon(k, w[0], 0) })
		return
	}
	le.mu.Lock()
	if le.state == waiting {
		le.offer = &offer{answer{granted: true, token: n[0], ends: n[1], now: n[2]}, l.clock.Monotonic()}
	}
	le.mu.Unlock()
	le.wakeUp()
}

// register makes a lease known, so that Close finds it, and messages do if the store may send some. false: the Locker is
// closed.
func (l *Locker) register(le *Lease, hears bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if hears {
		l.waiters[le.id] = le
	}
	if le.older = l.newest; le.older != nil {
		le.older.newer = le
	}
	l.newest, le.listed = le, true
	l.count++
	if l.sweeping {
		return true
	}
	l.sweeping = true
	if l.sweeper == nil {
		l.sweeper = l.clock.AfterFunc(l.o.TTL/sweeps, l.sweep)
	} else {
		l.sweeper.Reset(l.o.TTL / sweeps)
	}
	return true
}

// expect lets messages find a lease.
func (l *Locker) expect(le *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if le.listed {
		l.waiters[le.id] = le
	}
}

func (l *Locker) forget(le *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !le.listed {
		return
	}
	if le.woken != nil {
		delete(l.waiters, le.id)
	}
	if le.newer != nil {
		le.newer.older = le.older
	} else {
		l.newest = le.older
	}
	if le.older != nil {
		le.older.newer = le.newer
	}
	le.newer, le.older, le.listed = nil, nil, false
	l.count--
}

// sweeps is how often in a TTL newcomers are looked at; the first extension is due after a third of one.
const sweeps = 8

// sweep gives a timer to what is still held. Most leases are released long before it comes to them, and so never had one.
func (l *Locker) sweep() {
	l.mu.Lock()
	l.sweeping = false
	var late []*Lease
	for le := l.newest; le != nil && !le.swept; le = le.older {
		le.swept = true
		late = append(late, le)
	}
	l.mu.Unlock()
	for _, le := range late {
		le.mu.Lock()
		le.late = true
		if le.state == held && le.timer == nil {
			le.arm()
		}
		le.mu.Unlock()
	}
}

// spawn runs f on a goroutine that Close waits for; not at all when the Locker is closed.
func (l *Locker) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Go(f)
	return true
}
