package packed

import "slices"

// Edit is a change of a run that has been worked out but not made: Del bytes at
// Off give way to Ins. The owner of the bytes makes room and fills it, so that a
// record can be resized in place:
//
//	ed := packed.Insert(e.Value(), off, entries, 2)
//	ed.Fill(e.Splice(ed.Off, ed.Del, len(ed.Ins)))
//
// and a plain slice is edited with [Edit.Apply].
//
// An edit is always a single splice. When the number of entries passes 63 or
// 8191 the header changes its length; then the splice starts at the header and
// carries the entries in between along.
type Edit struct {
	Off, Del int    // bytes
	Ins      []byte // may alias the entries given, never the run

	At      int // where the first inserted entry, or what followed the deleted ones, is afterwards
	Removed int // entries deleted

	layout Layout
	count  int // entries afterwards
}

// Insert inserts count encoded entries before the entry at off; 0 (no entry) and
// len(b) append. The entries must not alias b.
func Insert(b []byte, off int, entries []byte, count int) Edit {
	return replaceSpan(b, off, off, 0, entries, count)
}

// Push appends count encoded entries to the run. The entries must not alias b.
func Push(b, entries []byte, count int) Edit {
	return Insert(b, len(b), entries, count)
}

// Unshift inserts count encoded entries before the first. The entries must not
// alias b.
func Unshift(b, entries []byte, count int) Edit {
	_, size := header(b)
	return Insert(b, size, entries, count)
}

// Delete deletes n entries from off on, or as many as there are; none if off is 0.
func Delete(b []byte, off, n int) Edit { return Replace(b, off, n, nil, 0) }

// Replace puts count encoded entries in the place of n entries from off on, or of
// as many as there are. The entries must not alias b.
func Replace(b []byte, off, n int, entries []byte, count int) Edit {
	end, removed := Skip(b, off, n)
	return replaceSpan(b, off, end, removed, entries, count)
}

// DeleteSpan is Delete for who knows already where the n entries from off on end.
func DeleteSpan(b []byte, off, end, n int) Edit { return replaceSpan(b, off, end, n, nil, 0) }

func replaceSpan(b []byte, off, end, removed int, entries []byte, count int) Edit {
	before, size := header(b)
	l := LayoutOf(b)
	after := max(before-removed, 0) + count
	if off < size {
		off, end = len(b), len(b)
	}
	ed := Edit{Off: off, Del: end - off, Ins: entries, At: off, Removed: removed, layout: l, count: after}
	if newSize := headerLen(after); newSize != size {
		ins := make([]byte, 0, newSize+off-size+len(entries))
		ins = append(appendHeader(ins, l, after), b[size:off]...)
		ed.Off, ed.Del, ed.Ins = 0, end, append(ins, entries...)
		ed.At = off + newSize - size
	}
	return ed
}

// Fill completes the edit in b, the run after the owner has put len(Ins) bytes of
// any content in the place of Del bytes at Off.
func (ed Edit) Fill(b []byte) {
	copy(b[ed.Off:], ed.Ins)
	appendHeader(b[:0], ed.layout, ed.count)
}

// Apply makes the edit in b and returns the new run, which shares b's array if
// its capacity suffices.
func (ed Edit) Apply(b []byte) []byte {
	b = slices.Replace(b, ed.Off, ed.Off+ed.Del, ed.Ins...)
	ed.Fill(b)
	return b
}
