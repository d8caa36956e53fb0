package tree

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
)

// child is what a node knows of one child.
type child struct {
	ref   arena.Ref
	count int            // elements below
	key   [MaxWidth]byte // the first key below; the first width bytes count
}

// node is a view of an inner node's cell. The three columns lie apart, so that
// adding up counts or comparing keys touches few cache lines:
//
//	0  children in use, uint16
//	2  room for children, uint16
//	4  refs    room x 4 bytes
//	   counts  room x 4 bytes
//	   keys    room x width bytes
//
// It is four words, the most that the compiler keeps in registers.
type node struct {
	b     []byte
	width int
}

const nodeHeader = 4

func (t *Tree) node(ref arena.Ref) node {
	b := t.a.Bytes(ref)
	return node{b: b, width: t.width}
}

// newNode allocates an empty node with room for at least n children, as many as
// the cell takes but not more than the fanout.
func (t *Tree) newNode(n int) (arena.Ref, node) {
	each := 8 + t.width
	ref := t.a.Alloc(nodeHeader + n*each)
	b := t.a.Bytes(ref)
	room := min((len(b)-nodeHeader)/each, t.fanout)
	binary.LittleEndian.PutUint16(b, 0)
	binary.LittleEndian.PutUint16(b[2:], uint16(room))
	return ref, node{b: b, width: t.width}
}

func (n node) len() int       { return int(binary.LittleEndian.Uint16(n.b)) }
func (n node) room() int      { return int(binary.LittleEndian.Uint16(n.b[2:])) }
func (n node) setLen(len int) { binary.LittleEndian.PutUint16(n.b, uint16(len)) }

func (n node) ref(i int) arena.Ref {
	return arena.Ref(binary.LittleEndian.Uint32(n.b[nodeHeader+4*i:]))
}

func (n node) setRef(i int, ref arena.Ref) {
	binary.LittleEndian.PutUint32(n.b[nodeHeader+4*i:], uint32(ref))
}

func (n node) count(i int) int {
	return int(binary.LittleEndian.Uint32(n.b[nodeHeader+4*(n.room()+i):]))
}

func (n node) setCount(i, count int) {
	binary.LittleEndian.PutUint32(n.b[nodeHeader+4*(n.room()+i):], uint32(count))
}

func (n node) key(i int) []byte {
	at := nodeHeader + 8*n.room() + i*n.width
	return n.b[at : at+n.width]
}

// total is the number of elements below children lo to hi-1.
func (n node) total(lo, hi int) int {
	counts := n.b[nodeHeader+4*(n.room()+lo) : nodeHeader+4*(n.room()+hi)]
	sum := 0
	for len(counts) >= 4 {
		sum += int(binary.LittleEndian.Uint32(counts))
		counts = counts[4:]
	}
	return sum
}

func (n node) child(i int) child {
	c := child{ref: n.ref(i), count: n.count(i)}
	copy(c.key[:], n.key(i))
	return c
}

func (n node) set(i int, c child) {
	n.setRef(i, c.ref)
	n.setCount(i, c.count)
	copy(n.key(i), c.key[:])
}

// shift moves the children from index from on to index to, in every column; the
// caller sets the length.
func (n node) shift(from, to int) {
	len := n.len() - from
	for _, column := range n.columns() {
		copy(n.b[column.at+to*column.width:], n.b[column.at+from*column.width:column.at+(from+len)*column.width])
	}
}

// take copies count children of src, from index from on, to index to.
func (n node) take(to int, src node, from, count int) {
	theirs := src.columns()
	for i, column := range n.columns() {
		at := theirs[i].at + from*column.width
		copy(n.b[column.at+to*column.width:], src.b[at:at+count*column.width])
	}
}

type column struct{ at, width int }

func (n node) columns() [3]column {
	return [3]column{
		{nodeHeader, 4},
		{nodeHeader + 4*n.room(), 4},
		{nodeHeader + 8*n.room(), n.width},
	}
}

func (n node) insert(i int, c child) {
	n.shift(i, i+1)
	n.set(i, c)
	n.setLen(n.len() + 1)
}

func (n node) remove(i int) {
	n.shift(i+1, i)
	n.setLen(n.len() - 1)
}
