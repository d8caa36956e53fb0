package engine

import (
	"encoding/binary"
	"math/bits"

	"github.com/larderdb/larder/internal/invariant"
	"github.com/larderdb/larder/internal/mem/arena"
)

// Every cell of a shard's arena is in its books, under what it is for: a record of the keyspace, a table, or something
// that a value refers to. Tables tell of their own cells and of their records (see table.Books), with the key, so no
// command can add, resize or remove a key past the books.
//
// Of the cells below a large value nobody tells: there are too many places that allocate them. But the arena knows its
// live bytes, and every change of a value is announced (Editing) before it begins. So there is a window for the
// namespace whose value was announced last; what the live bytes have moved by, beyond what was told, when the next
// window opens or the shard is unlocked, is that namespace's. Memory that is given back in steps is given back in a
// window of the namespace that it was of: a namespace takes it until then.
//
// Everything is guarded by the shard's lock, and no counter is shared.
type books struct {
	arena  *arena.Arena
	told   int64 // live bytes that are accounted for
	tables int64 // bytes of segments and directories, those of the indexes of fields included
	names  int64 // bytes of keys

	naming     *names // how the shard counts; nil: it has no namespaces
	separators uint64 // those of naming, if it is of one part; else 0

	// The namespaces that the shard knows: open addressing, at most half full. Identities and hits lie apart from the rest, so
	// that what each read touches stays in the first cache, for all shards.
	ids    []uint64 // 0: vacant
	hits   []int64
	spaces []space
	shift  uint8
	used   int

	window uint64 // the namespace whose value changes; 0: none
	record arena.Ref
	ghosts ghosts
}

// space is what a shard counts of a namespace: one cache line.
type space struct {
	keys, bytes int64
	lasting     int64 // keys without an expiry
	removed     int64 // keys, whatever for
	expired     int64 // of these
	evicted     int64
	misses      int64
	regret      int64
}

// Record is part of table.Books.
func (b *books) Record(key []byte, records, bytes, lasting int) {
	b.told += int64(bytes)
	b.names += int64(records * len(key))
	if b.naming == nil {
		return
	}
	if bytes != 0 {
		b.record = 0 // its cell may become another's
	}
	s := &b.spaces[b.find(key, records > 0)]
	s.keys += int64(records)
	s.bytes += int64(bytes)
	s.lasting += int64(lasting)
	if records < 0 {
		s.removed++
	}
}

// Overhead is part of table.Books.
func (b *books) Overhead(bytes int) {
	b.told += int64(bytes)
	b.tables += int64(bytes)
}

// Editing is part of table.Books.
func (b *books) Editing(key []byte, at arena.Ref) {
	if b.naming == nil || b.window != 0 && at == b.record {
		return
	}
	b.enter(key)
	b.record = at
}

// indexBooks are those of the indexes of expiring fields, which are overhead altogether.
type indexBooks struct{ *books }

func (b indexBooks) Record(_ []byte, _, bytes, _ int) { b.Overhead(bytes) }
func (b indexBooks) Editing([]byte, arena.Ref)        {}

// indexed tells that a hash came to the index, or left it: its share of that counts as its own.
func (b *books) indexed(key []byte, sign int64) {
	if b.naming != nil {
		b.spaces[b.find(key, false)].bytes += sign * int64(indexShare+len(key))
	}
}

// enter opens the window of a key's namespace and returns what was open before.
func (b *books) enter(key []byte) (before uint64) {
	if b.naming == nil {
		return 0
	}
	return b.open(b.ids[b.find(key, true)])
}

// open ends a window and opens the one of a namespace, or none with 0.
func (b *books) open(id uint64) (before uint64) {
	if b.naming == nil {
		return 0
	}
	if moved := b.arena.Live() - b.told; moved != 0 {
		invariant.Assert(b.window != 0, "cells of a value moved in no window")
		if b.window != 0 {
			b.spaces[b.findID(b.window)].bytes += moved
		}
		b.told += moved
	}
	before, b.window, b.record = b.window, id, 0
	return before
}

// find is the place of a key's namespace. With create it becomes one if there is room, and is not one yet.
func (b *books) find(key []byte, create bool) int {
	id, end := b.naming.idOf(key)
	mask := uint64(len(b.ids) - 1)
	for i := spread(id) >> b.shift; ; i++ {
		switch b.ids[i&mask] {
		case id:
			return int(i & mask)
		case 0:
			return b.meet(id, key[:end], create)
		}
	}
}

