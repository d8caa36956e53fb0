package rest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/larderdb/larder/store"
)

// All subscribers of the same set of channels, or of patterns, share one subscription of the Store, which to a server is one
// connection; so they get messages of different channels in the order in which they were sent. An event is encoded once, and the
// same bytes are in the bounded queue of each subscriber.

// hub keeps the feeds.
type hub struct {
	o   *Options
	ctx context.Context // ends with the Server

	count atomic.Int64  // subscribers
	slow  atomic.Uint64 // who fell too far behind

	mu    sync.Mutex
	feeds map[source]*feed
}

// source is what a feed listens to.
type source struct {
	user    string // in whose name; see user
	names   string // length and text of each
	pattern bool
	coded   bool // names and payloads go out in base64
}

// feed is a subscription of a Store.
type feed struct {
	source
	names  []string
	st     store.Store
	cancel context.CancelFunc
	ready  chan struct{} // closed when the Store has confirmed
	ended  chan struct{} // closed when it has ended
	err    error         // why; set before

	mu   sync.Mutex
	subs map[*subscriber]struct{}
}

// subscriber is a client that listens to some feeds.
type subscriber struct {
	o    *Options
	wake chan struct{}

	mu    sync.Mutex
	queue [][]byte
	size  int
	err   error           // why it is over
	over  func(err error) // called once, since the client may be one that does not read; nil unless there is a response. It must not block
}

var (
	errSlow  = errors.New("the subscriber is too slow")
	errMany  = store.ServerError("ERR max number of subscribers reached")
	errFeeds = store.ServerError("ERR max number of different subscriptions reached")
)

func newSubscriber(o *Options) *subscriber {
	return &subscriber{o: o, wake: make(chan struct{}, 1)}
}

// begin says that from now on there is a response, which over cuts off.
func (s *subscriber) begin(over func(err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = over
	return s.err
}

// done says that the response is complete: over is not called any more.
func (s *subscriber) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = nil
}

// offer queues an event. It never blocks.
func (s *subscriber) offer(event []byte) (dropped bool) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return false
	}
	if len(s.queue) >= s.o.Backlog || s.size+len(event) > s.o.BacklogBytes && s.size > 0 {
		s.mu.Unlock()
		s.stop(errSlow)
		return true
	}
	s.queue, s.size = append(s.queue, event), s.size+len(event)
	s.mu.Unlock()
	s.signal()
	return false
}

func (s *subscriber) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stop ends the subscriber for a reason, what waits for it notwithstanding.
func (s *subscriber) stop(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err, s.queue, s.size = err, nil, 0
		if s.over != nil {
			s.over(err)
		}
	}
	s.mu.Unlock()
	s.signal()
}

// take empties the queue.
func (s *subscriber) take(into [][]byte) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	into = append(into[:0], s.queue...)
	clear(s.queue)
	s.queue, s.size = s.queue[:0], 0
	return into, s.err
}

// join adds a subscriber to a source's feed, which begins with the first.
func (h *hub) join(st store.Store, from source, names []string, s *subscriber) (*feed, error) {
	var key []byte
	for _, name := range names {
		key = append(append(strconv.AppendInt(key, int64(len(name)), 10), ':'), name...)
	}
	from.names = string(key)
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[from]
	if f == nil {
		if len(h.feeds) >= h.o.MaxSubscriptions && !store.InProcess(st) {
			return nil, errFeeds
		}
		if h.feeds == nil {
			h.feeds = map[source]*feed{}
		}
		f = &feed{source: from, names: names, st: st, ready: make(chan struct{}), ended: make(chan struct{}), subs: map[*subscriber]struct{}{}}
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(h.ctx)
		h.feeds[from] = f
		go h.run(ctx, f)
	}
	f.mu.Lock()
	f.subs[s] = struct{}{}
	f.mu.Unlock()
	return f, nil
}

// leave takes a subscriber off a feed, which ends with the last.
func (h *hub) leave(f *feed, s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.mu.Lock()
	delete(f.subs, s)
	last := len(f.subs) == 0
	f.mu.Unlock()
	if last {
		f.cancel()
		if h.feeds[f.source] == f {
			delete(h.feeds, f.source)
		}
	}
}

// run is a feed's subscription of the Store.
func (h *hub) run(ctx context.Context, f *feed) {
	defer f.cancel()
	sub := store.Subscription{
		OnMessage: func(m store.Message) { h.publish(f, f.event(m)) },
		OnReady: func(resumed bool) {
			if !resumed {
				close(f.ready)
			}
		},
	}
	if f.pattern {
		sub.Patterns = f.names
	} else {
		sub.Channels = f.names
	}
	err := f.st.Subscribe(ctx, sub)
	h.mu.Lock() // nobody joins what has ended
	if h.feeds[f.source] == f {
		delete(h.feeds, f.source)
	}
	h.mu.Unlock()
	f.err = err
	close(f.ended)
	f.mu.Lock()
	subs := f.subs
	f.subs = map[*subscriber]struct{}{}
	f.mu.Unlock()
	for s := range subs {
		s.stop(err)
	}
}

func (h *hub) publish(f *feed, event []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		if s.offer(event) {
			h.slow.Add(1)
		}
	}
}
