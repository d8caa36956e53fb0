package table

import (
	"encoding/binary"
	"math/bits"

	"github.com/larderdb/larder/internal/mem/arena"
)

// A bucket is one cache line:
//
//	 0-11  tags: eight bits of the hash of the record in each slot; 0 where the slot is empty
//	12-15  overflow count (8 bits) | slots whose record expires (12 bits) | epoch (12 bits)
//	16-63  twelve 4-byte references
//
// The overflow count says how many records were turned away here because all slots were taken, and lie in a later
// bucket: a search that finds 0 ends. A deletion counts down again, so nothing like a tombstone exists. At 255 the
// count sticks until the segment is rebuilt.
type bucket = [bucketSize]byte

const (
	bucketSize = 64
	slots      = 12
	lineRefs   = arena.Ref(bucketSize / arena.Granule) // what a bucket adds to a reference

	metaAt      = 12
	refsAt      = 16
	maxOverflow = 255
	ttlShift    = 8
	ttlMask     = 1<<slots - 1
	epochShift  = 20
)

const (
	every1st = 0x0101010101010101
	low7     = 0x7f7f7f7f7f7f7f7f
)

// tagOf is the tag of a hash, never 0.
func tagOf(h uint64) byte {
	tag := byte(h >> 6)
	if tag == 0 {
		return 1
	}
	return tag
}

// homeBits are the bits of a hash that choose the home bucket, whatever the number of buckets.
func homeBits(h uint64) uint32 { return uint32(h>>14) & 0xffff }

// homeOf is the bucket, of n, where a search for the hash begins. It grows with homeBits, which scanning relies on.
func homeOf(h uint64, n uint32) uint32 { return homeBits(h) * n >> 16 }

// match returns a set of the slots whose tag is tag. Take its slots with first and rest.
func match(b *bucket, tag byte) uint64 {
	pattern := every1st * uint64(tag)
	lo := binary.LittleEndian.Uint64(b[0:8]) ^ pattern
	hi := uint64(binary.LittleEndian.Uint32(b[8:12])^uint32(pattern)) | ^uint64(1<<32-1)
	return zeros(lo)>>7 | zeros(hi)>>6
}

// used returns the set of slots that hold a record.
func used(b *bucket) uint64 {
	const all = every1st | every1st<<1&(1<<32-1)
	return match(b, 0) ^ all
}

// zeros has the high bit set of every byte of x that is zero.
func zeros(x uint64) uint64 {
	return ^((x&low7 + low7) | x | low7)
}

// first is a slot of a set that is not empty. Slots 0-7 are the bits 0, 8, 16, ... of a set, slots 8-11 the bits 1, 9,
// 17 and 25.
func first(set uint64) int {
	i := bits.TrailingZeros64(set)
	return i>>3 | i&1<<3
}

// rest is the set without its first slot.
func rest(set uint64) uint64 { return set & (set - 1) }

func refAt(b *bucket, slot int) arena.Ref {
	return arena.Ref(binary.LittleEndian.Uint32(b[refsAt+4*slot:]))
}

func setRef(b *bucket, slot int, r arena.Ref) {
	binary.LittleEndian.PutUint32(b[refsAt+4*slot:], uint32(r))
}

func meta(b *bucket) uint32       { return binary.LittleEndian.Uint32(b[metaAt:]) }
func setMeta(b *bucket, m uint32) { binary.LittleEndian.PutUint32(b[metaAt:], m) }

// expiring is the bitmap of slots whose record expires.
func expiring(b *bucket) uint32 { return meta(b) >> ttlShift & ttlMask }

func setExpiring(b *bucket, slot int, on bool) {
	bit := uint32(1) << (ttlShift + slot)
	if on {
		setMeta(b, meta(b)|bit)
	} else {
		setMeta(b, meta(b)&^bit)
	}
}

func turnAway(b *bucket) {
	if b[metaAt] < maxOverflow {
		b[metaAt]++
	}
}

func turnBack(b *bucket) {
	if b[metaAt] < maxOverflow {
		b[metaAt]--
	}
}
