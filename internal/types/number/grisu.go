package number

import (
	"math"
	"math/bits"
)

// Redis prints doubles with Grisu2 (F. Loitsch, "Printing floating-point numbers
// quickly and accurately with integers", PLDI 2010). Its digits always read back
// as the same double, and are the shortest such digits for all but one in some
// hundred doubles; what it prints for the rest (5209999999999999000000 for
// 5.21e21) is its own, and only the same algorithm over the same powers of ten
// prints it too.
//
// The idea: take the interval of all reals that round to the double, scale it by
// a power of ten so that its binary exponent falls into [-60, -32], and write
// digits of its upper end until what is left out is smaller than the interval.
// Scaling rounds, so the interval is narrowed by a unit at both ends: that is
// where the shortest digits get lost.

// fp is frac × 2^exp.
type fp struct {
	frac uint64
	exp  int
}

const (
	hiddenBit = 1 << 52
	expBias   = 1023 + 52

	// Powers of ten in powersOfTen.
	firstPower = -348
	powerStep  = 8

	minScaled = -60 // smallest binary exponent after scaling
)

// grisu2 returns the decimal digits of f, which is positive and finite, and the
// decimal exponent of the last of them.
func grisu2(f float64, buf *[20]byte) (digits []byte, exponent int) {
	w, upper, lower := boundaries(f)
	power, k := scalingPower(upper.exp)
	w, upper, lower = w.times(power), upper.times(power), lower.times(power)
	upper.frac--
	lower.frac++
	digits, exponent = shortest(buf[:0], upper, upper.frac-w.frac, upper.frac-lower.frac)
	return digits, exponent - k
}

// boundaries returns f and the ends of the interval of what rounds to f, all
// normalised to 64 bits; lower has the exponent of upper.
func boundaries(f float64) (w, upper, lower fp) {
	b := math.Float64bits(f)
	w = fp{b & (hiddenBit - 1), int(b >> 52)}
	if w.exp == 0 { // denormal
		w.exp = 1
	} else {
		w.frac |= hiddenBit
	}
	w.exp -= expBias
	upper = fp{w.frac<<1 + 1, w.exp - 1}.normalised()
	lower = fp{w.frac<<1 - 1, w.exp - 1}
	if w.frac == hiddenBit { // the double below is half as far away
		lower = fp{w.frac<<2 - 1, w.exp - 2}
	}
	lower = fp{lower.frac << (lower.exp - upper.exp), upper.exp}
	return w.normalised(), upper, lower
}

func (x fp) normalised() fp {
	shift := bits.LeadingZeros64(x.frac)
	return fp{x.frac << shift, x.exp - shift}
}

// times returns the product, its low half rounded away.
func (x fp) times(y fp) fp {
	hi, lo := bits.Mul64(x.frac, y.frac)
	return fp{hi + lo>>63, x.exp + y.exp + 64}
}

// scalingPower returns the smallest power of ten of the table, 10^k, that lifts
// the binary exponent exp to minScaled at least.
func scalingPower(exp int) (power fp, k int) {
	guess := (minScaled-exp)*1233>>12 - powerStep // a step too low; 1233/2^12 is about log10(2)
	for i := max(guess-firstPower, 0) / powerStep; i < len(powersOfTen); i++ {
		k = firstPower + powerStep*i
		power = fp{powersOfTen[i], (k*217706)>>16 - 63} // floor(k × log2(10)) - 63
		if exp+power.exp+64 >= minScaled {
			break
		}
	}
	return power, k
}

// shortest appends digits of upper until what is left out is within delta, the
// width of the interval, then brings the last digit as near to w, which is
// distance below upper, as it gets. exponent is that of the last digit.
func shortest(dst []byte, upper fp, distance, delta uint64) (digits []byte, exponent int) {
	shift := -upper.exp // 32 to 60
	one := uint64(1) << shift
	whole, fraction := upper.frac>>shift, upper.frac&(one-1)
	div := uint64(1_000_000_000)
	for exponent = 9; exponent >= 0; exponent-- {
		if digit := whole / div; digit != 0 || len(dst) > 0 {
			dst = append(dst, '0'+byte(digit))
		}
		whole %= div
		if rest := whole<<shift + fraction; rest <= delta {
			approach(dst, rest, distance, delta, div<<shift)
			return dst, exponent
		}
		div /= 10
	}
	for unit := uint64(1); ; exponent-- {
		fraction, delta, unit = fraction*10, delta*10, unit*10
		if digit := fraction >> shift; digit != 0 || len(dst) > 0 {
			dst = append(dst, '0'+byte(digit))
		}
		fraction &= one - 1
		if fraction < delta {
			approach(dst, fraction, distance*unit, delta, one)
			return dst, exponent
		}
	}
}

