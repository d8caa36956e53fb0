package hash

import (
	"errors"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Clone makes dst's value a copy of src's hash, in the same form. dst may live in
// another arena; cells that its old value referred to must have been freed. O(fields).
func Clone(src, dst *table.Entry) {
	dst.SetFlag(table.FlagLarge, false)
	if isLarge(src) {
		nested.Clone(src, dst)
		return
	}
	b := dst.SetLen(len(src.Value()))
	copy(b, src.Value())
}

// Free gives back what the hash keeps outside its record; e's value is void after
// that. O(fields).
func Free(e *table.Entry) {
	if isLarge(e) {
		nested.Free(e)
	}
}

// Bytes returns the memory outside the record, in bytes. O(fields).
func Bytes(e *table.Entry) int {
	if !isLarge(e) {
		return 0
	}
	return nested.Bytes(e)
}

// Compact goes on moving the cells of a large hash out of sparse slabs, about
// budget of them, and returns the cursor to go on with, 0 at the end. The record
// itself is its owner's to move.
func Compact(e *table.Entry, cursor uint64, budget int) uint64 {
	if !isLarge(e) {
		return 0
	}
	return nested.Compact(e, cursor, budget)
}

// Refusals of Check.
var (
	errPairs     = errors.New("hash: a field without a value")
	errLayout    = errors.New("hash: not a forward run")
	errDuplicate = errors.New("hash: a field twice")
)

// Check checks that e holds a hash. O(fields), O(fields²) in the small form.
func Check(e *table.Entry) error {
	if isLarge(e) {
		return nested.Check(e)
	}
	b := e.Value()
	if err := packed.Valid(b); err != nil {
		return err
	}
	if packed.Count(b)%2 != 0 {
		return errPairs
	}
	if packed.LayoutOf(b) != packed.Forward {
		return errLayout
	}
	var buf []byte
	for off := packed.First(b); off != 0; off = packed.Next(b, packed.Next(b, off)) {
		buf = packed.Get(b, off).AppendString(buf[:0])
		if find(b, buf) != off {
			return errDuplicate
		}
	}
	return nil
}
