package tree

import (
	"bytes"
	"fmt"

	"github.com/larderdb/larder/internal/mem/arena"
)

// Check verifies the tree: depth, fill, counts and keys of inner nodes. For each
// leaf, in order, it asks leaf for the number of elements that the leaf really
// holds and for its first key (ignored if the tree has no keys). leaf returns an
// error if the leaf itself is not in order. Cost: O(leaves) and what leaf costs.
func (t *Tree) Check(leaf func(leaf arena.Ref, count int) (key []byte, err error)) error {
	if t.root == 0 {
		if t.height != 0 || t.count != 0 {
			return fmt.Errorf("tree: empty, but height %d and %d elements", t.height, t.count)
		}
		return nil
	}
	if t.height < 1 || t.height > maxHeight {
		return fmt.Errorf("tree: height %d", t.height)
	}
	_, count, err := t.check(t.root, t.height, leaf)
	if err == nil && count != t.count {
		err = fmt.Errorf("tree: %d elements, root says %d", count, t.count)
	}
	return err
}

func (t *Tree) check(ref arena.Ref, height int, leaf func(arena.Ref, int) ([]byte, error)) (key []byte, count int, err error) {
	n := t.node(ref)
	if n.len() < 1 || n.len() > n.room() || n.room() > t.fanout || nodeHeader+n.room()*(8+t.width) > len(n.b) {
		return nil, 0, fmt.Errorf("tree: node %d holds %d children, room %d, cell %d", ref, n.len(), n.room(), len(n.b))
	}
	for i := range n.len() {
		var first []byte
		below := n.count(i)
		if height > 1 {
			first, below, err = t.check(n.ref(i), height-1, leaf)
		} else {
			first, err = leaf(n.ref(i), below)
		}
		switch {
		case err != nil:
			return nil, 0, err
		case below != n.count(i) || below < 1:
			return nil, 0, fmt.Errorf("tree: node %d says %d elements below child %d, there are %d", ref, n.count(i), i, below)
		case t.width > 0 && !bytes.Equal(first, n.key(i)):
			return nil, 0, fmt.Errorf("tree: node %d has key %x for child %d, which begins with %x", ref, n.key(i), i, first)
		}
		count += below
	}
	return n.key(0), count, nil
}
