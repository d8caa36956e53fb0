package table

import "github.com/larderdb/larder/internal/mem/arena"

// Compact moves records, segments and the directory out of the slabs that the arena wants empty, from the cursor on
// until about budget records were looked at, and returns the cursor to go on with; 0 means that the table is through.
// moved, if not nil, is called with every record that has moved, for whoever keeps its Ref; the old cell still holds the
// record until moved returns. It must not change the table. What values refer to is the caller's to compact. A nested
// table is to be saved afterwards. O(budget).
func (t *Table) Compact(cursor uint64, budget int, moved func(e *Entry)) (next uint64) {
	if t.count == 0 {
		return 0
	}
	if cursor == 0 {
		t.compactDirectory()
	}
	for p, done := decode(cursor), false; !done; {
		w := t.compactSegment(&p)
		n := uint32(t.sizes[w.code()])
		i := p.bound * n >> 16
		for ; i < n && budget > 0; i++ {
			budget -= t.compactBucket(w.bucket(i), moved)
		}
		if budget <= 0 {
			return p.next(i, n)
		}
		p, done = p.after(n, n)
	}
	return 0
}

func (t *Table) compactDirectory() {
	if t.dirRef == 0 || !t.a.Sparse(t.dirRef) {
		return
	}
	ref := t.moveCell(t.dirRef)
	t.dirRef, t.dir = ref, t.a.Bytes(ref)[:4<<t.depth]
}

// compactSegment enters the segment at p and moves it if its slab is sparse.
func (t *Table) compactSegment(p *position) word {
	w := t.enter(p)
	if t.a.Sparse(w.ref()) {
		w = word(t.moveCell(w.ref())) | word(w.code())
		t.replace(p.prefix, p.depth, w)
	}
	return w
}

// compactBucket moves the records of a bucket, and returns what that cost: 1, and 1 for every record.
func (t *Table) compactBucket(at arena.Ref, moved func(e *Entry)) (cost int) {
	cost = 1
	b := t.a.Line(at)
	for set := used(b); set != 0; set = rest(set) {
		cost++
		slot := first(set)
		ref := refAt(b, slot)
		if !t.a.Sparse(ref) {
			continue
		}
		cost += 2 + t.a.Size(ref)>>8
		setRef(b, slot, t.copyCell(ref))
		if moved != nil {
			var e Entry
			t.open(&e, at, slot)
			moved(&e)
		}
		t.a.Free(ref)
	}
	return cost
}

// moveCell copies a cell to another place and frees it.
func (t *Table) moveCell(from arena.Ref) (to arena.Ref) {
	to = t.copyCell(from)
	t.a.Free(from)
	return to
}

func (t *Table) copyCell(from arena.Ref) (to arena.Ref) {
	to = t.a.Alloc(t.a.Size(from))
	copy(t.a.Bytes(to), t.a.Bytes(from))
	return to
}
