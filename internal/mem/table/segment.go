package table

import (
	"encoding/binary"
	"math"

	"github.com/larderdb/larder/internal/mem/arena"
)

// word names a segment: a reference to its cell, whose lowest four bits are always 0 because the cell begins at a
// multiple of 64 bytes, and in these four bits the code of its size. A search so knows the number of buckets without
// reading the segment's header.
type word uint32

func (w word) ref() arena.Ref { return arena.Ref(w &^ 15) }
func (w word) code() int      { return int(w & 15) }

// bucket is the i-th bucket of the segment.
func (w word) bucket(i uint32) arena.Ref {
	return w.ref() + lineRefs + arena.Ref(i)*lineRefs
}

// The header line of a segment: records (2 bytes), those of them that expire (2), depth (1). The depth is the number
// of hash bits that all its records share.

func countOf(head *bucket) int    { return int(binary.LittleEndian.Uint16(head[0:])) }
func expiringOf(head *bucket) int { return int(binary.LittleEndian.Uint16(head[2:])) }
func depthOf(head *bucket) uint   { return uint(head[4]) }

func addCount(head *bucket, d int) {
	binary.LittleEndian.PutUint16(head[0:], uint16(countOf(head)+d))
}

func addExpiring(head *bucket, d int) {
	binary.LittleEndian.PutUint16(head[2:], uint16(expiringOf(head)+d))
}

// sizes are the numbers of buckets of a table's segments, by code; 0 for a code that does not exist.
type sizes [16]uint8

func (s *sizes) last() int {
	n := len(s) - 1
	for s[n] == 0 {
		n--
	}
	return n
}

const (
	staggers   = 10
	maxBuckets = 59
	maxItems   = maxBuckets * slots
	maxDepth   = 27
)

// sizeTable has the sizes for every stagger: the longest has 41, 43, ... 59 buckets, and each is 1.4 times the one
// before. From 32 on they are odd, since header and buckets together then fill a size class of the arena.
var sizeTable = makeSizes()

func makeSizes() (all [staggers]sizes) {
	for i := range all {
		var down []uint8
		for n := 41 + 2*i; n > 0; {
			down = append(down, uint8(n))
			next := int(math.Round(float64(n) / math.Sqrt2))
			if next > 31 {
				next |= 1
			}
			n = min(next, n-1)
		}
		for code := range down {
			all[i][code] = down[len(down)-1-code]
		}
	}
	return all
}

// limit is the number of records at which n buckets count as full: 88 %.
func limit(n int) int { return n * slots * 88 / 100 }

// fitting is the code of the shortest segment that is at most 70 % full with count records, or the longest there is.
func (s *sizes) fitting(count int) int {
	last := s.last()
	for code := range last {
		if count*100 <= int(s[code])*slots*70 {
			return code
		}
	}
	return last
}

// item is a record on its way from one segment to another.
type item struct {
	hash    uint64
	ref     arena.Ref
	expires bool
}

// roomFor returns the segment for a hash with room for one record more.
func (t *Table) roomFor(h uint64) word {
	w := t.segment(h)
	if w == 0 {
		t.root = t.build(nil, 0, 0)
		return t.root
	}
	for {
		head := t.a.Line(w.ref())
		n := int(t.sizes[w.code()])
		count := countOf(head)
		if count < limit(n) {
			return w
		}
		if depthOf(head) == maxDepth && count < n*slots && w.code() == t.sizes.last() {
			return w // no bit is left to split by: fill the last slots
		}
		t.grow(w, h)
		w = t.segment(h)
	}
}

// grow makes a full segment longer, or splits it when it has its longest size.
func (t *Table) grow(w word, h uint64) {
	var buf [maxItems]item
	d := depthOf(t.a.Line(w.ref()))
	items := t.gather(buf[:0], w)
	if w.code() < t.sizes.last() {
		t.replace(h, d, t.build(items, w.code()+1, d))
		t.release(w)
		return
	}
	if d == maxDepth {
		panic("table: keys without number share their hash")
	}
	if d == uint(t.depth) {
		t.doubleDirectory()
	}
	ones := partition(items, d)
	w0 := t.build(items[:ones], t.sizes.fitting(ones), d+1)
	w1 := t.build(items[ones:], t.sizes.fitting(len(items)-ones), d+1)
	bit := uint64(1) << (63 - d)
	t.replace(h&^bit, d+1, w0)
	t.replace(h|bit, d+1, w1)
	if d+1 == uint(t.depth) {
		t.pairs++
	}
	t.release(w)
}

// partition moves items whose bit after the first d is 0 before the others, and returns how many they are.
func partition(items []item, d uint) int {
	n := 0
	for i := range items {
		if items[i].hash>>(63-d)&1 == 0 {
			items[n], items[i] = items[i], items[n]
			n++
		}
	}
	return n
}

// shrink looks, after deletions, whether the segment of a hash should merge with its sibling or become shorter, and
// frees everything when no record is left.
func (t *Table) shrink(h uint64) {
	if t.count == 0 {
		t.Free()
		return
	}
	w := t.segment(h)
	head := t.a.Line(w.ref())
	count, d := countOf(head), depthOf(head)
	if count*100 >= int(t.sizes[w.code()])*slots*35 {
		return
	}
	if d > 0 {
		sibling := h ^ 1<<(64-d)
		v := t.segment(sibling)
		other := t.a.Line(v.ref())
		if depthOf(other) == d && (count+countOf(other))*100 <= int(t.sizes[t.sizes.last()])*slots*60 {
			t.merge(w, v, h, d)
			return
		}
	}
	if code := t.sizes.fitting(count); code < w.code() {
		var buf [maxItems]item
		t.replace(h, d, t.build(t.gather(buf[:0], w), code, d))
		t.release(w)
	}
}

