// Package list is the list type: elements in a sequence, added and taken at both
// ends, reached by position.
//
// # Two encodings
//
// A small list is one packed run, the value of its key's record ("listpack"). A
// large list, marked by table.FlagLarge, is a counted tree whose leaves are such
// runs ("quicklist"); the record's value is the tree's root. All operations are
// written once, over a sequence of runs (see seq): a small list is a sequence of
// one.
//
// A list turns large when its run would exceed the limit of
// list-max-listpack-size, and small again when it has shrunk to a single leaf of
// half that limit: the rules of Redis 7.2, counted in the bytes that Redis's own
// format would need, so that OBJECT ENCODING agrees. Leaves are filled at the ends
// by Redis's rule, too; in the middle they are split in halves and merged with
// neighbours, which Redis does differently, so a list that shrinks after edits in
// its middle may turn small a few elements sooner or later than there.
//
// # Ownership of bytes
//
// Elements are copied in. Values given out alias the list: they are valid until it
// changes, those given to a callback during the call only. Callbacks must not
// change the list. Entries that an operation takes are positioned on a record whose
// kind is list; they stay positioned on it.
//
// # Empty lists
//
// An operation may leave a list empty; it then holds no memory outside its record,
// and the caller deletes the key.
package list

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// InitLen is the length in bytes of the value of a new record that is to be given
// to Init.
const InitLen = packed.MinLen

// Init makes e's value an empty list, whatever it was. Cells that the old value
// referred to must have been freed.
func Init(e *table.Entry) {
	e.SetFlag(table.FlagLarge, false)
	packed.AppendRun(e.SetLen(InitLen)[:0], packed.TwoWay, 0)
}

// Encoding returns what OBJECT ENCODING says: "listpack" or "quicklist".
func Encoding(e *table.Entry) string {
	if e.Flag(table.FlagLarge) {
		return "quicklist"
	}
	return "listpack"
}

// Len returns the number of elements. O(1).
func Len(e *table.Entry) int {
	if e.Flag(table.FlagLarge) {
		return tree.Count(e.Value())
	}
	return packed.Count(e.Value())
}

// Push adds values at the front, one after the other, so that the last value comes
// first; or at the back. O(1) for each, plus moving up to a leaf of bytes.
func Push(e *table.Entry, lim Limits, front bool, values ...[]byte) {
	s := seq{e: e, lim: lim}
	s.begin()
	s.grow(values...)
	var buf [256]byte
	for len(values) > 0 {
		n, fresh := s.chunk(front, values)
		entries := encode(buf[:0], front, values[:n])
		switch {
		case fresh:
			s.addLeaf(front, n, entries)
		case front:
			s.edit(packed.Unshift(s.run(), entries, n))
		default:
			s.edit(packed.Push(s.run(), entries, n))
		}
		values = values[n:]
	}
	s.save()
}

// encode appends values as entries, in the order in which they will stand.
func encode(dst []byte, reverse bool, values [][]byte) []byte {
	if !reverse {
		for _, v := range values {
			dst = packed.Append(dst, packed.TwoWay, v)
		}
		return dst
	}
	for i := len(values) - 1; i >= 0; i-- {
		dst = packed.Append(dst, packed.TwoWay, values[i])
	}
	return dst
}

// Pop takes up to n elements from the front or the back, giving each to fn in the
// order of taking, and returns how many it took. O(n), plus moving up to a leaf of
// bytes.
func Pop(e *table.Entry, lim Limits, front bool, n int, fn func(v packed.Value)) int {
	s := seq{e: e, lim: lim}
	s.begin()
	n = max(0, min(n, s.len()))
	for left := n; left > 0; {
		s.end(front)
		run := s.run()
		take := min(left, packed.Count(run))
		left -= take
		if front {
			s.cut(packed.First(run), forward(run, packed.First(run), take, fn), take)
		} else {
			s.cut(backward(run, len(run), take, fn), len(run), take)
		}
	}
	s.shrink()
	return n
}

