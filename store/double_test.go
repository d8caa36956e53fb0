package store

import (
	"math"
	"math/rand/v2"
	"testing"

	redis "github.com/larderdb/larder/internal/types/number"
)

// Text spells a double as a server spells it in RESP2, so that a score reads the same over either protocol.
func TestDoublesAreSpelledAsInRESP2(t *testing.T) {
	fixed := []float64{0, math.Copysign(0, -1), 1, -1, 1.5, 1e6, 1e15, 1791875708058440, 1e17, 1 << 62, 1e20, 1.5e300, -2.5e-300, 0.1, 1e-5, 1e-7, 1.25e-9,
		123456789.123, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN()}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		fixed = append(fixed, math.Float64frombits(rnd.Uint64()), math.Round(rnd.Float64()*1e6)/1e3*math.Pow10(rnd.IntN(30)-15))
	}
	longer := 0
	for _, f := range fixed {
		got, err := Double(f).Text()
		want := string(redis.AppendFloat(nil, f))
		if err != nil {
			t.Fatal(err)
		}
		if got != want && len(got) < len(want) {
			longer++ // Redis's digits are the shortest but for one in a thousand
			continue
		}
		if got != want && len(got) != len(want) {
			t.Errorf("%x is %q, Redis writes %q", math.Float64bits(f), got, want)
		}
	}
	if longer > len(fixed)/200 {
		t.Errorf("%d of %d differ", longer, len(fixed))
	}
}
