package stream

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/tree"
)

// Entry is an entry that a walk has come to. It aliases the stream and is valid during the callback.
type Entry struct {
	ID     ID
	leaf   []byte
	n      int // pairs
	master int // where its master fields begin; 0 if the entry has fields of its own
	at     int // where the pairs, or the values, begin
}

// Len returns the number of field-value pairs.
func (e *Entry) Len() int { return e.n }

// Pairs calls fn with every field and value in order. O(pairs).
func (e *Entry) Pairs(fn func(field, value packed.Value)) {
	at, master := e.at, e.master
	for range e.n {
		var field, value packed.Value
		if e.master > 0 {
			field, master = packed.Read(e.leaf, master)
		} else {
			field, at = packed.Read(e.leaf, at)
		}
		value, at = packed.Read(e.leaf, at)
		fn(field, value)
	}
}

// entry is what p is at, as an Entry.
func (p *place) entry() Entry {
	e := Entry{ID: p.id, leaf: p.leaf, n: p.fields, at: p.body}
	if p.own {
		n, size := binary.Uvarint(p.leaf[p.body:])
		e.n, e.at = int(n), p.body+size
	} else {
		_, e.master = masterFields(p.leaf)
	}
	return e
}

// Range gives fn the entries from one ID to another, both included, until it returns false; with back, the last one
// first. O(log n + entries given).
func (s *Stream) Range(from, to ID, back bool, fn func(e *Entry) bool) {
	s.log.walk(from, to, back, func(p *place) bool {
		e := p.entry()
		return fn(&e)
	})
}

// Count returns how many entries there are from one ID to another, both included. O(log n) and two leaves.
func (s *Stream) Count(from, to ID) int { return s.log.count(from, to) }

// Get gives fn an entry; false if it is not there. O(log n) and a leaf.
func (s *Stream) Get(id ID, fn func(e *Entry)) bool {
	var p place
	if !s.log.find(&p, id) {
		return false
	}
	e := p.entry()
	fn(&e)
	return true
}

// MaxEntry is how many bytes the fields and values of an entry may have together, as in Redis.
const MaxEntry = 1 << 30

// maxSpare is what a new leaf has to spare at most, in bytes.
const maxSpare = 4 << 10

// Append adds an entry: pairs are field, value, field, value. id must be greater than LastID, and becomes it. The bytes,
// MaxEntry at most, are copied. O(log n) and the entry's length; the entry's leaf is written as a whole some times in its life.
func (s *Stream) Append(lim Limits, id ID, pairs [][]byte) {
	var c tree.Cursor
	fresh := !s.log.t.Last(&c)
	var leaf []byte
	if !fresh {
		leaf = leafBytes(s.log.a, c.Leaf())
		fresh = lim.full(leaf, c.Count(), pairs)
	}
	if fresh {
		s.log.appendLeaf(&c, id, pairs)
	} else {
		s.log.append(&c, leaf, s.top, id, pairs)
	}
	s.top, s.LastID = id, id
	s.Added++
}

// full tells whether an entry begins a new leaf.
func (l Limits) full(leaf []byte, count int, pairs [][]byte) bool {
	size := len(leaf)
	for _, b := range pairs {
		size += len(b)
	}
	bound := maxLeaf
	if l.NodeBytes != 0 {
		bound = min(bound, l.NodeBytes)
	}
	return size >= bound || l.NodeEntries != 0 && count+goneFrom(leaf) >= l.NodeEntries
}

// appendLeaf begins a leaf with an entry, whose fields become the master fields.
func (s *series) appendLeaf(c *tree.Cursor, id ID, pairs [][]byte) {
	if !s.t.Empty() {
		s.fit(c)
	}
	var master []byte
	for i := 0; i < len(pairs); i += 2 {
		master = packed.Append(master, packed.Forward, pairs[i])
	}
	n, own := len(pairs)/2, len(master) > maxMaster
	if own {
		n, master = 0, nil
	}
	b := appendLeaf(make([]byte, 0, 256), entries, id, n, master)
	b = appendHead(b, id, id, own)
	b = appendBody(b, own, pairs)
	s.t.InsertAfter(c, s.newLeaf(len(b)+min(len(b)/2, maxSpare), b), 1, b[leafBase:leafGone])
}

// append adds an entry to the last leaf.
func (s *series) append(c *tree.Cursor, leaf []byte, prev, id ID, pairs [][]byte) {
	var buf [256]byte
	own := !isMaster(leaf, pairs)
	b := appendBody(appendHead(buf[:0], prev, id, own), own, pairs)
	s.put(c, len(leaf), 0, b, c.Count()+1)
}

// appendBody appends the pairs, or the values alone.
func appendBody(dst []byte, own bool, pairs [][]byte) []byte {
	if own {
		dst = binary.AppendUvarint(dst, uint64(len(pairs)/2))
		for _, b := range pairs {
			dst = packed.Append(dst, packed.Forward, b)
		}
		return dst
	}
	for i := 1; i < len(pairs); i += 2 {
		dst = packed.Append(dst, packed.Forward, pairs[i])
	}
	return dst
}

// isMaster tells whether the fields of the pairs are the leaf's master fields.
func isMaster(leaf []byte, pairs [][]byte) bool {
	n, at := masterFields(leaf)
	if n != len(pairs)/2 {
		return false
	}
	for i := 0; i < len(pairs); i += 2 {
		f := pairs[i]
		if n := int(leaf[at]); n < 0x80 { // a short string, which packed keeps behind its length
			if n != len(f) || string(leaf[at+1:at+1+n]) != string(f) {
				return false
			}
			at += 1 + n
			continue
		}
		var field packed.Value
		if field, at = packed.Read(leaf, at); !field.Equal(f) {
			return false
		}
	}
	return true
}
