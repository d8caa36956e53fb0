package table

import (
	"math"
	"testing"
)

func TestRandomIsUniform(t *testing.T) {
	rnd := random(t)
	for _, n := range []int{1, 7, 300, 2500} {
		m := newModel(t, Options{Seed: rnd.Uint64()}, 1, rnd)
		for i := range 4 * n {
			m.putNumbered(i, 0)
		}
		var keys []string
		for i := range 4 * n { // in a part of the hashes few stay, so that segments differ in depth and size
			if h := m.hash(numbered(i)); i == 0 || i%4 == 0 && h>>62 != 1 || i%40 == 0 {
				keys = append(keys, string(numbered(i)))
			} else {
				m.delNumbered(i)
			}
		}
		const each = 400
		hits := map[string]int{}
		var e Entry
		for range each * len(keys) {
			if !m.t.Random(rnd.Uint64(), &e) {
				t.Fatal("nothing found")
			}
			hits[string(e.Key())]++
		}
		// The sum of (hits-each)²/each is about len(keys), with a deviation of sqrt(2 len(keys)).
		chi := 0.0
		for _, key := range keys {
			d := float64(hits[key] - each)
			chi += d * d / each
		}
		if limit := float64(len(keys)) + 6*math.Sqrt(2*float64(len(keys))) + 1; chi > limit {
			t.Fatalf("%d records at depth %d: chi² %.0f, limit %.0f", len(keys), m.t.depth, chi, limit)
		}
	}
}

func TestSamplePassesAsManyAsAsked(t *testing.T) {
	rnd := random(t)
	m := newModel(t, Options{Seed: 1}, 1, rnd)
	m.t.Sample(1, 5, func(*Entry) { t.Fatal("a record in an empty table") })
	if m.t.Random(1, &Entry{}) {
		t.Fatal("a record in an empty table")
	}
	for _, n := range []int{1, 3, 100, 3000} {
		for i := range n {
			m.putNumbered(i, 0)
		}
		for _, want := range []int{0, 1, 2, 5, 16, n, n + 10} {
			seen := map[string]bool{}
			m.t.Sample(rnd.Uint64(), want, func(e *Entry) { seen[string(e.Key())] = true })
			if len(seen) != min(want, n) {
				t.Fatalf("asked for %d of %d, got %d", want, n, len(seen))
			}
		}
	}
}
