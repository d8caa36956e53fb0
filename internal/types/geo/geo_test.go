package geo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func random(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// anywhere is a place, evenly spread over the map.
func anywhere(r *rand.Rand) Place {
	return Place{(2*r.Float64() - 1) * MaxLongitude, (2*r.Float64() - 1) * MaxLatitude}
}

// The scores are those that redis-server 7.0 gave these places.
func TestScore(t *testing.T) {
	for _, c := range []struct {
		p     Place
		score uint64
		name  string
	}{
		{Place{13.361389, 38.115556}, 3479099956230698, "sqc8b49rny0"},
		{Place{15.087269, 37.502669}, 3479447370796909, "sqdtr74hyu0"},
		{Place{2.349014, 48.864716}, 3663832805879806, "u09tvrw3xg0"},
	} {
		if got := c.p.Score(); got != c.score {
			t.Errorf("%v: %d, want %d", c.p, got, c.score)
		}
		name := FromScore(float64(c.score)).Name()
		if string(name[:]) != c.name {
			t.Errorf("%v: %s, want %s", c.p, name, c.name)
		}
	}
}

func TestValid(t *testing.T) {
	for p, want := range map[Place]bool{
		{180, 85.05112878}: true, {-180, -85.05112878}: true, {180.001, 0}: false, {0, 85.06}: false, {0, -85.06}: false,
		{math.Inf(1), 0}: false, {0, math.Inf(-1)}: false,
	} {
		if p.Valid() != want {
			t.Errorf("%v: %v", p, !want)
		}
	}
}

func TestBits(t *testing.T) {
	r := random(t)
	for range 1000 {
		x, y := r.Uint32(), r.Uint32()
		bits := interleave(x, y)
		for i := range 32 {
			if bits>>(2*i)&1 != uint64(y>>i&1) || bits>>(2*i+1)&1 != uint64(x>>i&1) {
				t.Fatalf("%x and %x give %x", x, y, bits)
			}
		}
		if gx, gy := deinterleave(bits); gx != x || gy != y {
			t.Fatalf("%x gives %x and %x", bits, gx, gy)
		}
	}
}

// A place and the one of its score are in the same cell.
func TestRoundTrip(t *testing.T) {
	r := random(t)
	for range 10000 {
		p := anywhere(r)
		q := FromScore(float64(p.Score()))
		if q.Score() != p.Score() || Distance(p, q) > 0.4 {
			t.Fatalf("%v became %v, %v m away", p, q, Distance(p, q))
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b Place
		want float64
	}{
		{Place{0, 0}, Place{0, 0}, 0},
		{Place{0, 0}, Place{180, 0}, math.Pi * earthRadius},
		{Place{0, -45}, Place{0, 45}, math.Pi / 2 * earthRadius},
		{Place{10, 60}, Place{11, 60}, 55612.6},
	} {
		if got := Distance(c.a, c.b); math.Abs(got-c.want) > 1 {
			t.Errorf("from %v to %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// Every place in the area is in the ranges, away from the poles and the date line, where Redis
// does not find all either.
func TestRangesCover(t *testing.T) {
	r := random(t)
	places := make([]Place, 3000)
	for i := range places {
		places[i] = anywhere(r)
	}
	found := 0
	for range 300 {
		s := Shape{Center: Place{(2*r.Float64() - 1) * 100, (2*r.Float64() - 1) * 60}, Unit: 1000}
		if s.Box = r.IntN(2) == 0; s.Box {
			s.Width, s.Height = r.Float64()*3000, r.Float64()*3000
		} else {
			s.Radius = r.Float64() * 2000
		}
		ranges := s.Ranges(nil)
		if len(ranges) > 9 {
			t.Fatalf("%d ranges", len(ranges))
		}
		for _, p := range places {
			if _, inside := s.Distance(p); !inside {
				continue
			}
			found++
			if !slices.ContainsFunc(ranges, func(r Range) bool { return r.Min <= p.Score() && p.Score() < r.Max }) {
				t.Fatalf("%+v: %v is inside, but not in %v", s, p, ranges)
			}
		}
	}
	if found == 0 {
		t.Error("nothing was in any area")
	}
}

func TestRangesAreApart(t *testing.T) {
	r := random(t)
	for range 2000 {
		s := Shape{Center: anywhere(r), Radius: math.Pow(10, 8*r.Float64()), Unit: 1}
		ranges := s.Ranges(nil)
		slices.SortFunc(ranges, func(a, b Range) int { return int(a.Min) - int(b.Min) })
		for i := 1; i < len(ranges); i++ {
			if ranges[i-1].Max > ranges[i].Min {
				t.Fatalf("%+v: %v", s, ranges)
			}
		}
	}
}

func FuzzAnyScore(f *testing.F) {
	f.Add(0.0, 100.0)
	f.Add(-1e30, math.Inf(1))
	f.Add(4503599627370496.0, 1e300)
	f.Fuzz(func(t *testing.T, score, radius float64) {
		if math.IsNaN(score) || math.IsNaN(radius) {
			return
		}
		p := FromScore(score)
		if !p.Valid() {
			t.Fatalf("%v is at %v", score, p)
		}
		for _, box := range []bool{false, true} {
			s := Shape{Center: p, Box: box, Radius: math.Abs(radius), Width: math.Abs(radius), Height: math.Abs(radius), Unit: 1000}
			s.Ranges(nil)
			if _, inside := s.Distance(p); !inside && !box {
				t.Fatalf("%+v does not have its centre", s)
			}
		}
	})
}

func BenchmarkExactDistance(b *testing.B) {
	for b.Loop() {
		ExactDistance(Place{15, 37}, Place{13.361389, 38.115556})
	}
}

func BenchmarkDistance(b *testing.B) {
	s := Shape{Center: Place{15, 37}, Radius: 200, Unit: 1000}
	for b.Loop() {
		s.Distance(FromScore(3479099956230698))
	}
}

// The sines agree with Go's to a few bits, and keep what angles must.
func TestExact(t *testing.T) {
	r := random(t)
	near := func(a, b float64) bool { return math.Abs(a-b) <= 4e-15*max(1, math.Abs(b)) }
	for range 20000 {
		x := (2*r.Float64() - 1) * math.Pi
		if s, c := sine(x), cosine(x); !near(s, math.Sin(x)) || !near(c, math.Cos(x)) {
			t.Fatalf("%v: %v %v, want about %v %v", x, s, c, math.Sin(x), math.Cos(x))
		}
		if y := r.Float64(); !near(sine(arcSine(y)), y) || math.Abs(arcSine(y)-math.Asin(y)) > 1e-9 {
			t.Fatalf("arcsine of %v: %v, want about %v", y, arcSine(y), math.Asin(y))
		}
		a, b := anywhere(r), anywhere(r)
		if d, e := Distance(a, b), ExactDistance(a, b); math.Abs(d-e) > 1e-3 {
			t.Fatalf("%v to %v: %v, %v", a, b, d, e)
		}
	}
	for _, x := range []float64{0, 1, math.Pi / 6, math.Pi / 2, math.Pi, -math.Pi / 2} {
		if !near(sine(x), math.Sin(x)) || !near(cosine(x), math.Cos(x)) {
			t.Errorf("%v: %v %v", x, sine(x), cosine(x))
		}
	}
	if sine(0) != 0 || arcSine(0) != 0 || arcSine(1) != math.Pi/2 {
		t.Error(sine(0), arcSine(0), arcSine(1))
	}
}
