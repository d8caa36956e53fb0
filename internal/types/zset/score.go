package zset

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The score in a member's record takes as few bytes as will do: a whole number is its
// two's complement in as many bytes as that needs, zero in none; anything else, minus
// zero too, is an IEEE double in eight. Most scores are counts or times, and of a
// record of thirty bytes five are worth saving.

// maxWhole bounds the whole numbers that are kept as such: below it all are doubles.
const maxWhole = 1 << 53

// scoreLen is the length in bytes of a score in its record.
func scoreLen(score float64) int {
	whole := int64(score)
	switch {
	case math.Abs(score) > maxWhole, float64(whole) != score, score == 0 && math.Signbit(score):
		return 8
	case score == 0:
		return 0
	}
	if whole < 0 {
		whole = ^whole
	}
	return bits.Len64(uint64(whole))/8 + 1 // room for the sign, too
}

// encodeScore writes a score to b, which has the length that scoreLen says.
func encodeScore(b []byte, score float64) {
	if len(b) == 8 {
		binary.LittleEndian.PutUint64(b, math.Float64bits(score))
		return
	}
	whole := int64(score)
	for i := range b {
		b[i] = byte(whole)
		whole >>= 8
	}
}

func decodeScore(b []byte) float64 {
	if len(b) == 8 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	var u uint64
	for i, c := range b {
		u |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return float64(int64(u<<shift) >> shift)
}

// An entry of the tree holds 32 bits of the score: prefix is monotonic, so that entries
// with different prefixes compare as their scores do. Doubles would spend eleven bits on
// exponents that scores hardly ever have; here magnitudes from 2^-10 to 2^53 get all but
// a sixty-fourth of the prefixes, 25 bits behind the leading one. So whole numbers up to
// 33 million are all distinct, and times in milliseconds are by half a minute.

// The range of magnitudes, in the bits of a double, that prefixes divide finely.
const (
	fineFrom = (1023 - 10) << 52
	fineTo   = (1023 + 53) << 52

	fine   = 27 // bits of the magnitude that are dropped in that range
	coarse = 38 // and outside

	fineBase = 1 << 24
	topBase  = fineBase + (fineTo-fineFrom)>>fine
)

func prefix(score float64) uint32 {
	m := math.Float64bits(score) &^ (1 << 63)
	var p uint32
	switch {
	case m < fineFrom:
		p = uint32(m >> coarse)
	case m < fineTo:
		p = fineBase + uint32((m-fineFrom)>>fine)
	default:
		p = topBase + uint32((m-fineTo)>>coarse)
	}
	if score < 0 {
		return 1<<31 - 1 - p
	}
	return 1<<31 + p // minus zero, too
}
