package stream

import (
	"math"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/tree"
)

// series is a sequence of items in the order of their IDs: a tree of packed leaves. A stream has one of entries, a group
// one of what is pending, a consumer one of IDs.
//
// Items are mostly added at the end and taken at the front, but pending ones also come and go in the middle. Cells of
// leaves follow their content: exactly once a leaf is full, with some to spare while it is the last and grows.
type series struct {
	t     tree.Tree
	a     *arena.Arena
	shape shape
}

// rootSize is the length in bytes of what save writes.
const rootSize = tree.RootSize

var leaves = tree.Options{Width: idSize}

func load(a *arena.Arena, root []byte, s shape) series {
	return series{tree.Load(a, root, leaves), a, s}
}

func (s *series) save(root []byte) { s.t.Save(root) }

func (s *series) len() int { return s.t.Len() }

// place is a position at an item. It is void after an edit of its series other than its own update.
type place struct {
	item
	c      tree.Cursor
	leaf   []byte
	fields int // master fields of the leaf
	prev   ID  // of the item before, or the leaf's base
}

// enter makes the cursor's leaf the place's, in front of its first item.
func (s *series) enter(p *place) {
	p.leaf = leafBytes(s.a, p.c.Leaf())
	p.end, p.id, p.fields = itemsOf(p.leaf), idAt(p.leaf[leafBase:]), 0
	if s.shape == entries {
		p.fields, _ = masterFields(p.leaf)
	}
}

// step goes on to the next item of the leaf; false at its end, where the place keeps the leaf's last ID and end.
func (s *series) step(p *place) bool {
	if p.end == len(p.leaf) {
		return false
	}
	p.prev = p.id
	s.shape.readItem(&p.item, p.leaf, p.end, p.prev, p.fields)
	return true
}

// next goes on to the next item.
func (s *series) next(p *place) bool {
	if s.step(p) {
		return true
	}
	if !s.t.NextLeaf(&p.c) {
		return false
	}
	s.enter(p)
	return s.step(p)
}

// first goes to the first item.
func (s *series) first(p *place) bool {
	if !s.t.First(&p.c) {
		return false
	}
	s.enter(p)
	return s.step(p)
}

// last goes to the last item. O(log n) and a leaf.
func (s *series) last(p *place) bool {
	if !s.t.Last(&p.c) {
		return false
	}
	s.enter(p)
	for s.step(p) {
	}
	return true
}

// descend enters the leaf in which id stands or belongs; false in an empty series.
func (s *series) descend(p *place, id ID) bool {
	var key [idSize]byte
	id.put(key[:])
	if !s.t.Seek(&p.c, func(k []byte) bool { return string(k) <= string(key[:]) }) {
		return false
	}
	s.enter(p)
	return true
}

// seek goes to the first item that does not precede id. O(log n) and a leaf.
func (s *series) seek(p *place, id ID) bool {
	if !s.descend(p, id) {
		return false
	}
	for s.next(p) {
		if !p.id.Less(id) {
			return true
		}
	}
	return false
}

// find goes to the item id; false if there is none.
func (s *series) find(p *place, id ID) bool { return s.seek(p, id) && p.id == id }

// rank returns how many items precede id. O(log n) and a leaf.
func (s *series) rank(id ID) int {
	var p place
	if !s.descend(&p, id) {
		return 0
	}
	n := p.c.Before()
	for s.step(&p) && p.id.Less(id) {
		n++
	}
	return n
}

// count returns how many items there are from one ID to another, both included. O(log n) and two leaves.
func (s *series) count(from, to ID) int {
	end := s.len()
	if next, ok := to.Next(); ok {
		end = s.rank(next)
	}
	return max(end-s.rank(from), 0)
}

