package leaderboard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/larderdb/larder/store"
)

// Standing is where a member stands.
type Standing struct {
	Entry
	Better int // how many members have a better score
	Of     int // how many members the board has
}

// Percentile is the share of the other members that are not better, in percent: 100 for the best and for who is alone, 0 for
// the last.
func (s Standing) Percentile() float64 {
	if s.Of <= 1 {
		return 100
	}
	return 100 * float64(s.Of-1-s.Better) / float64(s.Of-1)
}

// Top is the best n, best first. One round trip, O(log n + entries).
func (b *Board) Top(ctx context.Context, n int) ([]Entry, error) {
	list, _, err := b.page(ctx, "top", "i", "0", 0, n)
	return list, err
}

// Page is count entries from the place offset on, counted from 0: Page(ctx, 20, 10) is places 21 to 30. total is how many
// members the board has. One round trip, O(log n + entries), however far down.
func (b *Board) Page(ctx context.Context, offset, count int) (list []Entry, total int, err error) {
	return b.page(ctx, "page", "i", strconv.Itoa(offset), offset, count)
}

// Around is member with up to side entries on each side of it: 2*side+1 entries, also at the ends of a board that
// has so many. Empty if member is not on the board. One round trip, O(log n + entries).
func (b *Board) Around(ctx context.Context, member string, side int) ([]Entry, error) {
	list, _, err := b.page(ctx, "around", "m", member, 0, side)
	return list, err
}

func (b *Board) page(ctx context.Context, verb, by, at string, offset, count int) (list []Entry, total int, err error) {
	ctx, end := b.begin(ctx, verb)
	defer func() { end(result(err), err) }()
	if offset < 0 || int64(offset) > 1<<40 || count < 0 || count > MaxBatch || by == "m" && 2*count+1 > MaxBatch {
		err = fmt.Errorf("%w: %d entries from %d on, want 0 to %d", store.ErrInvalid, count, offset, MaxBatch)
	} else if by == "m" {
		err = checkMember(at)
	}
	if err != nil {
		return nil, 0, b.wrap(verb, err)
	}
	r := b.run(ctx, pageScript, b.flags, by, at, strconv.Itoa(count))
	if !r.IsNil() {
		list, total, err = b.entries(r)
	}
	if err == nil {
		b.n.reads.Add(1)
	}
	return list, total, b.wrap(verb, err)
}

// entries reads the reply of a page.
func (b *Board) entries(r store.Reply) (list []Entry, total int, err error) {
	all, err := r.Array()
	if err == nil && len(all) != 5 {
		err = fmt.Errorf("%w: a page of %d elements", store.ErrReply, len(all))
	}
	if err != nil {
		return nil, 0, err
	}
	head, err := store.ArrayOf(all[:3]...).Ints()
	if err != nil {
		return nil, 0, err
	}
	found, err := all[3].Array()
	if err != nil {
		return nil, 0, err
	}
	data, err := sized(all[4], len(found)/2)
	if err != nil {
		return nil, 0, err
	}
	list = make([]Entry, 0, len(found)/2)
	for i := range len(found) / 2 {
		e := Entry{Rank: int(head[1]) + i + 1}
		if e.Member, err = found[2*i].Text(); err != nil {
			return nil, 0, err
		}
		e.Member = b.member(e.Member)
		if e.Score, err = b.score(found[2*i+1]); err != nil {
			return nil, 0, err
		}
		if data != nil {
			if e.Data, _, err = data[i].Lookup(); err != nil {
				return nil, 0, err
			}
		}
		e.Rank = b.next(list, e.Score, e.Rank, int(head[2]))
		list = append(list, e)
	}
	return list, int(head[0]), nil
}

// sized is a list with n elements, or nil for nil.
func sized(r store.Reply, n int) ([]store.Reply, error) {
	if r.IsNil() {
		return nil, nil
	}
	list, err := r.Array()
	if err == nil && len(list) != n {
		err = fmt.Errorf("%w: %d elements, want %d", store.ErrReply, len(list), n)
	}
	return list, err
}

// next is the rank of an entry after those before it on the page; place is its place on the board, first the first one's
// rank.
func (b *Board) next(before []Entry, score int64, place, first int) int {
	switch {
	case len(before) == 0:
		return first
	case b.o.Ranking == Ordinal:
		return place
	}
	last := before[len(before)-1]
	switch {
	case last.Score == score:
		return last.Rank
	case b.o.Ranking == Dense:
		return last.Rank + 1
	}
	return place
}

// score reads a score as the store spells it.
func (b *Board) score(r store.Reply) (int64, error) {
	s, err := r.Text()
	if err != nil {
		return 0, err
	}
	n, ok := whole(s)
	if !ok {
		return 0, fmt.Errorf("%w: score %q; the key holds something other than a board", store.ErrReply, s)
	}
	return b.stored(n), nil
}

