package load

import (
	"math"
	"math/rand/v2"
	"sort"
)

// Zipf draws ranks 0 to n-1 so that rank k comes with probability proportional to 1/(k+1)^s: what a shop's visitors
// look at, with s near 1. A draw is one binary search; it may be shared by goroutines that have a rand.Rand each.
type Zipf struct{ cumulative []float64 }

// NewZipf prepares n ranks, O(n). n must be positive. Unlike rand.Zipf it takes an s of 1 or below.
func NewZipf(n int, s float64) *Zipf {
	z := &Zipf{make([]float64, n)}
	sum := 0.0
	for k := range z.cumulative {
		sum += math.Pow(float64(k+1), -s)
		z.cumulative[k] = sum
	}
	return z
}

// Draw returns a rank.
func (z *Zipf) Draw(r *rand.Rand) int {
	n := len(z.cumulative)
	at := r.Float64() * z.cumulative[n-1]
	return min(sort.SearchFloat64s(z.cumulative, at), n-1)
}
