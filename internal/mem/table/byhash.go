package table

// FindHash positions e on a record whose key's hash agrees with h in the bits of mask, which must have those that lead to
// a bucket (the upper 22) and the 24 from bit 6 on. With the other bits of a hash lost there may be more than one such
// record: it is one of them. It is for those who know a key by its hash only. O(1).
func (t *Table) FindHash(h, mask uint64, e *Entry) bool {
	w := t.segment(h)
	if w == 0 {
		return false
	}
	n := uint32(t.sizes[w.code()])
	tag := tagOf(h)
	i := homeOf(h, n)
	for range n {
		at := w.bucket(i)
		b := t.a.Line(at)
		for set := match(b, tag); set != 0; set = rest(set) {
			if t.open(e, at, first(set)); (e.hash()^h)&mask == 0 {
				return true
			}
		}
		if b[metaAt] == 0 {
			return false
		}
		if i++; i == n {
			i = 0
		}
	}
	return false
}
