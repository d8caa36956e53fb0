package dashboard

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/larderdb/larder/store"
)

// histogram counts commands by how long they took: buckets by their upper end in microseconds, in ascending order, each with the number of
// those that took at most so long.
type histogram []bucket

type bucket struct{ micros, upTo int64 }

// figures asks for all that the sampler needs, in one round trip. Neither a server that has no LATENCY HISTOGRAM nor one that has
// no namespaces is an error.
func (d *Dashboard) figures(ctx context.Context) (text string, h histogram, err error) {
	r := d.st.Pipe(ctx, store.Cmd{"INFO", "all"}, store.Cmd{"LATENCY", "HISTOGRAM"})
	if text, err = r[0].Text(); err != nil {
		return "", nil, err
	}
	if strings.Contains(text, "larder_version:") && !strings.Contains(text, "# Namespaces") {
		if more, err := d.st.Do(ctx, "INFO", "namespaces").Text(); err == nil {
			text += "\r\n" + more
		}
	}
	return text, readHistogram(r[1]), nil
}

// readHistogram adds up what LATENCY HISTOGRAM tells of each command; nil if that is nothing.
func readHistogram(r store.Reply) histogram {
	commands, err := r.Pairs()
	if err != nil {
		return nil
	}
	counts := map[int64]int64{}
	for i := 0; i+1 < len(commands); i += 2 {
		name, err := commands[i].Text()
		if err != nil || isOurs(name) {
			continue
		}
		parts, err := commands[i+1].Pairs()
		if err != nil {
			continue
		}
		for j := 0; j+1 < len(parts); j += 2 {
			if what, _ := parts[j].Text(); what != "histogram_usec" { //nolint:errcheck // "" is another one
				continue
			}
			addBuckets(counts, parts[j+1])
		}
	}
	h := make(histogram, 0, len(counts))
	for micros, n := range counts {
		h = append(h, bucket{micros, n})
	}
	return h.sum()
}

// isOurs tells commands that the dashboard sends itself all the time: a store that does nothing else has no latency.
func isOurs(command string) bool {
	name, _, _ := strings.Cut(strings.ToLower(command), "|")
	return name == "info" || name == "latency" || name == "slowlog" || name == "config"
}

// addBuckets adds one command's: cumulative counts by upper end. They may come in any order.
func addBuckets(counts map[int64]int64, r store.Reply) {
	list, err := r.Pairs()
	if err != nil {
		return
	}
	var h histogram
	for i := 0; i+1 < len(list); i += 2 {
		micros, err1 := list[i].Int64()
		n, err2 := list[i+1].Int64()
		if err1 != nil || err2 != nil {
			return
		}
		h = append(h, bucket{micros, n})
	}
	slices.SortFunc(h, byTime)
	before := int64(0)
	for _, b := range h {
		counts[b.micros] += max(b.upTo-before, 0)
		before = b.upTo
	}
}

func byTime(a, b bucket) int { return cmp.Compare(a.micros, b.micros) }

// sum sorts single counts and makes them cumulative.
func (h histogram) sum() histogram {
	slices.SortFunc(h, byTime)
	all := int64(0)
	for i := range h {
		all += h[i].upTo
		h[i].upTo = all
	}
	return h
}

// minus is what was added since.
func (h histogram) minus(before histogram) histogram {
	single := make(histogram, 0, len(h))
	old := map[int64]int64{}
	last := int64(0)
	for _, b := range before {
		old[b.micros] = b.upTo - last
		last = b.upTo
	}
	last = 0
	for _, b := range h {
		if n := b.upTo - last - old[b.micros]; n > 0 {
			single = append(single, bucket{b.micros, n})
		}
		last = b.upTo
	}
	return single.sum()
}

// quantile is the time within which a share of the commands was done, interpolated within its bucket; ok is false if there
// were none. Buckets double, so it is off by a part of that at worst.
func (h histogram) quantile(share float64) (micros float64, ok bool) {
	if len(h) == 0 {
		return 0, false
	}
	want := share * float64(h[len(h)-1].upTo)
	below := bucket{}
	for _, b := range h {
		if float64(b.upTo) >= want {
			low := max(float64(below.micros), float64(b.micros)/2)
			part := (want - float64(below.upTo)) / float64(b.upTo-below.upTo)
			return low + (float64(b.micros)-low)*part, true
		}
		below = b
	}
	return float64(below.micros), true
}
