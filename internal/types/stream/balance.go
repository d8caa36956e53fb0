package stream

import "github.com/larderdb/larder/internal/mem/tree"

// How full the leaves of what is pending are. Leaves of entries are never split or merged, as Redis's nodes are not.

// halve splits the cursor's leaf. The cursor is void then.
func (s *series) halve(c *tree.Cursor) {
	p := place{c: *c}
	s.enter(&p)
	count := c.Count()
	for range count/2 + 1 {
		s.step(&p)
	}
	var buf [leafHead + maxHead]byte
	head := appendHead(appendLeaf(buf[:0], s.shape, p.id, 0, nil), p.id, p.id, p.own)
	right := s.newLeaf(len(head)+len(p.leaf)-p.body, head, p.leaf[p.body:])
	left := s.newLeaf(p.off, p.leaf[:p.off])
	s.a.Free(c.Leaf())
	s.t.Update(c, left, count/2, nil)
	s.t.InsertAfter(c, right, count-count/2, head[leafBase:leafGone])
}

// settle merges the cursor's leaf, if it is less than a quarter full, with a neighbour, if both together fill three
// quarters of a leaf at most. The cursor is void then.
func (s *series) settle(c *tree.Cursor) {
	if c.Count() >= full/4 {
		return
	}
	room := full*3/4 - c.Count()
	other := *c
	if s.t.NextLeaf(&other) && other.Count() <= room {
		s.join(c, &other)
		return
	}
	other = *c
	if s.t.PrevLeaf(&other) && other.Count() <= room {
		s.join(&other, c)
	}
}

// join moves the items of the leaf at right to the end of the leaf at left.
func (s *series) join(left, right *tree.Cursor) {
	p := place{c: *left}
	for s.enter(&p); s.step(&p); {
	}
	r := leafBytes(s.a, right.Leaf())
	var it item
	it.readHead(r, itemsOf(r), idAt(r[leafBase:]))
	var buf [maxHead]byte
	head := appendHead(buf[:0], p.id, it.id, it.own)
	ref := s.newLeaf(len(p.leaf)+len(head)+len(r)-it.body, p.leaf, head, r[it.body:])
	s.a.Free(left.Leaf())
	s.a.Free(right.Leaf())
	s.t.Update(left, ref, left.Count()+right.Count(), nil)
	s.t.Remove(right)
}
