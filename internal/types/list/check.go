package list

import (
	"fmt"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// Check verifies the list: its tree, and that every run is sound. O(n).
func Check(e *table.Entry) error {
	if !e.Flag(table.FlagLarge) {
		return checkRun(e.Value())
	}
	s := seq{e: e}
	s.load()
	return s.t.Check(func(leaf arena.Ref, count int) ([]byte, error) {
		cell := e.Arena().Bytes(leaf)
		run := leafRun(cell)
		if packed.Count(run) != count {
			return nil, fmt.Errorf("list: leaf %d holds %d elements, its parent says %d", leaf, packed.Count(run), count)
		}
		return nil, checkRun(run)
	})
}

func checkRun(run []byte) error {
	if packed.LayoutOf(run) != packed.TwoWay {
		return fmt.Errorf("list: run that cannot be walked backwards")
	}
	return packed.Valid(run)
}
