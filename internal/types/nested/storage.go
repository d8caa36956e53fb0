package nested

import (
	"errors"
	"math"

	"github.com/larderdb/larder/internal/mem/table"
)

// Clone makes dst's value the root of a table with the records of src's. dst may
// live in another arena. O(records).
func Clone(src, dst *table.Entry) {
	to := Create(dst)
	defer to.Close()
	Each(src, func(r *table.Entry) bool {
		if r.Kind() == table.Bare {
			to.AddKey(r.Key())
		} else {
			to.AddUntil(r.Key(), r.Value(), r.Expiry())
		}
		return true
	})
	to.Save()
}

// Free gives back everything that e's value refers to; the value is void then.
// O(records).
func Free(e *table.Entry) { Freeing(e)(math.MaxInt) }

// Freeing takes the table off e, whose record is to be deleted next, and returns
// what gives it back piece by piece: a call frees about budget records and reports
// whether none is left. O(1).
func Freeing(e *table.Entry) func(budget int) (done bool) {
	t := table.LoadFrom(e.Arena(), e.Value(), options(e.Options().Seed))
	return t.FreeStep
}

// Bytes returns the memory of e's table in bytes, the record not included.
// O(records).
func Bytes(e *table.Entry) int {
	t := Open(e)
	defer t.Close()
	return t.Bytes()
}

// Compact moves cells of e's table out of slabs that the arena wants empty, and
// returns the cursor to go on with, 0 at the end. O(budget).
func Compact(e *table.Entry, cursor uint64, budget int) uint64 {
	t := Open(e) // where cells lie is no change of the contents
	defer t.Close()
	cursor = t.Compact(cursor, budget, nil)
	t.Save()
	return cursor
}

// errValue is Check's refusal of a record that does not hold a table.
var errValue = errors.New("nested: the record holds no table")

// Check checks the table of e. O(records).
func Check(e *table.Entry) error {
	if !e.Flag(table.FlagLarge) || len(e.Value()) != RootLen {
		return errValue
	}
	t := Open(e)
	defer t.Close()
	return t.Check()
}
