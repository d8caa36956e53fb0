package stream

import (
	"context"
	"fmt"
	"strconv"

	"github.com/larderdb/larder/store"
)

// Dead is a dead letter: an entry that a group gave up.
type Dead[T any] struct {
	ID         string // of the dead letter, for Replay and Delete
	Entry      string // the id that the entry had in the stream
	Reason     string // the handler's last error, or why there was no handler to ask
	Deliveries int
	Value      T
	Err        error // set if the value cannot be decoded
}

// DeadLetters are what a group gave up: a stream of its own beside the stream, bounded by Group.MaxDead.
type DeadLetters[T any] struct {
	s     *Stream[T]
	group string
	key   string
}

// DeadLetters gives access to the dead letters of a group.
func (s *Stream[T]) DeadLetters(group string) *DeadLetters[T] {
	return &DeadLetters[T]{s, group, s.deadKey(group)}
}

func (s *Stream[T]) deadKey(group string) string { return s.tag + "dead:" + group }

// Len is how many there are. O(1).
func (d *DeadLetters[T]) Len(ctx context.Context) (int64, error) {
	ctx, cancel := d.s.timeout.Bound(ctx)
	defer cancel()
	n, err := d.s.st.Do(ctx, "XLEN", d.key).Int64()
	return n, store.Wrap("stream", "dead letters", d.key, err)
}

// Range gives at most n dead letters, oldest first; after "" from the first on, else behind the dead letter with that ID.
func (d *DeadLetters[T]) Range(ctx context.Context, after string, n int) ([]Dead[T], error) {
	if n <= 0 || after != "" && !validID(after) {
		return nil, store.Wrap("stream", "dead letters", d.key, fmt.Errorf("%w: %d after %q", store.ErrInvalid, n, after))
	}
	found, err := d.list(ctx, after, n)
	if err != nil {
		return nil, store.Wrap("stream", "dead letters", d.key, err)
	}
	out := make([]Dead[T], len(found))
	for i := range found {
		out[i] = d.read(&found[i])
	}
	return out, nil
}

func (d *DeadLetters[T]) list(ctx context.Context, after string, n int) ([]entry, error) {
	ctx, cancel := d.s.timeout.Bound(ctx)
	defer cancel()
	from := "-"
	if after != "" {
		from = "(" + after
	}
	return entries(d.s.st.Do(ctx, "XRANGE", d.key, from, "+", "COUNT", strconv.Itoa(n)))
}

func (d *DeadLetters[T]) read(e *entry) Dead[T] {
	out := Dead[T]{ID: e.id}
	if len(e.words) < deadHead {
		out.Err = fmt.Errorf("%w: not a dead letter", store.ErrReply)
		return out
	}
	out.Entry, out.Reason = e.words[1], e.words[3]
	out.Deliveries, _ = strconv.Atoi(e.words[5])
	var m Message[T]
	out.Err = d.s.decode(&entry{id: out.Entry, words: e.words[deadHead:]}, &m)
	out.Value = m.Value
	return out
}

// Replay publishes dead letters again, for their group only, and tells how many there were. Each is moved in one step, and
// its deliveries count from the beginning. All ids are one round trip.
func (d *DeadLetters[T]) Replay(ctx context.Context, ids ...string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	for _, id := range ids {
		if !validID(id) {
			return 0, store.Wrap("stream", "replay", d.key, fmt.Errorf("%w: id %q", store.ErrInvalid, id))
		}
	}
	if err := d.s.learnTime(ctx); err != nil {
		return 0, store.Wrap("stream", "replay", d.key, err)
	}
	args := []string{d.group, "", ""}
	if trim := d.s.trim(); trim != nil {
		args[1], args[2] = trim[0], trim[2]
	}
	ctx, cancel := d.s.timeout.Bound(ctx)
	defer cancel()
	n, err := d.s.st.Run(ctx, replayScript, []string{d.key, d.s.o.Name}, append(args, ids...)...).Int64()
	return n, store.Wrap("stream", "replay", d.key, err)
}

// ReplayAll replays what is there now, and tells how many that were. What fails again meanwhile stays.
func (d *DeadLetters[T]) ReplayAll(ctx context.Context) (total int64, err error) {
	last, after := "", ""
	for {
		found, err := d.list(ctx, after, readCount)
		if err != nil {
			return total, store.Wrap("stream", "replay", d.key, err)
		}
		if last == "" {
			if last, err = d.newest(ctx); err != nil || last == "" {
				return total, store.Wrap("stream", "replay", d.key, err)
			}
		}
		var ids []string
		for i := range found {
			if after = found[i].id; !lessID(last, after) {
				ids = append(ids, after)
			}
		}
		n, err := d.Replay(ctx, ids...)
		if total += n; err != nil || len(ids) < readCount {
			return total, err
		}
	}
}

// newest is the id of the last dead letter, "" if there is none.
func (d *DeadLetters[T]) newest(ctx context.Context) (string, error) {
	ctx, cancel := d.s.timeout.Bound(ctx)
	defer cancel()
	found, err := entries(d.s.st.Do(ctx, "XREVRANGE", d.key, "+", "-", "COUNT", "1"))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].id, nil
}

// Delete removes dead letters for good and tells how many there were.
func (d *DeadLetters[T]) Delete(ctx context.Context, ids ...string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	ctx, cancel := d.s.timeout.Bound(ctx)
	defer cancel()
	n, err := d.s.st.Do(ctx, append([]string{"XDEL", d.key}, ids...)...).Int64()
	return n, store.Wrap("stream", "dead letters", d.key, err)
}
