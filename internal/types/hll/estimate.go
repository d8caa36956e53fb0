package hll

import "math"

// histogram counts the registers of each rank. Dense registers that a client wrote may have
// ranks that no hash gives; they are counted and then left out, as Redis does.
type histogram [1 << rankBits]int

// addDense counts dense registers. Four counters for each rank: equal neighbours, which are
// common, do not wait for each other.
func (h *histogram) addDense(r []byte) {
	var h1, h2, h3 histogram
	eachFour(r, func(_ int, a, b, c, d uint8) {
		h[a&63]++
		h1[b&63]++
		h2[c&63]++
		h3[d&63]++
	})
	for i := range h {
		h[i] += h1[i] + h2[i] + h3[i]
	}
}

// estimate is the improved estimator of Otmar Ertl, "New cardinality estimation algorithms
// for HyperLogLog sketches" (2017): the harmonic mean of the registers, those that saw
// nothing and those that are full corrected by the series sigma and tau.
//
// Products are rounded before they are added, on every platform: the digits must be those
// of Redis.
func (h *histogram) estimate() uint64 {
	const (
		m        = float64(Registers)
		alphaInf = 0.721347520444481703680 // 1 / (2 ln 2)
	)
	z := float64(m * tau((m-float64(h[maxRank]))/m))
	for rank := hashBits; rank >= 1; rank-- {
		z = (z + float64(h[rank])) * 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	const most = 1 << 63
	if n := math.Round(alphaInf * m * m / z); n < most {
		return uint64(n)
	}
	return most // registers that no hashes give; what Redis's conversion makes of it
}

// sigma is the sum of x^(2^k) * 2^(k-1) over all k >= 0, plus x/2.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for z, y := x, 1.0; ; y += y {
		x *= x
		before := z
		if z += float64(x * y); z == before {
			return z
		}
	}
}

// tau is a third of 1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k over all k >= 1.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	for z, y := 1-x, 0.5; ; y *= 0.5 {
		x = math.Sqrt(x)
		before := z
		if z -= float64(float64((1-x)*(1-x)) * y); z == before {
			return z / 3
		}
	}
}
