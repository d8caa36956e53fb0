package tree

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
)

// DefaultLeaf is how many entries a leaf of an Ordered holds at most if
// OrderedOptions.Leaf is zero.
const DefaultLeaf = 128

// entrySize is the size of an Entry in a leaf and of an Ordered's keys, in bytes.
const entrySize = 8

// Entry is one element of an Ordered: a reference to whatever is ordered, and the
// leading 32 bits of its order (see Prefix), by which most comparisons are decided
// without following the reference.
type Entry struct {
	Prefix uint32
	Ref    arena.Ref
}

// OrderedOptions are for tests, which want splits and merges all the time.
type OrderedOptions struct {
	Fanout int // children per inner node; 0 means DefaultFanout
	Leaf   int // entries per leaf, at least 4; 0 means DefaultLeaf
}

// Ordered is a tree whose leaves are arrays of entries, kept in the order that
// the caller's comparisons define. It stores nothing of an entry but its eight
// bytes. Cells of leaves follow their content up and down within an eighth, so
// leaves are dense whatever the order of insertions and deletions.
//
// A leaf that overflows is split in halves; at the tree's two ends the new entry
// begins a leaf of its own, so entries that come in order leave full leaves. After
// a deletion a leaf below half is merged with a neighbour if both together fill
// three quarters of a leaf at most.
type Ordered struct {
	t       Tree
	leafMax int
}

// NewOrdered returns an empty Ordered.
func NewOrdered(a *arena.Arena, o OrderedOptions) Ordered {
	return ordered(New(a, Options{Width: entrySize, Fanout: o.Fanout}), o)
}

// LoadOrdered returns the Ordered that Save wrote to root.
func LoadOrdered(a *arena.Arena, root []byte, o OrderedOptions) Ordered {
	return ordered(Load(a, root, Options{Width: entrySize, Fanout: o.Fanout}), o)
}

func ordered(t Tree, o OrderedOptions) Ordered {
	if o.Leaf == 0 {
		o.Leaf = DefaultLeaf
	}
	return Ordered{t: t, leafMax: o.Leaf}
}

// Save writes the root to the first RootSize bytes of root; due after every edit.
func (o *Ordered) Save(root []byte) { o.t.Save(root) }

// Len returns the number of entries.
func (o *Ordered) Len() int { return o.t.count }

func decodeEntry(b []byte) Entry {
	v := binary.LittleEndian.Uint64(b)
	return Entry{Prefix: uint32(v), Ref: arena.Ref(v >> 32)}
}

func (e Entry) encode(b []byte) {
	binary.LittleEndian.PutUint64(b, uint64(e.Prefix)|uint64(e.Ref)<<32)
}

func entryAt(b []byte, i int) Entry { return decodeEntry(b[entrySize*i:]) }

// Place is a position in an Ordered: an entry, or the gap behind the last one.
// It is valid until the next edit of the tree other than its own Replace.
type Place struct {
	c  Cursor
	at int    // index in the leaf; equal to the leaf's count between two leaves
	b  []byte // the leaf's cell
}

// Find places p at the first entry that does not precede what is sought, or
// behind the last entry. Between two leaves p is at the end of the one in front,
// where an insertion is cheaper; Valid moves it on to the entry. precedes must be true for a prefix of the sequence and
// false for the rest. Cost: O(log n) calls of precedes.
func (o *Ordered) Find(p *Place, precedes func(Entry) bool) {
	p.at, p.b = 0, nil
	if !o.t.Seek(&p.c, func(key []byte) bool { return precedes(decodeEntry(key)) }) {
		return
	}
	p.b = o.t.a.Bytes(p.c.leaf)
	o.touch(p)
	lo, hi := 0, p.c.count
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if precedes(entryAt(p.b, mid)) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	p.at = lo
}

