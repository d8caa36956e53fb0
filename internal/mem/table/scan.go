package table

import (
	"math/bits"

	"github.com/larderdb/larder/internal/mem/arena"
)

// CursorEnd is above every cursor.
const CursorEnd = 1 << 44

// A cursor says which hashes are visited: it names a segment, by the d bits that its hashes share, and a bound for
// their home bits. Visited are all hashes below the segment's, and in it those whose home bits are below the bound.
// The upper 28 bits hold the shared bits, a one behind them to tell how many they are, and zeros; the lower 16 the bound.
//
// What may happen between two calls:
//   - The segment is rebuilt with other buckets. The home bucket is monotonic in the home bits, so going on with the
//     bucket that holds the bound misses nothing.
//   - It splits. The walk goes on at the bound in the lower part; the upper part is then walked whole.
//   - It merges into one that shares fewer bits. The sibling's records may not have been seen, so the merged segment is
//     walked again from its beginning.
//
// The scan ends, since it never goes back but for a merge.
type position struct {
	prefix uint64 // the shared bits, at the top of the word; zeros below
	depth  uint   // how many they are
	bound  uint32
}

func decode(cursor uint64) position {
	top := uint32(cursor>>16) & (1<<28 - 1)
	if top == 0 {
		return position{bound: uint32(cursor & 0xffff)}
	}
	tail := uint(bits.TrailingZeros32(top))
	return position{
		prefix: uint64(top>>(tail+1)) << (tail + 1) << 36,
		depth:  maxDepth - tail,
		bound:  uint32(cursor & 0xffff),
	}
}

func (p position) encode() uint64 {
	return (p.prefix>>36|1<<(maxDepth-p.depth))<<16 | uint64(p.bound)
}

// enter makes p a position in the segment that is there today, and returns that segment, not 0 in a table with records.
func (t *Table) enter(p *position) word {
	w := t.segment(p.prefix)
	d := depthOf(t.a.Line(w.ref()))
	if d < p.depth {
		p.bound = 0
	}
	p.depth = d
	p.prefix = p.prefix >> (64 - d) << (64 - d)
	return w
}

// boundOf is the lowest home bits of bucket i of n.
func boundOf(i, n uint32) uint32 { return (i<<16 + n - 1) / n }

// after is the position at bucket i of the n in p's segment, which is in the next segment if i is n; done at the end.
func (p position) after(i, n uint32) (next position, done bool) {
	if i < n {
		p.bound = boundOf(i, n)
		return p, false
	}
	p.bound = 0
	if p.depth == 0 {
		return p, true
	}
	p.prefix += 1 << (64 - p.depth)
	return p, p.prefix == 0
}

// next is the cursor for bucket i of the n in p's segment.
func (p position) next(i, n uint32) uint64 {
	p, done := p.after(i, n)
	if done {
		return 0
	}
	return p.encode()
}

// Scan calls fn with the records of one home bucket and returns the cursor of the next; it begins with 0, and 0 means
// that it is complete. A record that is there from the first call to the last is passed at least once, whatever is
// inserted and deleted between calls; one that is not there all the time may be passed, and one may be passed twice. Any
// number is a valid cursor, and every cursor returned lies below CursorEnd.
//
// fn may change and delete the record it is given, and must not touch others. O(1) on the average.
func (t *Table) Scan(cursor uint64, fn func(e *Entry)) (next uint64) {
	if t.count == 0 {
		return 0
	}
	p := decode(cursor)
	w := t.enter(&p)
	n := uint32(t.sizes[w.code()])
	home := p.bound * n >> 16
	next = p.next(home+1, n)

	t.busy = true
	defer t.settle(p.prefix)
	var e Entry
	for i, left := home, n; left > 0; left-- {
		at := w.bucket(i)
		b := t.a.Line(at)
		for set := used(b); set != 0; set = rest(set) {
			t.open(&e, at, first(set))
			if homeOf(e.hash(), n) == home {
				fn(&e)
			}
		}
		if b[metaAt] == 0 {
			break
		}
		if i++; i == n {
			i = 0
		}
	}
	return next
}

// settle ends a callback, and makes up for the shrinking that deletions in it left undone.
func (t *Table) settle(prefix uint64) {
	t.busy = false
	if t.root != 0 || t.depth != 0 {
		t.shrink(prefix)
	}
}

