package info

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/larderdb/larder/store"
)

// Histogram is how long calls took: LATENCY HISTOGRAM, Redis 7 and later. Buckets rise, and each counts all calls below it
// as well, as in the reply; a bucket into which no call fell may be missing. Buckets are up to twice as wide as the one before.
type Histogram []Bucket

// Bucket says how many calls took Micros or less.
type Bucket struct {
	Micros int64 // microseconds
	Calls  int64
}

// Histograms are by command, in lower case: get, config|get. Nil is those of a server that offers none.
type Histograms map[string]Histogram

// ParseHistograms reads the answer of LATENCY HISTOGRAM, in RESP2's shape or RESP3's. Buckets may come in any order. A reply of
// another shape, and buckets whose counts fall, are an error; then nothing is returned.
func ParseHistograms(r store.Reply) (Histograms, error) {
	pairs, err := r.Pairs()
	if err != nil {
		return nil, err
	}
	all := make(Histograms, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, err := pairs[i].Text()
		if err != nil {
			return nil, err
		}
		about, err := pairs[i+1].Pairs()
		if err != nil {
			return nil, err
		}
		for k := 0; k+1 < len(about); k += 2 {
			if what, err := about[k].Text(); err != nil || what != "histogram_usec" {
				continue
			}
			if all[strings.ToLower(name)], err = parseBuckets(about[k+1]); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func parseBuckets(r store.Reply) (Histogram, error) {
	flat, err := r.Pairs()
	if err != nil {
		return nil, err
	}
	h := make(Histogram, 0, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		bound, err1 := flat[i].Int64()
		calls, err2 := flat[i+1].Int64()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		h = append(h, Bucket{bound, calls})
	}
	slices.SortFunc(h, func(a, b Bucket) int { return cmp.Compare(a.Micros, b.Micros) })
	for i := range h {
		if h[i].Calls < 0 || i > 0 && (h[i].Micros == h[i-1].Micros || h[i].Calls < h[i-1].Calls) {
			return nil, errors.New("info: LATENCY HISTOGRAM: the counts of a command's buckets do not rise")
		}
	}
	return h, nil
}

// at is how many calls took that long or less.
func (h Histogram) at(micros int64) int64 {
	i, found := slices.BinarySearchFunc(h, micros, func(b Bucket, m int64) int { return cmp.Compare(b.Micros, m) })
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return h[i].Calls
}

// Calls is how many calls there were in all.
func (h Histogram) Calls() int64 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].Calls
}

// Since is the histogram of the calls after another reading of it; nil if counts shrank, as after CONFIG RESETSTAT.
func (h Histogram) Since(before Histogram) Histogram {
	diff := make(Histogram, 0, len(h))
	var last int64
	for _, b := range h {
		n := b.Calls - before.at(b.Micros)
		if n < last {
			return nil
		}
		last = n
		diff = append(diff, Bucket{b.Micros, n})
	}
	return diff
}

// Add puts two histograms together: of two commands, or of two servers.
func (h Histogram) Add(other Histogram) Histogram {
	bounds := make([]int64, 0, len(h)+len(other))
	for _, b := range h {
		bounds = append(bounds, b.Micros)
	}
	for _, b := range other {
		bounds = append(bounds, b.Micros)
	}
	slices.Sort(bounds)
	sum := make(Histogram, 0, len(bounds))
	for _, m := range slices.Compact(bounds) {
		sum = append(sum, Bucket{m, h.at(m) + other.at(m)})
	}
	return sum
}

// Quantile is the time within which a share of the calls, 0 to 1, was done, in microseconds. It is interpolated within its
// bucket, so it is off by half of itself at the worst. ok is false if there were no calls.
func (h Histogram) Quantile(share float64) (micros float64, ok bool) {
	want := share * float64(h.Calls())
	below := Bucket{}
	for _, b := range h {
		if b.Calls > below.Calls && float64(b.Calls) >= want {
			low := max(float64(below.Micros), float64(b.Micros)/2)
			part := (want - float64(below.Calls)) / float64(b.Calls-below.Calls)
			return low + (float64(b.Micros)-low)*part, true
		}
		below = b
	}
	return 0, false
}

// Since is what each command did after another reading; commands that did nothing are left out.
func (hs Histograms) Since(before Histograms) Histograms {
	diff := make(Histograms, len(hs))
	for name, h := range hs {
		if d := h.Since(before[name]); d.Calls() > 0 {
			diff[name] = d
		}
	}
	return diff
}

// Overall is the histogram of all commands but those with which servers are watched: an INFO takes a hundred times as long as a
// GET, and on a quiet server whoever watches would see himself.
func (hs Histograms) Overall() Histogram {
	var sum Histogram
	for name, h := range hs {
		if !Watching(name) {
			sum = sum.Add(h)
		}
	}
	return sum
}

// Watching tells the commands with which servers are watched, "config|get" as well as "config".
func Watching(command string) bool {
	name, _, _ := strings.Cut(command, "|")
	switch name {
	case "info", "latency", "slowlog", "client", "memory", "object", "scan", "config", "cluster", "hello", "ping", "command", "monitor", "dbsize":
		return true
	}
	return false
}
