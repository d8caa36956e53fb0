package bitmap

import (
	"encoding/binary"
	"math"
)

// Field is an integer of 1 to 64 bits somewhere in a bitmap, its highest bit first,
// negative numbers as two's complement. An unsigned one has at most 63 bits, so that an
// int64 holds every value of either kind.
type Field struct {
	Signed bool
	Width  uint8 // bits
}

// Overflow is what happens to a value that a field cannot hold.
type Overflow uint8

// The ways of overflowing.
const (
	Wrap     Overflow = iota // the low bits stay
	Saturate                 // the nearest value that the field can hold
	Refuse
)

// Load returns the value of the field at a position; bits behind the end are 0. O(1).
func (f Field) Load(p []byte, at uint64) int64 {
	var buf [9]byte // 64 bits that do not begin with a byte touch nine
	if at>>3 < uint64(len(p)) {
		copy(buf[:], p[at>>3:])
	}
	shift := at & 7
	word := binary.BigEndian.Uint64(buf[:])<<shift | uint64(buf[8])>>(8-shift)
	if f.Signed {
		return int64(word) >> (64 - f.Width)
	}
	return int64(word >> (64 - f.Width))
}

// Store writes the low bits of a value to the field at a position. All of the field is
// within p. O(1).
func (f Field) Store(p []byte, at uint64, value int64) {
	for left := uint64(f.Width); left > 0; {
		room := 8 - at&7
		n := min(room, left)
		shift := room - n
		mask := byte(1<<n-1) << shift
		left -= n
		b := &p[at>>3]
		*b = *b&^mask | byte(uint64(value)>>left)<<shift&mask
		at += n
	}
}

// bounds are the least and the greatest value of the field.
func (f Field) bounds() (least, most int64) {
	if f.Signed {
		return math.MinInt64 >> (64 - f.Width), math.MaxInt64 >> (64 - f.Width)
	}
	return 0, int64(uint64(math.MaxUint64) >> (64 - f.Width))
}

// Fit returns what becomes of a value that is to be stored; false if it is refused. To an
// unsigned field a negative value is one beyond the greatest: it is read as unsigned. To a
// signed one, so is a value so far below that its distance from the greatest is no int64:
// Redis computes that distance, which saturation then shows.
func (f Field) Fit(value int64, o Overflow) (int64, bool) {
	least, most := f.bounds()
	switch {
	case value > most, !f.Signed && value < 0, f.Width < 64 && value < most-math.MaxInt64:
		return f.limit(value, most, o)
	case value < least:
		return f.limit(value, least, o)
	}
	return value, true
}

// Add returns the sum of a value of the field and an increment, of any size; false if it
// is refused.
func (f Field) Add(value, by int64, o Overflow) (int64, bool) {
	least, most := f.bounds()
	sum := value + by
	switch {
	case by > 0 && (sum < value || sum > most):
		return f.limit(sum, most, o)
	case by < 0 && (sum > value || sum < least):
		return f.limit(sum, least, o)
	}
	return sum, true
}

// limit resolves an overflow: value modulo 2^64 is known, and the bound that it crossed.
func (f Field) limit(value, bound int64, o Overflow) (int64, bool) {
	switch o {
	case Wrap:
		low := uint64(value) << (64 - f.Width)
		if f.Signed {
			return int64(low) >> (64 - f.Width), true
		}
		return int64(low >> (64 - f.Width)), true
	case Saturate:
		return bound, true
	}
	return 0, false
}
