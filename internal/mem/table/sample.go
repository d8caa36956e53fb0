package table

// stir makes the next of a sequence of random words (splitmix64).
func stir(r uint64) uint64 {
	r += mixA
	z := (r ^ r>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Random positions e on a record chosen by the random bits r, each with the same probability, and reports whether the
// table has any. It draws a place, of all that segments of the longest size would have, until one holds a record: O(1),
// three draws on the average. After 256 misses, which only a table of nearly empty segments makes likely, it takes
// the next record there is.
func (t *Table) Random(r uint64, e *Entry) bool {
	if t.count == 0 {
		return false
	}
	longest := uint64(t.sizes[t.sizes.last()])
	if t.depth == 0 {
		longest = uint64(t.sizes[t.root.code()])
	}
	for range 256 {
		r = stir(r)
		i := uint32(r >> 32 << t.depth >> 32)
		w := t.at(i)
		if i > 0 && t.at(i-1) == w {
			continue // a segment counts once, however many words of the directory name it
		}
		place := (r & (1<<32 - 1)) * (longest * slots) >> 32
		n, slot := uint32(place/slots), int(place%slots)
		if n >= uint32(t.sizes[w.code()]) {
			continue
		}
		if at := w.bucket(n); t.a.Line(at)[slot] != 0 {
			t.open(e, at, slot)
			return true
		}
	}
	found := false
	t.Sample(stir(r), 1, func(s *Entry) { *e, found = *s, true })
	return found
}

// Sample calls fn with n records, or all if there are fewer, that lie in neighbouring buckets from a random place on.
// It is meant for choosing what to evict: cheaper than n calls of Random, and the records have nothing in common but
// some bits of their hash. fn must not change the table but for clocks. O(n).
func (t *Table) Sample(r uint64, n int, fn func(e *Entry)) {
	if t.count == 0 {
		return
	}
	n = min(n, t.count)
	p := position{prefix: r}
	p.depth = uint(t.depth)
	w := t.enter(&p)
	first := uint32(stir(r)>>32) % uint32(t.sizes[w.code()])
	n = t.sampleSegment(w, first, n, fn)
	for begin := p.prefix; n > 0; {
		var done bool
		if p, done = p.after(1, 1); done {
			p = position{}
		}
		w = t.enter(&p)
		if p.prefix == begin {
			t.sampleUpTo(w, first, n, fn)
			return
		}
		n = t.sampleSegment(w, 0, n, fn)
	}
}

// sampleSegment passes up to n records from bucket i on, and returns how many are missing.
func (t *Table) sampleSegment(w word, i uint32, n int, fn func(e *Entry)) int {
	var e Entry
	for last := uint32(t.sizes[w.code()]); i < last && n > 0; i++ {
		n = t.sampleBucket(w, i, n, &e, fn)
	}
	return n
}

// sampleUpTo passes up to n records of the buckets before i.
func (t *Table) sampleUpTo(w word, i uint32, n int, fn func(e *Entry)) {
	var e Entry
	for j := uint32(0); j < i && n > 0; j++ {
		n = t.sampleBucket(w, j, n, &e, fn)
	}
}

func (t *Table) sampleBucket(w word, i uint32, n int, e *Entry, fn func(e *Entry)) int {
	at := w.bucket(i)
	for set := used(t.a.Line(at)); set != 0 && n > 0; set = rest(set) {
		t.open(e, at, first(set))
		fn(e)
		n--
	}
	return n
}
