package pubsub

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/codec"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// DefaultTimeout is that of Options.
const DefaultTimeout = time.Second

// Options of a Topic. Name is required.
type Options struct {
	// Name is the channel: "prices". Parts of the topic are channels "prices:eur", "prices:usd"; see Topic.PublishTo.
	Name string

	// Sharded sends and listens by SPUBLISH and SSUBSCRIBE. On a Cluster a message then goes only to the servers of the
	// channel's slot, where an ordinary one goes to all. There are no patterns. Who publishes and who listens must agree. A REST
	// API has none: ErrUnsupported.
	Sharded bool

	// Codec turns values into bytes and back. Default: strings and []byte as they are, everything else JSON.
	Codec codec.Codec

	// Timeout is how long Publish may take, and how long Open waits for the store's confirmation; default DefaultTimeout,
	// negative for no limit but the ctx's. A store in this process needs none and gets none.
	Timeout time.Duration

	// Observer hears of the operation "publish", of the events "dropped", "undecodable" and "gap", and of the level
	// "subscribers".
	Observer observe.Observer

	// OnError, if set, hears of messages that cannot be decoded. It runs on the goroutine that brings messages: it should be
	// quick, and must not Close the Topic or a Subscription, which wait for that goroutine.
	OnError func(ctx context.Context, err error)

	// Clock is for tests of this module; nil is the machine's.
	Clock clock.Clock
}

// Topic sends values of type T to whoever listens at the moment. It is safe for concurrent use; make one per kind of
// message with New. Close ends its subscriptions; without any there is nothing to close.
type Topic[T any] struct {
	o       Options
	st      store.Store
	codec   codec.Codec
	clock   clock.Clock
	timeout *store.CallTimeout
	command string    // PUBLISH or SPUBLISH
	buffers sync.Pool // of *[]byte

	mu    sync.Mutex // guards the rest; taken before a feed's
	feeds map[source]*feed[T]
	past  Stats // of subscriptions that ended

	closed                                 atomic.Bool // set under mu
	published, received, undecodable, gaps atomic.Uint64
	subscribers                            atomic.Int64
}

// source is what a feed listens to.
type source struct {
	name    string // of a channel, or a pattern
	pattern bool
}

// New makes a Topic of T on st. It does not touch the store; it fails only for options that make no sense.
func New[T any](st store.Store, o Options) (*Topic[T], error) {
	if o.Name == "" {
		return nil, fmt.Errorf("pubsub: %w: no Name; choose one such as \"prices\"", store.ErrInvalid)
	}
	c, err := codec.For[T](o.Codec, codec.JSON{})
	if err != nil {
		return nil, fmt.Errorf("pubsub: %w", err)
	}
	t := &Topic[T]{o: o, st: st, codec: c, clock: o.Clock, command: "PUBLISH", feeds: map[source]*feed[T]{}}
	t.buffers.New = func() any { return new([]byte) }
	if o.Sharded {
		t.command = "SPUBLISH"
	}
	if t.clock == nil {
		t.clock = clock.System()
	}
	t.timeout = store.CallTimeoutFor(st, o.Timeout, DefaultTimeout)
	return t, nil
}

// Publish sends v to those who listen now and returns how many subscriptions of the store got it: one for each process
// that listens, however many subscribers it has; on a Cluster only those at the server that was asked. One round trip.
//
// Nobody listening is no error. An error that is store.ErrUnavailable leaves open whether v was sent.
func (t *Topic[T]) Publish(ctx context.Context, v T) (receivers int64, err error) {
	return t.send(ctx, t.o.Name, []T{v})
}

// PublishTo is Publish to a part of the topic, which those hear who listen to the part or to a pattern that matches it.
// Those who listen to the topic itself do not.
func (t *Topic[T]) PublishTo(ctx context.Context, part string, v T) (receivers int64, err error) {
	return t.send(ctx, t.channel(part), []T{v})
}

// PublishMany sends values in their order in one round trip and returns the sum of the receivers. Nothing is sent if a
// value cannot be encoded. If the store fails halfway err tells why.
func (t *Topic[T]) PublishMany(ctx context.Context, values ...T) (receivers int64, err error) {
	return t.send(ctx, t.o.Name, values)
}

// PublishManyTo is PublishMany to a part of the topic.
func (t *Topic[T]) PublishManyTo(ctx context.Context, part string, values ...T) (receivers int64, err error) {
	return t.send(ctx, t.channel(part), values)
}

// channel is the channel of a part; that of "" is the topic's own.
func (t *Topic[T]) channel(part string) string {
	if part == "" {
		return t.o.Name
	}
	return t.o.Name + ":" + part
}

