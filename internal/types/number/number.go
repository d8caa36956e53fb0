// Package number reads and writes numbers exactly as Redis does, so that a
// counter, a score or a refusal is the same byte for byte.
//
// Redis knows three kinds of number:
//
//   - integers: strict canonical decimal of an int64. "+1", "01", "-0" and " 1"
//     are strings, not integers, so an integer that is stored as a number reads
//     back as the very bytes that were written.
//   - doubles: sorted-set scores. Read as C's strtod does in the "C" locale
//     (decimal, hexadecimal, infinities) minus NaN and surrounding space;
//     written in the shortest form that reads back as the same double.
//   - extended doubles: the x87 long double of INCRBYFLOAT and HINCRBYFLOAT, see
//     [Extended].
//
// The package stands on the standard library alone and keeps no state.
package number

import (
	"math"
	"strconv"
)

// MaxIntLen is the length in bytes of the longest canonical int64,
// "-9223372036854775808".
const MaxIntLen = 20

// ParseInt reads the canonical decimal form of an int64. It refuses everything
// that AppendInt would not have written: empty input, a plus sign, leading
// zeros, minus zero, spaces, and values out of range.
func ParseInt(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) > MaxIntLen {
		return 0, false
	}
	digits, negative := s, s[0] == '-'
	if negative {
		digits = s[1:]
	}
	if len(digits) == 0 || len(digits) > MaxIntLen-1 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(s) == 1
	}
	var u uint64 // 19 digits cannot overflow it
	for _, c := range digits {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		u = u*10 + uint64(d)
	}
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

// AppendInt appends the canonical decimal form of n.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// IntLen returns the length in bytes of the canonical decimal form of n.
func IntLen(n int64) int {
	length, u := 1, uint64(n)
	if n < 0 {
		length, u = 2, -u
	}
	for u >= 10 {
		u /= 10
		length++
	}
	return length
}

// ParseFloat reads a double as Redis reads a score: everything strtod takes
// over its whole input ("1", "-.5", "1e3", "0x1p4", "inf", "+Infinity"), except
// NaN, leading space, values too large for a double, and non-zero values so
// small that they would become zero.
func ParseFloat(s []byte) (float64, bool) {
	l, ok := scan(s)
	if !ok {
		return 0, false
	}
	if l.infinite {
		return math.Inf(l.sign()), true
	}
	text := string(s)
	if l.base == 16 && !l.hasExponent {
		text += "p0" // Go insists on what C leaves out
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || (f == 0 && !l.zero) {
		return 0, false
	}
	return f, true
}

// AppendFloat appends a double as Redis prints scores: whole numbers below
// 2^62 as integers, otherwise the digits of Grisu2, which read back as f, in plain
// notation where that is short and with an exponent (at least one digit, signed)
// where it is not. Infinities are "inf" and "-inf", and minus zero is "-0".
func AppendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case math.Abs(f) <= 1<<62 && f == math.Trunc(f):
		return strconv.AppendInt(dst, int64(f), 10)
	}
	if f < 0 {
		dst, f = append(dst, '-'), -f
	}
	var buf [20]byte
	digits, last := grisu2(f, &buf)
	return appendDigits(dst, digits, last)
}

// appendDigits lays out digits, the last of which is worth 10^last, by the rules
// of Redis 7.2.
func appendDigits(dst, digits []byte, last int) []byte {
	n := len(digits)
	exponent := last + n - 1 // of the first digit
	magnitude := max(exponent, -exponent)
	switch {
	case last >= 0 && magnitude < n+7:
		return appendZeros(append(dst, digits...), last)
	case last < 0 && (last > -7 || magnitude < 4):
		whole := n + last
		if whole <= 0 {
			dst = appendZeros(append(dst, '0', '.'), -whole)
			return append(dst, digits...)
		}
		dst = append(append(dst, digits[:whole]...), '.')
		return append(dst, digits[whole:]...)
	}
	dst = append(dst, digits[0])
	if n > 1 {
		dst = append(append(dst, '.'), digits[1:min(n, 17)]...)
	}
	sign := byte('+')
	if exponent < 0 {
		sign = '-'
	}
	return strconv.AppendInt(append(dst, 'e', sign), int64(magnitude), 10)
}

func appendZeros(dst []byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, '0')
	}
	return dst
}
