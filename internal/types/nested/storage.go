package nested

import (
	"errors"
	"math"

	"github.com/larderdb/larder/internal/mem/arena"
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
			to.Add(r.Key(), r.Value())
		}
		return true
	})
	to.Save()
}

// Free gives back everything that e's value refers to; the value is void then.
// O(records).
func Free(e *table.Entry) {
	FreeStep(e.Arena(), e.Value(), math.MaxInt)
}

// FreeStep gives back a part, about budget records, of what the value of a record
// refers to and reports whether nothing is left. value may be a copy of a value
// whose record is gone; it is changed to say how far it has come. O(budget).
func FreeStep(a *arena.Arena, value []byte, budget int) (done bool) {
	t := load(nil, table.LoadFrom(a, value, options(0)), 0) // freeing hashes nothing
	defer t.Close()
	done = t.Table.FreeStep(budget)
	t.SaveTo(value)
	return done
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
