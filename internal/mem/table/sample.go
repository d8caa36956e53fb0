package table

import "math/bits"

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
func (t *Table) Sample(r uint64, n int, fn func(e *Entry)) { t.sample(r, min(n, t.count), false, fn) }

// SampleExpiring is Sample among the records that expire. Buckets without any cost a look at one line each, segments
// without any, too.
func (t *Table) SampleExpiring(r uint64, n int, fn func(e *Entry)) {
	t.sample(r, min(n, t.expiring), true, fn)
}

// sampler is a sample under way.
type sampler struct {
	expiring bool
	turn     int // the slot that each bucket's turn begins with: else the last slots would seldom be reached
	left     int
	fn       func(e *Entry)
	e        Entry
}

func (t *Table) sample(r uint64, n int, expiring bool, fn func(e *Entry)) {
	if n == 0 {
		return
	}
	p := position{prefix: r}
	p.depth = uint(t.depth)
	w := t.enter(&p)
	r = stir(r)
	from := uint32(r>>32) % uint32(t.sizes[w.code()])
	s := sampler{expiring: expiring, turn: int(r % slots), left: n, fn: fn}
	t.sampleSegment(w, from, uint32(t.sizes[w.code()]), &s)
	for begin := p.prefix; s.left > 0; {
		var done bool
		if p, done = p.after(1, 1); done {
			p = position{}
		}
		w = t.enter(&p)
		if p.prefix == begin {
			t.sampleSegment(w, 0, from, &s)
			return
		}
		t.sampleSegment(w, 0, uint32(t.sizes[w.code()]), &s)
	}
}

// sampleSegment passes the records of the buckets from i to end, as far as they are wanted.
func (t *Table) sampleSegment(w word, i, end uint32, s *sampler) {
	if s.expiring && expiringOf(t.a.Line(w.ref())) == 0 {
		return
	}
	for ; i < end && s.left > 0; i++ {
		at := w.bucket(i)
		set := expiring(t.a.Line(at))
		if !s.expiring {
			set = slotMask(used(t.a.Line(at)))
		}
		set = (set>>s.turn | set<<(slots-s.turn)) & (1<<slots - 1)
		for ; set != 0 && s.left > 0; set &= set - 1 {
			t.open(&s.e, at, (bits.TrailingZeros32(set)+s.turn)%slots)
			s.fn(&s.e)
			s.left--
		}
	}
}
