package top

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/larderdb/larder/store"
)

// Histogram is how long calls of a command took, since the server started: LATENCY HISTOGRAM, Redis 7 and later.
// Buckets have rising bounds and, as in the reply, counts that include all buckets below.
type Histogram []Bucket

// Bucket says how many calls took Micros or less.
type Bucket struct {
	Micros int64
	Calls  int64
}

// Histograms are by command, in lower case: get, config|get.
type Histograms map[string]Histogram

func parseHistograms(r store.Reply) (Histograms, error) {
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
			if what, _ := about[k].Text(); what != "histogram_usec" {
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
	for i := 1; i < len(h); i++ {
		if h[i].Micros <= h[i-1].Micros || h[i].Calls < h[i-1].Calls {
			return nil, errors.New("top: buckets of a histogram are out of order")
		}
	}
	return h, nil
}

// at is how many calls took that long or less. Replies leave out buckets in which there is nobody.
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

func (h Histogram) calls() int64 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].Calls
}

// since is the histogram of the calls after another reading of it; nil if counts shrank.
func (h Histogram) since(before Histogram) Histogram {
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

// add puts two histograms together.
func (h Histogram) add(other Histogram) Histogram {
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

// percentile is the bound below which a share p of the calls stayed, in microseconds: the upper end of a bucket, each twice
// as wide as the one before.
func (h Histogram) percentile(p float64) Num {
	all := h.calls()
	if all == 0 {
		return Num{}
	}
	for _, b := range h {
		if float64(b.Calls) >= p*float64(all) {
			return num(float64(b.Micros))
		}
	}
	return num(float64(h[len(h)-1].Micros))
}

// since is what each command did after another reading; commands that did nothing are left out.
func (hs Histograms) since(before Histograms) Histograms {
	diff := make(Histograms, len(hs))
	for name, h := range hs {
		if d := h.since(before[name]); d.calls() > 0 {
			diff[name] = d
		}
	}
	return diff
}

// overall is the histogram of all commands but those with which servers are watched: an INFO takes longer than a GET by two
// orders, and on a quiet server ours would be the slowest that there is.
func (hs Histograms) overall() Histogram {
	var sum Histogram
	for name, h := range hs {
		if !watching(name) {
			sum = sum.add(h)
		}
	}
	return sum
}

func watching(command string) bool {
	name, _, _ := strings.Cut(command, "|")
	switch name {
	case "info", "latency", "slowlog", "client", "memory", "object", "scan", "config", "cluster", "hello", "ping", "command", "monitor", "dbsize":
		return true
	}
	return false
}
