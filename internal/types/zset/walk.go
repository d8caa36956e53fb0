package zset

import (
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Walk gives n members to fn, from a rank on upwards, or downwards with back, until
// fn returns false. It stops at the ends. O(log n + members given).
func Walk(e *table.Entry, rank, n int, back bool, fn func(member packed.Value, score float64) bool) {
	if n <= 0 || rank < 0 || rank >= Len(e) {
		return
	}
	if isLarge(e) {
		x := openIndex(e)
		defer x.close()
		x.walk(rank, n, back, fn)
		return
	}
	smallWalk(e.Value(), rank, n, back, fn)
}

// Each gives all members to fn in order, until it returns false.
func Each(e *table.Entry, fn func(member packed.Value, score float64) bool) {
	Walk(e, 0, Len(e), false, fn)
}

// RemoveRange removes n members from a rank on, or as many as there are.
// O(log n + members removed).
func RemoveRange(e *table.Entry, rank, n int) {
	n = min(n, Len(e)-rank)
	switch {
	case n <= 0 || rank < 0:
	case isLarge(e):
		x := editIndex(e)
		defer x.close()
		x.removeRange(rank, n)
	default:
		smallDelete(e, packed.At(e.Value(), 2*rank), n)
	}
}

// Pop removes up to n members of the lowest scores, or of the highest with max, and
// gives each to fn before, the outermost first. It returns how many.
// O(log n + members removed).
func Pop(e *table.Entry, max bool, n int, fn func(member packed.Value, score float64)) int {
	length := Len(e)
	n = min(n, length)
	if n <= 0 {
		return 0
	}
	first, start := 0, 0 // of those to remove; of the walk
	if max {
		first, start = length-n, length-1
	}
	visit := func(member packed.Value, score float64) bool {
		fn(member, score)
		return true
	}
	if isLarge(e) {
		x := editIndex(e)
		defer x.close()
		x.walk(start, n, max, visit)
		x.removeRange(first, n)
		return n
	}
	smallWalk(e.Value(), start, n, max, visit)
	RemoveRange(e, first, n)
	return n
}

// Random returns a random member, every one with the same chance; the set is not
// empty. rnd gives 64 random bits. O(log n).
func Random(e *table.Entry, rnd func() uint64) (member packed.Value, score float64) {
	Walk(e, nested.Below(rnd, Len(e)), 1, false, func(m packed.Value, s float64) bool {
		member, score = m, s
		return false
	})
	return member, score
}

// drawFactor is how many times the wanted members a set may have for a walk of the
// whole set to be cheaper than drawing until enough are different.
const drawFactor = 3

// RandomDistinct gives n different random members to fn, or all if there are fewer.
// O(n log n) when n is small beside the set, else O(set).
func RandomDistinct(e *table.Entry, rnd func() uint64, n int, fn func(member packed.Value, score float64)) {
	length := Len(e)
	if n >= length/drawFactor {
		pick := nested.NewSelection(rnd, n, length)
		Each(e, func(member packed.Value, score float64) bool {
			if pick.Next() {
				fn(member, score)
			}
			return !pick.Done()
		})
		return
	}
	drawn := make(map[int]struct{}, n)
	for len(drawn) < n {
		rank := nested.Below(rnd, length)
		if _, again := drawn[rank]; again {
			continue
		}
		drawn[rank] = struct{}{}
		Walk(e, rank, 1, false, func(member packed.Value, score float64) bool {
			fn(member, score)
			return false
		})
	}
}

// Scan gives some members to fn, in no order, and returns the cursor to go on with,
// 0 at the end. Members that are there from the first to the last call are given at
// least once. Start with 0.
func Scan(e *table.Entry, cursor uint64, count int, fn func(member packed.Value, score float64)) (next uint64) {
	if isLarge(e) {
		x := openIndex(e)
		defer x.close()
		return x.scan(cursor, count, fn)
	}
	Each(e, func(member packed.Value, score float64) bool {
		fn(member, score)
		return true
	})
	return 0
}
