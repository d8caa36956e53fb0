package main

import (
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h histogram
	r := rand.New(rand.NewPCG(1, 1))
	var all []time.Duration
	for range 100_000 {
		d := time.Duration(r.ExpFloat64() * 5000)
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.9999} {
		exact := all[int(q*float64(len(all)))]
		got := h.quantile(q)
		if got < exact || float64(got) > float64(exact)*1.07+1 {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
	if h.quantile(1) != all[len(all)-1] {
		t.Errorf("quantile 1 is %v, not the maximum %v", h.quantile(1), all[len(all)-1])
	}
}

func TestScatterIsAPermutation(t *testing.T) {
	for _, n := range []int{1_000_000, 100_000} {
		seen := make([]bool, n)
		for i := range n {
			seen[scatter(i, n)] = true
		}
		if slices.Contains(seen, false) {
			t.Errorf("of %d some are missing", n)
		}
	}
}

func TestLines(t *testing.T) {
	l := ratioLine("x", "us", [2][]float64{{1, 2, 3}, {2, 2, 2}}, 1.2, 0.8, false)
	if l.ratio != "1.00 (0.50-1.50)" || l.verdict != "met" || l.asked != "<= 1.2 x (0.8)" {
		t.Errorf("%+v", l)
	}
	if l := plainLine("x", "ns", []float64{400}, 300, 150, false); l.verdict != "MISSED" || l.larder != "400 ns" {
		t.Errorf("%+v", l)
	}
	if l := plainLine("x", "x", []float64{1.9}, 1.5, 1.8, true); l.verdict != "stretch met" {
		t.Errorf("%+v", l)
	}
}

// TestWholeRun measures redis-server against itself, quickly: every row must come with figures, near one.
func TestWholeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	var out strings.Builder
	err = run(t.Context(), []string{"-quick", "-rounds", "1", "-larder", bin, "-rows", "32 B, pipeline 16|^(LPOP|EVAL), pipeline 16|busy connections|idle connections|hashes of 5|lock: take"}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"GET 32 B, pipeline 16: commands/s", "SET 32 B, pipeline 16: commands/s", "LPOP, pipeline 16: commands/s",
		"EVAL, pipeline 16: commands/s", "busy connections, SET 32 B: p99", "resident bytes each", "resident bytes per hash",
		"lock: take and release, to redislock", "round trips"} {
		if !strings.Contains(out.String(), what) {
			t.Errorf("no %q in\n%s", what, out.String())
		}
	}
	if strings.Contains(out.String(), "not measured") {
		t.Error(out.String())
	}
}
