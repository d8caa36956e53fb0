package tree

import "github.com/larderdb/larder/internal/mem/arena"

// Cursor is a leaf of a tree together with the way to it from the root.
// The zero Cursor is nowhere; First, Last, At and Seek place it.
type Cursor struct {
	leaf   arena.Ref
	count  int // elements in the leaf
	before int // elements in front of the leaf
	path   [maxHeight]step
}

// step is one inner node of the way, and the child that was taken.
type step struct {
	ref arena.Ref
	at  int32
}

// Leaf returns the leaf that the cursor is at.
func (c *Cursor) Leaf() arena.Ref { return c.leaf }

// Count returns the number of elements in the leaf.
func (c *Cursor) Count() int { return c.count }

// Before returns the number of elements in front of the leaf: the position of
// its first element.
func (c *Cursor) Before() int { return c.before }

// AtFirst says whether the cursor's leaf is the first.
func (t *Tree) AtFirst(c *Cursor) bool { return c.before == 0 }

// AtLast says whether the cursor's leaf is the last.
func (t *Tree) AtLast(c *Cursor) bool { return c.before+c.count == t.count }

// First places c at the first leaf. It is false in an empty tree.
func (t *Tree) First(c *Cursor) bool {
	t.start(c)
	t.leftmost(c, 0)
	return c.leaf != 0
}

// Lone places c at the tree's only leaf; it is false if there are none or more.
func (t *Tree) Lone(c *Cursor) bool {
	return t.height == 1 && t.First(c) && c.count == t.count
}

// Last places c at the last leaf. It is false in an empty tree.
func (t *Tree) Last(c *Cursor) bool {
	t.start(c)
	for level := range t.height {
		n := t.node(c.leaf)
		last := n.len() - 1
		t.descend(c, level, n, last)
	}
	c.before = t.count - c.count
	return c.leaf != 0
}

// At places c at the leaf that holds the element at the given position and
// returns the element's index in the leaf. A position equal to Len leads to the
// last leaf and to the index after its last element. It is false if there is no
// such position, and in an empty tree.
func (t *Tree) At(c *Cursor, position int) (index int, ok bool) {
	t.start(c)
	if position < 0 || position > t.count || t.root == 0 {
		return 0, false
	}
	for level := range t.height {
		n := t.node(c.leaf)
		i, last := 0, n.len()-1
		for ; i < last; i++ {
			count := n.count(i)
			if position < c.before+count {
				break
			}
			c.before += count
		}
		t.descend(c, level, n, i)
	}
	return position - c.before, true
}

// Seek places c at the last leaf whose first key precedes what is sought, or at
// the first leaf if none does: the leaf in which the sought element stands or
// belongs. precedes is asked O(log n) times about keys of children, and must not
// keep or change them. It is false in an empty tree.
func (t *Tree) Seek(c *Cursor, precedes func(key []byte) bool) bool {
	t.start(c)
	for level := range t.height {
		n := t.node(c.leaf)
		lo, hi := 0, n.len()-1 // the answer is in lo..hi; the key of lo need not be asked
		for lo < hi {
			mid := int(uint(lo+hi+1) >> 1)
			if precedes(n.key(mid)) {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		c.before += n.total(0, lo)
		t.descend(c, level, n, lo)
	}
	return c.leaf != 0
}

// NextLeaf moves the cursor to the next leaf; at the last one it stays and
// answers false. Cost: O(1) amortized over a walk.
func (t *Tree) NextLeaf(c *Cursor) bool {
	for level := t.height - 1; level >= 0; level-- {
		n := t.node(c.path[level].ref)
		at := int(c.path[level].at) + 1
		if at == n.len() {
			continue
		}
		c.before += c.count
		t.descend(c, level, n, at)
		t.leftmost(c, level+1)
		return true
	}
	return false
}

// PrevLeaf moves the cursor to the leaf before; at the first one it stays and
// answers false. Cost: O(1) amortized over a walk.
func (t *Tree) PrevLeaf(c *Cursor) bool {
	for level := t.height - 1; level >= 0; level-- {
		at := int(c.path[level].at) - 1
		if at < 0 {
			continue
		}
		t.descend(c, level, t.node(c.path[level].ref), at)
		for level++; level < t.height; level++ {
			n := t.node(c.leaf)
			t.descend(c, level, n, n.len()-1)
		}
		c.before -= c.count
		return true
	}
	return false
}

// start puts the cursor at the root, as if it were a leaf.
func (t *Tree) start(c *Cursor) {
	c.leaf, c.count, c.before = t.root, t.count, 0
	c.path[0].ref = t.root
}

// descend notes that the way at the given level goes through child at of n, and
// makes the child the cursor's leaf for the time being.
func (t *Tree) descend(c *Cursor, level int, n node, at int) {
	c.path[level].at = int32(at)
	c.leaf, c.count = n.ref(at), n.count(at)
	if level+1 < t.height {
		c.path[level+1].ref = c.leaf
	}
}

// leftmost follows first children from the given level down.
func (t *Tree) leftmost(c *Cursor, level int) {
	for ; level < t.height; level++ {
		t.descend(c, level, t.node(c.leaf), 0)
	}
}
