package leaderboard

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// Result is what an update did.
type Result struct {
	Entry        // with the new score. Rank is 0 in a Batch, and for a member that MaxMembers dropped
	Changed bool // false if the score is what it was
}

// Add adds delta to member's score, from 0 if there is none. One round trip, O(log n).
func (b *Board) Add(ctx context.Context, member string, delta int64) (Result, error) {
	return b.one(ctx, "add", "+", member, b.stored(delta))
}

// Set makes score member's score: the last one counts. One round trip, O(log n).
func (b *Board) Set(ctx context.Context, member string, score int64) (Result, error) {
	return b.one(ctx, "set", "=", member, b.stored(score))
}

// Best makes score member's score if it is better than the one there is: the best one counts. One round trip, O(log n).
func (b *Board) Best(ctx context.Context, member string, score int64) (Result, error) {
	return b.one(ctx, "best", "<", member, b.stored(score))
}

func (b *Board) one(ctx context.Context, verb, how, member string, value int64) (Result, error) {
	r, _, err := b.submit(ctx, verb, how, member, value)
	return r, err
}

// submit makes one update, and tells whether the board was empty before.
func (b *Board) submit(ctx context.Context, verb, how, member string, value int64) (res Result, first bool, err error) {
	ctx, end := b.begin(ctx, verb)
	defer func() { end(result(err), err) }()
	if err = checkUpdate(member, value); err != nil {
		return Result{}, false, b.wrap(verb, err)
	}
	list, first, err := outcome(b.run(ctx, updateScript, "r", b.head, "1", how, member, strconv.FormatInt(value, 10), ""), 1)
	if err == nil {
		res, err = b.result(list, member)
	}
	return res, first, b.wrap(verb, err)
}

func checkUpdate(member string, value int64) error {
	if err := checkMember(member); err != nil {
		return err
	}
	if value > MaxScore || value < -MaxScore {
		return fmt.Errorf("%w: %w", store.ErrInvalid, ErrRange)
	}
	return nil
}

// outcome reads the reply of an update of n scores: three elements for each.
func outcome(r store.Reply, n int) (list []store.Reply, first bool, err error) {
	if list, err = r.Array(); err != nil {
		return nil, false, err
	}
	if len(list) == 2 {
		if word, _ := list[0].Text(); word == "now" {
			ms, err := list[1].Int64()
			if err != nil {
				return nil, false, err
			}
			return nil, false, notNowError(ms)
		}
	}
	if len(list) != 1+3*n {
		return nil, false, fmt.Errorf("%w: %d elements for %d updates", store.ErrReply, len(list), n)
	}
	empty, err := list[0].Int64()
	return list[1:], empty == 1, err
}

// notNowError is ErrNotNow with the store's time.
type notNowError int64

func (e notNowError) Error() string {
	return ErrNotNow.Error() + ": the store's clock shows " + time.UnixMilli(int64(e)).UTC().Format(time.RFC3339)
}
func (notNowError) Unwrap() error { return ErrNotNow }

// result reads the three elements of an update.
func (b *Board) result(list []store.Reply, member string) (Result, error) {
	changed, err := list[0].Int64()
	if err != nil {
		return Result{}, err
	}
	score, err := list[1].Int64()
	if err != nil {
		return Result{}, err
	}
	rank, err := list[2].Int64()
	if err != nil {
		return Result{}, err
	}
	b.n.updates.Add(1)
	if changed == 1 {
		b.n.changed.Add(1)
	}
	return Result{Entry: Entry{Member: member, Score: b.stored(score), Rank: int(rank)}, Changed: changed == 1}, nil
}

// Batch is updates of one board, or of several boards of one Group, that are applied together: one round trip, one
// atomic step, all of them or none. The zero value is ready. It is for one goroutine.
type Batch struct {
	boards []*Board
	which  map[*Board]int // number of a board, from 1
	ups    []string
	err    error
	names  []string
	on     []*Board
}

// Add is Board.Add in a batch.
func (t *Batch) Add(b *Board, member string, delta int64) { t.put(b, "+", member, delta, "") }

// Set is Board.Set in a batch.
func (t *Batch) Set(b *Board, member string, score int64) { t.put(b, "=", member, score, "") }

// Best is Board.Best in a batch.
func (t *Batch) Best(b *Board, member string, score int64) { t.put(b, "<", member, score, "") }

// Data sets member's data along with the updates before it; "" leaves what is there. It changes nothing if b keeps no data,
// or if it is not preceded by an update of this member of b.
func (t *Batch) Data(b *Board, member, data string) {
	if len(data) > maxData {
		t.fail(fmt.Errorf("%w: data of %d bytes, want %d at most", store.ErrInvalid, len(data), maxData))
		return
	}
	for i := len(t.names) - 1; i >= 0; i-- {
		if t.on[i] == b && t.names[i] == member {
			t.ups[argsPerUpdate*i+4] = data
			return
		}
	}
}

// Len is the number of updates.
func (t *Batch) Len() int { return len(t.names) }

