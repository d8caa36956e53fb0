package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets of a sixteenth of their power of two: a quantile is at most 6 % too high, and
// adding costs nanoseconds.
type histogram struct {
	counts [64 * 16]uint64
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
	h.max = max(h.max, d)
}

// bucket: below 16 ns each has its own; above, the four bits after the leading one choose.
func bucket(ns uint64) int {
	if ns < 16 {
		return int(ns)
	}
	shift := bits.Len64(ns) - 5
	return (shift+1)*16 + int(ns>>shift&15)
}

// quantile is the upper end of the bucket where the q-th part of all durations ends.
func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(float64(h.total) * q)
	for i, n := range h.counts {
		if n > left {
			return min(upper(i), h.max)
		}
		left -= n
	}
	return h.max
}

func upper(bucket int) time.Duration {
	if bucket < 16 {
		return time.Duration(bucket)
	}
	shift := bucket/16 - 1
	return time.Duration((16+uint64(bucket%16)+1)<<shift - 1)
}
