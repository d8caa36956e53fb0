package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// State is where a job is.
type State string

// The states.
const (
	Ready      State = "ready"   // may be taken
	Delayed    State = "delayed" // waits for its time: In, At, a retry, a snooze, the rate of its key
	Active     State = "active"  // taken by a worker
	Parked     State = "parked"  // waits for another job of its key
	DeadLetter State = "dead"    // failed for good
	Done       State = "done"    // done and kept, with Retention
)

// Depth is how many jobs are in each state, and what all workers ever did.
type Depth struct {
	Ready, Delayed, Active, Parked, Dead, Done int64
	Paused                                     bool

	// Totals over all processes since the queue was made. They are counted with the jobs, in the same atomic steps.
	TotalDone, TotalFailed, TotalDead, TotalLost int64
}

// Depth reads the sizes in one round trip, each O(1). The totals are read last: a job that has
// left a state is counted in them.
func (c *core) Depth(ctx context.Context) (Depth, error) {
	var d Depth
	var cmds []store.Cmd
	sizes := []struct {
		command string
		key     int
		to      *int64
	}{
		{"ZCARD", kReady, &d.Ready}, {"ZCARD", kDelayed, &d.Delayed}, {"HLEN", kHeld, &d.Active},
		{"ZCARD", kParked, &d.Parked}, {"ZCARD", kDead, &d.Dead}, {"ZCARD", kDone, &d.Done},
	}
	for _, s := range sizes {
		cmds = append(cmds, store.Cmd{s.command, c.keys[s.key]})
	}
	cmds = append(cmds, store.Cmd{"HMGET", c.keys[kMeta], "done", "failed", "dead", "lost", "paused"})
	replies := c.pipe(ctx, cmds...)
	meta, err := replies[len(sizes)].Strings()
	for i, s := range sizes {
		if err == nil {
			*s.to, err = replies[i].Int64()
		}
	}
	if err != nil {
		return Depth{}, c.wrap("depth", "", err)
	}
	for i, to := range []*int64{&d.TotalDone, &d.TotalFailed, &d.TotalDead, &d.TotalLost} {
		*to, _ = strconv.ParseInt(at(meta, i), 10, 64)
	}
	d.Paused = at(meta, 4) != ""
	return d, nil
}

// Info is a job as the store knows it.
type Info[T any] struct {
	ID       string
	State    State
	Payload  T
	Priority Level
	Key      string
	Unique   string
	Enqueued time.Time
	Due      time.Time // Delayed: when it can be taken; Done: until when it is kept; Dead: when it died; else zero
	Attempts int       // that have failed
	Max      int       // attempts
	Error    string    // what the last failure said, with the stack if it was a panic
	Output   []byte    // encoded: progress, or the result of a job that is done
}

// Get reads one job. One that is not there, or not any more, is store.ErrNil.
func (q *Queue[T]) Get(ctx context.Context, id string) (Info[T], error) {
	r := q.run(ctx, lookScript, q.keys, id)
	if r.IsNil() {
		return Info[T]{}, q.wrap("get", id, store.ErrNil)
	}
	f, err := r.Strings()
	if err == nil && len(f) != 5 {
		err = store.ErrReply
	}
	if err != nil {
		return Info[T]{}, q.wrap("get", id, err)
	}
	info, err := q.info(id, State(f[3]), f[0], f[1], f[2], f[4])
	return info, q.wrap("get", id, err)
}

