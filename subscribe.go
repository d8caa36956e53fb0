package larder

import (
	"context"
	"strings"
	"sync"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/store"
)

// backlog bounds the messages that wait for a slow consumer. Past it they are
// dropped together and OnReady tells of the gap, as a server does that disconnects
// a client which does not read.
const (
	backlog      = 1 << 16
	backlogBytes = 32 << 20 // what client-output-buffer-limit gives a client of a server
)

// listener is one running Subscribe.
type listener struct {
	mu      sync.Mutex
	queue   []store.Message
	size    int // bytes of the queue's channels and payloads
	dropped bool
	err     error // why it has ended
	wake    chan struct{}
	account *acl.Account // in whose name it listens; nil: the program's own
}

// Account implements command.Guest.
func (l *listener) Account() *acl.Account { return l.account }

// Expel implements command.Guest.
func (l *listener) Expel(reason string) { l.end(expelled(reason)) }

// Deliver implements engine.Subscriber. It never blocks.
func (l *listener) Deliver(pattern, channel, payload []byte) {
	l.mu.Lock()
	if n := len(channel) + len(payload); len(l.queue) >= backlog || l.size+n > backlogBytes && l.size > 0 {
		l.queue, l.size, l.dropped = nil, 0, true
	} else {
		l.size += n
		l.queue = append(l.queue, store.Message{Channel: string(channel), Pattern: string(pattern), Payload: string(payload)})
	}
	l.mu.Unlock()
	l.signal()
}

func (l *listener) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (l *listener) take() (messages []store.Message, dropped bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	messages, dropped, err = l.queue, l.dropped, l.err
	l.queue, l.size, l.dropped = nil, 0, false
	return messages, dropped, err
}

func (l *listener) end(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = err
	}
	l.mu.Unlock()
	l.signal()
}

// listeners are the running Subscribes and Monitors, for Close to end.
type listeners struct {
	mu     sync.Mutex
	all    map[ender]struct{}
	closed bool
}

type ender interface{ end(err error) }

func (s *listeners) add(l ender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.all == nil {
		s.all = make(map[ender]struct{})
	}
	s.all[l] = struct{}{}
	return true
}

func (s *listeners) remove(l ender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, l)
}

func (s *listeners) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.all {
		l.end(store.ErrClosed)
	}
}

// register has Close end a Subscribe or Monitor: that of the DB, and that of the user in whose name it is.
func (db *DB) register(l ender, u *User) (leave func(), err error) {
	if !db.subs.add(l) {
		return nil, store.ErrClosed
	}
	if u != nil && !u.subs.add(l) {
		db.subs.remove(l)
		return nil, store.ErrClosed
	}
	return func() {
		db.subs.remove(l)
		if u != nil {
			u.subs.remove(l)
		}
	}, nil
}

// Subscribe delivers published messages to sub.OnMessage until ctx ends; see [store.Store].
func (db *DB) Subscribe(ctx context.Context, sub store.Subscription) error {
	return db.subscribe(ctx, sub, nil)
}

// subscribe is Subscribe, in a user's name if there is one.
func (db *DB) subscribe(ctx context.Context, sub store.Subscription, u *User) error {
	if len(sub.Channels)+len(sub.Patterns)+len(sub.Shards) == 0 || sub.OnMessage == nil {
		return store.ErrInvalid
	}
	l := &listener{wake: make(chan struct{}, 1), account: u.acts()}
	leave, err := db.register(l, u)
	if err != nil {
		return err
	}
	defer leave()
	hub := &db.engine.Hub
	for _, c := range sub.Channels {
		c = strings.Clone(c)
		hub.Subscribe(l, c)
		defer hub.Unsubscribe(l, c)
	}
	for _, p := range sub.Patterns {
		p = strings.Clone(p)
		hub.PSubscribe(l, p)
		defer hub.PUnsubscribe(l, p)
	}
	for _, c := range sub.Shards {
		c = strings.Clone(c)
		hub.SSubscribe(l, c)
		defer hub.SUnsubscribe(l, c)
	}
	if err := u.maySubscribe(sub); err != nil { // only now: who takes the permission away from now on finds l
		return err
	}
	if sub.OnReady != nil {
		sub.OnReady(false)
	}
	return l.run(ctx, sub)
}

func (l *listener) run(ctx context.Context, sub store.Subscription) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
		}
		messages, dropped, err := l.take()
		if err != nil {
			return err
		}
		if dropped && sub.OnReady != nil {
			sub.OnReady(true)
		}
		for _, m := range messages {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			sub.OnMessage(m)
		}
	}
}