// Rank is where member stands; ok is false if it is not on the board. One round trip, O(log n).
func (b *Board) Rank(ctx context.Context, member string) (s Standing, ok bool, err error) {
	list, err := b.Ranks(ctx, member)
	if err != nil || list[0].Rank == 0 {
		return Standing{}, false, err
	}
	return list[0], true, nil
}

// Ranks is where each of up to MaxBatch members stands, in the order of the question. One that is not on the board
// has Rank 0. One round trip, O(log n) each.
func (b *Board) Ranks(ctx context.Context, members ...string) (list []Standing, err error) {
	looked, err := b.look(ctx, "rank", "r", members)
	if err != nil {
		return nil, err
	}
	list = make([]Standing, len(looked))
	for i, l := range looked {
		list[i] = l.Standing
	}
	return list, nil
}

// Among ranks up to MaxBatch members among themselves, best first: a player and friends. Those that are not on the board are
// left out, as is who is named twice. One round trip, O(log n) each.
func (b *Board) Among(ctx context.Context, members ...string) ([]Entry, error) {
	members = slices.Clone(members)
	slices.Sort(members)
	looked, err := b.look(ctx, "among", "", slices.Compact(members))
	if err != nil {
		return nil, err
	}
	looked = slices.DeleteFunc(looked, func(l looked1) bool { return !l.found })
	slices.SortFunc(looked, func(x, y looked1) int {
		return cmp.Or(cmp.Compare(b.stored(x.Score), b.stored(y.Score)), cmp.Compare(x.stamp, y.stamp), cmp.Compare(x.Member, y.Member))
	})
	list := make([]Entry, 0, len(looked))
	for i, l := range looked {
		l.Rank = b.next(list, l.Score, i+1, 1)
		list = append(list, l.Entry)
	}
	return list, nil
}

// looked1 is a member as the look script tells it.
type looked1 struct {
	Standing
	stamp string
	found bool
}

func (b *Board) look(ctx context.Context, verb, what string, members []string) (list []looked1, err error) {
	ctx, end := b.begin(ctx, verb)
	defer func() { end(result(err), err) }()
	if err := checkMembers(members); err != nil || len(members) == 0 {
		return nil, b.wrap(verb, err)
	}
	size, col, err := b.looked(ctx, what, members)
	if err != nil {
		return nil, b.wrap(verb, err)
	}
	list = make([]looked1, len(members))
	for i, member := range members {
		if list[i], err = b.lookedAt(col, i, member); err != nil {
			return nil, b.wrap(verb, err)
		}
		list[i].Of = int(size)
	}
	b.n.reads.Add(1)
	return list, nil
}

// What the look script tells of each member; a column is nil where nobody asked for it.
const (
	colScore = iota
	colStamp
	colRank
	colBetter
	colData
	columns
)

func (b *Board) looked(ctx context.Context, what string, members []string) (size int64, col [columns][]store.Reply, err error) {
	args := append(append(make([]string, 0, 2+len(members)), b.flags, what), members...)
	all, err := b.run(ctx, lookScript, args...).Array()
	if err == nil && len(all) != 1+columns {
		err = fmt.Errorf("%w: %d elements, want %d", store.ErrReply, len(all), 1+columns)
	}
	if err == nil {
		size, err = all[0].Int64()
	}
	for i := range col {
		if err == nil {
			col[i], err = sized(all[1+i], len(members))
		}
	}
	if err == nil && (col[colScore] == nil || what == "r" && (col[colRank] == nil || col[colBetter] == nil)) {
		err = fmt.Errorf("%w: nil for scores or ranks", store.ErrReply)
	}
	return size, col, err
}

func (b *Board) lookedAt(col [columns][]store.Reply, i int, member string) (l looked1, err error) {
	l.Member = member
	if col[colScore][i].IsNil() {
		return l, nil
	}
	l.found = true
	if l.Score, err = b.score(col[colScore][i]); err != nil {
		return l, err
	}
	if stamps := col[colStamp]; stamps != nil {
		l.stamp, _, err = stamps[i].Lookup()
	}
	if ranks := col[colRank]; ranks != nil && err == nil {
		var n []int64
		if n, err = store.ArrayOf(ranks[i], col[colBetter][i]).Ints(); err == nil {
			l.Rank, l.Better = int(n[0]), int(n[1])
		}
	}
	if data := col[colData]; data != nil && err == nil {
		l.Data, _, err = data[i].Lookup()
	}
	return l, err
}

// Size is how many members the board has. One round trip, O(1).
func (b *Board) Size(ctx context.Context) (n int, err error) {
	ctx, end := b.begin(ctx, "size")
	defer func() { end(result(err), err) }()
	size, err := b.st.Do(ctx, "ZCARD", b.keys[0]).Int64()
	return int(size), b.wrap("size", err)
}
