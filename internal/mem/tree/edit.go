package tree

import "github.com/larderdb/larder/internal/mem/arena"

// Sides of a leaf: what is added to its place among its parent's children.
const (
	before = 0
	after  = 1
)

// Update notes that the cursor's leaf now is the cell leaf (it may be the old
// one) and holds count elements, at least one. key is its first key if that
// changed, else nil. The cursor stays valid and at the leaf. The key's bytes are
// copied. Cost: O(height).
func (t *Tree) Update(c *Cursor, leaf arena.Ref, count int, key []byte) {
	added := count - c.count
	for level := t.height - 1; level >= 0; level-- {
		n, at := t.node(c.path[level].ref), int(c.path[level].at)
		if level == t.height-1 {
			n.setRef(at, leaf)
		}
		if added != 0 {
			n.setCount(at, n.count(at)+added)
		}
		if key != nil {
			copy(n.key(at), key)
			if at != 0 {
				key = nil // above stands the key of another child
			}
		}
	}
	t.count += added
	c.leaf, c.count = leaf, count
}

// InsertAfter makes leaf, holding count elements from key on, the leaf after the
// cursor's; in an empty tree the only one. key may be nil if the tree has no
// keys, and is copied. The cursor is void afterwards.
// Cost: O(height + fanout).
func (t *Tree) InsertAfter(c *Cursor, leaf arena.Ref, count int, key []byte) {
	t.insert(c, after, leaf, count, key)
}

// InsertBefore is InsertAfter for the place before the cursor's leaf.
func (t *Tree) InsertBefore(c *Cursor, leaf arena.Ref, count int, key []byte) {
	t.insert(c, before, leaf, count, key)
}

func (t *Tree) insert(c *Cursor, side int, leaf arena.Ref, count int, key []byte) {
	in := child{ref: leaf, count: count}
	copy(in.key[:], key)
	t.count += count
	if t.root == 0 {
		var n node
		t.root, n = t.newNode(1)
		t.height = 1
		n.insert(0, in)
		return
	}
	bottom := t.height - 1
	t.place(c, bottom, int(c.path[bottom].at)+side, in)
}

// place puts a child into the node at the given level, splitting the node if it
// is full, and brings the levels above up to date.
func (t *Tree) place(c *Cursor, level, at int, in child) {
	n := t.node(c.path[level].ref)
	if n.len() < t.fanout {
		if n.len() == n.room() {
			n = t.resize(c, level, n.len()+max(1, n.len()/2))
		}
		n.insert(at, in)
		t.refresh(c, level)
		return
	}
	right := t.split(c, level, at, in)
	if level == 0 {
		left := t.summary(t.root)
		t.root, n = t.newNode(2)
		t.height++
		n.insert(0, left)
		n.insert(1, right)
		return
	}
	t.node(c.path[level-1].ref).set(int(c.path[level-1].at), t.summary(c.path[level].ref))
	t.place(c, level-1, int(c.path[level-1].at)+1, right)
}

// split puts a child into a full node by moving part of the node to a new one on
// its right, which it returns. Within the tree the parts are halves; at the ends
// the child goes to a node of its own, since the next one probably comes there.
func (t *Tree) split(c *Cursor, level, at int, in child) child {
	ref := c.path[level].ref
	n := t.node(ref)
	full := n.len()
	keep := full / 2
	switch {
	case at == full && t.onEdge(c, level, true):
		keep = full
	case at == 0 && t.onEdge(c, level, false):
		keep = 0
	}
	rightRef, right := t.newNode(max(full-keep, 1) + 1)
	right.take(0, n, keep, full-keep)
	right.setLen(full - keep)
	n.setLen(keep)
	if at < keep || at == 0 {
		n.insert(at, in)
	} else {
		right.insert(at-keep, in)
	}
	return t.summary(rightRef)
}

// onEdge says whether the way to the node at the given level keeps to the
// right (or left) end of the tree.
func (t *Tree) onEdge(c *Cursor, level int, right bool) bool {
	for above := range level {
		at := int(c.path[above].at)
		if right && at != t.node(c.path[above].ref).len()-1 || !right && at != 0 {
			return false
		}
	}
	return true
}

