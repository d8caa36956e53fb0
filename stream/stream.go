package stream

import (
	"context"
	"fmt"
	"strconv"
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

// Options of a Stream. Name is required, and one of MaxLen, MaxAge and NoTrim.
type Options struct {
	// Name is the stream's key: "orders". Keys that belong to it (dead letters, the sweep's lease) are "{orders}:...", so
	// that a Cluster keeps them together. A Name with a hash tag of its own keeps that: "{shop}orders".
	Name string

	// MaxLen and MaxAge bound the stream: about so many entries, or entries about so old, are kept, whether they were
	// handled or not. Each Publish trims in the same command, in whole nodes of the stream (a hundred entries or so).
	// With both, publishes trim by one and the other in turn.
	MaxLen int64
	MaxAge time.Duration

	// NoTrim says that the stream may grow without end; somebody else trims it.
	NoTrim bool

	// Codec turns values into bytes and back. Default: strings and []byte as they are, everything else JSON.
	Codec codec.Codec

	// Timeout is how long one call to the store may take, waiting for entries aside; default DefaultTimeout, negative for
	// no limit but the ctx's. A store in this process needs none and gets none.
	Timeout time.Duration

	// Observer hears of operations: "publish" and "handle"; of the events "retried", "claimed", "lost", "dead",
	// "undecodable", "rejoined"; of the levels "lag" and "pending", named "stream/group", after each sweep.
	Observer observe.Observer

	// OnError, if set, hears of what no caller sees: failures of the store while consuming, handlers' errors and panics
	// (*PanicError), entries that cannot be decoded. It runs on the goroutine at work and should be quick.
	OnError func(ctx context.Context, err error)

	// Clock is for tests of this module; nil is the machine's.
	Clock clock.Clock
}

// Stream is a log of values of type T that several groups of consumers read, each on its own. It is safe for concurrent
// use; make one per kind of thing with New. There is nothing to close.
type Stream[T any] struct {
	o       Options
	st      store.Store
	codec   codec.Codec
	clock   clock.Clock
	tag     string // begins the keys that belong to the stream: "{orders}:"
	timeout *store.CallTimeout
	key     func(T) string
	buffers *sync.Pool // of *[]byte

	shared *shared // by the Streams that KeyBy makes
}

// shared is what a Stream learns and counts.
type shared struct {
	turn   atomic.Uint64 // publishes, where two bounds take turns
	newest atomic.Int64  // the newest time of an entry seen: the store's clock, or a little less; Unix ms
	n      counters
}

// New makes a Stream of T on st. It does not touch the store; it fails only for options that make no sense.
func New[T any](st store.Store, o Options) (*Stream[T], error) {
	switch {
	case o.Name == "":
		return nil, fmt.Errorf("stream: %w: no Name; choose one such as \"orders\"", store.ErrInvalid)
	case o.MaxLen < 0, o.MaxAge < 0:
		return nil, fmt.Errorf("stream: %w: MaxLen %d, MaxAge %v", store.ErrInvalid, o.MaxLen, o.MaxAge)
	case o.NoTrim && (o.MaxLen > 0 || o.MaxAge > 0):
		return nil, fmt.Errorf("stream: %w: NoTrim together with MaxLen or MaxAge", store.ErrInvalid)
	case !o.NoTrim && o.MaxLen == 0 && o.MaxAge == 0:
		return nil, fmt.Errorf("stream: %w: no bound; set MaxLen or MaxAge, or NoTrim if the stream may grow without end", store.ErrInvalid)
	case o.MaxAge > 0 && o.MaxAge < time.Millisecond:
		return nil, fmt.Errorf("stream: %w: MaxAge %v, want at least a millisecond", store.ErrInvalid, o.MaxAge)
	}
	tag, err := tagOf(o.Name)
	if err != nil {
		return nil, err
	}
	c, err := codec.For[T](o.Codec, codec.JSON{})
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	s := &Stream[T]{o: o, st: st, codec: c, clock: o.Clock, tag: tag, shared: &shared{}}
	s.buffers = &sync.Pool{New: func() any { return new([]byte) }}
	if s.clock == nil {
		s.clock = clock.System()
	}
	s.timeout = store.CallTimeoutFor(st, o.Timeout, DefaultTimeout)
	return s, nil
}

// tagOf gives the beginning of keys that a Cluster keeps in the slot of the stream's own.
func tagOf(name string) (string, error) {
	open := strings.IndexByte(name, '{')
	if open < 0 {
		if strings.IndexByte(name, '}') >= 0 {
			return "", fmt.Errorf("stream: %w: Name %q has a } without a {", store.ErrInvalid, name)
		}
		return "{" + name + "}:", nil
	}
	if strings.IndexByte(name[open:], '}') < 2 {
		return "", fmt.Errorf("stream: %w: Name %q has a { but no hash tag; leave braces out", store.ErrInvalid, name)
	}
	return name + ":", nil
}

// KeyBy gives a view of the stream with a key for each entry, computed from its value: whom or what the entry is about.
// A Group with Ordered handles the entries of a key one after another. The key is not stored; entries are the same with
// and without.
//
//	orders = orders.KeyBy(func(o Order) string { return o.Customer })
func (s *Stream[T]) KeyBy(key func(T) string) *Stream[T] {
	keyed := *s
	keyed.key = key
	return &keyed
}

// The fields of an entry.
const (
	fieldData  = "data"
	fieldGroup = "group" // the only group that the entry is for: it was replayed from that group's dead letters
)

// Publish appends v and trims, in one round trip, and returns the entry's id. O(1), amortised.
//
// An error that is store.ErrUnavailable leaves open whether v was appended: to publish again may duplicate it.
func (s *Stream[T]) Publish(ctx context.Context, v T) (id string, err error) {
	ctx, end := observe.Begin(ctx, s.o.Observer, s.op("publish", ""))
	id, err = s.publish(ctx, &v)
	if err != nil {
		err = store.Wrap("stream", "publish", s.o.Name, err)
		end(observe.Failed, err)
		return "", err
	}
	end(observe.OK, nil)
	return id, nil
}

func (s *Stream[T]) publish(ctx context.Context, v *T) (string, error) {
	if err := s.learnTime(ctx); err != nil {
		return "", err
	}
	cmd, err := s.addition(v)
	if err != nil {
		return "", err
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	id, err := s.st.Do(ctx, cmd...).Text()
	if err != nil {
		return "", err
	}
	s.seen(id)
	s.shared.n.published.Add(1)
	return id, nil
}

// PublishMany appends values in their order in one round trip and returns their ids. It is not atomic: entries of others
// may lie in between. Nothing is appended if a value cannot be encoded. If the store fails halfway, err tells why, and the
// ids of what was not (or not certainly) appended are empty.
func (s *Stream[T]) PublishMany(ctx context.Context, values ...T) (ids []string, err error) {
	if len(values) == 0 {
		return nil, nil
	}
	ctx, end := observe.Begin(ctx, s.o.Observer, s.op("publish", ""))
	ids, err = s.publishMany(ctx, values)
	if err != nil {
		err = store.Wrap("stream", "publish", s.o.Name, err)
		end(observe.Failed, err)
		return ids, err
	}
	end(observe.OK, nil)
	return ids, nil
}

func (s *Stream[T]) publishMany(ctx context.Context, values []T) ([]string, error) {
	if err := s.learnTime(ctx); err != nil {
		return nil, err
	}
	cmds := make([]store.Cmd, len(values))
	for i := range values {
		var err error
		if cmds[i], err = s.addition(&values[i]); err != nil {
			return nil, fmt.Errorf("value %d: %w", i, err)
		}
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	ids := make([]string, len(values))
	var failed error
	for i, r := range s.st.Pipe(ctx, cmds...) {
		id, err := r.Text()
		if err != nil {
			if failed == nil { // one reason is enough
				failed = fmt.Errorf("value %d: %w", i, err)
			}
			continue
		}
		ids[i] = id
		s.seen(id)
		s.shared.n.published.Add(1)
	}
	return ids, failed
}

// addition is the command that appends v.
func (s *Stream[T]) addition(v *T) (store.Cmd, error) {
	data, err := s.encode(v)
	if err != nil {
		return nil, err
	}
	cmd := make(store.Cmd, 0, 8)
	cmd = append(cmd, "XADD", s.o.Name)
	cmd = append(cmd, s.trim()...)
	return append(cmd, "*", fieldData, data), nil
}

func (s *Stream[T]) encode(v *T) (string, error) {
	b, _ := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(b)
	data, err := s.codec.Append((*b)[:0], v)
	if err != nil {
		return "", fmt.Errorf("%w: cannot encode: %w", store.ErrInvalid, err)
	}
	if cap(data) <= 64<<10 { // bytes: a rare giant is not kept
		*b = data
	}
	return string(data), nil
}

// trim is the trimming part of the next XADD.
func (s *Stream[T]) trim() []string {
	byLen, byAge := s.o.MaxLen > 0, s.o.MaxAge > 0
	if byLen && byAge {
		byLen = s.shared.turn.Add(1)%2 == 0
	}
	switch {
	case byLen:
		return []string{"MAXLEN", "~", strconv.FormatInt(s.o.MaxLen, 10)}
	case byAge:
		oldest := s.shared.newest.Load() - s.o.MaxAge.Milliseconds()
		return []string{"MINID", "~", strconv.FormatInt(max(oldest, 0), 10)}
	}
	return nil
}

// learnTime asks for the store's clock where entries are trimmed by age, once: later it is known from the ids of entries,
// as far as that needs. The machine's own clock may be another.
func (s *Stream[T]) learnTime(ctx context.Context) error {
	if s.o.MaxAge == 0 || s.shared.newest.Load() != 0 {
		return nil
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	parts, err := s.st.Do(ctx, "TIME").Ints()
	if err == nil && len(parts) != 2 {
		err = fmt.Errorf("%w: TIME of %d parts", store.ErrReply, len(parts))
	}
	if err != nil {
		return err
	}
	s.see(parts[0]*1000 + parts[1]/1000)
	return nil
}

func (s *Stream[T]) seen(id string) {
	if s.o.MaxAge > 0 {
		s.see(idMillis(id))
	}
}

// see learns the store's time. It goes back by much only in a new stream, or in one of a new store: the old one's time
// could be far ahead, and trim what is published now.
func (s *Stream[T]) see(ms int64) {
	const late = 60_000 // ms: answers overtake each other, but not by so much
	for {
		have := s.shared.newest.Load()
		if ms <= have && have-ms < late || s.shared.newest.CompareAndSwap(have, ms) {
			return
		}
	}
}

// idMillis is the time in an id: Unix ms by the store's clock.
func idMillis(id string) int64 {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return n
}

// Len is the number of entries in the stream; 0 if there is no stream. O(1).
func (s *Stream[T]) Len(ctx context.Context) (int64, error) {
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	n, err := s.st.Do(ctx, "XLEN", s.o.Name).Int64()
	return n, store.Wrap("stream", "len", s.o.Name, err)
}

// Delete removes entries by id and returns how many there were. A group that was given one and did not acknowledge it
// forgets it. O(log n) each.
func (s *Stream[T]) Delete(ctx context.Context, ids ...string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	n, err := s.st.Do(ctx, append([]string{"XDEL", s.o.Name}, ids...)...).Int64()
	return n, store.Wrap("stream", "delete", s.o.Name, err)
}

func (s *Stream[T]) op(verb, key string) observe.Op {
	return observe.Op{Pattern: "stream", Name: s.o.Name, Verb: verb, Key: key}
}

// report tells of what no caller sees.
func (s *Stream[T]) report(ctx context.Context, err error) {
	if s.o.OnError != nil && err != nil {
		s.o.OnError(ctx, err)
	}
}
