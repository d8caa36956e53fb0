package command

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogram: buckets follow each other without gaps, and percentiles are within their width of the exact ones.
func TestHistogram(t *testing.T) {
	if n := bucketOf(histogramMax) + 1; n != histogramBuckets {
		t.Fatalf("%d buckets are needed", n)
	}
	for i := 1; i < histogramBuckets; i++ {
		if first := bucketEnd(i-1) + 1; bucketOf(first) != i && first <= histogramMax {
			t.Fatalf("%d ns is in bucket %d, not %d", first, bucketOf(first), i)
		}
	}
	for _, d := range []time.Duration{-5, 0, 2 * time.Second, 1<<63 - 1} {
		if b := bucketOf(d); b < 0 || b >= histogramBuckets {
			t.Errorf("%d is in bucket %d", d, b)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var h histogram
	var all []time.Duration
	for range 5000 {
		d := time.Duration(1 + rng.ExpFloat64()*1e6)
		h.add(d, 1)
		all = append(all, d)
	}
	slices.Sort(all)
	percentages := []float64{0, 1, 50, 99, 99.9, 100}
	for i, got := range h.percentiles(percentages) {
		rank := max(int(percentages[i]/100*5000+0.5), 1)
		if exact := all[rank-1]; got < exact || float64(got) > float64(exact)*33/32 {
			t.Errorf("p%v is %v, exactly %v", percentages[i], got, exact)
		}
	}
	steps, total := h.steps()
	if total != 5000 || steps[len(steps)-1].calls != 5000 {
		t.Fatalf("%d calls, steps %v", total, steps)
	}
	bound := time.Duration(1024)
	for _, s := range steps {
		for (bound+bound/128-1)/1000 < time.Duration(s.micros) {
			bound *= 2
		}
		below, _ := slices.BinarySearch(all, bound)
		if s.calls != int64(below) {
			t.Errorf("%d calls below %v, counted %d", below, bound, s.calls)
		}
	}
	var last histogram
	last.add(5*time.Second, 2)
	if steps, total := last.steps(); total != 2 || len(steps) != 1 || steps[0].calls != 2 {
		t.Errorf("beyond a second: %v", steps)
	}
}