func (q *Queue[T]) info(id string, state State, record, notes, output, score string) (Info[T], error) {
	h, payload, ok := parseHeader(record)
	if !ok {
		return Info[T]{}, fmt.Errorf("%w: what is stored is no job", store.ErrReply)
	}
	i := Info[T]{
		ID: id, State: state, Priority: Highest - Level(h.priority), Key: h.key, Unique: h.unique, Enqueued: idTime(id),
		Attempts: int(attemptsOf(notes)), Max: h.max,
	}
	_, i.Error, _ = strings.Cut(notes, ";")
	if output != "" {
		i.Output = []byte(output)
	}
	if f, err := strconv.ParseFloat(score, 64); err == nil {
		switch state {
		case Delayed:
			i.Due = time.UnixMilli(int64(f) / dueStep)
		case DeadLetter, Done:
			i.Due = time.UnixMilli(int64(f))
		}
	}
	if err := q.codec.Decode([]byte(payload), &i.Payload); err != nil {
		return i, fmt.Errorf("payload: %w", err)
	}
	return i, nil
}

// List reads up to n jobs of a state, after the first skip: those that come next first, of Dead and Done the oldest first,
// Active in no order. It takes two round trips and O(log n + skip); what leaves the state in between is left out.
func (q *Queue[T]) List(ctx context.Context, state State, skip, n int) ([]Info[T], error) {
	ids, scores, err := q.ids(ctx, state, skip, n)
	if err != nil || len(ids) == 0 {
		return nil, q.wrap("list", "", err)
	}
	replies := q.pipe(ctx,
		append(store.Cmd{"HMGET", q.keys[kJobs]}, ids...), append(store.Cmd{"HMGET", q.keys[kNotes]}, ids...), append(store.Cmd{"HMGET", q.keys[kOutput]}, ids...))
	var columns [3][]string
	for i := range columns {
		if columns[i], err = replies[i].Strings(); err != nil || len(columns[i]) != len(ids) {
			return nil, q.wrap("list", "", errors.Join(err, store.ErrReply))
		}
	}
	list := make([]Info[T], 0, len(ids))
	for i, id := range ids {
		if columns[0][i] == "" {
			continue
		}
		info, err := q.info(id, state, columns[0][i], columns[1][i], columns[2][i], scores[i])
		if err != nil {
			return list, q.wrap("list", id, err)
		}
		list = append(list, info)
	}
	return list, nil
}

var ofState = map[State]int{Ready: kReady, Delayed: kDelayed, Parked: kParked, DeadLetter: kDead, Done: kDone}

// ids are of a state, with their scores.
func (c *core) ids(ctx context.Context, state State, skip, n int) (ids, scores []string, err error) {
	if skip < 0 || n < 0 {
		return nil, nil, fmt.Errorf("%w: skip %d, n %d", store.ErrInvalid, skip, n)
	}
	if state == Active {
		ids, err = c.do(ctx, "HKEYS", c.keys[kHeld]).Strings()
		ids = ids[min(skip, len(ids)):]
		ids = ids[:min(n, len(ids))]
		return ids, make([]string, len(ids)), err
	}
	key, ok := ofState[state]
	if !ok {
		return nil, nil, fmt.Errorf("%w: state %q", store.ErrInvalid, state)
	}
	if n == 0 {
		return nil, nil, nil
	}
	list, err := c.do(ctx, "ZRANGE", c.keys[key], strconv.Itoa(skip), strconv.Itoa(skip+n-1), "WITHSCORES").Scores()
	for _, s := range list {
		id := s.Member
		if state == Parked { // key NUL priority id
			id = id[strings.LastIndexByte(id, 0)+1:]
			id = strings.TrimLeft(id[min(1, len(id)):], "0")
		}
		ids, scores = append(ids, id), append(scores, strconv.FormatFloat(s.Score, 'f', 0, 64))
	}
	return ids, scores, err
}

// Result sets *v from what the handler's SetResult said, if the job is done and kept. ok is false if it is not done (any
// more), or had no result.
func (c *core) Result(ctx context.Context, id string, v any) (ok bool, err error) {
	replies := c.pipe(ctx, store.Cmd{"ZSCORE", c.keys[kDone], id}, store.Cmd{"HGET", c.keys[kOutput], id})
	_, done, err := replies[0].Lookup()
	text, has, err2 := replies[1].Lookup()
	if err = errors.Join(err, err2); err != nil || !done || !has {
		return false, c.wrap("result", id, err)
	}
	return true, c.wrap("result", id, c.decode(text, v))
}

