package table

import (
	"encoding/binary"
	"math/bits"
)

// A record is one cell:
//
//	[flags, kind | clock 3 B (keyspace only) | key length | value length | expiry 8 B if FlagExpiry | key | value]
//
// A record of kind Bare has neither value length nor value. Lengths are varints of seven bits a byte, lowest first. The
// cell may be longer than what it holds.

// Flags of a record, in the upper half of its first byte. What FlagA and FlagB mean is the type's business.
const (
	FlagExpiry byte = 0x10 // the record has an expiry; only SetExpiry changes this flag
	FlagLarge  byte = 0x20 // the value refers to other cells
	FlagA      byte = 0x40
	FlagB      byte = 0x80

	kindMask = 0x0f
)

// Bare is the kind of a record that is all key: it has no value and no length of one, and keeps this kind for life.
const Bare byte = 0x0f

const expirySize = 8

// varintLen is the number of bytes that n takes.
func varintLen(n int) int {
	return (bits.Len64(uint64(n)|1) + 6) / 7
}

// getVarint reads the number at b[p:] and returns it with the place behind it.
func getVarint(b []byte, p int) (n, next int) {
	v := b[p]
	if v < 0x80 {
		return int(v), p + 1
	}
	n = int(v & 0x7f)
	for shift := 7; ; shift += 7 {
		p++
		v = b[p]
		n |= int(v&0x7f) << shift
		if v < 0x80 {
			return n, p + 1
		}
	}
}

// putVarint writes n at b[p:] and returns the place behind it.
func putVarint(b []byte, p, n int) int {
	for n >= 0x80 {
		b[p] = byte(n) | 0x80
		n >>= 7
		p++
	}
	b[p] = byte(n)
	return p + 1
}

// headLen is the number of bytes before the key.
func headLen(base int, kind byte, keyLen, valueLen int, expires bool) int {
	n := base + varintLen(keyLen)
	if kind&kindMask != Bare {
		n += varintLen(valueLen)
	}
	if expires {
		n += expirySize
	}
	return n
}

// layout says where the parts of a record lie in its cell.
type layout struct {
	key   int // where the key begins; the expiry, if any, lies before it
	value int // where the value begins and the key ends
	end   int // where the value ends
}

// parse finds the parts of a record whose first byte and clock take base bytes.
func parse(rec []byte, base int) layout {
	keyLen, p := getVarint(rec, base)
	valueLen := 0
	if rec[0]&kindMask != Bare {
		valueLen, p = getVarint(rec, p)
	}
	if rec[0]&FlagExpiry != 0 {
		p += expirySize
	}
	return layout{p, p + keyLen, p + keyLen + valueLen}
}

// putHead writes the lengths and, if expiry is not 0, the expiry; rec[0] and the clock must be there already. It
// returns where the key belongs.
func putHead(rec []byte, base, keyLen, valueLen int, expiry int64) int {
	p := putVarint(rec, base, keyLen)
	if rec[0]&kindMask != Bare {
		p = putVarint(rec, p, valueLen)
	}
	if expiry == 0 {
		rec[0] &^= FlagExpiry
		return p
	}
	rec[0] |= FlagExpiry
	binary.LittleEndian.PutUint64(rec[p:], uint64(expiry))
	return p + expirySize
}
