package history

import (
	"math/rand/v2"
	"testing"
)

// TestQueueAgainstModel: a queue does what a slice does, and its ring follows the number of entries.
func TestQueueAgainstModel(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	var q Queue
	var model []uint64
	for step := range 200_000 {
		grow := step/20_000%2 == 0
		if p := r.IntN(10); p < 4 || grow && p < 8 {
			q.Push(uint64(step))
			model = append(model, uint64(step))
		} else if v, ok := q.Pop(); ok != (len(model) > 0) || ok && v != model[0] {
			t.Fatalf("step %d: popped %d, %v", step, v, ok)
		} else if ok {
			model = model[1:]
		}
		v, ok := q.Peek()
		if q.Len() != len(model) || ok != (len(model) > 0) || ok && v != model[0] {
			t.Fatalf("step %d: %d entries, first %d; the model has %d", step, q.Len(), v, len(model))
		}
		if n := len(model); q.Bytes() > int64(max(4*minQueue, 5*n/2)*8) {
			t.Fatalf("step %d: %d bytes for %d entries", step, q.Bytes(), n)
		}
	}
}

// TestGhostsRememberTheLast: a key that went among the last half of the places is known with what was said of it, one of long ago is not, and few
// that never went are taken for known.
func TestGhostsRememberTheLast(t *testing.T) {
	const places, gone = 8000, 40_000
	r := rand.New(rand.NewPCG(5, 5))
	hashes := make([]uint64, gone)
	var g Ghosts
	g.Resize(places)
	for i := range hashes {
		hashes[i] = r.Uint64()
		g.Put(hashes[i], uint32(i/8), Ghost{Stamp: uint32(i / 8), Count: uint8(i % 16), Origin: uint8(i % 2)})
	}
	if g.Places() != places || g.Bytes() != 4*places {
		t.Fatalf("%d places in %d bytes", g.Places(), g.Bytes())
	}
	late, early, strangers := 0, 0, 0
	for i, h := range hashes {
		switch got, ok := g.Take(h); {
		case i < gone-4*places && ok:
			early++
		case i >= gone-places/2 && ok:
			if got == (Ghost{Stamp: uint32(i/8) & stampMask, Count: uint8(i % 16), Origin: uint8(i % 2)}) {
				late++
			}
			if _, again := g.Take(h); again {
				t.Fatal("a key was taken twice")
			}
		}
		if _, ok := g.Take(r.Uint64()); ok {
			strangers++
		}
	}
	if late < places/2*97/100 || early > gone/500 || strangers > gone/500 {
		t.Errorf("%d of %d known, %d of long ago, %d strangers", late, places/2, early, strangers)
	}
}

func TestGhostsWithoutPlaces(t *testing.T) {
	var g Ghosts
	g.Put(1, 1, Ghost{Count: 1})
	if _, ok := g.Take(1); ok {
		t.Error("a key is known")
	}
	g.Resize(1)
	for i := range uint64(100) {
		g.Put(i<<40|i<<9, uint32(i), Ghost{Stamp: uint32(i)})
	}
	g.Resize(0)
	if g.Bytes() != 0 || g.Places() != 0 {
		t.Error("memory is kept")
	}
}

// TestSketchEstimates: an estimate is never too low, and seldom too high while there is room.
func TestSketchEstimates(t *testing.T) {
	const keys = 4000
	r := rand.New(rand.NewPCG(7, 7))
	truth := map[uint64]uint8{}
	var s Sketch
	if s.Raise(1, 9); s.Estimate(1) != 0 {
		t.Error("an empty sketch knows something")
	}
	s.Resize(keys)
	for range keys {
		h, n := r.Uint64(), uint8(r.IntN(15)+1)
		truth[h] = n
		s.Raise(h, n)
	}
	tooHigh := 0
	for h, n := range truth {
		switch got := s.Estimate(h); {
		case got < n:
			t.Fatalf("%d is estimated at %d", n, got)
		case got > n+2:
			tooHigh++
		}
	}
	if tooHigh > keys/3 {
		t.Errorf("%d of %d are far too high", tooHigh, keys)
	}
	before := map[uint64]uint8{}
	for h := range truth {
		before[h] = s.Estimate(h)
	}
	s.Halve()
	for h := range truth {
		if got := s.Estimate(h); got != before[h]/2 {
			t.Fatalf("%d became %d", before[h], got)
		}
	}
	if s.Raise(3, 200); s.Estimate(3) != 15 {
		t.Error("more than 15 are counted")
	}
	if s.Bytes() > keys*2+64 {
		t.Errorf("%d bytes for %d keys", s.Bytes(), keys)
	}
	if s.Resize(0); s.Bytes() != 0 {
		t.Error("memory is kept")
	}
}
