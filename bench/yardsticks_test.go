package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestYardsticks holds both to the obvious way of computing them.
func TestYardsticks(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	for range 50 {
		n := numbering[int]{}
		for range 400 {
			n.add(r.IntN(1 + r.IntN(40)))
		}
		for room := 1; room < 20; room += 3 {
			if got, want := exactLRU(n.trace, room), slowly(n.accesses, room, false); got != want {
				t.Errorf("LRU with room for %d: %v, not %v", room, got, want)
			}
			if got, want := optimum(n.trace, room), slowly(n.accesses, room, true); got != want {
				t.Errorf("optimum with room for %d: %v, not %v", room, got, want)
			}
		}
	}
}

// slowly looks at every key that is held to find the one to go: the one needed last, or used longest ago.
func slowly(accesses []int32, room int, clairvoyant bool) float64 {
	var held []int32 // the one used last at the end
	hits := 0
	for i, k := range accesses {
		if at := slices.Index(held, k); at >= 0 {
			hits++
			held = slices.Delete(held, at, at+1)
		} else if len(held) == room {
			out := 0
			if clairvoyant {
				far := -1
				for j, h := range held {
					next := slices.Index(accesses[i+1:], h)
					if next < 0 {
						next = len(accesses)
					}
					if next > far {
						out, far = j, next
					}
				}
			}
			held = slices.Delete(held, out, out+1)
		}
		held = append(held, k)
	}
	return float64(hits) / float64(len(accesses))
}

func TestTraces(t *testing.T) {
	o := options{quick: true}
	for _, s := range traceSources() {
		a, err := s.load(o)
		if err == errNoTraces {
			continue
		}
		b, _ := s.load(o)
		if err != nil || len(a.accesses) == 0 || !slices.Equal(a.accesses, b.accesses) {
			t.Errorf("%s: %v, or it differs from time to time", s.name, err)
		}
		if top := slices.Max(a.accesses); int(top) >= a.keys {
			t.Errorf("%s has a key %d of %d", s.name, top, a.keys)
		}
	}
	o.traces = t.TempDir()
	if _, err := readTrace(o, "loop"); err == nil || !strings.Contains(err.Error(), "has no loop.keys.gz") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(o.traces, "loop.keys.gz"), []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readTrace(o, "loop"); err == nil {
		t.Error("a file that is no gzip was read")
	}
}

// TestHitRatios runs a small trace through the embedded store: LRU is close to exact LRU, and no policy beats the optimum.
func TestHitRatios(t *testing.T) {
	trace := zipfTrace(options{quick: true}, 0.9, 0, 0)
	room := trace.keys / 5
	best := 100 * optimum(trace, room)
	for _, p := range []string{"allkeys-lru", "allkeys-s3fifo", "allkeys-wtinylfu"} {
		got, err := larderHits(t.Context(), trace, room, p, 0)
		if err != nil {
			t.Fatal(err)
		}
		lru := 100 * exactLRU(trace, room)
		if got > best+1 || got < lru-3 || p == "allkeys-lru" && got > lru+3 {
			t.Errorf("%s: %.1f; the optimum is %.1f, LRU %.1f", p, got, best, lru)
		}
	}
}