// touch asks the processor for the lines of a leaf that a binary search is likely
// to read first, so that it waits for one of them and not for one after the other.
func (o *Ordered) touch(p *Place) {
	for i := 1; i < 8; i++ {
		o.t.a.Prefetch(p.c.leaf + arena.Ref(p.c.count*i/8*(entrySize/arena.Granule)))
	}
}

// Go places p at the entry of the given rank, 0 to Len; Len is the gap behind
// the last entry. It is false for any other rank. Cost: O(log n).
func (o *Ordered) Go(p *Place, rank int) bool {
	p.at, p.b = 0, nil
	at, ok := o.t.At(&p.c, rank)
	if !ok {
		return rank == 0 && o.t.count == 0
	}
	p.at, p.b = at, o.t.a.Bytes(p.c.leaf)
	return true
}

// Rank returns the number of entries in front of p.
func (p *Place) Rank() int { return p.c.before + p.at }

// Left returns the number of entries from p to the end of its leaf: what DeleteRun
// takes at most.
func (p *Place) Left() int { return p.c.count - p.at }

// Valid says whether p is at an entry, not behind the last.
func (o *Ordered) Valid(p *Place) bool {
	if p.at < p.c.count {
		return true
	}
	if p.c.count == 0 || !o.t.NextLeaf(&p.c) {
		return false
	}
	p.at, p.b = 0, o.t.a.Bytes(p.c.leaf)
	return true
}

// Entry returns the entry that p is at. Valid must have been true.
func (o *Ordered) Entry(p *Place) Entry { return entryAt(p.b, p.at) }

// Next moves p to the next entry; it is false when there is none.
func (o *Ordered) Next(p *Place) bool {
	p.at++
	return o.Valid(p)
}

// Prev moves p to the entry before; at the first one p stays and Prev is false.
func (o *Ordered) Prev(p *Place) bool {
	if p.at > 0 {
		p.at--
		return true
	}
	if p.c.count == 0 || !o.t.PrevLeaf(&p.c) {
		return false
	}
	p.at, p.b = p.c.count-1, o.t.a.Bytes(p.c.leaf)
	return true
}

// Ahead asks the processor for what the entry refers to that is n entries behind p, or
// in front of p if n is negative, as long as it is in the same leaf: a hint for walks
// that follow references.
func (o *Ordered) Ahead(p *Place, n int) {
	if at := p.at + n; at >= 0 && at < p.c.count {
		o.t.a.Prefetch(entryAt(p.b, at).Ref)
	}
}

// Peek returns the entry that is n behind p, as long as it is in the same leaf.
func (o *Ordered) Peek(p *Place, n int) (Entry, bool) {
	if at := p.at + n; at < p.c.count {
		return entryAt(p.b, at), true
	}
	return Entry{}, false
}

// Replace exchanges the entry that p is at for e, which must stand at the same
// place in the order: the same element with another reference or prefix. Valid
// must have been true.
func (o *Ordered) Replace(p *Place, e Entry) {
	e.encode(p.b[entrySize*p.at:])
	if p.at == 0 {
		o.t.Update(&p.c, p.c.leaf, p.c.count, p.b[:entrySize])
	}
}

// Insert puts e in front of the entry that p is at. p is void afterwards.
// Cost: O(log n).
func (o *Ordered) Insert(p *Place, e Entry) {
	if o.t.Empty() {
		o.begin(p, after, e)
		return
	}
	if p.c.count < o.leafMax {
		o.insert(p, e)
		return
	}
	switch {
	case p.at == p.c.count && o.t.AtLast(&p.c):
		o.begin(p, after, e)
		return
	case p.at == 0 && p.c.before == 0:
		o.begin(p, before, e)
		return
	}
	o.split(p)
	o.insert(p, e)
}

// begin makes a leaf of e alone beside p's.
func (o *Ordered) begin(p *Place, side int, e Entry) {
	leaf := o.t.a.Alloc(entrySize)
	b := o.t.a.Bytes(leaf)
	e.encode(b)
	o.t.insert(&p.c, side, leaf, 1, b[:entrySize])
}

