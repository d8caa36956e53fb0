package hash

import (
	"errors"
	"math"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Clone makes dst's value a copy of src's hash, in the same form and with the
// fields' expiry. dst may live in another arena; cells that its old value referred
// to must have been freed. O(fields), with a factor log of those that expire.
func Clone(src, dst *table.Entry) {
	dst.SetFlag(table.FlagLarge, false)
	dst.SetFlag(FlagTimed, isTimed(src))
	if !isLarge(src) {
		copy(dst.SetLen(len(src.Value())), src.Value())
		return
	}
	nested.Clone(src, dst)
	if isTimed(src) {
		newSchedule(dst)
	}
}

// Free gives back what the hash keeps outside its record; e's value is void after
// that. O(fields).
func Free(e *table.Entry) {
	if isLarge(e) {
		Freeing(e)(math.MaxInt)
	}
}

// Freeing takes a large hash off e, whose record is to be deleted next, and returns
// what gives it back piece by piece: a call frees about budget fields and reports
// whether none is left. O(1).
func Freeing(e *table.Entry) func(budget int) (done bool) {
	records := nested.Freeing(e)
	if !isTimed(e) {
		return records
	}
	order := loadOrder(e)
	return func(budget int) bool { return order.FreeStep(budget) && records(budget) }
}

// Bytes returns the memory outside the record, in bytes. O(fields).
func Bytes(e *table.Entry) int {
	if !isLarge(e) {
		return 0
	}
	n := nested.Bytes(e)
	if isTimed(e) {
		order := loadOrder(e)
		n += order.Bytes()
	}
	return n
}

// Compact goes on moving the cells of a large hash out of sparse slabs, about
// budget of them, and returns the cursor to go on with, 0 at the end. The record
// itself is its owner's to move.
func Compact(e *table.Entry, cursor uint64, budget int) uint64 {
	switch {
	case !isLarge(e):
		return 0
	case isTimed(e):
		s := openSchedule(e) // where cells lie is no change of the contents
		defer s.close()
		return s.compact(cursor, budget)
	}
	return nested.Compact(e, cursor, budget)
}

// Refusals of Check.
var (
	errCells     = errors.New("hash: a field without a value or an expiry")
	errLayout    = errors.New("hash: not a forward run")
	errDuplicate = errors.New("hash: a field twice")
	errStamp     = errors.New("hash: the next expiry is not that of the field that expires first")
	errExpiry    = errors.New("hash: an expiry that is none")
)

// Check checks that e holds a hash. O(fields), O(fields²) in the small form.
func Check(e *table.Entry) error {
	switch {
	case isLarge(e) && isTimed(e):
		s := openSchedule(e)
		defer s.close()
		return s.check()
	case isLarge(e):
		return nested.Check(e)
	}
	b, w := runOf(e), width(e)
	if err := packed.Valid(b); err != nil {
		return err
	}
	if packed.Count(b)%w != 0 {
		return errCells
	}
	if packed.LayoutOf(b) != packed.Forward {
		return errLayout
	}
	var buf []byte
	for off := packed.First(b); off != 0; {
		at := off
		var c cell
		c, off = readCell(b, w, off)
		buf = c.field.AppendString(buf[:0])
		if find(b, w, buf) != at {
			return errDuplicate
		}
		if c.expiry < 0 {
			return errExpiry
		}
	}
	if isTimed(e) && NextExpiry(e) != earliest(b) {
		return errStamp
	}
	return nil
}
