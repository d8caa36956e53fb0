package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/larderdb/larder"
)

// namer makes keys of 11 B in a buffer of its own: a slice of a million strings would cost as many cache misses as
// the store does.
type namer [11]byte

// name is valid until the next call.
func (b *namer) name(i int) string {
	copy(b[:], "key")
	for at := len(b) - 1; at >= 3; at-- {
		b[at] = byte('0' + i%10)
		i /= 10
	}
	return unsafe.String(&b[0], len(b))
}

// keyNames makes n keys of 11 B beforehand: building names is not what is measured.
func keyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("key%08d", i)
	}
	return names
}

// measureGet: nanoseconds of a GET of 32 B out of a million keys, uniformly at random, on one goroutine; and how many
// times as many two goroutines do in the same time.
func measureGet(o options) (map[string]float64, error) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	n := o.scaled(1_000_000)
	value := make([]byte, 32)
	var keys namer
	for i := range n {
		if err := db.SetBytes(ctx, keys.name(i), value, 0); err != nil {
			return nil, err
		}
	}
	perGoroutine := o.scaled(5_000_000)
	run := func(goroutines int) (time.Duration, error) {
		var wg sync.WaitGroup
		failures := make([]error, goroutines)
		start := time.Now()
		for g := range goroutines {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(g)))
				var dst []byte
				var keys namer
				for range perGoroutine {
					var found bool
					var err error
					if dst, found, err = db.GetBytes(ctx, keys.name(r.IntN(n)), dst[:0]); err != nil || !found {
						failures[g] = errors.Join(err, fmt.Errorf("found: %t", found))
						return
					}
				}
			})
		}
		wg.Wait()
		return time.Since(start), errors.Join(failures...)
	}
	if _, err := run(1); err != nil { // warms up
		return nil, err
	}
	one, err := run(1)
	if err != nil {
		return nil, err
	}
	two, err := run(2)
	if err != nil {
		return nil, err
	}
	return map[string]float64{
		"ns":    float64(one.Nanoseconds()) / float64(perGoroutine),
		"twice": 2 * one.Seconds() / two.Seconds(),
	}, db.Close()
}

// measureGrowth: every single SET from an empty store to five million keys is timed, and as many times nothing at
// all: what the scheduler and the machine take from a no-op is not the store's.
func measureGrowth(o options) (map[string]float64, error) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		return nil, err
	}
	n := o.scaled(5_000_000)
	names := keyNames(n)
	ctx := context.Background()
	value := make([]byte, 32)
	var writes, noops histogram
	for i := range n {
		start := time.Now()
		err := db.SetBytes(ctx, names[i], value, 0)
		writes.add(time.Since(start))
		if err != nil {
			return nil, err
		}
		start = time.Now()
		noops.add(time.Since(start))
	}
	return map[string]float64{
		"p9999": micros(writes.quantile(0.9999)), "max": micros(writes.max),
		"noop9999": micros(noops.quantile(0.9999)), "noopmax": micros(noops.max),
	}, db.Close()
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// measureCollector: five million keys are overwritten with values of 16 to 512 B at random, as fast as one goroutine
// can, and the runtime's own account of CPU time says what share went to the collector.
func measureCollector(o options) (map[string]float64, error) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	n := o.scaled(5_000_000)
	value := make([]byte, 512)
	r := rand.New(rand.NewPCG(1, 2))
	name := make([]byte, 0, 16)
	set := func(i int) error {
		name = strconv.AppendInt(append(name[:0], "key:"...), int64(i), 10)
		return db.SetBytes(ctx, string(name), value[:16+r.IntN(497)], 0) // the name is garbage, as in any program
	}
	for i := range n {
		if err := set(i); err != nil {
			return nil, err
		}
	}
	length := 20 * time.Second
	if o.quick {
		length = 2 * time.Second
	}
	before := cpuClasses()
	ops := 0
	start := time.Now()
	for time.Since(start) < length {
		for range 1000 {
			if err := set(r.IntN(n)); err != nil {
				return nil, err
			}
		}
		ops += 1000
	}
	elapsed := time.Since(start)
	after := cpuClasses()
	busy := (after.total - before.total) - (after.idle - before.idle)
	return map[string]float64{
		"share": 100 * (after.gc - before.gc) / busy,
		"ops":   float64(ops) / elapsed.Seconds(),
	}, db.Close()
}

type cpuSeconds struct{ gc, idle, total float64 }

func cpuClasses() cpuSeconds {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"},
	}
	metrics.Read(samples)
	return cpuSeconds{samples[0].Value.Float64(), samples[1].Value.Float64(), samples[2].Value.Float64()}
}