// walk calls fn with the position and the word of every segment, until it returns false.
func (t *Table) walk(fn func(p position, w word) bool) {
	if t.root == 0 && t.depth == 0 {
		return
	}
	var p position
	for done := false; !done; {
		w := t.enter(&p)
		if !fn(p, w) {
			return
		}
		p, done = p.after(1, 1)
	}
}

// Each calls fn with every record, in no particular order, until it returns false. fn must not insert or delete. O(n).
func (t *Table) Each(fn func(e *Entry) bool) {
	var e Entry
	t.walk(func(_ position, w word) bool {
		for i := range uint32(t.sizes[w.code()]) {
			at := w.bucket(i)
			for set := used(t.a.Line(at)); set != 0; set = rest(set) {
				t.open(&e, at, first(set))
				if !fn(&e) {
					return false
				}
			}
		}
		return true
	})
}

// Bytes returns the size in bytes of all cells of the table: directory, segments and records, but not what values refer
// to. O(n).
func (t *Table) Bytes() (n int) {
	if t.dirRef != 0 {
		n = t.a.Size(t.dirRef)
	}
	t.walk(func(_ position, w word) bool {
		n += t.a.Size(w.ref())
		for i := range uint32(t.sizes[w.code()]) {
			b := t.a.Line(w.bucket(i))
			for set := used(b); set != 0; set = rest(set) {
				n += t.a.Size(refAt(b, first(set)))
			}
		}
		return true
	})
	return n
}

// EachIn calls fn with every record of a bucket. fn must not change the table. O(1).
func (t *Table) EachIn(bucket arena.Ref, fn func(e *Entry)) {
	var e Entry
	for set := used(t.a.Line(bucket)); set != 0; set = rest(set) {
		t.open(&e, bucket, first(set))
		fn(&e)
	}
}

// EachBucket calls fn with every bucket, in the order of Scan, from the cursor on, at most max of them, and returns the
// cursor to go on with; 0 means that it is complete. Records that move between calls may be missed: this is for
// callers that BeforeChange tells of such moves. O(max).
func (t *Table) EachBucket(cursor uint64, max int, fn func(bucket arena.Ref)) (next uint64) {
	if t.count == 0 {
		return 0
	}
	for p, done := decode(cursor), false; !done; {
		w := t.enter(&p)
		n := uint32(t.sizes[w.code()])
		i := p.bound * n >> 16
		for ; i < n && max > 0; max-- {
			fn(w.bucket(i))
			i++
		}
		if max == 0 {
			return p.next(i, n)
		}
		p, done = p.after(n, n)
	}
	return 0
}

// ScanExpiring calls fn with records that have an expiry, from the cursor on, until max of them were passed, and
// returns the cursor to go on with; 0 means that the end was reached. Segments and buckets without such records cost a
// look at one line each; a call looks at a bounded number of lines. Any number is a valid cursor. What fn does makes the
// walk miss nothing; a record that other changes move between calls may be missed until the next round.
//
// fn may delete the record, and then returns true, or change it; it must not touch others.
func (t *Table) ScanExpiring(cursor uint64, max int, fn func(e *Entry) (deleted bool)) (next uint64) {
	lines := 256 + 16*max
	for p, done := decode(cursor), false; !done && t.expiring > 0; {
		w := t.enter(&p)
		n := uint32(t.sizes[w.code()])
		i := p.bound * n >> 16
		lines--
		if expiringOf(t.a.Line(w.ref())) == 0 {
			i = n
		}
		for ; i < n && max > 0 && lines > 0; i++ {
			max -= t.expireBucket(w.bucket(i), fn)
			lines--
		}
		at, through := p.prefix, i == n || t.count == 0
		p, done = p.after(i, n)
		t.busy = false
		if through { // not in the middle: a shorter segment may put records that are still to come before the bound
			t.settle(at)
		}
		if !done && (max <= 0 || lines <= 0) {
			return p.encode()
		}
	}
	return 0
}

// expireBucket calls fn with the records of a bucket that have an expiry, and returns how many they were.
func (t *Table) expireBucket(at arena.Ref, fn func(e *Entry) bool) (seen int) {
	t.busy = true
	var e Entry
	for set := expiring(t.a.Line(at)); set != 0; set &= set - 1 {
		t.open(&e, at, bits.TrailingZeros32(set))
		fn(&e)
		seen++
	}
	return seen
}