func (t *Batch) put(b *Board, how, member string, value int64, data string) {
	err := checkUpdate(member, value)
	if b == nil {
		err = fmt.Errorf("%w: no Board", store.ErrInvalid)
	}
	if err != nil {
		t.fail(err)
		return
	}
	n := t.which[b]
	if n == 0 {
		if t.which == nil {
			t.which = map[*Board]int{}
		}
		t.boards = append(t.boards, b)
		n = len(t.boards)
		t.which[b] = n
	}
	t.ups = append(t.ups, strconv.Itoa(n), how, member, strconv.FormatInt(b.stored(value), 10), data)
	t.names, t.on = append(t.names, member), append(t.on, b)
}

func (t *Batch) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// Run applies the updates: one round trip, O(log n) each. It tells what each did, in order; without ranks, as the next
// update may change them. A batch is at most MaxBatch updates, of boards on one store with one Group and Prefix.
func (t *Batch) Run(ctx context.Context) (results []Result, err error) {
	if len(t.boards) == 0 || t.err != nil {
		return nil, store.Wrap("leaderboard", "batch", "", t.err)
	}
	b := t.boards[0]
	ctx, end := b.begin(ctx, "batch")
	defer func() { end(result(err), err) }()
	if err := t.check(); err != nil {
		return nil, b.wrap("batch", err)
	}
	keys := make([]string, 0, keysPerBoard*len(t.boards))
	args := make([]string, 1, 1+len(t.boards)+len(t.ups))
	for _, o := range t.boards {
		keys, args = append(keys, o.keys...), append(args, o.head)
	}
	list, _, err := outcome(b.runOn(ctx, updateScript, keys, append(args, t.ups...)), len(t.names))
	if err != nil {
		return nil, b.wrap("batch", err)
	}
	results = make([]Result, len(t.names))
	for i := range results {
		if results[i], err = t.on[i].result(list[3*i:], t.names[i]); err != nil {
			return nil, b.wrap("batch", err)
		}
	}
	return results, nil
}

func (t *Batch) check() error {
	if len(t.names) > MaxBatch {
		return fmt.Errorf("%w: a batch of %d updates, want %d at most", store.ErrInvalid, len(t.names), MaxBatch)
	}
	seen := map[string]bool{}
	for _, b := range t.boards {
		switch first := t.boards[0]; {
		case b.st != first.st:
			return fmt.Errorf("%w: a batch of boards on two stores", store.ErrInvalid)
		case b.tag != first.tag || b.o.Prefix != first.o.Prefix:
			return fmt.Errorf("%w: a batch of boards %q and %q, which share no Group and Prefix", store.ErrInvalid, first.o.Name, b.o.Name)
		case seen[b.keys[0]]:
			return fmt.Errorf("%w: a batch of two Boards of the name %q", store.ErrInvalid, b.o.Name)
		}
		seen[b.keys[0]] = true
	}
	return nil
}

// Remove takes members off the board, with their data, and tells how many were on it. One round trip, O(log n) each.
func (b *Board) Remove(ctx context.Context, members ...string) (n int, err error) {
	ctx, end := b.begin(ctx, "remove")
	defer func() { end(result(err), err) }()
	if err = checkMembers(members); err != nil || len(members) == 0 {
		return 0, b.wrap("remove", err)
	}
	gone, err := b.run(ctx, removeScript, append([]string{b.flags}, members...)...).Int64()
	if err == nil {
		b.n.removed.Add(uint64(gone)) //nolint:gosec // a count
	}
	return int(gone), b.wrap("remove", err)
}

// SetData keeps data with member, "" to remove it; Options.Data must be set. False if member is not on the board. One round
// trip, O(log n).
func (b *Board) SetData(ctx context.Context, member, data string) (ok bool, err error) {
	ctx, end := b.begin(ctx, "data")
	defer func() { end(result(err), err) }()
	err = checkMember(member)
	switch {
	case err != nil:
	case !b.o.Data:
		err = fmt.Errorf("%w: the board has no Options.Data", store.ErrInvalid)
	case len(data) > maxData:
		err = fmt.Errorf("%w: data of %d bytes, want %d at most", store.ErrInvalid, len(data), maxData)
	default:
		ok, err = b.run(ctx, dataScript, b.flags, member, data).Bool()
	}
	return ok, b.wrap("data", err)
}

// Clear removes the whole board. One round trip; the memory is given back in the background.
func (b *Board) Clear(ctx context.Context) (err error) {
	ctx, end := b.begin(ctx, "clear")
	defer func() { end(result(err), err) }()
	return b.wrap("clear", b.st.Do(ctx, append([]string{"UNLINK"}, b.keys...)...).Err())
}

func checkMembers(members []string) error {
	if len(members) > MaxBatch {
		return fmt.Errorf("%w: %d members, want %d at most", store.ErrInvalid, len(members), MaxBatch)
	}
	for _, m := range members {
		if err := checkMember(m); err != nil {
			return err
		}
	}
	return nil
}
