package stream

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
)

// A leaf is a cell:
//
//	0   bytes in use, shifted left by one, uint32
//	4   base, an ID that no item of the leaf precedes; the leaf's key in the tree
//	20  items that were deleted since the leaf began, uint16; of entries only
//	22  where the items begin, uint16
//	24  of entries only: number of master fields, varint; the fields, packed
//	    items
//
// The lowest bit of a leaf is 0, which makes it a Forward run for package packed.
//
// An item is a head, which tells the ID, and a body:
//
//	entry    [number of fields, varint, (field, value)...] if it has fields of its own, else the values
//	pending  consumer's cell 4 B | delivery time, varint | deliveries, varint
//	ID       nothing
type shape uint8

const (
	entries shape = iota // of the stream
	pending              // of a group
	idsOnly              // of a consumer
)

const (
	leafBase  = 4
	leafGone  = leafBase + idSize
	leafItems = leafGone + 2
	leafHead  = leafItems + 2

	// maxMaster is how many bytes of fields a leaf keeps for its entries. Longer ones stand in each entry.
	maxMaster = 4 << 10
)

// leafBytes returns the bytes in use of a leaf.
func leafBytes(a *arena.Arena, ref arena.Ref) []byte {
	b := a.Bytes(ref)
	n := used(b)
	return b[:n:n]
}

func used(b []byte) int { return int(binary.LittleEndian.Uint32(b) >> 1) }

func setUsed(b []byte, n int) { binary.LittleEndian.PutUint32(b, uint32(n)<<1) }

func itemsOf(leaf []byte) int { return int(binary.LittleEndian.Uint16(leaf[leafItems:])) }

func goneFrom(leaf []byte) int { return int(binary.LittleEndian.Uint16(leaf[leafGone:])) }

// addGone counts deleted items, as far as it can count.
func addGone(leaf []byte, n int) {
	n = min(goneFrom(leaf)+n, 1<<16-1)
	binary.LittleEndian.PutUint16(leaf[leafGone:], uint16(n))
}

// masterFields returns the number of master fields and where the first is.
func masterFields(leaf []byte) (n, at int) {
	if n = int(leaf[leafHead]); n < 0x80 {
		return n, leafHead + 1
	}
	count, size := binary.Uvarint(leaf[leafHead:])
	return int(count), leafHead + size
}

// appendLeaf appends the header of a leaf whose master fields, if it has any, are given.
func appendLeaf(dst []byte, s shape, base ID, fields int, master []byte) []byte {
	var head [leafHead]byte
	base.put(head[leafBase:])
	dst = append(dst, head[:]...)
	if s == entries {
		dst = binary.AppendUvarint(dst, uint64(fields))
		dst = append(dst, master...)
	}
	binary.LittleEndian.PutUint16(dst[leafItems:], uint16(len(dst)))
	return dst
}

// item is where an item lies in its leaf.
type item struct {
	id             ID
	off, body, end int
	own            bool // it has fields of its own
}

// The head of an item is a varint: the distance to the ID before it, or to the leaf's base, shifted left by three; two
// bits that say what the distance is; and a bit that says whether the item has fields of its own.
const (
	sameMs   = 0 // of the sequence
	zeroSeq  = 1 // of the time; the sequence is 0
	otherSeq = 2 // of the time; the sequence follows, a varint
	wholeID  = 3 // too great to tell: the ID follows

	headBits    = 3
	maxDistance = 1<<(64-headBits) - 1
	maxHead     = 10 + idSize // bytes
)

// appendHead appends the head of an item.
func appendHead(dst []byte, prev, id ID, own bool) []byte {
	var bit uint64
	if own {
		bit = 1
	}
	head := func(distance, kind uint64) { dst = binary.AppendUvarint(dst, distance<<headBits|kind<<1|bit) }
	switch ms, seq := id.Ms-prev.Ms, id.Seq-prev.Seq; {
	case ms == 0 && seq <= maxDistance:
		head(seq, sameMs)
	case ms == 0 || ms > maxDistance:
		head(0, wholeID)
		var b [idSize]byte
		id.put(b[:])
		dst = append(dst, b[:]...)
	case id.Seq == 0:
		head(ms, zeroSeq)
	default:
		head(ms, otherSeq)
		dst = binary.AppendUvarint(dst, id.Seq)
	}
	return dst
}

// readHead reads the head at off into it.
func (it *item) readHead(leaf []byte, off int, prev ID) {
	v, n := uint64(leaf[off]), 1
	if v >= 0x80 {
		v, n = binary.Uvarint(leaf[off:])
	}
	it.off, it.body, it.own = off, off+n, v&1 != 0
	switch distance := v >> headBits; v >> 1 & 3 {
	case sameMs:
		it.id = ID{prev.Ms, prev.Seq + distance}
	case zeroSeq:
		it.id = ID{prev.Ms + distance, 0}
	case otherSeq:
		seq, n := binary.Uvarint(leaf[it.body:])
		it.id = ID{prev.Ms + distance, seq}
		it.body += n
	default:
		it.id = idAt(leaf[it.body:])
		it.body += idSize
	}
}

// readItem reads the item at off into it. fields is the number of the leaf's master fields.
func (s shape) readItem(it *item, leaf []byte, off int, prev ID, fields int) {
	it.readHead(leaf, off, prev)
	it.end = it.body
	switch s {
	case entries:
		n := fields
		if it.own {
			count, size := binary.Uvarint(leaf[it.body:])
			n, it.end = 2*int(count), it.body+size
		}
		it.end, _ = packed.Skip(leaf, it.end, n)
	case pending:
		it.end += 4
		for range 2 {
			for leaf[it.end] >= 0x80 {
				it.end++
			}
			it.end++
		}
	}
}