// forward gives n entries from off on to fn and returns where they end.
func forward(run []byte, off, n int, fn func(v packed.Value)) (end int) {
	for range n {
		var v packed.Value
		if v, off = packed.Read(run, off); off == 0 {
			off = len(run)
		}
		fn(v)
	}
	return off
}

// backward gives n entries to fn, from the one that ends at end backwards, and
// returns where the last of them begins.
func backward(run []byte, end, n int, fn func(v packed.Value)) (off int) {
	for range n {
		end = packed.Prev(run, end)
		fn(packed.Get(run, end))
	}
	return end
}

// Index returns the element at position i, 0 to Len-1; false if there is none.
// O(log n) and half a leaf.
func Index(e *table.Entry, i int) (packed.Value, bool) {
	s := seq{e: e}
	s.load()
	at, ok := s.at(i)
	if !ok || i == s.len() {
		return packed.Value{}, false
	}
	run := s.run()
	return packed.Get(run, packed.At(run, at)), true
}

// Set replaces the element at position i by v; it is false if there is none.
// O(log n) and a leaf.
func Set(e *table.Entry, lim Limits, i int, v []byte) bool {
	s := seq{e: e, lim: lim}
	s.begin()
	s.grow(v)
	at, ok := s.at(i)
	if !ok || i == s.len() {
		return false
	}
	run := s.run()
	var buf [256]byte
	s.edit(packed.Replace(run, packed.At(run, at), 1, packed.Append(buf[:0], packed.TwoWay, v), 1))
	if s.at(i); s.large && s.c.Count() == 1 {
		s.settle() // a leaf of its own is for a long element, which this may have been
	}
	s.shrink()
	return true
}

// Trim keeps n elements from position from on and removes all others. Leaves that
// go as a whole are not read. O(log n) for each leaf removed.
func Trim(e *table.Entry, lim Limits, from, n int) {
	s := seq{e: e, lim: lim}
	s.begin()
	if from >= s.len() || n <= 0 {
		from, n = 0, 0
	}
	if end := from + n; end < s.len() {
		s.deleteRange(end, s.len()-end)
	}
	s.deleteRange(0, from)
	s.shrink()
}

// Range gives n elements from position from on to fn, until it returns false; with
// back, the positions from, from-1 and so on. It stops at the list's ends.
// O(log n + elements given).
func Range(e *table.Entry, from, n int, back bool, fn func(v packed.Value) bool) {
	s := seq{e: e}
	s.load()
	at, ok := s.at(from)
	if !ok || from == s.len() {
		return
	}
	run := s.run()
	for off := packed.At(run, at); n > 0; n-- {
		v, next := packed.Read(run, off)
		if !fn(v) {
			return
		}
		if back {
			next = packed.Prev(run, off)
		}
		if off = next; off != 0 {
			continue
		}
		if !s.step(!back) {
			return
		}
		run = s.run()
		if off = packed.First(run); back {
			off = packed.Last(run)
		}
	}
}

// Each gives all elements to fn in order, until it returns false.
func Each(e *table.Entry, fn func(v packed.Value) bool) { Range(e, 0, Len(e), false, fn) }

// Clone makes dst, a fresh record in any arena, a copy of the list src. O(n).
func Clone(src, dst *table.Entry) {
	if !src.Flag(table.FlagLarge) {
		copy(dst.SetLen(len(src.Value())), src.Value())
		return
	}
	s, d := seq{e: src}, seq{e: dst, large: true}
	s.load()
	a := dst.Arena()
	d.t = tree.New(a, leaves)
	s.t.Leaves(func(leaf arena.Ref, count int) bool {
		run := leafRun(src.Arena().Bytes(leaf))
		d.t.Last(&d.c)
		d.t.InsertAfter(&d.c, newLeaf(a, count, packed.Entries(run)), count, nil)
		return true
	})
	dst.SetLen(tree.RootSize)
	dst.SetFlag(table.FlagLarge, true)
	d.save()
}