// walk gives fn the items from one ID to another, both included, until it returns false; with back, the last one first.
// O(log n + items).
func (s *series) walk(from, to ID, back bool, fn func(p *place) bool) {
	var p place
	if back {
		s.walkBack(&p, from, to, fn)
		return
	}
	for ok := s.seek(&p, from); ok && !to.Less(p.id) && fn(&p); ok = s.next(&p) {
	}
}

// walkBack is walk backwards. Items can be read forwards only: their places in one leaf are noted, then visited.
func (s *series) walkBack(p *place, from, to ID, fn func(p *place) bool) {
	type mark struct {
		item
		prev ID
	}
	var marks []mark
	for ok := s.descend(p, to); ok; ok = s.t.PrevLeaf(&p.c) {
		marks = marks[:0]
		for s.enter(p); s.step(p) && !to.Less(p.id); {
			marks = append(marks, mark{p.item, p.prev})
		}
		for i := len(marks) - 1; i >= 0; i-- {
			p.item, p.prev = marks[i].item, marks[i].prev
			if p.id.Less(from) || !fn(p) {
				return
			}
		}
	}
}

// full is how many items a leaf of what is pending holds at most, which is what a search reads and an edit moves.
const full = 64

// insert adds an item of a series that is not the entries'; false, and nothing is changed, if the ID is there.
// O(log n) and a leaf.
func (s *series) insert(id ID, body []byte) bool {
	var p place
	if !s.descend(&p, id) {
		s.begin(&p.c, id, body)
		return true
	}
	at := p.place(s, id)
	if at.id == id && at.off != at.end {
		return false
	}
	count := p.c.Count()
	if count >= full && at.off == len(p.leaf) && s.t.AtLast(&p.c) {
		s.fit(&p.c)
		s.begin(&p.c, id, body)
		return true
	}
	prev := at.prev
	if base := idAt(p.leaf[leafBase:]); id.Less(base) {
		id.put(p.leaf[leafBase:])
		s.t.Update(&p.c, p.c.Leaf(), count, p.leaf[leafBase:leafGone])
		prev = id
	}
	var buf [96]byte
	ins := append(appendHead(buf[:0], prev, id, false), body...)
	del := 0
	if at.off != at.end { // the next item's distance is another now
		ins = appendHead(ins, id, at.id, at.own)
		del = at.body - at.off
	}
	s.put(&p.c, at.off, del, ins, count+1)
	if count+1 > full {
		s.halve(&p.c)
	}
	return true
}

// spot is where an item belongs in a leaf: in front of the item, which is none (off equals end) at the leaf's end.
type spot struct {
	item
	prev ID
}

// place finds where id belongs in the leaf that p has entered.
func (p *place) place(s *series, id ID) spot {
	for s.step(p) {
		if !p.id.Less(id) {
			return spot{p.item, p.prev}
		}
	}
	n := len(p.leaf)
	return spot{item{off: n, body: n, end: n}, p.id}
}

// begin makes a leaf of one item behind the cursor's.
func (s *series) begin(c *tree.Cursor, id ID, body []byte) {
	var buf [96]byte
	b := appendLeaf(buf[:0], s.shape, id, 0, nil)
	b = append(appendHead(b, id, id, false), body...)
	s.t.InsertAfter(c, s.newLeaf(len(b), b), 1, b[leafBase:leafGone])
}

// newLeaf allocates a leaf with room for size bytes and fills it with the parts.
func (s *series) newLeaf(size int, parts ...[]byte) arena.Ref {
	ref := s.a.Alloc(size)
	b, n := s.a.Bytes(ref), 0
	for _, part := range parts {
		n += copy(b[n:], part)
	}
	setUsed(b, n)
	return ref
}

// update replaces the body of the item that p is at, and keeps p at it.
func (s *series) update(p *place, body []byte) {
	s.put(&p.c, p.body, p.end-p.body, body, p.c.Count())
	p.leaf = leafBytes(s.a, p.c.Leaf())
	p.end = p.body + len(body)
}

