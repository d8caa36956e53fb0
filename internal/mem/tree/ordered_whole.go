package tree

import (
	"fmt"

	"github.com/larderdb/larder/internal/mem/arena"
)

// What concerns an Ordered as a whole.

// Append adds leaves of full size to the end of the tree, taking entries in
// order from next until it is false. Cost: O(entries).
func (o *Ordered) Append(next func() (Entry, bool)) {
	size := entrySize * o.leafMax
	leaf, count := o.t.a.Alloc(size), 0
	finish := func() {
		var c Cursor
		o.t.Last(&c)
		o.t.InsertAfter(&c, leaf, count, o.t.a.Bytes(leaf)[:entrySize])
	}
	for e, ok := next(); ok; e, ok = next() {
		if count == o.leafMax {
			finish()
			leaf, count = o.t.a.Alloc(size), 0
		}
		e.encode(o.t.a.Bytes(leaf)[entrySize*count:])
		count++
	}
	if count > 0 {
		shrunk := o.t.a.Alloc(entrySize * count)
		copy(o.t.a.Bytes(shrunk), o.t.a.Bytes(leaf)[:entrySize*count])
		o.t.a.Free(leaf)
		leaf = shrunk
		finish()
		return
	}
	o.t.a.Free(leaf)
}

// Each calls fn for every entry in order until it returns false.
func (o *Ordered) Each(fn func(Entry) bool) {
	o.t.Leaves(func(leaf arena.Ref, count int) bool {
		b := o.t.a.Bytes(leaf)
		for i := range count {
			if !fn(entryAt(b, i)) {
				return false
			}
		}
		return true
	})
}

// FreeStep gives up to budget entries' worth of leaves at the tree's end back to
// the arena and says whether the tree is empty now. What the entries refer to is
// the caller's to free.
func (o *Ordered) FreeStep(budget int) bool {
	leaves := budget/o.leafMax + 1
	return o.t.Drain(leaves, func(leaf arena.Ref, _ int) { o.t.a.Free(leaf) }) < leaves
}

// Bytes returns the size of all cells of the tree, in bytes. Cost: O(leaves).
func (o *Ordered) Bytes() int {
	total := o.t.Bytes()
	o.t.Leaves(func(leaf arena.Ref, _ int) bool {
		total += o.t.a.Size(leaf)
		return true
	})
	return total
}

// Compact moves p's leaf and the inner nodes above it out of slabs that the
// arena wants empty. p stays valid. Cost: O(log n) and the leaf's size.
func (o *Ordered) Compact(p *Place) {
	o.t.Compact(&p.c)
	if o.t.a.Sparse(p.c.leaf) {
		o.move(p, entrySize*p.c.count)
		o.t.Update(&p.c, p.c.leaf, p.c.count, nil)
	}
}

// Check verifies the tree and the order of its entries: before says whether x
// stands in front of y.
func (o *Ordered) Check(before func(x, y Entry) bool) error {
	var last Entry
	seen := 0
	return o.t.Check(func(leaf arena.Ref, count int) ([]byte, error) {
		b := o.t.a.Bytes(leaf)
		if count > o.leafMax || entrySize*count > len(b) {
			return nil, fmt.Errorf("tree: leaf %d of %d bytes holds %d entries", leaf, len(b), count)
		}
		for i := range count {
			e := entryAt(b, i)
			if seen > 0 && !before(last, e) {
				return nil, fmt.Errorf("tree: entry %d is not after the one in front of it", seen)
			}
			last = e
			seen++
		}
		return b[:entrySize], nil
	})
}