// Free gives all memory outside the record back to the arena. The record is to be
// deleted next. O(n).
func Free(e *table.Entry) {
	if e.Flag(table.FlagLarge) {
		for !FreeStep(e.Arena(), e.Value(), 1<<10) {
		}
	}
}

// FreeStep gives back a part, up to budget leaves, of what the value of a large
// list's record refers to and reports whether nothing is left. value may be a copy of
// a value whose record is gone; it is changed to say how far it has come. O(budget).
func FreeStep(a *arena.Arena, value []byte, budget int) bool {
	t := tree.Load(a, value, leaves)
	freed := t.Drain(budget, func(leaf arena.Ref, _ int) { a.Free(leaf) })
	t.Save(value)
	return freed < budget
}

// Freeing takes a large list off e, whose record is to be deleted next, and returns
// what gives it back piece by piece: a call frees about budget leaves and reports
// whether none is left. O(1).
func Freeing(e *table.Entry) func(budget int) (done bool) {
	a, value := e.Arena(), slices.Clone(e.Value())
	return func(budget int) bool { return FreeStep(a, value, budget) }
}

// Fill makes e's value a small list of the values, whatever it was. Cells that the old value referred to must have been
// freed. The caller knows that Redis would have it small: see Limits.Fit. O(n).
func Fill(e *table.Entry, values [][]byte) {
	e.SetFlag(table.FlagLarge, false)
	run := packed.AppendRun(nil, packed.TwoWay, len(values), encode(nil, false, values))
	copy(e.SetLen(len(run)), run)
}

// Enlarge makes a list large, as Redis has one that was loaded in several parts, however short. O(n).
func Enlarge(e *table.Entry) {
	if s := (seq{e: e}); !e.Flag(table.FlagLarge) {
		s.begin()
		s.enlarge()
	}
}

// Leaves returns how many leaves a large list has, and their runs' bytes; 0 of a small one. O(leaves).
func Leaves(e *table.Entry) (leaves, bytes int) {
	if !e.Flag(table.FlagLarge) {
		return 0, 0
	}
	t := tree.Load(e.Arena(), e.Value(), tree.Options{})
	t.Leaves(func(leaf arena.Ref, _ int) bool {
		leaves++
		bytes += len(leafRun(e.Arena().Bytes(leaf)))
		return true
	})
	return leaves, bytes
}

// Bytes returns the memory outside the record, in bytes. O(leaves).
func Bytes(e *table.Entry) int {
	if !e.Flag(table.FlagLarge) {
		return 0
	}
	s := seq{e: e}
	s.load()
	total := s.t.Bytes()
	s.t.Leaves(func(leaf arena.Ref, _ int) bool {
		total += e.Arena().Size(leaf)
		return true
	})
	return total
}

// Compact moves cells out of slabs that the arena wants empty, up to budget leaves
// a call, and returns the cursor for the next call, 0 at the end. Start with 0.
func Compact(e *table.Entry, cursor uint64, budget int) (next uint64) {
	if !e.Flag(table.FlagLarge) {
		return 0
	}
	s := seq{e: e}
	s.load() // where cells lie is no change of the contents
	position := int(cursor)
	for ; budget > 0 && position < s.len(); budget-- {
		s.t.At(&s.c, position)
		s.t.Compact(&s.c)
		if a := e.Arena(); a.Sparse(s.c.Leaf()) {
			old, count := s.c.Leaf(), s.c.Count()
			s.t.Update(&s.c, newLeaf(a, count, packed.Entries(s.run())), count, nil)
			a.Free(old)
		}
		position = s.c.Before() + s.c.Count()
	}
	s.save()
	if position >= s.len() {
		return 0
	}
	return uint64(position)
}
