package stream

import (
	"bytes"
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/tree"
)

// directory is cells by name, in the order of the names: the groups of a stream, the consumers of a group. A cell begins
// with the length of the name, uint32, and ends with the name; between them lies what its owner keeps there.
type directory struct {
	order tree.Ordered
	a     *arena.Arena
	head  int // bytes before the name
}

const (
	nameLen   = 4 // bytes of the length
	groupHead = nameLen + idSize + 8 + rootSize + tree.RootSize
	consHead  = nameLen + 8 + 8 + rootSize
)

func loadDirectory(a *arena.Arena, root []byte) directory {
	return directory{tree.LoadOrdered(a, root, tree.OrderedOptions{}), a, groupHead}
}

func loadConsumers(a *arena.Arena, root []byte) directory {
	return directory{tree.LoadOrdered(a, root, tree.OrderedOptions{}), a, consHead}
}

func (d *directory) save(root []byte) { d.order.Save(root) }

func (d *directory) len() int { return d.order.Len() }

// name returns the name of a cell.
func (d *directory) name(ref arena.Ref) []byte {
	b := d.a.Bytes(ref)
	end := d.head + int(binary.LittleEndian.Uint32(b))
	return b[d.head:end:end]
}

// prefix is the first four bytes of a name, as a number that orders as they do.
func prefix(name []byte) uint32 {
	var b [4]byte
	copy(b[:], name)
	return binary.BigEndian.Uint32(b[:])
}

// find places p where a name is or belongs.
func (d *directory) find(p *tree.Place, name []byte) (ref arena.Ref, found bool) {
	half := prefix(name)
	d.order.Find(p, func(e tree.Entry) bool {
		if e.Prefix != half {
			return e.Prefix < half
		}
		return bytes.Compare(d.name(e.Ref), name) < 0
	})
	q := *p
	if !d.order.Valid(&q) {
		return 0, false
	}
	ref = d.order.Entry(&q).Ref
	return ref, bytes.Equal(d.name(ref), name)
}

// get returns the cell of a name; false if there is none. O(log n).
func (d *directory) get(name []byte) (arena.Ref, bool) {
	var p tree.Place
	return d.find(&p, name)
}

// add makes a cell, all zero, for a name; false, with the cell that there is, if it is taken. O(log n).
func (d *directory) add(name []byte) (ref arena.Ref, added bool) {
	var p tree.Place
	if ref, found := d.find(&p, name); found {
		return ref, false
	}
	ref = d.a.Alloc(d.head + len(name))
	b := d.a.Bytes(ref)
	clear(b[:d.head])
	binary.LittleEndian.PutUint32(b, uint32(len(name)))
	copy(b[d.head:], name)
	d.order.Insert(&p, tree.Entry{Prefix: prefix(name), Ref: ref})
	return ref, true
}

// remove takes out a name, which is there, and frees its cell.
func (d *directory) remove(name []byte) {
	var p tree.Place
	ref, _ := d.find(&p, name)
	d.order.Valid(&p)
	d.order.Delete(&p)
	d.a.Free(ref)
}

// at returns the cell at a position in the order.
func (d *directory) at(i int) arena.Ref {
	var p tree.Place
	d.order.Go(&p, i)
	d.order.Valid(&p)
	return d.order.Entry(&p).Ref
}

// each visits the cells in order until fn returns false. fn may change what a cell keeps, but not the directory.
func (d *directory) each(fn func(ref arena.Ref) bool) {
	d.order.Each(func(e tree.Entry) bool { return fn(e.Ref) })
}
