// Package xxh3 is XXH3, the 64-bit hash of xxHash 0.8 (Yann Collet) with its default
// secret: the digest of a string that Redis 8.4 shows.
//
// Up to 240 bytes are multiplied pairwise with the secret; longer inputs run through
// eight accumulators in stripes of 64 bytes, stirred after every 16 stripes.
package xxh3

import (
	"encoding/binary"
	"math/bits"
)

const (
	prime32x1 = 0x9E3779B1
	prime32x2 = 0x85EBCA77
	prime32x3 = 0xC2B2AE3D
	prime64x1 = 0x9E3779B185EBCA87
	prime64x2 = 0xC2B2AE3D27D4EB4F
	prime64x3 = 0x165667B19E3779F9
	prime64x4 = 0x85EBCA77C2B2AE63
	prime64x5 = 0x27D4EB2F165667C5
	primeMix1 = 0x165667919E3779F9
	primeMix2 = 0x9FB21C651E98DF25

	stripeLen = 64
	blockLen  = 16 * stripeLen
	middleMax = 240
)

// secret is the default secret of the algorithm, 192 bytes.
const secret = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe\x7c\x01\x81\x2c\xf7\x21\xad\x1c\xde\xd4\x6d\xe9\x83\x90\x97\xdb\x72\x40\xa4\xa4\xb7\xb3\x67\x1f" +
	"\xcb\x79\xe6\x4e\xcc\xc0\xe5\x78\x82\x5a\xd0\x7d\xcc\xff\x72\x21\xb8\x08\x46\x74\xf7\x43\x24\x8e\xe0\x35\x90\xe6\x81\x3a\x26\x4c" +
	"\x3c\x28\x52\xbb\x91\xc3\x00\xcb\x88\xd0\x65\x8b\x1b\x53\x2e\xa3\x71\x64\x48\x97\xa2\x0d\xf9\x4e\x38\x19\xef\x46\xa9\xde\xac\xd8" +
	"\xa8\xfa\x76\x3f\xe3\x9c\x34\x3f\xf9\xdc\xbb\xc7\xc7\x0b\x4f\x1d\x8a\x51\xe0\x4b\xcd\xb4\x59\x31\xc8\x9f\x7e\xc9\xd9\x78\x73\x64" +
	"\xea\xc5\xac\x83\x34\xd3\xeb\xc3\xc5\x81\xa0\xff\xfa\x13\x63\xeb\x17\x0d\xdd\x51\xb7\xf0\xda\x49\xd3\x16\x55\x26\x29\xd4\x68\x9e" +
	"\x2b\x16\xbe\x58\x7d\x47\xa1\xfc\x8f\xf8\xb8\xd1\x7a\xd0\x31\xce\x45\xcb\x3a\x8f\x95\x16\x04\x28\xaf\xd7\xfb\xca\xbb\x4b\x40\x7e"

// Sum64 returns the hash of b. O(n).
func Sum64(b []byte) uint64 {
	switch n := uint64(len(b)); {
	case n == 0:
		return avalanche64(secretAt(56) ^ secretAt(64))
	case n < 4:
		mixed := uint32(b[0])<<16 | uint32(b[n/2])<<24 | uint32(b[n-1]) | uint32(n)<<8
		flip := uint32(secretAt(0)) ^ uint32(secretAt(0)>>32)
		return avalanche64(uint64(mixed ^ flip))
	case n <= 8:
		first, last := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
		return strong((last+first<<32)^secretAt(8)^secretAt(16), n)
	case n <= 16:
		low := word(b, 0) ^ secretAt(24) ^ secretAt(32)
		high := word(b, len(b)-8) ^ secretAt(40) ^ secretAt(48)
		return avalanche(n + bits.ReverseBytes64(low) + high + fold(low, high))
	case n <= 128:
		return short(b)
	case n <= middleMax:
		return middle(b)
	}
	return long(b)
}

func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func secretAt(at int) uint64 {
	s := secret[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// fold is the two halves of a product, one over the other.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func avalanche(h uint64) uint64 {
	h = (h ^ h>>37) * primeMix1
	return h ^ h>>32
}

func avalanche64(h uint64) uint64 {
	h = (h ^ h>>33) * prime64x2
	h = (h ^ h>>29) * prime64x3
	return h ^ h>>32
}

func strong(h, n uint64) uint64 {
	h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
	h *= primeMix2
	h = (h ^ (h>>35 + n)) * primeMix2
	return h ^ h>>28
}

// mix multiplies sixteen bytes of the input with as many of the secret.
func mix(b []byte, at, key int) uint64 {
	return fold(word(b, at)^secretAt(key), word(b, at+8)^secretAt(key+8))
}

// short hashes 17 to 128 bytes: from both ends inwards.
func short(b []byte) uint64 {
	n := len(b)
	h := uint64(n) * prime64x1
	for i := (n - 1) / 32; i >= 0; i-- {
		h += mix(b, 16*i, 32*i) + mix(b, n-16*(i+1), 32*i+16)
	}
	return avalanche(h)
}

// middle hashes 129 to 240 bytes.
func middle(b []byte) uint64 {
	n := len(b)
	h := uint64(n) * prime64x1
	for i := range 8 {
		h += mix(b, 16*i, 16*i)
	}
	h = avalanche(h)
	for i := 8; i < n/16; i++ {
		h += mix(b, 16*i, 16*(i-8)+3)
	}
	return avalanche(h + mix(b, n-16, 136-17))
}

type lanes [8]uint64

// stripe adds 64 bytes to the accumulators.
func (a *lanes) stripe(b []byte, at int) {
	for i := range a {
		v := word(b, 8*i)
		key := v ^ secretAt(at+8*i)
		a[i^1] += v
		a[i] += uint64(uint32(key)) * (key >> 32)
	}
}

func (a *lanes) stir() {
	for i := range a {
		a[i] = (a[i] ^ a[i]>>47 ^ secretAt(len(secret)-stripeLen+8*i)) * prime32x1
	}
}

// long hashes more than 240 bytes.
func long(b []byte) uint64 {
	a := lanes{prime32x3, prime64x1, prime64x2, prime64x3, prime64x4, prime32x2, prime64x5, prime32x1}
	rest := b
	for len(rest) > blockLen {
		for i := range 16 {
			a.stripe(rest[i*stripeLen:], 8*i)
		}
		a.stir()
		rest = rest[blockLen:]
	}
	for i := range (len(rest) - 1) / stripeLen {
		a.stripe(rest[i*stripeLen:], 8*i)
	}
	a.stripe(b[len(b)-stripeLen:], len(secret)-stripeLen-7)
	h := uint64(len(b)) * prime64x1
	for i := range 4 {
		h += fold(a[2*i]^secretAt(11+16*i), a[2*i+1]^secretAt(19+16*i))
	}
	return avalanche(h)
}