func (t *Topic[T]) send(ctx context.Context, channel string, values []T) (receivers int64, err error) {
	ctx, end := observe.Begin(ctx, t.o.Observer, t.op("publish"))
	switch {
	case t.closed.Load():
		err = store.ErrClosed
	case len(values) == 1:
		receivers, err = t.sendOne(ctx, channel, &values[0])
	case len(values) > 1:
		receivers, err = t.sendMany(ctx, channel, values)
	}
	if err != nil {
		err = store.Wrap("pubsub", "publish", channel, err)
		end(observe.Failed, err)
		return receivers, err
	}
	t.published.Add(uint64(len(values)))
	end(observe.OK, nil)
	return receivers, nil
}

func (t *Topic[T]) sendOne(ctx context.Context, channel string, v *T) (int64, error) {
	data, err := t.encode(v)
	if err != nil {
		return 0, err
	}
	ctx, cancel := t.timeout.Bound(ctx)
	defer cancel()
	return t.st.Do(ctx, t.command, channel, data).Int64()
}

func (t *Topic[T]) sendMany(ctx context.Context, channel string, values []T) (receivers int64, failed error) {
	cmds := make([]store.Cmd, len(values))
	for i := range values {
		data, err := t.encode(&values[i])
		if err != nil {
			return 0, fmt.Errorf("value %d: %w", i, err)
		}
		cmds[i] = store.Cmd{t.command, channel, data}
	}
	ctx, cancel := t.timeout.Bound(ctx)
	defer cancel()
	for i, r := range t.st.Pipe(ctx, cmds...) {
		n, err := r.Int64()
		if err != nil && failed == nil { // one reason is enough
			failed = fmt.Errorf("value %d: %w", i, err)
		}
		receivers += n
	}
	return receivers, failed
}

func (t *Topic[T]) encode(v *T) (string, error) {
	b, _ := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(b)
	data, err := t.codec.Append((*b)[:0], v)
	if err != nil {
		return "", fmt.Errorf("%w: cannot encode: %w", store.ErrInvalid, err)
	}
	if cap(data) <= keepBytes {
		*b = data
	}
	return string(data), nil
}

// keepBytes bounds the buffers that are kept for use again.
const keepBytes = 64 << 10

// decode makes a message of what came. The Value is shared by all who get it.
func (t *Topic[T]) decode(m store.Message) (*Message[T], error) {
	msg := &Message[T]{Channel: m.Channel}
	if len(m.Channel) > len(t.o.Name) {
		msg.Part = strings.TrimPrefix(m.Channel[len(t.o.Name):], ":")
	}
	b, _ := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(b)
	raw := append((*b)[:0], m.Payload...)
	if cap(raw) <= keepBytes {
		*b = raw
	}
	return msg, codec.Decode(t.codec, raw, &msg.Value)
}

// Close ends all subscriptions with store.ErrClosed, and waits until nothing of the Topic runs any more. Twice is once.
// The store stays open.
func (t *Topic[T]) Close() error {
	t.mu.Lock()
	t.closed.Store(true)
	feeds := make([]*feed[T], 0, len(t.feeds))
	for _, f := range t.feeds {
		feeds = append(feeds, f)
	}
	t.mu.Unlock()
	for _, f := range feeds {
		f.close(store.ErrClosed)
	}
	return nil
}

func (t *Topic[T]) op(verb string) observe.Op {
	return observe.Op{Pattern: "pubsub", Name: t.o.Name, Verb: verb}
}

// Stats counts what a Topic did in this process since New.
type Stats struct {
	Published   uint64 // sent
	Received    uint64 // came from the store, before they were handed out; undecodable ones included
	Undecodable uint64 // of those, what the codec refused
	Offered     uint64 // handed out: once for each subscriber. Always Delivered + Dropped + Queued
	Delivered   uint64 // taken by subscribers
	Dropped     uint64 // lost to subscribers that were slow, or that closed before they took them
	Queued      uint64 // waiting for subscribers
	Gaps        uint64 // lost connections that were told to subscribers
	Subscribers int
	Feeds       int // subscriptions of the store that they share
}

// Stats is a snapshot. O(subscribers).
func (t *Topic[T]) Stats() Stats {
	t.mu.Lock()
	s := t.past
	feeds := make([]*feed[T], 0, len(t.feeds))
	for _, f := range t.feeds {
		feeds = append(feeds, f)
	}
	for _, f := range feeds {
		for _, sub := range f.listeners() {
			s.add(sub.figures())
		}
	}
	t.mu.Unlock()
	s.Feeds = len(feeds)
	s.Published, s.Received, s.Undecodable = t.published.Load(), t.received.Load(), t.undecodable.Load()
	s.Gaps, s.Subscribers = t.gaps.Load(), int(t.subscribers.Load())
	return s
}

func (s *Stats) add(f Figures) {
	s.Delivered += f.Delivered
	s.Dropped += f.Dropped
	s.Queued += f.Queued
	s.Offered += f.Delivered + f.Dropped + f.Queued
}