// insert puts e into a leaf that is not full.
func (o *Ordered) insert(p *Place, e Entry) {
	end := entrySize * p.c.count
	if end+entrySize > len(p.b) {
		grown := p.c.count + 1 + p.c.count/16
		o.move(p, entrySize*min(grown, o.leafMax))
	}
	at := entrySize * p.at
	copy(p.b[at+entrySize:end+entrySize], p.b[at:end])
	e.encode(p.b[at:])
	o.edited(p, p.c.count+1)
}

// edited tells the tree of a changed count, and of a changed first entry.
func (o *Ordered) edited(p *Place, count int) {
	var key []byte
	if p.at == 0 {
		key = p.b[:entrySize]
	}
	o.t.Update(&p.c, p.c.leaf, count, key)
}

// move copies the leaf to a cell of size bytes. The tree is not told yet.
func (o *Ordered) move(p *Place, size int) {
	a := o.t.a
	leaf := a.Alloc(size)
	b := a.Bytes(leaf)
	copy(b, p.b)
	a.Free(p.c.leaf)
	p.c.leaf, p.b = leaf, b
}

// split halves a full leaf and places p, which keeps its rank, in one half.
func (o *Ordered) split(p *Place) {
	at, rank := p.at, p.Rank()
	keep := p.c.count / 2
	moved := p.b[entrySize*keep : entrySize*p.c.count]
	right := o.t.a.Alloc(len(moved) + len(moved)/8)
	b := o.t.a.Bytes(right)
	copy(b, moved)
	rightCount := p.c.count - keep
	o.move(p, entrySize*(keep+keep/8))
	o.t.Update(&p.c, p.c.leaf, keep, nil)
	o.t.InsertAfter(&p.c, right, rightCount, b[:entrySize])
	if at == 0 {
		o.Go(p, rank)
		return
	}
	o.Go(p, rank-1) // a gap between two leaves belongs to the one in front of it
	p.at++
}

// Delete takes out the entry that p is at; Valid must have been true. p is void
// afterwards. Cost: O(log n).
func (o *Ordered) Delete(p *Place) { o.DeleteRun(p, 1) }

// DeleteRun takes out up to n entries from p on, but none beyond the end of p's
// leaf, and returns how many. Valid must have been true. p is void afterwards.
func (o *Ordered) DeleteRun(p *Place, n int) int {
	n = min(n, p.c.count-p.at)
	left := p.c.count - n
	if left == 0 {
		o.t.a.Free(p.c.leaf)
		o.t.Remove(&p.c)
		return n
	}
	copy(p.b[entrySize*p.at:], p.b[entrySize*(p.at+n):entrySize*p.c.count])
	if entrySize*left < len(p.b)*7/8 {
		o.move(p, entrySize*left)
	}
	o.edited(p, left)
	if left < o.leafMax/2 {
		o.merge(p)
	}
	return n
}

// merge joins p's leaf with a neighbour if both together fill three quarters of
// a leaf at most.
func (o *Ordered) merge(p *Place) {
	room := o.leafMax*3/4 - p.c.count
	other := p.c
	if o.t.NextLeaf(&other) && other.count <= room {
		o.join(&p.c, &other)
		return
	}
	other = p.c
	if o.t.PrevLeaf(&other) && other.count <= room {
		o.join(&other, &p.c)
	}
}

// join moves the entries of the leaf at right to the end of the leaf at left.
func (o *Ordered) join(left, right *Cursor) {
	n, have := left.count+right.count, entrySize*left.count
	leaf := o.t.a.Alloc(entrySize * n)
	b := o.t.a.Bytes(leaf)
	copy(b, o.t.a.Bytes(left.leaf)[:have])
	copy(b[have:], o.t.a.Bytes(right.leaf)[:entrySize*right.count])
	o.t.a.Free(left.leaf)
	o.t.a.Free(right.leaf)
	o.t.Update(left, leaf, n, nil)
	o.t.Remove(right)
}
