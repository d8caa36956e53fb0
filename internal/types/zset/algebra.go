package zset

import (
	"bytes"
	"math"
	"slices"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// Intersection, union and difference of sorted sets, of plain sets, or of both. They
// may live in different arenas, whose locks the caller holds. Results are gathered
// in the heap, in a List, since the key that they are stored under may be a source,
// too; only then does Store build a sorted set of them.

// Source is an operand: a sorted set (see Of), a plain set, or nil for a key that
// does not exist.
type Source interface {
	Len() int
	// Each gives all members to fn until it returns false. Values are valid during
	// the call only.
	Each(fn func(member packed.Value, score float64) bool)
	// Score returns a member's score; false if there is no such member.
	Score(member []byte) (float64, bool)
}

// Of returns the sorted set e as a Source.
func Of(e *table.Entry) Source { return source{e} }

type source struct{ e *table.Entry }

func (s source) Len() int                                              { return Len(s.e) }
func (s source) Each(fn func(member packed.Value, score float64) bool) { Each(s.e, fn) }
func (s source) Score(member []byte) (float64, bool)                   { return Score(s.e, member) }

// Aggregate says how the weighted scores of one member in several sources become one.
type Aggregate int

const (
	Sum Aggregate = iota
	Min
	Max
)

// of adds a weighted score to those before. Where the result is not a number, as of
// the sum of both infinities, it is 0.
func (a Aggregate) of(total, score float64) float64 {
	switch {
	case a == Min && score < total, a == Max && score > total:
		return score
	case a == Sum:
		return orZero(total + score)
	}
	return total
}

func orZero(score float64) float64 {
	if math.IsNaN(score) {
		return 0
	}
	return score
}

// weighted is a source and its weight.
type weighted struct {
	Source
	weight float64
}

// smallestFirst pairs sources with their weights (all 1 if weights is nil), in
// ascending order of length. Sources that are nil count as empty.
func smallestFirst(sources []Source, weights []float64) []weighted {
	out := make([]weighted, len(sources))
	for i, s := range sources {
		out[i] = weighted{s, 1}
		if weights != nil {
			out[i].weight = weights[i]
		}
		if s == nil {
			out[i].Source = empty{}
		}
	}
	slices.SortStableFunc(out, func(x, y weighted) int { return x.Len() - y.Len() })
	return out
}

type empty struct{}

func (empty) Len() int                              { return 0 }
func (empty) Each(func(packed.Value, float64) bool) {}
func (empty) Score([]byte) (float64, bool)          { return 0, false }

// Inter returns the members that all sources have. It walks the smallest and looks
// every member up in the others: O(smallest × sources), and the sorting of the result.
// There is at least one source; weights is nil or as long as sources.
func Inter(sources []Source, weights []float64, a Aggregate) *List {
	list := new(List)
	inter(smallestFirst(sources, weights), a, func(member []byte, score float64) bool {
		list.Add(member, score)
		return true
	})
	list.sort()
	return list
}

// InterCard returns the number of members that all sources have, or limit if there
// are more and limit is not 0. As Inter.
func InterCard(sources []Source, limit int) (n int) {
	inter(smallestFirst(sources, nil), Sum, func([]byte, float64) bool {
		n++
		return n != limit
	})
	return n
}

func inter(sources []weighted, a Aggregate, fn func(member []byte, score float64) bool) {
	var scratch [32]byte
	sources[0].Each(func(v packed.Value, score float64) bool {
		member := text(v, scratch[:])
		total := orZero(sources[0].weight * score)
		for _, other := range sources[1:] {
			score, ok := other.Score(member)
			if !ok {
				return true
			}
			total = a.of(total, other.weight*score)
		}
		return fn(member, total)
	})
}

// Union returns the members that any source has. O(members), and the sorting of the
// result. weights is nil or as long as sources.
func Union(sources []Source, weights []float64, a Aggregate) *List {
	list := new(List)
	seen := map[string]int{}
	var scratch [32]byte
	for _, s := range smallestFirst(sources, weights) {
		s.Each(func(v packed.Value, score float64) bool {
			member, score := text(v, scratch[:]), orZero(s.weight*score)
			if i, ok := seen[string(member)]; ok {
				list.items[i].score = a.of(list.items[i].score, score)
				return true
			}
			seen[string(member)] = len(list.items)
			list.Add(member, score)
			return true
		})
	}
	list.sort()
	return list
}

// Diff returns the members, with their scores, of the first source that no other has.
// O(first × sources).
func Diff(sources []Source) *List {
	list := new(List)
	if len(sources) == 0 || sources[0] == nil {
		return list
	}
	var others []Source
	for _, s := range sources[1:] {
		if s != nil {
			others = append(others, s)
		}
	}
	slices.SortStableFunc(others, func(x, y Source) int { return y.Len() - x.Len() })
	var scratch [32]byte
	sources[0].Each(func(v packed.Value, score float64) bool {
		member := text(v, scratch[:])
		for _, other := range others {
			if _, ok := other.Score(member); ok {
				return true
			}
		}
		list.Add(member, score)
		return true
	})
	list.sort()
	return list
}

// List is a result: members with their scores, each once, in the heap.
type List struct {
	members []byte // of all items, one after the other
	items   []item
	longest int // bytes of the longest member
}

type item struct {
	score float64
	start int
	end   int
}

// Add appends a member, which is copied. Order and uniqueness are the caller's care.
func (l *List) Add(member []byte, score float64) {
	start := len(l.members)
	l.members = append(l.members, member...)
	l.items = append(l.items, item{score, start, len(l.members)})
	l.longest = max(l.longest, len(member))
}

// Len returns the number of members.
func (l *List) Len() int { return len(l.items) }

// Each gives all members to fn in order, until it returns false.
func (l *List) Each(fn func(member []byte, score float64) bool) {
	for _, i := range l.items {
		if !fn(l.member(i), i.score) {
			return
		}
	}
}

func (l *List) member(i item) []byte { return l.members[i.start:i.end:i.end] }

func (l *List) sort() {
	slices.SortFunc(l.items, func(x, y item) int {
		if order := compareScores(x.score, y.score); order != 0 {
			return order
		}
		return bytes.Compare(l.member(x), l.member(y))
	})
}

// Store fills e, an empty small sorted set, with a list whose members are in order.
// The form is the one that the limits give for such members. O(n).
func Store(e *table.Entry, lim Limits, l *List) {
	if l.Len() <= lim.Entries && l.longest <= lim.Value {
		var pairs []byte
		for _, item := range l.items {
			pairs = packed.Append(pairs, packed.Forward, l.member(item))
			pairs = appendScore(pairs, item.score)
		}
		apply(e, packed.Push(e.Value(), pairs, 2*l.Len()))
		return
	}
	i := 0
	x := newIndex(e)
	defer x.close()
	x.append(func() (member packed.Value, score float64, ok bool) {
		if i == len(l.items) {
			return member, 0, false
		}
		item := l.items[i]
		i++
		return packed.StringValue(l.member(item)), item.score, true
	})
}
