package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/larderdb/larder/codec"
	"github.com/larderdb/larder/store"
)

// Message is an entry of a stream.
type Message[T any] struct {
	ID         string // the store's: time in ms, a dash, a number
	Value      T
	Deliveries int // by the group, this one included; 0 without a group
}

// Time is when the entry was published, by the store's clock.
func (m *Message[T]) Time() time.Time { return time.UnixMilli(idMillis(m.ID)) }

// Position is where reading begins: Beginning, Latest, or after an entry.
type Position string

const (
	Beginning Position = "0" // with what is there
	Latest    Position = "$" // with what comes from now on
)

// After begins behind the entry with an id, which need not exist any more.
func After(id string) Position { return Position(id) }

func (p Position) check() error {
	if p == "" || p == Latest || validID(string(p)) {
		return nil
	}
	return fmt.Errorf("%w: position %q is no id of an entry", store.ErrInvalid, string(p))
}

// validID tells whether s is "ms" or "ms-seq".
func validID(s string) bool {
	digits, dashes := 0, 0
	for i := range len(s) {
		switch {
		case s[i] >= '0' && s[i] <= '9':
			digits++
		case s[i] == '-' && digits > 0 && dashes == 0 && i < len(s)-1:
			dashes++
		default:
			return false
		}
	}
	return digits > 0 && len(s) <= 41
}

// An entry as the store gives it.
type entry struct {
	id    string
	words []string // fields and values; nil if the entry was deleted and only its place in a group is left
}

// field gives the value of a field.
func (e *entry) field(name string) (string, bool) {
	for i := 0; i+1 < len(e.words); i += 2 {
		if e.words[i] == name {
			return e.words[i+1], true
		}
	}
	return "", false
}

