// Package tree is a counted B+tree in arena cells: a sequence that is reached by
// position and, where the elements have an order, by comparison, both in
// O(log n). Sorted sets stand on it (entries by score), lists (packed runs by
// position), and anything else that keeps blocks of elements in a sequence.
//
// # Two storeys
//
// [Tree] is the upper storey: inner nodes alone. An inner node holds, for each
// child, its reference, the number of elements below it, and, if Options.Width
// is not zero, a key of that many bytes: the first key below it. What a leaf looks
// like the Tree does not know; to it a leaf is a reference, a count and a key.
// Whoever owns the leaves finds one with a [Cursor], edits its bytes, and tells
// the tree what became of it: Update (same leaf, other cell, count or key),
// InsertAfter and InsertBefore (a leaf was split or begun), Remove. So the code
// that keeps counts, keys and balance is written once, however a leaf is packed.
//
// [Ordered] is one lower storey: leaves that are arrays of eight-byte entries in
// an order that the caller's comparison defines. A list has its own.
//
// # Balance
//
// All leaves are at one depth. Inner nodes are split in halves, except at the
// tree's two ends, where the new node begins with the new child alone: a tree
// filled in order has full nodes. On removal a node below half is merged with a
// neighbour, or evened out with it. How full leaves are is their owner's care;
// since a leaf's cell is as large as its content, a short leaf costs little more
// than its line in the parent.
//
// # Costs
//
// Finding, and every edit, visits one node per level and adds up or shifts at
// most Fanout four-byte numbers in it: O(log n). Cells of inner nodes grow with
// their content, so that a tree of two leaves does not pay for sixty-four.
//
// A Tree is a small value: the caller keeps it only while it works on it, and
// stores it with Save. Nothing here is safe for concurrent use; the caller holds
// the lock of the arena's shard. A cursor does not know its tree, so that both can
// live on the stack; it is valid until the next edit other than Update.
package tree

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
)

const (
	// RootSize is the number of bytes that Save writes.
	RootSize = 12
	// MaxWidth is the largest Options.Width, in bytes.
	MaxWidth = 16
	// DefaultFanout is how many children an inner node has at most if
	// Options.Fanout is zero.
	DefaultFanout = 64

	// maxHeight bounds the levels of inner nodes. But for the two ends, nodes are at
	// least three eighths full, so at the default fanout 7 levels reach 2^32 leaves.
	maxHeight = 12
)

// Options say how a tree's inner nodes are laid out. They are not stored: the
// same options must be given each time the tree is loaded.
type Options struct {
	Width  int // bytes of a child's key, 0 for a tree by position only; at most MaxWidth
	Fanout int // children per inner node, at least 4; 0 means DefaultFanout
}

// Tree is the upper storey of a counted B+tree: see the package comment.
// It holds fewer than 2^32 elements.
type Tree struct {
	a      *arena.Arena
	width  int
	fanout int

	root   arena.Ref // an inner node, even if there is but one leaf; 0 in an empty tree
	height int       // levels of inner nodes
	count  int       // elements in all leaves
}

// New returns an empty tree. It allocates nothing before the first leaf.
func New(a *arena.Arena, o Options) Tree {
	if o.Fanout == 0 {
		o.Fanout = DefaultFanout
	}
	return Tree{a: a, width: o.Width, fanout: o.Fanout}
}

// Load returns the tree that Save wrote to root, which must hold RootSize bytes.
func Load(a *arena.Arena, root []byte, o Options) Tree {
	t := New(a, o)
	t.root = arena.Ref(binary.LittleEndian.Uint32(root))
	t.count = Count(root)
	t.height = int(binary.LittleEndian.Uint32(root[8:]))
	return t
}

// Save writes the tree's root to the first RootSize bytes of root. It is due
// after every edit; the tree's nodes themselves are always up to date.
func (t *Tree) Save(root []byte) {
	binary.LittleEndian.PutUint32(root, uint32(t.root))
	binary.LittleEndian.PutUint32(root[4:], uint32(t.count))
	binary.LittleEndian.PutUint32(root[8:], uint32(t.height))
}

// Count returns the number of elements of the tree that Save wrote to root.
func Count(root []byte) int { return int(binary.LittleEndian.Uint32(root[4:])) }

// Len returns the number of elements.
func (t *Tree) Len() int { return t.count }

// Arena returns the arena that holds the tree.
func (t *Tree) Arena() *arena.Arena { return t.a }

// Empty says whether the tree has no leaf.
func (t *Tree) Empty() bool { return t.root == 0 }

// Drain removes up to budget leaves from the end of the tree, calling leaf for
// each so that the owner can free its cell and what it refers to. It returns how
// many it removed; fewer than budget means that the tree is now empty and holds
// no memory. Cost: O(budget).
func (t *Tree) Drain(budget int, leaf func(leaf arena.Ref, count int)) int {
	var c Cursor
	for n := 0; n < budget; n++ {
		if !t.Last(&c) {
			return n
		}
		leaf(c.leaf, c.count)
		t.Remove(&c)
	}
	return budget
}

// Leaves calls fn for every leaf in order, until it returns false. fn may change
// a leaf's bytes but not the tree. Cost: O(leaves).
func (t *Tree) Leaves(fn func(leaf arena.Ref, count int) bool) {
	var c Cursor
	for ok := t.First(&c); ok; ok = t.NextLeaf(&c) {
		if !fn(c.leaf, c.count) {
			return
		}
	}
}

// Nodes returns the number of leaves and of inner nodes. Cost: O(leaves / fanout).
func (t *Tree) Nodes() (leaves, inner int) {
	if t.root == 0 {
		return 0, 0
	}
	return t.nodesBelow(t.root, t.height)
}

func (t *Tree) nodesBelow(ref arena.Ref, height int) (leaves, inner int) {
	n := t.node(ref)
	if height == 1 {
		return n.len(), 1
	}
	inner = 1
	for i := range n.len() {
		l, in := t.nodesBelow(n.ref(i), height-1)
		leaves, inner = leaves+l, inner+in
	}
	return leaves, inner
}

// Bytes returns the size of all inner nodes' cells, in bytes; leaves are their
// owner's to count. Cost: O(leaves / fanout).
func (t *Tree) Bytes() int {
	if t.root == 0 {
		return 0
	}
	return t.bytesBelow(t.root, t.height)
}

func (t *Tree) bytesBelow(ref arena.Ref, height int) int {
	total := t.a.Size(ref)
	if height == 1 {
		return total
	}
	n := t.node(ref)
	for i := range n.len() {
		total += t.bytesBelow(n.ref(i), height-1)
	}
	return total
}