// remove takes out the item that p is at; p is void then. O(log n) and a leaf.
func (s *series) remove(p *place) { s.removeRun(p, p.item, p.prev, 1) }

// removeRun takes out n items of p's leaf, from the one of which first tells the place and prev the ID before it, to the
// one that p is at.
func (s *series) removeRun(p *place, first item, prev ID, n int) {
	count := p.c.Count()
	if n == count {
		s.removeLeaf(&p.c)
		return
	}
	var buf [maxHead]byte
	ins, del := buf[:0], p.end-first.off
	if p.end < len(p.leaf) {
		var next item
		next.readHead(p.leaf, p.end, p.id)
		ins = appendHead(ins, prev, next.id, next.own)
		del = next.body - first.off
	}
	s.put(&p.c, first.off, del, ins, count-n)
	if s.shape == entries {
		addGone(s.a.Bytes(p.c.Leaf()), n)
		return
	}
	s.settle(&p.c)
}

// removeLeaf takes out a whole leaf. O(log n).
func (s *series) removeLeaf(c *tree.Cursor) {
	s.a.Free(c.Leaf())
	s.t.Remove(c)
}

// put makes del bytes at off of the cursor's leaf give way to ins, and tells the tree of count items. The leaf moves to
// another cell if it has to, or if a good part of its cell would be idle. The cursor stays at the leaf.
func (s *series) put(c *tree.Cursor, off, del int, ins []byte, count int) {
	cell := s.a.Bytes(c.Leaf())
	old := cell[:used(cell)]
	size := len(old) + len(ins) - del
	to, ref := cell, c.Leaf()
	spare, idle := size/16, len(cell)/8
	if s.t.AtLast(c) { // it grows all the time
		spare, idle = size/4, len(cell)/2
	}
	if size > len(cell) || size < len(cell)-idle {
		ref = s.a.Alloc(size + spare)
		to = s.a.Bytes(ref)
		copy(to, old[:off])
	}
	copy(to[off+len(ins):], old[off+del:])
	copy(to[off:], ins)
	setUsed(to, size)
	if ref != c.Leaf() {
		s.a.Free(c.Leaf())
	}
	s.t.Update(c, ref, count, nil)
}

// fit moves the cursor's leaf to a cell of its size: it will not grow any more.
func (s *series) fit(c *tree.Cursor) {
	leaf := leafBytes(s.a, c.Leaf())
	if arena.Capacity(len(leaf)) < s.a.Size(c.Leaf()) {
		s.move(c, leaf)
	}
}

func (s *series) move(c *tree.Cursor, leaf []byte) {
	old := c.Leaf()
	s.t.Update(c, s.newLeaf(len(leaf), leaf), c.Count(), nil)
	s.a.Free(old)
}

// freeStep frees leaves from the end on, as many as the budget allows, takes them off it and reports whether none is left.
func (s *series) freeStep(budget *int) (done bool) {
	n := s.t.Drain(*budget, func(leaf arena.Ref, _ int) { s.a.Free(leaf) })
	done = n < *budget
	*budget -= n
	return done
}

func (s *series) free() {
	all := math.MaxInt
	s.freeStep(&all)
}

// bytes is the memory of the series.
func (s *series) bytes() int {
	total := s.t.Bytes()
	s.t.Leaves(func(leaf arena.Ref, _ int) bool {
		total += s.a.Size(leaf)
		return true
	})
	return total
}

// compact moves cells out of sparse slabs, from the leaf of a position on, until the budget is spent, and returns the
// position to go on with, 0 at the end.
func (s *series) compact(position int, budget *int) int {
	var c tree.Cursor
	for ; *budget > 0 && position < s.len(); *budget-- {
		s.t.At(&c, position)
		s.t.Compact(&c)
		if s.a.Sparse(c.Leaf()) {
			s.move(&c, leafBytes(s.a, c.Leaf()))
		}
		position = c.Before() + c.Count()
	}
	if position >= s.len() {
		return 0
	}
	return position
}