// merge makes one segment of two siblings of depth d.
func (t *Table) merge(w, v word, h uint64, d uint) {
	var buf [maxItems]item
	items := t.gather(t.gather(buf[:0], w), v)
	t.replace(h, d-1, t.build(items, t.sizes.fitting(len(items)), d-1))
	t.release(w)
	t.release(v)
	if d == uint(t.depth) {
		t.pairs--
		for t.depth > 0 && t.pairs == 0 {
			t.halveDirectory()
		}
	}
}

// gather appends the records of a segment with their hashes. It reads every key, so it asks for those of the bucket
// after next while it works on one: without this a rebuild waits for each of up to 620 cache misses in turn.
func (t *Table) gather(items []item, w word) []item {
	n := uint32(t.sizes[w.code()])
	const ahead = 2
	for i := range n + ahead {
		if i < n {
			b := t.a.Line(w.bucket(i))
			for set := used(b); set != 0; set = rest(set) {
				t.a.Prefetch(refAt(b, first(set)))
			}
		}
		if i < ahead {
			continue
		}
		at := w.bucket(i - ahead)
		t.change(at)
		b := t.a.Line(at)
		ttl := expiring(b)
		for set := used(b); set != 0; set = rest(set) {
			slot := first(set)
			ref := refAt(b, slot)
			rec := t.a.Bytes(ref)
			p := parse(rec, t.base)
			items = append(items, item{Hash(t.o.Seed, rec[p.key:p.value]), ref, ttl>>slot&1 == 1})
		}
	}
	return items
}

// build makes a segment of a depth and a size code with the given records.
func (t *Table) build(items []item, code int, d uint) word {
	n := int(t.sizes[code])
	ref := t.a.Alloc((n + 1) * bucketSize)
	clear(t.a.Bytes(ref))
	t.tellOverhead(t.a.Size(ref))
	w := word(ref) | word(code)
	if t.epoch != 0 {
		for i := range uint32(n) {
			t.SetEpoch(w.bucket(i), t.epoch)
		}
	}
	head := t.a.Line(ref)
	head[4] = byte(d)
	addCount(head, len(items))
	for i := range items {
		it := &items[i]
		t.place(w, it.hash, it.ref, it.expires, false)
		if it.expires {
			addExpiring(head, 1)
		}
	}
	return w
}

// release frees the cell of a segment.
func (t *Table) release(w word) {
	t.tellOverhead(-t.a.Size(w.ref()))
	t.a.Free(w.ref())
}

func (t *Table) tellOverhead(bytes int) {
	if t.Books != nil {
		t.Books.Overhead(bytes)
	}
}

// segment is the segment of a hash; 0 if the table has none yet.
func (t *Table) segment(h uint64) word {
	if t.depth == 0 {
		return t.root
	}
	return t.at(uint32(h >> (64 - t.depth)))
}

// at is the i-th word of the directory.
func (t *Table) at(i uint32) word {
	if t.depth == 0 {
		return t.root
	}
	return word(binary.LittleEndian.Uint32(t.dir[4*i:]))
}

func (t *Table) setAt(i uint32, w word) {
	binary.LittleEndian.PutUint32(t.dir[4*i:], uint32(w))
}

// replace makes w the segment of all hashes that share the first d bits with h.
func (t *Table) replace(h uint64, d uint, w word) {
	if t.depth == 0 {
		t.root = w
		return
	}
	span := uint32(1) << (uint(t.depth) - d)
	from := uint32(h>>(64-d)) * span
	for i := from; i < from+span; i++ {
		t.setAt(i, w)
	}
}

// doubleDirectory gives the directory one bit more; every segment then has twice as many words in it.
func (t *Table) doubleDirectory() {
	ref := t.a.Alloc(4 << (t.depth + 1))
	dir := t.a.Bytes(ref)[:4<<(t.depth+1)]
	for i := range uint32(1) << t.depth {
		w := uint32(t.at(i))
		binary.LittleEndian.PutUint32(dir[8*i:], w)
		binary.LittleEndian.PutUint32(dir[8*i+4:], w)
	}
	t.swapDirectory(dir, ref, t.depth+1)
	t.pairs = 0
}

// halveDirectory takes the last bit away, of which no segment makes use.
func (t *Table) halveDirectory() {
	if t.depth == 1 {
		t.root = t.at(0)
		t.swapDirectory(nil, 0, 0)
		return
	}
	ref := t.a.Alloc(4 << (t.depth - 1))
	dir := t.a.Bytes(ref)[:4<<(t.depth-1)]
	pairs := uint32(0)
	for i := range uint32(1) << (t.depth - 1) {
		w := t.at(2 * i)
		binary.LittleEndian.PutUint32(dir[4*i:], uint32(w))
		if i&1 == 1 && w != t.at(2*i-2) {
			pairs++
		}
	}
	t.swapDirectory(dir, ref, t.depth-1)
	t.pairs = pairs
}

func (t *Table) swapDirectory(dir []byte, ref arena.Ref, depth uint8) {
	if ref != 0 {
		t.tellOverhead(t.a.Size(ref))
	}
	if t.dirRef != 0 {
		t.tellOverhead(-t.a.Size(t.dirRef))
		t.a.Free(t.dirRef)
	} else {
		t.root = 0
	}
	t.dir, t.dirRef, t.depth = dir, ref, depth
}
