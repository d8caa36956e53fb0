package table

import (
	"encoding/binary"
	"math/bits"
)

// Odd constants without structure (digits of the golden ratio, e and pi), mixed with the seed.
const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xb7e151628aed2a6b
	mixC = 0x243f6a8885a308d3
)

// Hash returns the 64-bit hash of a key under a seed; the same on every machine. It folds 128-bit products, as wyhash
// does, but every factor is masked by the seed, so that whoever does not know the seed cannot find keys which collide.
//
// Who uses which bits: 0-5 choose the shard (the engine's matter), 6-13 are the tag, 14-29 the home bucket, and from 63
// downwards, 27 at the most, they choose the segment. O(len(key)): about 3 ns for 8 to 16 bytes.
func Hash(seed uint64, key []byte) uint64 {
	n := len(key)
	s1 := seed ^ mixA
	s2 := bits.RotateLeft64(seed, 23) ^ mixB
	var a, b uint64
	switch {
	case n > 16:
		for len(key) > 16 {
			s2 = fold(binary.LittleEndian.Uint64(key)^s1, binary.LittleEndian.Uint64(key[8:])^s2)
			key = key[16:]
		}
		a, b = tail(key)
	case n >= 8: // spelled out: most keys come here
		a = binary.LittleEndian.Uint64(key)
		b = binary.LittleEndian.Uint64(key[n-8:])
	default:
		a, b = tail(key)
	}
	hi, lo := bits.Mul64(a^s1, b^s2)
	return fold(lo^s1^uint64(n), hi^mixC)
}

// tail reads up to 16 bytes into two words.
func tail(key []byte) (a, b uint64) {
	n := len(key)
	switch {
	case n >= 8:
		return binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:]))
	case n > 0:
		return uint64(key[0])<<16 | uint64(key[n>>1])<<8 | uint64(key[n-1]), 0
	default:
		return 0, 0
	}
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
