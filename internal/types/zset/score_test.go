package zset

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestScoreCodec(t *testing.T) {
	check := func(score float64, want int) {
		t.Helper()
		b := make([]byte, scoreLen(score))
		encodeScore(b, score)
		if got := decodeScore(b); math.Float64bits(got) != math.Float64bits(score) || want >= 0 && len(b) != want {
			t.Fatalf("%v: %d bytes, reads as %v; want %d bytes", score, len(b), got, want)
		}
	}
	for _, c := range []struct {
		score float64
		len   int
	}{
		{0, 0}, {math.Copysign(0, -1), 8}, {1, 1}, {127, 1}, {128, 2}, {255, 2}, {-1, 1}, {-128, 1}, {-129, 2},
		{32767, 2}, {32768, 3}, {-32768, 2}, {-32769, 3}, {1.7e12, 6}, {1 << 53, 7}, {-1 << 53, 7}, {1<<53 + 2, 8},
		{0.5, 8}, {math.Inf(1), 8}, {math.Inf(-1), 8}, {1e300, 8}, {math.SmallestNonzeroFloat64, 8}, {-1e19, 8},
	} {
		check(c.score, c.len)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		check(float64(rng.Int64()>>rng.IntN(64)), -1)
		check(-float64(rng.Int64()>>rng.IntN(64)), -1)
		if f := math.Float64frombits(rng.Uint64()); !math.IsNaN(f) {
			check(f, -1)
		}
	}
}

func TestPrefix(t *testing.T) {
	ascending := []float64{
		math.Inf(-1), -math.MaxFloat64, -1e300, -1 << 60, -1 << 53, -33e6, -2, -1, -0.5, -1e-9, 0,
		1e-300, 1e-9, 1.0 / 1024, 0.5, 1, 2, 3, 33e6, 33e6 + 1, 1 << 53, 1 << 60, 1e300, math.MaxFloat64,
	}
	last := uint32(0)
	for _, score := range ascending {
		if p := prefix(score); p < last || p == last && score > -math.MaxFloat64 {
			t.Fatalf("prefix of %v is %#x, the one before %#x", score, p, last)
		} else {
			last = p
		}
	}
	if prefix(math.Copysign(0, -1)) != prefix(0) {
		t.Fatal("the zeros differ")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300_000 {
		x, y := math.Float64frombits(rng.Uint64()), math.Float64frombits(rng.Uint64())
		if rng.IntN(2) == 0 {
			x, y = rng.NormFloat64(), rng.NormFloat64()
		}
		if rng.IntN(4) == 0 {
			y = math.Nextafter(x, y)
		}
		if x < y && prefix(x) > prefix(y) {
			t.Fatalf("%v < %v, but prefixes %#x and %#x", x, y, prefix(x), prefix(y))
		}
	}
}
