package set

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// Intersection, union and difference of sets. The sets may live in different
// arenas, whose locks the caller holds; nil is a key that does not exist, an empty
// set. The results are handed out one by one, in no particular order, and nothing
// is built to find them unless there is no cheaper way. fn must not change any of
// the sets.

// Inter calls fn with every member that all sets have, until fn returns false. It
// walks the smallest set and looks every member up in the others, the smaller
// first: O(smallest × sets).
func Inter(sets []*table.Entry, fn func(member packed.Value) bool) {
	if len(sets) == 0 || slices.Contains(sets, nil) {
		return
	}
	sets = slices.Clone(sets)
	slices.SortStableFunc(sets, func(a, b *table.Entry) int { return Len(a) - Len(b) })
	Each(sets[0], func(v packed.Value) bool {
		for _, other := range sets[1:] {
			if !HasValue(other, v) {
				return true
			}
		}
		return fn(v)
	})
}

// InterCard returns the number of members that all sets have, or limit if there
// are more and limit is not 0. As Inter.
func InterCard(sets []*table.Entry, limit int) (n int) {
	Inter(sets, func(packed.Value) bool {
		n++
		return n != limit
	})
	return n
}

// unionLookups is how many look-ups a member the union of few sets may cost
// before it is cheaper to build the union.
const unionLookups = 3

// Union calls fn with every member of any set, once. With few sets a member is
// skipped that an earlier set has: O(members × sets), no memory. With many, and
// where that is more than a few look-ups a member, the union is built in memory
// of the arena of the first set and given back: O(members).
func Union(sets []*table.Entry, fn func(member packed.Value)) {
	sets = present(sets)
	members, lookups := 0, 0
	for i, s := range sets {
		members += Len(s)
		lookups += Len(s) * i
	}
	if lookups > unionLookups*members {
		temp := newTable(sets[0])
		defer temp.Free()
		for _, s := range sets {
			Each(s, func(v packed.Value) bool {
				if AddValue(&temp.e, Limits{}, v) {
					fn(v)
				}
				return true
			})
		}
		return
	}
	for i, s := range sets {
		Each(s, func(v packed.Value) bool {
			if !anyHas(sets[:i], v) {
				fn(v)
			}
			return true
		})
	}
}

// Diff calls fn with every member of the first set that no other has. It takes
// the cheaper of Redis's two ways: to look every member of the first set up in
// the others, the larger first, O(first × sets); or to copy the first set, to
// memory of its own arena, and to remove the members of all others,
// O(members of all). The former is taken to be twice as fast a step.
func Diff(sets []*table.Entry, fn func(member packed.Value)) {
	if len(sets) == 0 || sets[0] == nil {
		return
	}
	first, others := sets[0], present(sets[1:])
	if copyIsCheaper(first, others) {
		temp := newTable(first)
		defer temp.Free()
		subtract(&temp.e, Limits{}, first, others)
		Each(&temp.e, func(v packed.Value) bool { fn(v); return true })
		return
	}
	slices.SortStableFunc(others, func(a, b *table.Entry) int { return Len(b) - Len(a) })
	Each(first, func(v packed.Value) bool {
		if !anyHas(others, v) {
			fn(v)
		}
		return true
	})
}

func copyIsCheaper(first *table.Entry, others []*table.Entry) bool {
	byLookup, byCopy := Len(first), Len(first)
	for _, s := range others {
		byLookup += Len(first)
		byCopy += Len(s)
	}
	return byLookup/2 > byCopy
}

// subtract adds the members of first to e and removes those of others.
func subtract(e *table.Entry, lim Limits, first *table.Entry, others []*table.Entry) {
	Each(first, func(v packed.Value) bool { AddValue(e, lim, v); return true })
	var buf [scratchLen]byte
	for _, s := range others {
		Each(s, func(v packed.Value) bool {
			Remove(e, text(v, buf[:0]))
			return true
		})
	}
}

// StoreInter builds the intersection for SINTERSTORE: in arena a, of the key to be
// stored, with its seed. The form is Redis's: an intset if all members are
// integers and few enough, and so on.
func StoreInter(a *arena.Arena, seed uint64, lim Limits, sets []*table.Entry) *Temp {
	temp := NewTemp(a, seed)
	if len(sets) == 0 || slices.Contains(sets, nil) {
		return temp
	}
	smallest := slices.MinFunc(sets, func(x, y *table.Entry) int { return Len(x) - Len(y) })
	if isInts(smallest) {
		initInts(&temp.e)
	}
	onlyInts := true
	Inter(sets, func(v packed.Value) bool {
		onlyInts = onlyInts && isInteger(v)
		AddValue(&temp.e, lim, v)
		return true
	})
	if onlyInts && !isInts(&temp.e) && Len(&temp.e) <= lim.Ints {
		return temp.asInts(a, seed)
	}
	return temp
}

// StoreUnion builds the union for SUNIONSTORE, as StoreInter. O(members).
func StoreUnion(a *arena.Arena, seed uint64, lim Limits, sets []*table.Entry) *Temp {
	temp := NewTemp(a, seed)
	initInts(&temp.e)
	for _, s := range present(sets) {
		Each(s, func(v packed.Value) bool { AddValue(&temp.e, lim, v); return true })
	}
	return temp
}

// StoreDiff builds the difference for SDIFFSTORE, as StoreInter. Which way was
// cheaper shows in the form: a copy that was a hashtable stays one.
func StoreDiff(a *arena.Arena, seed uint64, lim Limits, sets []*table.Entry) *Temp {
	temp := NewTemp(a, seed)
	initInts(&temp.e)
	if len(sets) == 0 || sets[0] == nil {
		return temp
	}
	if others := present(sets[1:]); copyIsCheaper(sets[0], others) && !slices.Contains(others, sets[0]) {
		subtract(&temp.e, lim, sets[0], others)
		return temp
	}
	Diff(sets, func(v packed.Value) { AddValue(&temp.e, lim, v) })
	return temp
}

// asInts returns the set, whose members are all integers, as an intset.
func (t *Temp) asInts(a *arena.Arena, seed uint64) *Temp {
	ints := NewTemp(a, seed)
	initInts(&ints.e)
	Each(&t.e, func(v packed.Value) bool {
		n, _ := integer(v)
		return intInsert(&ints.e, n)
	})
	t.Free()
	return ints
}

// newTable returns an empty hashtable in the arena of like.
func newTable(like *table.Entry) *Temp {
	temp := NewTemp(like.Arena(), like.Options().Seed)
	toLarge(&temp.e)
	return temp
}

// present returns the sets that exist, in an array of their own.
func present(sets []*table.Entry) []*table.Entry {
	return slices.DeleteFunc(slices.Clone(sets), func(s *table.Entry) bool { return s == nil })
}

func anyHas(sets []*table.Entry, v packed.Value) bool {
	for _, s := range sets {
		if HasValue(s, v) {
			return true
		}
	}
	return false
}

func isInteger(v packed.Value) bool {
	_, ok := integer(v)
	return ok
}