func spread(id uint64) uint64 { return id * 0x9e3779b97f4a7c15 }

// meet is find for a namespace that the shard does not know.
func (b *books) meet(id uint64, name []byte, create bool) int {
	if id != otherSpace && !b.naming.admit(id, name, create) {
		id = otherSpace
	}
	return b.findID(id)
}

// findID is the place of a namespace that was admitted.
func (b *books) findID(id uint64) int {
	mask := uint64(len(b.ids) - 1)
	for i := spread(id) >> b.shift; ; i++ {
		switch b.ids[i&mask] {
		case id:
			return int(i & mask)
		case 0:
			if 2*b.used >= len(b.ids) {
				b.grow()
				return b.findID(id)
			}
			b.used++
			b.ids[i&mask] = id
			return int(i & mask)
		}
	}
}

const fewSpaces = 8

func (b *books) grow() {
	ids, hits, spaces := b.ids, b.hits, b.spaces
	b.allot(2 * len(ids))
	for i, id := range ids {
		if id != 0 {
			at := b.findID(id)
			b.hits[at], b.spaces[at] = hits[i], spaces[i]
		}
	}
}

// count begins to count by a naming, with nothing; nil: not at all.
func (b *books) count(n *names) {
	*b = books{arena: b.arena, told: b.told, tables: b.tables, names: b.names, naming: n}
	if n == nil {
		return
	}
	if n.Depth == 1 {
		b.separators = n.separators
	}
	b.allot(fewSpaces)
	b.findID(otherSpace)
}

func (b *books) allot(n int) {
	b.ids, b.hits, b.spaces, b.used = make([]uint64, n), make([]int64, n), make([]space, n), 0
	for b.shift = 64; n > 1; n >>= 1 {
		b.shift--
	}
}

// hit counts a read that found the key. The common case, a short prefix whose place is where it should be, is idOf and
// find in a line each.
func (b *books) hit(key []byte) {
	if b.separators != 0 && len(key) >= 8 {
		w := binary.LittleEndian.Uint64(key)
		x := w ^ b.separators
		if z := (x - low) &^ x & high; z != 0 {
			p := uint(bits.TrailingZeros64(z)) &^ 7
			id := w&(1<<p-1) | uint64(p>>3+1)<<56
			if i := spread(id) >> b.shift; i < uint64(len(b.ids)) && b.ids[i] == id && i < uint64(len(b.hits)) {
				b.hits[i]++
				return
			}
		}
	}
	if b.naming != nil {
		b.hits[b.find(key, false)]++
	}
}

func (b *books) miss(key []byte, h uint64) {
	if b.naming == nil {
		return
	}
	s := &b.spaces[b.find(key, false)]
	s.misses++
	if b.ghosts.take(h) {
		s.regret++
	}
}

func (b *books) expired(key []byte) {
	if b.naming != nil {
		b.spaces[b.find(key, false)].expired++
	}
}

func (b *books) evicted(key []byte, h uint64) {
	if b.naming != nil {
		b.spaces[b.find(key, false)].evicted++
		b.ghosts.add(h)
	}
}

// move tells that so many bytes below a value changed hands, within the shard.
func (b *books) move(from, to []byte, bytes func() int) {
	if b.naming == nil {
		return
	}
	if i, j := b.find(from, true), b.find(to, true); b.ids[i] != b.ids[j] {
		n := int64(bytes())
		b.spaces[b.find(from, true)].bytes -= n // the second find may have moved it
		b.spaces[j].bytes += n
	}
}

// emptied tells that the shard's arena was reset.
func (b *books) emptied() {
	b.told, b.tables, b.names, b.window, b.record = 0, 0, 0, 0, 0
	for i := range b.spaces {
		s := &b.spaces[i]
		s.removed += s.keys
		s.keys, s.bytes, s.lasting = 0, 0, 0
	}
}

// resetStats sets what is counted of the past to zero.
func (b *books) resetStats() {
	for i := range b.spaces {
		s := &b.spaces[i]
		s.misses, s.removed, s.expired, s.evicted, s.regret = 0, 0, 0, 0, 0
	}
	clear(b.hits)
}
