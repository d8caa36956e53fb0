package pubsub

import (
	"context"

	"github.com/larderdb/larder/store"
)

// A subscriber's queue is a ring of pointers to shared messages. Each item carries the gap before it, and the queue the gap
// behind its last item, so that a gap keeps its place whatever is dropped around it.

func newSubscription[T any](t *Topic[T], l Listener) *Subscription[T] {
	return &Subscription[T]{t: t, l: l, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}), left: make(chan struct{})}
}

// offer puts a message into the queue and returns how many were dropped for it, itself included.
func (s *Subscription[T]) offer(msg *Message[T], size int) (dropped int) {
	s.mu.Lock()
	if s.full(size) {
		switch s.l.Overflow {
		case DropOldest:
			for s.full(size) {
				s.dropOldest()
				dropped++
			}
		case Block:
			s.waitForRoom(size)
		}
	}
	switch {
	case s.err != nil: // it has ended, perhaps meanwhile; the message is not offered
		s.mu.Unlock()
		return dropped
	case s.full(size):
		s.tail.Dropped++
		s.count.Dropped++
		dropped++
		if s.l.Overflow == Disconnect {
			s.finish(ErrSlow)
		}
	default:
		s.push(item[T]{msg, size, s.tail})
		s.tail = Gap{}
	}
	wake := s.waiting > 0
	s.mu.Unlock()
	if wake {
		token(s.wake)
	}
	return dropped
}

// full tells whether a message has no room. mu is held, here and below.
func (s *Subscription[T]) full(size int) bool {
	return s.n >= s.l.Buffer || s.n > 0 && s.bytes+size > s.l.BufferBytes
}

func (s *Subscription[T]) push(it item[T]) {
	if s.n == len(s.queue) {
		grown := make([]item[T], max(8, 2*s.n))
		k := copy(grown, s.queue[s.head:])
		copy(grown[k:], s.queue[:s.head])
		s.queue, s.head = grown, 0
	}
	s.queue[(s.head+s.n)&(len(s.queue)-1)] = it // the length is a power of two
	s.n++
	s.bytes += it.size
}

func (s *Subscription[T]) shift() item[T] {
	it := s.queue[s.head]
	s.queue[s.head] = item[T]{}
	s.head = (s.head + 1) & (len(s.queue) - 1)
	s.n--
	s.bytes -= it.size
	return it
}

// dropOldest leaves a gap in the item's place.
func (s *Subscription[T]) dropOldest() {
	it := s.shift()
	s.count.Dropped++
	next := &s.tail
	if s.n > 0 {
		next = &s.queue[s.head].gap
	}
	next.Dropped += it.gap.Dropped + 1
	next.Resumed = next.Resumed || it.gap.Resumed
}

// waitForRoom lets go of mu while it waits.
func (s *Subscription[T]) waitForRoom(size int) {
	timer := s.t.clock.NewTimer(s.l.Patience)
	defer timer.Stop()
	for s.full(size) && s.err == nil {
		s.mu.Unlock()
		select {
		case <-s.room:
		case <-s.done:
		case <-timer.C():
			s.mu.Lock()
			return
		}
		s.mu.Lock()
	}
}

// resumed marks a lost connection.
func (s *Subscription[T]) resumed() {
	s.mu.Lock()
	s.tail.Resumed = true
	s.mu.Unlock()
	token(s.wake)
}

// Next waits for the next message. Its error is ctx's; or why the subscription ended, after what waited was taken:
// ErrSlow, store.ErrClosed after a Close, or what the store said.
func (s *Subscription[T]) Next(ctx context.Context) (*Message[T], error) {
	for {
		if err := ctx.Err(); err != nil {
			s.passOn()
			return nil, err
		}
		msg, gap, err := s.take()
		if gap != (Gap{}) && s.l.OnGap != nil {
			s.l.OnGap(gap)
		}
		switch {
		case msg != nil:
			return msg, nil
		case err != nil:
			return nil, store.Wrap("pubsub", "receive", s.t.sourceOf(s.l).name, err)
		case gap != (Gap{}):
			continue
		}
		select {
		case <-s.wake:
		case <-s.done:
		case <-ctx.Done():
		}
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}
}

// passOn wakes another of several in Next: the one that leaves may have taken the token that was for a message.
func (s *Subscription[T]) passOn() {
	s.mu.Lock()
	wake := s.waiting > 0 && (s.n > 0 || s.tail != Gap{})
	s.mu.Unlock()
	if wake {
		token(s.wake)
	}
}

// take gives the next message and the gap before it, or a gap alone, or why there will be nothing. If it gives none of
// these the caller is counted as waiting.
func (s *Subscription[T]) take() (msg *Message[T], gap Gap, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.n > 0:
		it := s.shift()
		s.count.Delivered++
		if s.waiting > 0 && s.n > 0 { // the token was for one: wake the next
			token(s.wake)
		}
		if s.l.Overflow == Block {
			token(s.room)
		}
		return it.msg, it.gap, nil
	case s.tail != Gap{}:
		gap, s.tail = s.tail, Gap{}
		return nil, gap, nil
	case s.err != nil:
		return nil, gap, s.err
	}
	s.waiting++
	return nil, gap, nil
}

// Chan gives the messages on a channel, which is closed when the subscription ends; Err tells why. It starts a goroutine
// that Close ends, and is for one consumer: call it once, and do not call Next beside it.
func (s *Subscription[T]) Chan() <-chan *Message[T] {
	out := make(chan *Message[T])
	s.pump.Go(func() {
		defer close(out)
		for {
			m, err := s.Next(context.Background())
			if err != nil {
				return
			}
			select {
			case out <- m:
				continue
			default:
			}
			select {
			case out <- m:
			case <-s.left:
				s.mu.Lock()
				s.count.Delivered-- // nobody took it
				s.count.Dropped++
				s.mu.Unlock()
				return
			}
		}
	})
	return out
}

// Err tells why the subscription has ended: nil while it has not.
func (s *Subscription[T]) Err() error {
	if err := s.cause(); err != nil {
		return store.Wrap("pubsub", "receive", s.t.sourceOf(s.l).name, err)
	}
	return nil
}

func (s *Subscription[T]) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Figures is a snapshot of the counters.
func (s *Subscription[T]) Figures() Figures { return s.figures() }

func (s *Subscription[T]) figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.count
	f.Queued = uint64(s.n)
	return f
}

// end ends the subscription; what waits can still be taken.
func (s *Subscription[T]) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(err)
}

// finish is end with mu held.
func (s *Subscription[T]) finish(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// Close ends the subscription. What waits is dropped, and counted so. The last subscriber's Close unsubscribes from the
// store and waits until that is done. Twice is once; it returns nil.
func (s *Subscription[T]) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.finish(errDone)
	s.count.Dropped += uint64(s.n)
	s.queue, s.head, s.n, s.bytes = nil, 0, 0, 0
	close(s.left)
	s.mu.Unlock()
	s.pump.Wait()
	s.feed.part(s)
	return nil
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
