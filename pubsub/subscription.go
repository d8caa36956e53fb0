package pubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// Message is what a publisher sent. All subscribers of this process get the same one: it must not be changed, nor what
// its Value points to.
type Message[T any] struct {
	Value   T
	Channel string
	Part    string // of the topic, without its name; empty for the topic itself
}

// Overflow says what happens to a message for which a subscriber has no room.
type Overflow uint8

const (
	// DropOldest makes room by dropping what waited longest: for values that replace each other, such as prices.
	DropOldest Overflow = iota

	// DropNewest drops the message itself: what waits stays a piece of the original sequence.
	DropNewest

	// Disconnect ends the subscription with ErrSlow, after what waits: for consumers that would rather begin anew than
	// miss something.
	Disconnect

	// Block waits for room, up to Listener.Patience, and then drops the message. The subscriber gets a subscription of the
	// store for itself, a connection of its own that is, whose buffer at the store takes what comes meanwhile; a store
	// bounds that too (client-output-buffer-limit pubsub) and breaks the connection, which shows as a Gap.
	Block
)

// Defaults of Listener.
const (
	DefaultBuffer      = 1024
	DefaultBufferBytes = 4 << 20
	DefaultPatience    = time.Second
)

// Listener says what to listen to and how. The zero Listener listens to the topic itself.
type Listener struct {
	// Part, if set, listens to that part of the topic instead. Match listens to all parts that match a glob pattern, as
	// PSUBSCRIBE takes it: "eur*"; "*" is all parts.
	Part  string
	Match string

	// Buffer and BufferBytes bound the messages that wait for the subscriber, by number and by size as they came (with
	// some 100 bytes for each); a single message passes whatever its size. Defaults DefaultBuffer and DefaultBufferBytes.
	Buffer      int
	BufferBytes int

	// Overflow says what happens past that; default DropOldest. Patience is how long Block waits, default DefaultPatience.
	Overflow Overflow
	Patience time.Duration

	// OnGap, if set, is told that messages are missing, in its place between those before and those after: what depends on
	// having seen every message (a local copy, say) should be refreshed. It runs on the goroutine that takes messages, which
	// with Chan is one that Close waits for: do not Close there.
	OnGap func(Gap)
}

// Gap is a place where messages are missing.
type Gap struct {
	Dropped int64 // so many were dropped because the subscriber was slow
	Resumed bool  // the connection to the store was lost and is back: nobody knows how many are missing, if any
}

// ErrSlow ends a subscription with Overflow Disconnect whose buffer is full.
var ErrSlow = errors.New("the subscriber is too slow: its buffer is full")

// errDone ends a subscription that was closed by its owner.
var errDone = fmt.Errorf("the subscription was closed: %w", store.ErrClosed)

// overhead is what a waiting message takes besides its bytes, about.
const overhead = 100

func (l *Listener) complete(sharded bool) error {
	switch {
	case l.Part != "" && l.Match != "":
		return fmt.Errorf("%w: Part and Match together", store.ErrInvalid)
	case sharded && l.Match != "":
		return fmt.Errorf("%w: a sharded topic has no patterns", store.ErrInvalid)
	case l.Buffer < 0 || l.BufferBytes < 0 || l.Patience < 0:
		return fmt.Errorf("%w: Buffer %d, BufferBytes %d, Patience %v", store.ErrInvalid, l.Buffer, l.BufferBytes, l.Patience)
	case l.Overflow > Block:
		return fmt.Errorf("%w: Overflow %d", store.ErrInvalid, l.Overflow)
	}
	if l.Buffer == 0 {
		l.Buffer = DefaultBuffer
	}
	if l.BufferBytes == 0 {
		l.BufferBytes = DefaultBufferBytes
	}
	if l.Patience == 0 {
		l.Patience = DefaultPatience
	}
	return nil
}

// escape makes a name a pattern that only it matches.
var escape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func (t *Topic[T]) sourceOf(l Listener) source {
	if l.Match != "" {
		return source{escape.Replace(t.o.Name) + ":" + l.Match, true}
	}
	return source{t.channel(l.Part), false}
}

// Subscribe hands messages to fn, one at a time and in order, until ctx ends; it returns ctx's error. It ends earlier only
// if the Topic or the store is closed, if the store refuses (store.ErrDenied), or with ErrSlow. While the store is down it
// waits; a lost connection is restored. See Listener.OnGap for how missing messages show.
func (t *Topic[T]) Subscribe(ctx context.Context, l Listener, fn func(ctx context.Context, m *Message[T])) error {
	if fn == nil {
		return store.Wrap("pubsub", "subscribe", t.sourceOf(l).name, fmt.Errorf("%w: no function to hand messages to", store.ErrInvalid))
	}
	s, err := t.open(ctx, l, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		m, err := s.Next(ctx)
		if err != nil {
			return err
		}
		fn(ctx, m)
	}
}

// Open subscribes and returns when the store has confirmed it: what is published from then on arrives. Close must follow.
// If the store does not confirm within Options.Timeout the error is store.ErrUnavailable.
func (t *Topic[T]) Open(ctx context.Context, l Listener) (*Subscription[T], error) {
	return t.open(ctx, l, t.timeout.Duration())
}

func (t *Topic[T]) open(ctx context.Context, l Listener, within time.Duration) (*Subscription[T], error) {
	from := t.sourceOf(l)
	if err := l.complete(t.o.Sharded); err != nil {
		return nil, store.Wrap("pubsub", "subscribe", from.name, err)
	}
	s := newSubscription(t, l)
	f, err := t.join(s, from)
	if err != nil {
		return nil, store.Wrap("pubsub", "subscribe", from.name, err)
	}
	s.feed = f
	if err := s.await(ctx, within); err != nil {
		_ = s.Close()
		return nil, store.Wrap("pubsub", "subscribe", from.name, err)
	}
	return s, nil
}

// await waits for the store's confirmation.
func (s *Subscription[T]) await(ctx context.Context, within time.Duration) error {
	if within > 0 {
		bounded, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		select {
		case <-s.feed.ready:
			return nil
		case <-s.done:
			return s.cause()
		case <-bounded.Done():
			return store.Unavailable(bounded.Err())
		}
	}
	select {
	case <-s.feed.ready:
		return nil
	case <-s.done:
		return s.cause()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Subscription is a subscriber. Next may be called by several goroutines; each message goes to one of them.
type Subscription[T any] struct {
	t    *Topic[T]
	l    Listener
	feed *feed[T]
	wake chan struct{} // a token: look again
	room chan struct{} // a token: something was taken; for Block
	done chan struct{} // closed at the end: nothing more is offered
	left chan struct{} // closed by Close: nobody will take anything
	pump sync.WaitGroup

	mu      sync.Mutex // guards the rest
	queue   []item[T]  // a ring
	head, n int
	bytes   int
	tail    Gap   // behind the last item
	waiting int   // goroutines in Next
	err     error // why it ended
	closed  bool  // by its owner
	count   Figures
}

// item is a message in the queue.
type item[T any] struct {
	msg  *Message[T]
	size int
	gap  Gap // before it
}

// Figures are a subscription's counters. Offered messages are Delivered + Dropped + Queued.
type Figures struct {
	Delivered uint64 // taken
	Dropped   uint64 // see Overflow; and what waited when the subscription was closed
	Queued    uint64 // waiting
}
