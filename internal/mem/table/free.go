package table

import (
	"math"

	"github.com/larderdb/larder/internal/mem/arena"
)

// Free frees the segments, the directory and the records, but not the cells that values refer to: the caller frees
// those first. The table is empty then and may be used again. O(n).
func (t *Table) Free() {
	for !t.FreeStep(math.MaxInt) {
	}
}

// FreeStep is Free in pieces: it frees at least one segment and goes on until budget records are gone, and reports
// whether the table is empty. Between two steps only FreeStep and Len may be called.
func (t *Table) FreeStep(budget int) (done bool) {
	if t.depth == 0 {
		if t.root != 0 {
			t.freeSegment(t.root)
			t.root = 0
		}
		return true
	}
	for t.freed < 1<<t.depth {
		if budget <= 0 {
			return false
		}
		w := t.at(t.freed)
		t.freed += 1 << (uint(t.depth) - depthOf(t.a.Line(w.ref())))
		budget -= t.freeSegment(w)
	}
	t.swapDirectory(nil, 0, 0)
	t.freed, t.pairs = 0, 0
	return true
}

// freeSegment frees a segment and its records, and returns how many they were.
func (t *Table) freeSegment(w word) int {
	head := t.a.Line(w.ref())
	n := countOf(head)
	t.count -= n
	t.expiring -= expiringOf(head)
	for i := range uint32(t.sizes[w.code()]) {
		at := w.bucket(i)
		t.change(at)
		b := t.a.Line(at)
		for set := used(b); set != 0; set = rest(set) {
			ref := refAt(b, first(set))
			if t.Books != nil {
				t.tellFreed(ref)
			}
			t.a.Free(ref)
		}
	}
	t.release(w)
	return n
}

// tellFreed enters in the books that a record goes.
func (t *Table) tellFreed(ref arena.Ref) {
	key, _ := t.Record(ref)
	t.Books.Record(key, -1, -t.a.Size(ref), -lasting(t.Expiry(ref)))
}
