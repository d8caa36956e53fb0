// Package bitmap reads and writes byte strings as sequences of bits, a word at a time.
//
// Bit 0 is the highest bit of byte 0, as in Redis: the order in which one would write
// the bytes down in binary. All functions work on plain byte slices, keep none of them
// and allocate nothing.
//
// # Speed
//
// Counting and combining walk eight bytes at a time, four words to a round, so that the
// processor always has independent work at hand. Combine goes through its sources block
// by block: the block of the result stays in the first-level cache however many sources
// there are, and every source is read once.
package bitmap

import (
	"encoding/binary"
	"math/bits"
)

// Get returns the bit at a position; 0 behind the end.
func Get(p []byte, at uint64) int {
	if at>>3 >= uint64(len(p)) {
		return 0
	}
	return int(p[at>>3] >> (7 - at&7) & 1)
}

// Set sets the bit at a position, which is not behind the end, to 0 or 1.
func Set(p []byte, at uint64, bit int) {
	shift := 7 - at&7
	p[at>>3] = p[at>>3]&^(1<<shift) | byte(bit)<<shift
}

// Count returns the number of bits that are set. O(len(p)).
func Count(p []byte) (n int) {
	for len(p) >= 32 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(p)) +
			bits.OnesCount64(binary.LittleEndian.Uint64(p[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(p[16:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(p[24:]))
		p = p[32:]
	}
	for ; len(p) >= 8; p = p[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(p))
	}
	for _, b := range p {
		n += bits.OnesCount8(b)
	}
	return n
}

// CountRange returns the number of bits that are set from one position up to, not
// including, another; 0 <= from <= to <= 8*len(p). O(to-from).
func CountRange(p []byte, from, to int) int {
	if from >= to {
		return 0
	}
	first, last := from>>3, (to-1)>>3
	head, tail := edges(from, to)
	if first == last {
		return bits.OnesCount8(p[first] & head & tail)
	}
	return bits.OnesCount8(p[first]&head) + Count(p[first+1:last]) + bits.OnesCount8(p[last]&tail)
}

// edges are the masks of the bits of a range in its first and in its last byte.
func edges(from, to int) (head, tail byte) {
	return 0xff >> (from & 7), 0xff << ((8 - to&7) & 7)
}

// Find returns the position of the first bit that is 0, or 1, from one position up to,
// not including, another, -1 where there is none; 0 <= from <= to <= 8*len(p).
// O(distance).
func Find(p []byte, bit, from, to int) int {
	if from >= to {
		return -1
	}
	var flip byte // makes it a search for a one
	if bit == 0 {
		flip = 0xff
	}
	first, last := from>>3, (to-1)>>3
	head, tail := edges(from, to)
	if first == last {
		return position(first, (p[first]^flip)&head&tail)
	}
	if b := (p[first] ^ flip) & head; b != 0 {
		return position(first, b)
	}
	i := skip(p[:last], first+1, flip)
	if i < last {
		return position(i, p[i]^flip)
	}
	return position(last, (p[last]^flip)&tail)
}

// skip returns the index of the first byte from i on that is not flip; len(p) where there is none.
func skip(p []byte, i int, flip byte) int {
	word := uint64(flip) * 0x0101010101010101
	for ; i+32 <= len(p); i += 32 {
		q := p[i : i+32]
		if (binary.LittleEndian.Uint64(q)^word)|(binary.LittleEndian.Uint64(q[8:])^word)|
			(binary.LittleEndian.Uint64(q[16:])^word)|(binary.LittleEndian.Uint64(q[24:])^word) != 0 {
			break
		}
	}
	for i < len(p) && p[i] == flip {
		i++
	}
	return i
}

// position is where the first one of byte i is, -1 if it is zero.
func position(i int, b byte) int {
	if b == 0 {
		return -1
	}
	return i<<3 + bits.LeadingZeros8(b)
}