// Cancel deletes a job in any state. found is false if there is none. For one that runs the handler's ctx ends, at once or
// at the latest in a third of a lease, with the cause ErrCancelled; it is gone when the handler returns. A handler that
// returns nil nevertheless has done it.
func (c *core) Cancel(ctx context.Context, id string) (found bool, err error) {
	if !isIdent(id) {
		return false, nil
	}
	n, err := c.run(ctx, removeScript, c.keys, id, itoa(int64(c.o.PerKey.Concurrency))).Int64()
	if err == nil && n == 2 {
		err = c.do(ctx, "PUBLISH", c.channel(), id).Err()
	}
	return n > 0, c.wrap("cancel", id, err)
}

// Replay makes dead letters ready again, with all their attempts before them, and tells how many. One that is not dead, or
// whose unique key another job has by now, stays as it is.
func (c *core) Replay(ctx context.Context, ids ...string) (n int, err error) {
	for from := 0; from < len(ids); from += mostBatch {
		list, err := c.run(ctx, replayScript, c.keys, ids[from:min(from+mostBatch, len(ids))]...).Ints()
		if err != nil {
			return n, c.wrap("replay", "", err)
		}
		for _, done := range list {
			if done == 1 {
				n++
			}
		}
	}
	return n, nil
}

// ReplayAll replays all that are dead letters now.
func (c *core) ReplayAll(ctx context.Context) (n int, err error) {
	for skip := 0; ; {
		ids, _, err := c.ids(ctx, DeadLetter, skip, mostBatch)
		if err != nil || len(ids) == 0 {
			return n, c.wrap("replay", "", err)
		}
		replayed, err := c.Replay(ctx, ids...)
		n += replayed
		if err != nil {
			return n, err
		}
		skip += len(ids) - replayed // these stay dead
	}
}

// Pause lets no process take jobs until Resume. What was taken goes on.
func (c *core) Pause(ctx context.Context) error {
	return c.wrap("pause", "", c.do(ctx, "HSET", c.keys[kMeta], "paused", "1").Err())
}

// Resume ends a Pause.
func (c *core) Resume(ctx context.Context) error {
	replies := c.pipe(ctx, store.Cmd{"HDEL", c.keys[kMeta], "paused"}, store.Cmd{"RPUSH", c.keys[kWake], "1"})
	return c.wrap("resume", "", errors.Join(replies[0].Err(), replies[1].Err()))
}

// ErrEvictable means that the store may evict the queue's keys when memory is short, and all jobs with them.
var ErrEvictable = errors.New("the store may evict jobs")

// CheckMemory returns ErrEvictable if the store has a memory limit with a policy that evicts keys without a TTL: allkeys-*.
// A queue wants noeviction, or volatile-*, which leave its keys alone, as they have none. Work checks this once, and logs.
func (c *core) CheckMemory(ctx context.Context) error {
	text, err := c.do(ctx, "INFO", "memory").Text()
	if err != nil {
		return c.wrap("check memory", "", err)
	}
	limit, policy := "0", ""
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory":
			limit = value
		case "maxmemory_policy":
			policy = value
		}
	}
	if limit != "0" && strings.HasPrefix(policy, "allkeys-") {
		return c.wrap("check memory", "", fmt.Errorf("%w: maxmemory-policy is %s: use noeviction, or volatile-* beside caches", ErrEvictable, policy))
	}
	return nil
}

func (w *worker) warnOfEviction(ctx context.Context) {
	if err := w.CheckMemory(ctx); errors.Is(err, ErrEvictable) {
		w.log.WarnContext(ctx, "queue: jobs may be lost", "queue", w.core.o.Name, "error", err)
	}
}

func at(list []string, i int) string {
	if i >= len(list) {
		return ""
	}
	return list[i]
}
