package bitmap

import (
	"crypto/subtle"
	"encoding/binary"
)

// Op is a way of combining bitmaps bit by bit.
type Op uint8

// The operations. X is the first source, Y any of the others.
const (
	And   Op = iota // in all sources
	Or              // in any source
	Xor             // in an odd number of sources
	Not             // not in the one source
	Diff            // in X and in no Y
	Diff1           // in a Y and not in X
	AndOr           // in X and in a Y
	One             // in exactly one source
)

// block is how many bytes are finished before the next are begun: a block of the result,
// one of a source and one of scratch fit into a first-level cache.
const block = 8 << 10

// Combine writes the combination of the sources to dst, which is as long as the longest
// of them and overlaps none; shorter ones count as padded with zeros. There is at least
// one source. O(len(dst) × sources).
func Combine(op Op, dst []byte, sources [][]byte) {
	for at := 0; at < len(dst); at += block {
		combine(op, dst[at:min(at+block, len(dst))], sources, at)
	}
}

// combine finishes one block: the bytes of dst, which begin at position at of the sources.
func combine(op Op, dst []byte, sources [][]byte, at int) {
	first, others := part(sources[0], at, len(dst)), sources[1:]
	switch op {
	case And:
		fill(dst, first)
		for _, s := range others {
			and(dst, part(s, at, len(dst)))
		}
	case Or:
		fill(dst, first)
		unite(dst, others, at)
	case Xor:
		fill(dst, first)
		for _, s := range others {
			s = part(s, at, len(dst))
			subtle.XORBytes(dst, dst[:len(s)], s)
		}
	case Not:
		fill(dst, first)
		invert(dst)
	case Diff: // X and not (Y1 or Y2 ...)
		clear(dst)
		unite(dst, others, at)
		invert(dst)
		and(dst, first)
	case Diff1:
		clear(dst)
		unite(dst, others, at)
		andNot(dst, first)
	case AndOr:
		clear(dst)
		unite(dst, others, at)
		and(dst, first)
	case One:
		exactlyOne(dst, sources, at)
	}
}

// exactlyOne keeps the bits seen once in dst and those seen more often apart.
func exactlyOne(dst []byte, sources [][]byte, at int) {
	var scratch [block]byte
	more := scratch[:len(dst)]
	clear(dst)
	for _, s := range sources {
		s = part(s, at, len(dst))
		n := len(s) &^ 7
		for i := 0; i < n; i += 8 {
			once, twice, word := dst[i:i+8], more[i:i+8], binary.LittleEndian.Uint64(s[i:])
			o, t := binary.LittleEndian.Uint64(once), binary.LittleEndian.Uint64(twice)
			t |= o & word
			binary.LittleEndian.PutUint64(twice, t)
			binary.LittleEndian.PutUint64(once, (o|word)&^t)
		}
		for i := n; i < len(s); i++ {
			more[i] |= dst[i] & s[i]
			dst[i] = (dst[i] | s[i]) &^ more[i]
		}
	}
}

// part is the piece of a source that belongs to a block of n bytes; it may be shorter, or empty.
func part(s []byte, at, n int) []byte {
	if at >= len(s) {
		return nil
	}
	return s[at:min(at+n, len(s))]
}

// fill makes dst the source, padded with zeros.
func fill(dst, src []byte) { clear(dst[copy(dst, src):]) }

// unite adds the bits of all sources to dst.
func unite(dst []byte, sources [][]byte, at int) {
	for _, s := range sources {
		or(dst, part(s, at, len(dst)))
	}
}

// The loops over words. src is never longer than dst.

func and(dst, src []byte) {
	clear(dst[len(src):])
	for len(src) >= 32 {
		d, s := dst[:32], src[:32]
		binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(d)&binary.LittleEndian.Uint64(s))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])&binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])&binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])&binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] &= b
	}
}

func or(dst, src []byte) {
	for len(src) >= 32 {
		d, s := dst[:32], src[:32]
		binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(d)|binary.LittleEndian.Uint64(s))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])|binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])|binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])|binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] |= b
	}
}

func andNot(dst, src []byte) {
	for len(src) >= 32 {
		d, s := dst[:32], src[:32]
		binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(d)&^binary.LittleEndian.Uint64(s))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])&^binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])&^binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])&^binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] &^= b
	}
}

func invert(dst []byte) {
	for len(dst) >= 32 {
		d := dst[:32]
		binary.LittleEndian.PutUint64(d, ^binary.LittleEndian.Uint64(d))
		binary.LittleEndian.PutUint64(d[8:], ^binary.LittleEndian.Uint64(d[8:]))
		binary.LittleEndian.PutUint64(d[16:], ^binary.LittleEndian.Uint64(d[16:]))
		binary.LittleEndian.PutUint64(d[24:], ^binary.LittleEndian.Uint64(d[24:]))
		dst = dst[32:]
	}
	for i := range dst {
		dst[i] = ^dst[i]
	}
}
