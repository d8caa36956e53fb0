package set

import (
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Each calls fn with every member until it returns false: ascending in an intset,
// in the order of insertion in a listpack, else in an arbitrary order. fn must not
// change this set; what it is given is valid during the call. O(members).
func Each(e *table.Entry, fn func(member packed.Value) bool) {
	if !isLarge(e) {
		eachSmall(e.Value(), isInts(e), fn)
		return
	}
	nested.Each(e, func(r *table.Entry) bool { return fn(packed.StringValue(r.Key())) })
}

// eachSmall is Each over the value of a small set.
func eachSmall(b []byte, ints bool, fn func(member packed.Value) bool) {
	if ints {
		for i := range intCount(b) {
			if !fn(packed.IntValue(intAt(b, i))) {
				return
			}
		}
		return
	}
	for off := packed.First(b); off != 0; {
		v, next := packed.Read(b, off)
		if !fn(v) {
			return
		}
		off = next
	}
}

// Scan calls fn with some members and returns the cursor to go on with, 0 at the
// end. A member that is there from the first call (with cursor 0) to the last is
// visited at least once. It stops soon after count members; a small set is visited
// at once, whatever the cursor. fn must not change the shard. O(count).
func Scan(e *table.Entry, cursor uint64, count int, fn func(member packed.Value)) uint64 {
	if isLarge(e) {
		return nested.Scan(e, cursor, count, func(r *table.Entry) { fn(packed.StringValue(r.Key())) })
	}
	Each(e, func(v packed.Value) bool { fn(v); return true })
	return 0
}

// Random returns a member, each with (nearly, in a hashtable) the same chance. rnd
// gives 64 random bits. The set is not empty. O(1).
func Random(e *table.Entry, rnd func() uint64) (member packed.Value) {
	if isLarge(e) {
		nested.Random(e, rnd, func(r *table.Entry) { member = packed.StringValue(r.Key()) })
		return member
	}
	b, i := e.Value(), nested.Below(rnd, Len(e))
	if isInts(e) {
		return packed.IntValue(intAt(b, i))
	}
	return packed.Get(b, packed.At(b, i))
}

// RandomRepeat calls fn with n random members, drawn anew each time, until it
// returns false. fn must not change the shard. The set is not empty. O(n).
func RandomRepeat(e *table.Entry, rnd func() uint64, n int, fn func(member packed.Value) bool) {
	if isLarge(e) || isInts(e) || n == 1 {
		for ; n > 0; n-- {
			if !fn(Random(e, rnd)) {
				return
			}
		}
		return
	}
	b := e.Value()
	var buf [128]int32
	offsets := buf[:0] // so that a draw is O(1)
	for off := packed.First(b); off != 0; off = packed.Next(b, off) {
		offsets = append(offsets, int32(off))
	}
	for ; n > 0; n-- {
		if !fn(packed.Get(b, int(offsets[nested.Below(rnd, len(offsets))]))) {
			return
		}
	}
}

// RandomDistinct calls fn with n different random members, or with all if there
// are fewer, in no particular order. fn must not change the shard. O(n), or
// O(members) when n is a good part of them.
func RandomDistinct(e *table.Entry, rnd func() uint64, n int, fn func(member packed.Value)) {
	if isLarge(e) {
		nested.RandomDistinct(e, rnd, n, func(r *table.Entry) { fn(packed.StringValue(r.Key())) })
		return
	}
	pick := nested.NewSelection(rnd, n, Len(e))
	Each(e, func(v packed.Value) bool {
		if pick.Next() {
			fn(v)
		}
		return !pick.Done()
	})
}
