package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
)

// A trace is a sequence of accesses to keys, which are numbered from 0 in the order of their first access.
type trace struct {
	keys     int
	accesses []int32
}

// traceSource makes a trace; nothing of it is read or computed before.
type traceSource struct {
	name string
	load func(o options) (trace, error)
}

// errNoTraces says why a row of a recorded trace is not measured.
var errNoTraces = errors.New("no -traces DIR (or LARDER_TRACES) with recorded traces")

// traceSources are the traces of the table: recorded ones, whose files are not part of this repository, and generated
// ones, which depend on nothing but their seed.
func traceSources() []traceSource {
	var all []traceSource
	for _, name := range []string{"2_pools", "loop", "multi3", "sprite", "web07", "orm-busy"} {
		all = append(all, traceSource{name, func(o options) (trace, error) { return readTrace(o, name) }})
	}
	return append(all,
		traceSource{"Zipf 0.9", func(o options) (trace, error) { return zipfTrace(o, 0.9, 0, 0), nil }},
		traceSource{"Zipf 1.0", func(o options) (trace, error) { return zipfTrace(o, 1, 0, 0), nil }},
		traceSource{"Zipf 0.9 and scans", func(o options) (trace, error) { return zipfTrace(o, 0.9, 10_000, 5000), nil }},
		traceSource{"generated loop", func(o options) (trace, error) { return loopTrace(o), nil }},
		traceSource{"Zipf, loop and drift", func(o options) (trace, error) { return mixedTrace(o), nil }},
	)
}

// mostAccesses of a recorded trace are replayed; the longest has ten times as many, and nothing new in the rest.
const mostAccesses = 300_000

// readTrace reads a file of one key a line, gzip, named <name>.keys.gz.
func readTrace(o options, name string) (trace, error) {
	if o.traces == "" {
		return trace{}, errNoTraces
	}
	f, err := os.Open(filepath.Join(o.traces, name+".keys.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		return trace{}, fmt.Errorf("%s has no %s.keys.gz", o.traces, name)
	}
	if err != nil {
		return trace{}, err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return trace{}, fmt.Errorf("%s: %w", name, err)
	}
	n := numbering[string]{}
	for lines := bufio.NewScanner(z); len(n.accesses) < o.scaled(mostAccesses) && lines.Scan(); {
		n.add(lines.Text())
	}
	return n.trace, nil
}

// numbering numbers keys as they come.
type numbering[K comparable] struct {
	trace
	known map[K]int32
}

func (n *numbering[K]) add(key K) {
	if n.known == nil {
		n.known = map[K]int32{}
	}
	i, ok := n.known[key]
	if !ok {
		i = int32(n.keys)
		n.known[key] = i
		n.keys++
	}
	n.accesses = append(n.accesses, i)
}

const (
	zipfKeys     = 20_000
	zipfAccesses = 200_000
	traceSeed    = 7
)

// zipfer draws from n keys with probabilities that fall as a power of the rank.
func zipfer(n int, power float64, r *rand.Rand) func() int {
	sums, sum := make([]float64, n), 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -power)
		sums[i] = sum
	}
	return func() int { return sort.SearchFloat64s(sums, r.Float64()*sum) }
}

// zipfTrace: accesses by Zipf's law and, after every so many of them, a scan of that many keys never seen before or after.
func zipfTrace(o options, power float64, every, scan int) trace {
	r := rand.New(rand.NewPCG(traceSeed, 1))
	draw, n, fresh := zipfer(o.scaled(zipfKeys), power, r), numbering[int]{}, zipfKeys
	for i := range o.scaled(zipfAccesses) {
		n.add(draw())
		if every > 0 && i%every == every-1 {
			for range o.scaled(scan) {
				n.add(fresh)
				fresh++
			}
		}
	}
	return n.trace
}

// loopTrace reads the same keys in the same order again and again.
func loopTrace(o options) trace {
	t := trace{keys: o.scaled(2000)}
	for i := range o.scaled(100_000) {
		t.accesses = append(t.accesses, int32(i%t.keys))
	}
	return t
}

// mixedTrace: half the accesses by Zipf's law, a quarter in a loop, and a quarter in a working set that wanders on.
func mixedTrace(o options) trace {
	r := rand.New(rand.NewPCG(traceSeed, 2))
	keys := o.scaled(10_000)
	draw, n := zipfer(keys, 0.9, r), numbering[int]{}
	for i := range o.scaled(zipfAccesses) {
		switch i % 4 {
		case 0:
			n.add(keys + i/4%(keys/2))
		case 1:
			n.add(2*keys + i/8 + r.IntN(keys/20))
		default:
			n.add(draw())
		}
	}
	return n.trace
}
