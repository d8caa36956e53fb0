package info

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/larderdb/larder/store"
)

func ints(ns ...int64) store.Reply {
	e := make([]store.Reply, len(ns))
	for i, n := range ns {
		e[i] = store.Int(n)
	}
	return store.ArrayOf(e...)
}

// latency is LATENCY HISTOGRAM's answer about GET.
func latency(buckets store.Reply) store.Reply {
	return store.ArrayOf(store.Bulk("GET"), store.MapOf(store.Bulk("calls"), store.Int(9), store.Bulk("histogram_usec"), buckets))
}

func TestParseHistograms(t *testing.T) {
	want := Histogram{{1, 50}, {2, 90}, {16, 100}}
	for _, r := range []store.Reply{latency(ints(1, 50, 2, 90, 16, 100)), latency(ints(16, 100, 1, 50, 2, 90))} {
		if hs, err := ParseHistograms(r); err != nil || !reflect.DeepEqual(hs, Histograms{"get": want}) {
			t.Errorf("%v: %v, %v", r, hs, err)
		}
	}
	if hs, err := ParseHistograms(store.ArrayOf()); err != nil || hs == nil || len(hs) != 0 {
		t.Errorf("of a server that did nothing yet: %v, %v", hs, err)
	}
	for _, bad := range []store.Reply{
		store.Bulk("x"), store.Nil(), store.Int(1), store.ArrayOf(store.Bulk("get")), latency(ints(1, 2, 3)), latency(ints(5, 1, 3, 2)),
		latency(ints(1, 5, 3, 2)), latency(ints(1, -5)), latency(ints(1, 5, 1, 6)), latency(store.ArrayOf(store.Bulk("x"), store.Bulk("y"))),
		store.ArrayOf(store.Bulk("get"), store.Int(3)), store.Fail(store.ServerError("ERR no")),
	} {
		if hs, err := ParseHistograms(bad); err == nil || hs != nil {
			t.Errorf("%v was read as %v", bad, hs)
		}
	}
}

func TestHistogram(t *testing.T) {
	h := Histogram{{1, 50}, {2, 90}, {16, 100}}
	// Later: 10 more of up to 2 us, 10 more in a bucket that was missing before.
	later := Histogram{{1, 50}, {2, 100}, {8, 110}, {16, 120}}
	if d := later.Since(h); !reflect.DeepEqual(d, Histogram{{1, 0}, {2, 10}, {8, 20}, {16, 20}}) {
		t.Errorf("since: %v", d)
	}
	if d := h.Since(later); d != nil {
		t.Errorf("after CONFIG RESETSTAT: %v", d)
	}
	if s := h.Add(later); !reflect.DeepEqual(s, Histogram{{1, 100}, {2, 190}, {8, 200}, {16, 220}}) {
		t.Errorf("sum: %v", s)
	}
	hs := Histograms{"info": {{900, 5}}, "config|get": {{900, 5}}, "get": {{2, 5}}, "set": {{4, 1}}}
	if o := hs.Overall(); !reflect.DeepEqual(o, Histogram{{2, 5}, {4, 6}}) {
		t.Errorf("overall: %v", o)
	}
	if d := hs.Since(Histograms{"get": {{2, 5}}, "set": {{4, 9}}}); !slices.Equal(slices.Sorted(maps.Keys(d)), []string{"config|get", "info"}) {
		t.Errorf("what did something: %v", d)
	}
}

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		h           Histogram
		share, want float64
	}{
		{Histogram{{1, 50}, {2, 90}, {16, 100}}, 0.5, 1},
		{Histogram{{1, 50}, {2, 90}, {16, 100}}, 0.7, 1.5},
		{Histogram{{1, 50}, {2, 90}, {16, 100}}, 0.9, 2},
		{Histogram{{1, 50}, {2, 90}, {16, 100}}, 0.95, 12}, // the bucket of 16 begins at 8, though that of 8 is missing
		{Histogram{{1, 50}, {2, 90}, {16, 100}}, 1, 16},
		{Histogram{{1, 0}, {2, 10}}, 0, 1},
	} {
		if got, ok := c.h.Quantile(c.share); !ok || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v of %v: %v, want %v", c.share, c.h, got, c.want)
		}
	}
	for _, h := range []Histogram{nil, {}, {{1, 0}, {2, 0}}} {
		if got, ok := h.Quantile(0.5); ok {
			t.Errorf("%v: half of no calls took %v", h, got)
		}
	}
}
