// Package hll estimates how many different elements a sequence had, in at most 12 KiB:
// HyperLogLog, in the very bytes that Redis keeps in a string.
//
// # The idea
//
// An element's hash gives one of 16384 registers (its low 14 bits) and a rank (the
// position of the lowest one among the other 50: 1 to 51). A register keeps the greatest
// rank it has seen, so adding the same element again changes nothing, and the registers of
// a union are the maxima of registers. High ranks are rare: from how many registers have
// which value, Estimate concludes the number of elements, by Ertl's improved estimator,
// which needs no corrections for small or large numbers. The standard error is
// 1.04/sqrt(16384), 0.81 %.
//
// # The bytes
//
//	0  "HYLL"
//	4  encoding: 0 dense, 1 sparse
//	5  three zeros
//	8  the last estimate, little endian; the highest bit tells that it is out of date
//	16 the registers
//
// Dense registers are 6 bits each, packed from the lowest bit of the first byte on. Sparse
// ones are runs: see sparse.go. A sketch begins sparse and turns dense, for good, when a
// rank above 32 comes or when the runs would make it longer than the limit given
// (hll-sparse-max-bytes).
//
// # Trust
//
// The bytes are a string that clients can write as they like. Is looks at the header, Sound
// at all registers in O(length), at the most 16384 runs. Functions that say so need the one
// or the other and then neither panic nor read outside.
//
// Nothing here keeps a slice that it was given. O(length) means that of the sketch.
package hll

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const (
	// Registers is the number of registers of every sketch.
	Registers = 1 << indexBits

	// DenseLen is the length in bytes of every dense sketch.
	DenseLen = headerLen + Registers*rankBits/8

	// MaxLen is the length in bytes that no sketch that is Sound exceeds: longer ones need not be read.
	MaxLen = headerLen + 2*Registers

	indexBits = 14
	hashBits  = 64 - indexBits // of the hash that the rank comes from
	maxRank   = hashBits + 1
	rankBits  = 6

	magic     = "HYLL"
	headerLen = 16
	encodeAt  = 4
	cacheAt   = 8
	staleAt   = 15 // the byte with the bit that says that the estimate is out of date
	staleBit  = 0x80

	dense  = 0
	sparse = 1
)

// AppendEmpty appends a sketch of nothing. Its estimate is up to date.
func AppendEmpty(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, sparse, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return appendZeros(dst, Registers)
}

// Is tells whether the bytes have the header of a sketch, and a dense one's length.
func Is(p []byte) bool {
	return len(p) >= headerLen && string(p[:len(magic)]) == magic &&
		(p[encodeAt] == sparse || p[encodeAt] == dense && len(p) == DenseLen)
}

// IsSparse tells how the registers of a sketch, by Is, are encoded.
func IsSparse(p []byte) bool { return p[encodeAt] == sparse }

// Cached returns the estimate that a sketch, by Is, carries; false if it is out of date.
func Cached(p []byte) (uint64, bool) {
	return binary.LittleEndian.Uint64(p[cacheAt:]), p[staleAt]&staleBit == 0
}

// SetCached makes n the estimate that a sketch, by Is, carries.
func SetCached(p []byte, n uint64) { binary.LittleEndian.PutUint64(p[cacheAt:], n) }

// Invalidate notes that the estimate that a sketch, by Is, carries is out of date.
func Invalidate(p []byte) { p[staleAt] |= staleBit }

// Estimate returns how many different elements a sketch, by Is, has probably seen; false if
// its registers are corrupt. O(length).
func Estimate(p []byte) (uint64, bool) {
	var h histogram
	if !IsSparse(p) {
		h.addDense(p[headerLen:])
		return h.estimate(), true
	}
	ok := eachRun(p, func(run, rank int) { h[rank] += run })
	return h.estimate(), ok
}

// ErrCorrupt is of a sketch whose registers are not as they should be.
var ErrCorrupt = errors.New("corrupt registers")

// Add lets a sketch, by Is, see an element. It returns the sketch, which may have moved to the
// end of its capacity or to memory of its own, and whether a register changed; the estimate is
// out of date then. A sparse sketch does not become longer than limit bytes but dense.
// ErrCorrupt is the only error; it does not come where what is wrong lies behind the register
// of the element, as in Redis. O(1) if dense, else O(length).
func Add(p, element []byte, limit int) (after []byte, changed bool, err error) {
	index, rank := locate(element)
	if IsSparse(p) {
		s := editor{p: p, limit: limit, at: headerLen}
		did := s.set(index, rank)
		if did == tooLarge && Sound(s.p) {
			return s.promote(index, rank), true, nil
		}
		if did >= tooLarge {
			return p, false, ErrCorrupt
		}
		return s.p, did == raised, nil
	}
	if changed = setDense(p[headerLen:], index, rank); changed {
		Invalidate(p)
	}
	return p, changed, nil
}

// promote returns the dense form with a register raised to a rank.
func (s *editor) promote(index int, rank uint8) []byte {
	p := Dense(nil, s.p)
	setDense(p[headerLen:], index, rank)
	Invalidate(p)
	return p
}

// Dense appends to dst the dense form of a sketch that is Sound. O(DenseLen).
func Dense(dst, p []byte) []byte {
	if !IsSparse(p) {
		return append(dst, p...)
	}
	start := len(dst)
	dst = append(dst, make([]byte, DenseLen)...)
	q := dst[start:]
	copy(q, p[:headerLen])
	q[encodeAt] = dense
	at := 0
	eachRun(p, func(run, rank int) {
		if rank > 0 {
			for i := range run {
				setDense(q[headerLen:], at+i, uint8(rank))
			}
		}
		at += run
	})
	return dst
}

// locate returns the register of an element and its rank.
func locate(element []byte) (index int, rank uint8) {
	h := hash(element)
	return int(h & (Registers - 1)), uint8(bits.TrailingZeros64(h>>indexBits|1<<hashBits)) + 1
}

// hash is MurmurHash64A of the seed that all sketches share: another one would count
// elements twice in the union with a sketch of Redis.
func hash(b []byte) uint64 {
	const (
		seed  = 0xadc83b19
		m     = 0xc6a4a7935bd1e995
		shift = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> shift
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = (h ^ binary.LittleEndian.Uint64(tail[:])) * m
	}
	h = (h ^ h>>shift) * m
	return h ^ h>>shift
}
