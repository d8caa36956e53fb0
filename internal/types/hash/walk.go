package hash

import (
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Each calls fn with every field and its value until it returns false. The order
// is that of insertion while the hash is small, else arbitrary. fn must not
// change the shard; what it is given is valid during the call. O(fields).
func Each(e *table.Entry, fn func(field, value packed.Value) bool) {
	if isLarge(e) {
		nested.Each(e, func(r *table.Entry) bool { return fn(record(r)) })
		return
	}
	b, w := runOf(e), width(e)
	for off := packed.First(b); off != 0; {
		var c cell
		if c, off = readCell(b, w, off); !fn(c.field, c.value) {
			return
		}
	}
}

// Scan calls fn with some fields and returns the cursor to go on with, 0 at the
// end. A field that is there from the first call (with cursor 0) to the last is
// visited at least once. It stops soon after count fields; a small hash is visited
// at once, whatever the cursor. fn must not change the shard. O(count).
func Scan(e *table.Entry, cursor uint64, count int, fn func(field, value packed.Value)) uint64 {
	if isLarge(e) {
		return nested.Scan(e, cursor, count, func(r *table.Entry) { fn(record(r)) })
	}
	Each(e, func(field, value packed.Value) bool { fn(field, value); return true })
	return 0
}

// Random returns a field and its value, each field with (nearly, in the large
// form) the same chance. rnd gives 64 random bits. The hash is not empty. O(1).
func Random(e *table.Entry, rnd func() uint64) (field, value packed.Value) {
	if isLarge(e) {
		nested.Random(e, rnd, func(r *table.Entry) { field, value = record(r) })
		return field, value
	}
	b := runOf(e)
	off := packed.At(b, width(e)*nested.Below(rnd, Len(e)))
	field, next := packed.Read(b, off)
	return field, packed.Get(b, next)
}

// RandomRepeat calls fn with n random fields, drawn anew each time, until it
// returns false. fn must not change the shard. The hash is not empty. O(n).
func RandomRepeat(e *table.Entry, rnd func() uint64, n int, fn func(field, value packed.Value) bool) {
	if isLarge(e) || n == 1 {
		for ; n > 0; n-- {
			if !fn(Random(e, rnd)) {
				return
			}
		}
		return
	}
	b, w := runOf(e), width(e)
	var buf [512]int32
	offsets := buf[:0] // of the fields, so that a draw is O(1)
	for off := packed.First(b); off != 0; {
		offsets = append(offsets, int32(off))
		_, off = readCell(b, w, off)
	}
	for ; n > 0; n-- {
		field, next := packed.Read(b, int(offsets[nested.Below(rnd, len(offsets))]))
		if !fn(field, packed.Get(b, next)) {
			return
		}
	}
}

// RandomDistinct calls fn with n different random fields, or with all if there are
// fewer, in no particular order. fn must not change the shard. O(n), or O(fields)
// when n is a good part of them.
func RandomDistinct(e *table.Entry, rnd func() uint64, n int, fn func(field, value packed.Value)) {
	if isLarge(e) {
		nested.RandomDistinct(e, rnd, n, func(r *table.Entry) { fn(record(r)) })
		return
	}
	pick := nested.NewSelection(rnd, n, Len(e))
	Each(e, func(field, value packed.Value) bool {
		if pick.Next() {
			fn(field, value)
		}
		return !pick.Done()
	})
}

// record returns what a record of the large form holds.
func record(r *table.Entry) (field, value packed.Value) {
	return packed.StringValue(r.Key()), packed.StringValue(r.Value())
}
