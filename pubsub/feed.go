package pubsub

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Feeds
//
// A feed is one subscription of the store, which all local subscribers of the same channel or pattern share. The first
// opens it, the last that goes closes it. It decodes a message once and puts a pointer to it in the queue of each
// subscriber; queues are bounded, and putting never waits, so a slow subscriber costs the others nothing.
//
// A subscriber with the policy Block is the exception: waiting is what it asks for. It gets a feed of its own, so that only
// its own connection waits.

// feed is one running subscription of the store.
type feed[T any] struct {
	t      *Topic[T]
	from   source
	own    bool // of one subscriber alone
	cancel context.CancelFunc
	ready  chan struct{} // closed when the store has confirmed
	done   chan struct{} // closed when the subscription has ended

	mu    sync.Mutex // guards the rest
	subs  []*Subscription[T]
	stale bool  // the snapshot is not of subs
	err   error // why it ended

	snapshot []*Subscription[T] // of subs, never changed in place
}

// join adds a subscriber to the feed it needs, which is started if there is none.
func (t *Topic[T]) join(s *Subscription[T], from source) (*feed[T], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed.Load() {
		return nil, store.ErrClosed
	}
	own := s.l.Overflow == Block
	f := t.feeds[from]
	if own || f == nil {
		f = &feed[T]{t: t, from: from, own: own, ready: make(chan struct{}), done: make(chan struct{})}
		if own { // under a name that no channel has, only so that Close finds it
			f.from.name = fmt.Sprintf("%s\x00%p", from.name, f)
		}
		t.feeds[f.from] = f
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(context.Background())
		go f.run(ctx, from)
	}
	f.add(s)
	observe.Gauge(context.Background(), t.o.Observer, t.op("subscribers"), float64(t.subscribers.Add(1)))
	return f, nil
}

// part takes a subscriber off its feed. The last one ends it and waits for its end.
func (f *feed[T]) part(s *Subscription[T]) {
	t := f.t
	t.mu.Lock()
	last, was := f.remove(s)
	if was {
		figures := s.figures()
		t.past.add(figures)
		observe.Gauge(context.Background(), t.o.Observer, t.op("subscribers"), float64(t.subscribers.Add(-1)))
	}
	if last && t.feeds[f.from] == f {
		delete(t.feeds, f.from)
	}
	t.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
}

func (f *feed[T]) add(s *Subscription[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, s)
	f.stale = true
	if f.err != nil {
		s.end(f.err)
	}
}

// remove reports whether nobody is left, and whether s was there.
func (f *feed[T]) remove(s *Subscription[T]) (last, was bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.subs, s)
	if i < 0 {
		return false, false
	}
	end := len(f.subs) - 1
	f.subs[i], f.subs[end] = f.subs[end], nil
	f.subs, f.stale = f.subs[:end], true
	return end == 0, true
}

// listeners is who listens. The slice is shared: it must not be changed.
func (f *feed[T]) listeners() []*Subscription[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stale {
		f.snapshot, f.stale = slices.Clone(f.subs), false
	}
	return f.snapshot
}

func (f *feed[T]) run(ctx context.Context, from source) {
	defer close(f.done)
	sub := store.Subscription{OnMessage: func(m store.Message) { f.deliver(ctx, m) }, OnReady: func(resumed bool) { f.confirmed(ctx, resumed) }}
	switch {
	case from.pattern:
		sub.Patterns = []string{from.name}
	case f.t.o.Sharded:
		sub.Shards = []string{from.name}
	default:
		sub.Channels = []string{from.name}
	}
	err := f.t.st.Subscribe(ctx, sub)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = store.ErrClosed
	}
	f.t.mu.Lock()
	if f.t.feeds[f.from] == f { // who comes next tries anew
		delete(f.t.feeds, f.from)
	}
	f.t.mu.Unlock()
	f.fail(err)
}

// fail ends every subscriber, and those who come too late.
func (f *feed[T]) fail(err error) {
	f.mu.Lock()
	f.err = err
	subs := slices.Clone(f.subs)
	f.mu.Unlock()
	for _, s := range subs {
		s.end(err)
	}
}

// close ends the feed from outside.
func (f *feed[T]) close(err error) {
	f.fail(err)
	f.cancel()
	<-f.done
}

// confirmed hears that the store listens; resumed: again, after a connection was lost.
func (f *feed[T]) confirmed(ctx context.Context, resumed bool) {
	if !resumed {
		close(f.ready)
		return
	}
	f.t.gaps.Add(1)
	observe.Count(ctx, f.t.o.Observer, f.t.op("gap"), 1)
	for _, s := range f.listeners() {
		s.resumed()
	}
}

// deliver hands a message out.
func (f *feed[T]) deliver(ctx context.Context, m store.Message) {
	t := f.t
	t.received.Add(1)
	msg, err := t.decode(m)
	if err != nil {
		t.undecodable.Add(1)
		observe.Count(ctx, t.o.Observer, t.op("undecodable"), 1)
		if t.o.OnError != nil {
			t.o.OnError(ctx, store.Wrap("pubsub", "receive", m.Channel, fmt.Errorf("cannot decode a message of %d bytes: %w", len(m.Payload), err)))
		}
		return
	}
	size := len(m.Payload) + len(m.Channel) + overhead
	dropped := 0
	for _, s := range f.listeners() {
		dropped += s.offer(msg, size)
	}
	if dropped > 0 {
		observe.Count(ctx, t.o.Observer, t.op("dropped"), int64(dropped))
	}
}
