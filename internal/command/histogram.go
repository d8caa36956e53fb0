package command

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations from a nanosecond to a second in buckets whose width
// grows with them, 32 to each power of two: every bucket's bounds are within 3.2 % of each other. This is the layout
// of HDR histograms. It takes 7 KiB, so that a command has one only once it was called.
type histogram struct {
	buckets [histogramBuckets]atomic.Int64
}

const (
	histogramBits    = 5           // of a duration's leading digits that tell buckets apart
	histogramMax     = time.Second // longer ones count as this
	histogramBuckets = 828         // bucketOf(histogramMax) + 1
)

// bucketOf is the bucket of a duration. Up to 63 ns each has its own.
func bucketOf(d time.Duration) int {
	n := uint64(min(max(d, 1), histogramMax))
	shift := max(bits.Len64(n)-histogramBits-1, 0)
	return shift<<histogramBits + int(n>>shift)
}

// bucketEnd is the longest duration of a bucket.
func bucketEnd(i int) time.Duration {
	shift := max(i>>histogramBits-1, 0)
	lead := i - shift<<histogramBits
	return time.Duration((lead+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration, times int64) { h.buckets[bucketOf(d)].Add(times) }

// counts copies the buckets, so that a look at them adds up, and tells their sum.
func (h *histogram) counts() (counts [histogramBuckets]int64, total int64) {
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
		total += counts[i]
	}
	return counts, total
}

// percentiles gives the durations that the given percentages of all calls did not exceed.
func (h *histogram) percentiles(percentages []float64) []time.Duration {
	counts, total := h.counts()
	result := make([]time.Duration, len(percentages))
	for i, p := range percentages {
		rank, seen := max(int64(p/100*float64(total)+0.5), 1), int64(0)
		for b, n := range counts {
			if seen += n; seen >= rank {
				result[i] = bucketEnd(b)
				break
			}
		}
	}
	return result
}

// step is how many calls took no longer than so many microseconds.
type step struct{ micros, calls int64 }

// steps is the cumulative distribution at the powers of two from 1,024 ns on, without those that add nothing.
func (h *histogram) steps() (steps []step, total int64) {
	counts, total := h.counts()
	seen, bucket := int64(0), 0
	for bound := int64(1024); seen < total; bound *= 2 {
		before := seen
		for end := bucketOf(time.Duration(bound)); bucket < histogramBuckets && (bucket < end || bound > int64(histogramMax)); bucket++ {
			seen += counts[bucket]
		}
		if seen > before {
			const digits = 128 // an HDR histogram of two digits names the end of the bucket that the bound is in
			steps = append(steps, step{(bound + bound/digits - 1) / 1000, seen})
		}
	}
	return steps, total
}
