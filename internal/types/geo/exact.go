package geo

import "math"

// Sines to the last bit. Go's are some bits off at times, and so would be a distance that is stored as
// a score, where all of its digits can be seen. These are computed with twice the digits and then
// rounded, which is what C's libraries come to nearly always; they take ten times as long.

// twofold is the sum of two numbers, of which the second is less than a bit of the first.
type twofold struct{ hi, lo float64 }

// sum adds exactly; a is not the smaller one, or not by more than its digits.
func sum(a, b float64) twofold {
	s := a + b
	bb := s - a
	return twofold{s, (a - (s - bb)) + (b - bb)}
}

func (x twofold) plus(y twofold) twofold {
	s := sum(x.hi, y.hi)
	return sum(s.hi, s.lo+(x.lo+y.lo))
}

func (x twofold) times(y twofold) twofold {
	p := x.hi * y.hi
	return sum(p, math.FMA(x.hi, y.hi, -p)+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}

func (x twofold) over(y float64) twofold {
	q := x.hi / y
	return sum(q, (math.FMA(-q, y, x.hi)+x.lo)/y)
}

func (x twofold) negative() twofold { return twofold{-x.hi, -x.lo} }

// reduce takes whole quarters of a turn off an angle, which is a turn at the most.
func reduce(x twofold) (quarters int, r twofold) {
	n := math.Round(x.hi / (math.Pi / 2))
	// pi/2 in three pieces, the first of which is so short that its products are exact.
	r = x
	for _, piece := range [...]float64{0x1.921fb54p+00, 0x1.10b4611a62633p-30, 0x1.45c06e0e68948p-86} {
		p := -n * piece
		r = r.plus(twofold{p, math.FMA(-n, piece, -p)})
	}
	return int(n) & 3, r
}

// sineOf returns the sine of an angle and so many quarters of a turn.
func sineOf(quarters int, r twofold) (sin twofold) {
	if quarters&1 == 0 {
		sin = series(r, 21).times(r)
	} else {
		sin = series(r, 22)
	}
	if quarters&2 != 0 {
		return sin.negative()
	}
	return sin
}

// series sums 1/k! of every second k down from n, with changing signs, times the powers of r: the
// cosine of r from an even n, and the sine, still to be multiplied by r, from an odd one. r is
// an eighth of a turn at the most.
func series(r twofold, n int) twofold {
	r2 := r.times(r)
	s := inverseFactorials[n]
	for n -= 2; n >= 0; n -= 2 {
		s = inverseFactorials[n].plus(s.times(r2).negative())
	}
	return s
}

// inverseFactorials are 1/n!.
var inverseFactorials = [...]twofold{
	{0x1.0000000000000p+0, 0x0.0p+0},
	{0x1.0000000000000p+0, 0x0.0p+0},
	{0x1.0000000000000p-1, 0x0.0p+0},
	{0x1.5555555555555p-3, 0x1.5555555555555p-57},
	{0x1.5555555555555p-5, 0x1.5555555555555p-59},
	{0x1.1111111111111p-7, 0x1.1111111111111p-63},
	{0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
	{0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73},
	{0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
	{0x1.71de3a556c734p-19, -0x1.c154f8ddc6c00p-73},
	{0x1.27e4fb7789f5cp-22, 0x1.cbbc05b4fa99ap-76},
	{0x1.ae64567f544e4p-26, -0x1.c062e06d1f209p-80},
	{0x1.1eed8eff8d898p-29, -0x1.2aec959e14c06p-83},
	{0x1.6124613a86d09p-33, 0x1.f28e0cc748ebep-87},
	{0x1.93974a8c07c9dp-37, 0x1.05d6f8a2efd1fp-92},
	{0x1.ae7f3e733b81fp-41, 0x1.1d8656b0ee8cbp-97},
	{0x1.ae7f3e733b81fp-45, 0x1.1d8656b0ee8cbp-101},
	{0x1.952c77030ad4ap-49, 0x1.ac981465ddc6cp-103},
	{0x1.6827863b97d97p-53, 0x1.eec01221a8b0bp-107},
	{0x1.2f49b46814157p-57, 0x1.2650f61dbdcb4p-112},
	{0x1.e542ba4020225p-62, 0x1.ea72b4afe3c2fp-120},
	{0x1.71b8ef6dcf572p-66, -0x1.d043ae40c4647p-120},
	{0x1.0ce396db7f853p-70, -0x1.aebcdbd20331cp-124},
}

func sine(x float64) float64 { return sineOf(reduce(twofold{x, 0})).hi }

func cosine(x float64) float64 {
	quarters, r := reduce(twofold{x, 0})
	return sineOf(quarters+1, r).hi
}

// arcSine corrects Go's, twice, by how far its sine is off.
func arcSine(y float64) float64 {
	x := twofold{math.Asin(y), 0}
	for range 2 {
		quarters, r := reduce(x)
		sin, cos := sineOf(quarters, r), sineOf(quarters+1, r)
		if cos.hi < 1e-7 { // so near to a quarter that the sine tells nothing of the angle
			break
		}
		off := twofold{y, 0}.plus(twofold{-sin.hi, -sin.lo})
		x = x.plus(off.over(cos.hi))
	}
	return x.hi
}

// ExactDistance is Distance to the last bit of Redis's, for distances that are kept.
func ExactDistance(a, b Place) float64 {
	return distance(a, b, sine, cosine, arcSine)
}