// Remove takes the cursor's leaf out of the tree. Its cell is the owner's to
// free. The cursor is void afterwards. Cost: O(height + fanout).
func (t *Tree) Remove(c *Cursor) {
	t.count -= c.count
	level := t.height - 1
	for ; ; level-- {
		n := t.node(c.path[level].ref)
		n.remove(int(c.path[level].at))
		if level == 0 || n.len() >= t.fanout/2 || !t.lean(c, level, n) {
			break
		}
	}
	t.refresh(c, level)
	for t.root != 0 {
		n := t.node(t.root)
		if n.len() > 1 || (n.len() == 1 && t.height == 1) {
			return
		}
		old := t.root
		t.root = 0
		if t.height--; t.height > 0 {
			t.root = n.ref(0)
		}
		t.a.Free(old)
	}
}

// lean cares for a node that is less than half full: it merges it with a
// neighbour, or evens the two out. It answers whether a node was given up; then
// the step above points at that node, to be removed from its parent next.
func (t *Tree) lean(c *Cursor, level int, n node) bool {
	up := &c.path[level-1]
	p := t.node(up.ref)
	if n.len() == 0 {
		t.a.Free(c.path[level].ref)
		return true
	}
	at := int(up.at)
	if p.len() == 1 {
		return false
	}
	if at == p.len()-1 {
		at-- // the last child has its neighbour on the left
	}
	left, right := t.node(p.ref(at)), t.node(p.ref(at+1))
	all := left.len() + right.len()
	if all > t.fanout*3/4 {
		t.even(p, at, all/2)
		p.set(at, t.summary(p.ref(at)))
		p.set(at+1, t.summary(p.ref(at+1)))
		c.path[level].ref = p.ref(int(up.at)) // its cell may have moved
		return false
	}
	t.even(p, at, all)
	p.set(at, t.summary(p.ref(at)))
	t.a.Free(p.ref(at + 1))
	up.at = int32(at + 1)
	return true
}

// even moves children between child at of p and the child after it, so that
// the first has want of them and the second the rest.
func (t *Tree) even(p node, at, want int) {
	left, right := t.node(p.ref(at)), t.node(p.ref(at+1))
	have, all := left.len(), left.len()+right.len()
	if want > left.room() {
		left = t.roomier(p, at, want)
	}
	if all-want > right.room() {
		right = t.roomier(p, at+1, all-want)
	}
	if want > have {
		left.take(have, right, 0, want-have)
		right.shift(want-have, 0)
	} else {
		right.shift(0, have-want)
		right.take(0, left, want, have-want)
	}
	left.setLen(want)
	right.setLen(all - want)
}

// roomier moves child at of p to a cell with room for n children.
func (t *Tree) roomier(p node, at, n int) node {
	ref, moved := t.moveNode(p.ref(at), n)
	p.setRef(at, ref)
	return moved
}

// resize moves the node at the given level to a cell with room for n children,
// or as many as the fanout allows.
func (t *Tree) resize(c *Cursor, level, n int) node {
	ref, moved := t.moveNode(c.path[level].ref, min(n, t.fanout))
	t.relink(c, level, ref)
	return moved
}

// relink notes that the node at the given level now is the cell ref.
func (t *Tree) relink(c *Cursor, level int, ref arena.Ref) {
	c.path[level].ref = ref
	if level == 0 {
		t.root = ref
		return
	}
	t.node(c.path[level-1].ref).setRef(int(c.path[level-1].at), ref)
}

// moveNode copies a node to a new cell with room for n children and frees the old.
func (t *Tree) moveNode(old arena.Ref, n int) (arena.Ref, node) {
	from := t.node(old)
	ref, to := t.newNode(n)
	to.take(0, from, 0, from.len())
	to.setLen(from.len())
	t.a.Free(old)
	return ref, to
}

// refresh brings counts and keys above the given level up to date.
func (t *Tree) refresh(c *Cursor, level int) {
	for ; level > 0; level-- {
		up := c.path[level-1]
		t.node(up.ref).set(int(up.at), t.summary(c.path[level].ref))
	}
}

// summary describes a node as its parent does.
func (t *Tree) summary(ref arena.Ref) child {
	n := t.node(ref)
	if n.len() == 0 {
		return child{ref: ref}
	}
	s := n.child(0)
	s.ref, s.count = ref, n.total(0, n.len())
	return s
}

// Compact moves the inner nodes on the cursor's way that lie in slabs which the
// arena wants empty. The cursor stays valid. Cost: O(height).
func (t *Tree) Compact(c *Cursor) {
	for level := range t.height {
		if old := c.path[level].ref; t.a.Sparse(old) {
			ref, _ := t.moveNode(old, t.node(old).len())
			t.relink(c, level, ref)
		}
	}
}