// entries reads a reply of XRANGE and the like.
func entries(r store.Reply) ([]entry, error) {
	list, err := r.Array()
	if err != nil {
		return nil, err
	}
	out := make([]entry, 0, len(list))
	for _, one := range list {
		if one.IsNil() { // Redis 6 shows a deleted entry so when it is claimed
			continue
		}
		parts, err := one.Array()
		if err != nil || len(parts) != 2 {
			return nil, fmt.Errorf("%w: not an entry: %s", store.ErrReply, one.Kind())
		}
		var e entry
		if e.id, err = parts[0].Text(); err != nil {
			return nil, err
		}
		if e.words, err = parts[1].Strings(); err != nil && !parts[1].IsNil() {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// sole reads a reply of XREAD and XREADGROUP for one stream; a nil reply is no entries.
func sole(r store.Reply) ([]entry, error) {
	if r.IsNil() {
		return nil, nil
	}
	pairs, err := r.Pairs()
	if err != nil {
		return nil, err
	}
	if len(pairs) != 2 {
		return nil, fmt.Errorf("%w: %d streams, want 1", store.ErrReply, len(pairs)/2)
	}
	return entries(pairs[1])
}

var errNoData = errors.New("no field \"" + fieldData + "\"")

// decode sets m's value.
func (s *Stream[T]) decode(e *entry, m *Message[T]) error {
	m.ID = e.id
	data, ok := e.field(fieldData)
	if !ok {
		return fmt.Errorf("cannot decode entry %s: %w", e.id, errNoData)
	}
	b, _ := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(b)
	raw := append((*b)[:0], data...)
	if cap(raw) <= 64<<10 { // bytes: a rare giant is not kept
		*b = raw
	}
	if err := codec.Decode(s.codec, raw, &m.Value); err != nil {
		return fmt.Errorf("cannot decode entry %s: %w", e.id, err)
	}
	return nil
}

// blocking is how long one command waits for entries. It is sent again at once; that it ends at all is for connections
// that broke without a word.
const blocking = 10 * time.Second

// waiting bounds a command that blocks.
func (s *Stream[T]) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.timeout == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, blocking+max(s.timeout.Duration(), 5*time.Second))
}

// Read hands every entry from a position on to fn, in order, and waits for more: like tail -f. Nothing is acknowledged
// and nobody shares the work: to go on later, keep the last message's ID and begin After it. From "" is Beginning.
//
// It returns when ctx ends (ctx's error), when fn returns an error (that), or when the store will never answer (closed,
// denied, another type). A store that is down is asked again; OnError hears of it, and of entries that cannot be
// decoded, which are left out. Entries that were trimmed before they were read are missed without notice.
func (s *Stream[T]) Read(ctx context.Context, from Position, fn func(context.Context, *Message[T]) error) error {
	err := from.check()
	if err == nil && fn == nil {
		err = fmt.Errorf("%w: no function to hand entries to", store.ErrInvalid)
	}
	if err != nil {
		return store.Wrap("stream", "read", s.o.Name, err)
	}
	last := string(from)
	switch from {
	case "":
		last = string(Beginning)
	case Latest:
		if err := s.insist(ctx, "read", func() (err error) {
			last, err = s.lastID(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	for {
		var found []entry
		err := s.insist(ctx, "read", func() (err error) {
			found, err = s.await(ctx, last)
			return err
		})
		if err != nil {
			return err
		}
		for i := range found {
			last = found[i].id
			if err := s.hand(ctx, &found[i], fn); err != nil {
				return err
			}
		}
	}
}

// readCount is how many entries one command of Read brings at most.
const readCount = 100

// await gives the entries behind an id, waiting for some.
func (s *Stream[T]) await(ctx context.Context, last string) ([]entry, error) {
	ctx, cancel := s.waiting(ctx)
	defer cancel()
	return sole(s.st.Do(ctx, "XREAD", "COUNT", strconv.Itoa(readCount), "BLOCK", strconv.FormatInt(blocking.Milliseconds(), 10),
		"STREAMS", s.o.Name, last))
}

// lastID is the id of the newest entry, "0" if there is none.
func (s *Stream[T]) lastID(ctx context.Context) (string, error) {
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	found, err := entries(s.st.Do(ctx, "XREVRANGE", s.o.Name, "+", "-", "COUNT", "1"))
	if err != nil || len(found) == 0 {
		return string(Beginning), err
	}
	return found[0].id, nil
}

// insist repeats a call until it succeeds, until there is no hope, or until ctx ends: then the error is ctx's.
func (s *Stream[T]) insist(ctx context.Context, verb string, call func() error) error {
	for failures := 0; ; failures++ {
		err := call()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = store.Wrap("stream", verb, s.o.Name, err)
		if hopeless(err) {
			return err
		}
		s.trouble(ctx, verb, err)
		if !s.pause(ctx, again(failures)) {
			return ctx.Err()
		}
	}
}

// trouble counts and reports a failure of the store that passes by itself.
func (s *Stream[T]) trouble(ctx context.Context, verb string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.shared.n.storeErrors.Add(1)
	s.report(ctx, store.Wrap("stream", verb, s.o.Name, err))
}

func (s *Stream[T]) hand(ctx context.Context, e *entry, fn func(context.Context, *Message[T]) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m := &Message[T]{}
	if err := s.decode(e, m); err != nil {
		s.undecodable(ctx, err)
		return nil
	}
	return fn(ctx, m)
}

// Range gives at most n entries between two ids, both included, oldest first. From "" is the first there is, to "" the
// last; n must be positive. What cannot be decoded is left out and reported. O(n).
func (s *Stream[T]) Range(ctx context.Context, from, to string, n int) ([]Message[T], error) {
	return s.between(ctx, "XRANGE", orElse(from, "-"), orElse(to, "+"), n)
}

// Newest gives the last n entries, newest first. O(n).
func (s *Stream[T]) Newest(ctx context.Context, n int) ([]Message[T], error) {
	return s.between(ctx, "XREVRANGE", "+", "-", n)
}

func (s *Stream[T]) between(ctx context.Context, command, from, to string, n int) ([]Message[T], error) {
	if n <= 0 {
		return nil, store.Wrap("stream", "range", s.o.Name, fmt.Errorf("%w: %d entries", store.ErrInvalid, n))
	}
	bounded, cancel := s.timeout.Bound(ctx)
	defer cancel()
	found, err := entries(s.st.Do(bounded, command, s.o.Name, from, to, "COUNT", strconv.Itoa(n)))
	if err != nil {
		return nil, store.Wrap("stream", "range", s.o.Name, err)
	}
	out := make([]Message[T], 0, len(found))
	for i := range found {
		var m Message[T]
		if err := s.decode(&found[i], &m); err != nil {
			s.undecodable(ctx, err)
			continue
		}
		out = append(out, m)
	}
	return out, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (s *Stream[T]) undecodable(ctx context.Context, err error) {
	s.shared.n.undecodable.Add(1)
	s.event(ctx, "undecodable", 1)
	s.report(ctx, store.Wrap("stream", "read", s.o.Name, err))
}
