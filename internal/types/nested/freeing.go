package nested

import "github.com/larderdb/larder/internal/mem/table"

// Freeing takes the table off e, whose record is to be deleted next, and returns what gives it back piece by piece: a
// call frees about budget cells and reports whether none is left. O(1).
func Freeing(e *table.Entry) func(budget int) (done bool) {
	t := table.LoadFrom(e.Arena(), e.Value(), options(e.Options().Seed))
	return t.FreeStep
}