// approach lowers the last digit, worth step, while that stays within delta of
// the upper end and comes nearer to distance from it; rest is where the digits
// are.
func approach(digits []byte, rest, distance, delta, step uint64) {
	for rest < distance && delta-rest >= step &&
		(rest+step < distance || distance-rest > rest+step-distance) {
		digits[len(digits)-1]--
		rest += step
	}
}

// powersOfTen are the significands of 10^-348, 10^-340, ... 10^340, rounded to 64
// bits.
var powersOfTen = [...]uint64{
	0xfa8fd5a0081c0288, 0xbaaee17fa23ebf76, 0x8b16fb203055ac76, 0xcf42894a5dce35ea,
	0x9a6bb0aa55653b2d, 0xe61acf033d1a45df, 0xab70fe17c79ac6ca, 0xff77b1fcbebcdc4f,
	0xbe5691ef416bd60c, 0x8dd01fad907ffc3c, 0xd3515c2831559a83, 0x9d71ac8fada6c9b5,
	0xea9c227723ee8bcb, 0xaecc49914078536d, 0x823c12795db6ce57, 0xc21094364dfb5637,
	0x9096ea6f3848984f, 0xd77485cb25823ac7, 0xa086cfcd97bf97f4, 0xef340a98172aace5,
	0xb23867fb2a35b28e, 0x84c8d4dfd2c63f3b, 0xc5dd44271ad3cdba, 0x936b9fcebb25c996,
	0xdbac6c247d62a584, 0xa3ab66580d5fdaf6, 0xf3e2f893dec3f126, 0xb5b5ada8aaff80b8,
	0x87625f056c7c4a8b, 0xc9bcff6034c13053, 0x964e858c91ba2655, 0xdff9772470297ebd,
	0xa6dfbd9fb8e5b88f, 0xf8a95fcf88747d94, 0xb94470938fa89bcf, 0x8a08f0f8bf0f156b,
	0xcdb02555653131b6, 0x993fe2c6d07b7fac, 0xe45c10c42a2b3b06, 0xaa242499697392d3,
	0xfd87b5f28300ca0e, 0xbce5086492111aeb, 0x8cbccc096f5088cc, 0xd1b71758e219652c,
	0x9c40000000000000, 0xe8d4a51000000000, 0xad78ebc5ac620000, 0x813f3978f8940984,
	0xc097ce7bc90715b3, 0x8f7e32ce7bea5c70, 0xd5d238a4abe98068, 0x9f4f2726179a2245,
	0xed63a231d4c4fb27, 0xb0de65388cc8ada8, 0x83c7088e1aab65db, 0xc45d1df942711d9a,
	0x924d692ca61be758, 0xda01ee641a708dea, 0xa26da3999aef774a, 0xf209787bb47d6b85,
	0xb454e4a179dd1877, 0x865b86925b9bc5c2, 0xc83553c5c8965d3d, 0x952ab45cfa97a0b3,
	0xde469fbd99a05fe3, 0xa59bc234db398c25, 0xf6c69a72a3989f5c, 0xb7dcbf5354e9bece,
	0x88fcf317f22241e2, 0xcc20ce9bd35c78a5, 0x98165af37b2153df, 0xe2a0b5dc971f303a,
	0xa8d9d1535ce3b396, 0xfb9b7cd9a4a7443c, 0xbb764c4ca7a44410, 0x8bab8eefb6409c1a,
	0xd01fef10a657842c, 0x9b10a4e5e9913129, 0xe7109bfba19c0c9d, 0xac2820d9623bf429,
	0x80444b5e7aa7cf85, 0xbf21e44003acdd2d, 0x8e679c2f5e44ff8f, 0xd433179d9c8cb841,
	0x9e19db92b4e31ba9, 0xeb96bf6ebadf77d9, 0xaf87023b9bf0ee6b,
}
