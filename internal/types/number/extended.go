package number

import (
	"math"
	"math/big"
)

// Extended is the 80-bit x87 "long double" in which Redis does the arithmetic of
// INCRBYFLOAT and HINCRBYFLOAT: 64 bits of mantissa, exponents up to ±16383. With
// these eleven bits more than a double has, 0.1 + 0.2 prints as 0.3, and doing
// the sum in doubles would show.
//
// Values are correctly rounded (to nearest, ties to even) in reading, adding and
// printing, as the hardware and the C library do it. An operation costs about a
// microsecond and a few short-lived allocations.
//
// The zero value is 0. An Extended is immutable.
type Extended struct{ f *big.Float }

const (
	mantissaBits = 64

	// Exponents as big.Float counts them, of a mantissa in [0.5, 1).
	maxExponent       = 16384
	minNormalExponent = -16381

	// maxExtendedLen is one more than the longest text Redis reads as an extended
	// double, in bytes.
	maxExtendedLen = 5 * 1024

	// humanDigits is the number of digits behind the point that are printed, before
	// trailing zeros go.
	humanDigits = 17
)

// ExtendedInt returns n, exactly.
func ExtendedInt(n int64) Extended {
	return Extended{new(big.Float).SetPrec(mantissaBits).SetInt64(n)}
}

// ParseExtended reads s as strtold does, with Redis's refusals: no NaN, no
// space, nothing longer than 5119 bytes, no value too large, no non-zero value
// that would become zero. Infinities are read; whether they are allowed is the
// caller's to say.
func ParseExtended(s []byte) (Extended, bool) {
	if len(s) >= maxExtendedLen {
		return Extended{}, false
	}
	l, ok := scan(s)
	if !ok {
		return Extended{}, false
	}
	if l.infinite {
		return Extended{new(big.Float).SetInf(l.negative)}, true
	}
	f := new(big.Float).SetPrec(mantissaBits)
	if !l.zero && !l.round(f) {
		return Extended{}, false
	}
	if l.negative {
		f.Neg(f)
	}
	return Extended{f}, true
}

// round sets f, of 64 bits precision, to the absolute value of a literal that is
// finite and not zero. It reports false when that is out of range.
func (l *literal) round(f *big.Float) bool {
	num, den, ok := l.ratio()
	if !ok {
		return false
	}
	f.Quo(num, den)
	if e := f.MantExp(nil); e < minNormalExponent {
		// Denormal: fewer bits are left. Round the exact value again, not the
		// rounded one.
		bits := mantissaBits - (minNormalExponent - e)
		if bits <= 0 {
			return roundToSmallest(f, bits)
		}
		f.SetPrec(uint(bits)).Quo(num, den)
		f.SetPrec(mantissaBits)
	}
	return f.MantExp(nil) <= maxExponent
}

// roundToSmallest decides about a value below the smallest denormal: more than
// half of it rounds up to it, anything else would be zero.
func roundToSmallest(f *big.Float, bits int) bool {
	if bits < 0 {
		return false
	}
	half := new(big.Float).SetMantExp(big.NewFloat(1), minNormalExponent-mantissaBits-1)
	if f.Cmp(half) <= 0 {
		return false
	}
	f.SetMantExp(big.NewFloat(1), minNormalExponent-mantissaBits)
	return true
}

// ratio returns the literal's absolute value as an exact fraction.
func (l *literal) ratio() (num, den *big.Float, ok bool) {
	digits := append(append(make([]byte, 0, len(l.whole)+len(l.fraction)), l.whole...), l.fraction...)
	n, _ := new(big.Int).SetString(string(digits), l.base)
	if l.base == 16 {
		exponent := l.exponent - 4*len(l.fraction)
		num = new(big.Float).SetInt(n)
		return num.SetMantExp(num, exponent), big.NewFloat(1), true
	}
	exponent := l.exponent - len(l.fraction)
	// The largest finite value has 4933 digits, the smallest denormal is 3.6e-4951.
	if magnitude := len(digits) + exponent; exponent > 5000 || magnitude < -4960 {
		return nil, nil, false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent >= 0 {
		return new(big.Float).SetInt(n.Mul(n, power)), big.NewFloat(1), true
	}
	return new(big.Float).SetInt(n), new(big.Float).SetInt(power), true
}

// Add returns x + y. It reports false when the sum is not a finite number, which
// Redis answers with "increment would produce NaN or Infinity".
func (x Extended) Add(y Extended) (Extended, bool) {
	if x.IsInf() || y.IsInf() {
		return Extended{}, false
	}
	f := new(big.Float).SetPrec(mantissaBits).Add(x.value(), y.value())
	return Extended{f}, f.MantExp(nil) <= maxExponent
}

// Sub returns x - y. It reports false when the difference is not a finite number.
func (x Extended) Sub(y Extended) (Extended, bool) {
	if x.IsInf() || y.IsInf() {
		return Extended{}, false
	}
	return x.Add(Extended{new(big.Float).SetPrec(mantissaBits).Neg(y.value())})
}

// Cmp is -1, 0 or 1 as x is below, equal to or above y.
func (x Extended) Cmp(y Extended) int { return x.value().Cmp(y.value()) }

// MaxExtended returns the greatest finite value; its negation is the least.
func MaxExtended(negative bool) Extended {
	f := new(big.Float).SetPrec(mantissaBits).SetUint64(math.MaxUint64) // all bits of the mantissa
	f.SetMantExp(f, maxExponent-mantissaBits)
	if negative {
		f.Neg(f)
	}
	return Extended{f}
}

// IsInf reports whether x is an infinity.
func (x Extended) IsInf() bool { return x.f != nil && x.f.IsInf() }

// Append appends x for human eyes, as the replies of INCRBYFLOAT: 17 digits
// behind the point, less the trailing zeros, never an exponent. Up to 4953 bytes.
func (x Extended) Append(dst []byte) []byte {
	if x.IsInf() {
		if x.f.Signbit() {
			dst = append(dst, '-')
		}
		return append(dst, "inf"...)
	}
	start := len(dst)
	dst = x.value().Append(dst, 'f', humanDigits)
	end := len(dst)
	for dst[end-1] == '0' {
		end--
	}
	if dst[end-1] == '.' {
		end--
	}
	if string(dst[start:end]) == "-0" {
		return append(dst[:start], '0')
	}
	return dst[:end]
}

func (x Extended) value() *big.Float {
	if x.f == nil {
		return new(big.Float)
	}
	return x.f
}
