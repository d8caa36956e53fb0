package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// speed is what is asked of a network row, as ratios to Redis: commands a second, and server CPU per command.
type speed struct{ throughput, cpu float64 }

type networkRow struct {
	name           string
	load           load
	reach, stretch speed
}

// load is what redis-benchmark is told to do.
type load struct {
	args     []string // -t and a test of its list, or the words of a command
	clients  int
	pipeline int
	requests int
	random   int // __rand_int__ is below this; 0: it stays as it is written
	bytes    int // length of the values that the tests of the list write
}

// sample is one run of redis-benchmark against one server.
type sample struct {
	throughput float64 // commands a second
	cpu        float64 // server microseconds a command
	p50, p99   float64 // milliseconds
}

const (
	networkKeys    = 1_000_000
	networkClients = 50
)

func (n networkRow) measure(ctx context.Context, o options, dir string) ([]line, error) {
	servers, stop, err := startBoth(ctx, o, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := fillKeys(s.addr, networkKeys); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	all, err := alternate(o.rounds, servers, func(s *server) (sample, error) { return n.load.once(ctx, o, s) })
	if err != nil {
		return nil, err
	}
	return []line{
		ratioLine(n.name+": commands/s", "", pick(all, throughput), n.reach.throughput, n.stretch.throughput, true),
		ratioLine("  server CPU per command", "us", pick(all, cpu), n.reach.cpu, n.stretch.cpu, false),
		ratioLine("  p50", "ms", pick(all, p50), 0, 0, false),
		ratioLine("  p99", "ms", pick(all, p99), 0, 0, false),
	}, nil
}

// The figures of a sample, for pick.
func throughput(s sample) float64 { return s.throughput }
func cpu(s sample) float64        { return s.cpu }
func p50(s sample) float64        { return s.p50 }
func p99(s sample) float64        { return s.p99 }

// pick takes one figure of every sample, for either side.
func pick(samples [2][]sample, figure func(sample) float64) [2][]float64 {
	var out [2][]float64
	for side := range out {
		for _, s := range samples[side] {
			out[side] = append(out[side], figure(s))
		}
	}
	return out
}

// startBoth has both servers up, larder first. stop is never nil.
func startBoth(ctx context.Context, o options, dir string) (servers []*server, stop func(), err error) {
	stop = func() {
		for _, s := range servers {
			s.stop()
		}
	}
	for _, s := range []struct{ name, bin string }{{"larder", o.larder}, {"redis", o.redis}} {
		started, err := startServer(ctx, s.name, s.bin, dir)
		if err != nil {
			return servers, stop, err
		}
		servers = append(servers, started)
	}
	return servers, stop, nil
}

// alternate measures A B B A A B ...: a slow drift of the machine falls on both alike.
func alternate[T any](rounds int, servers []*server, once func(*server) (T, error)) ([2][]T, error) {
	var samples [2][]T
	for round := range rounds {
		for i := range servers {
			side := (i + round) % len(servers)
			s, err := once(servers[side])
			if err != nil {
				return samples, fmt.Errorf("%s: %w", servers[side].name, err)
			}
			samples[side] = append(samples[side], s)
		}
	}
	return samples, nil
}

// once puts the load on one server.
func (l load) once(ctx context.Context, o options, s *server) (sample, error) {
	requests := o.scaled(l.requests)
	args := []string{
		"-h", "127.0.0.1", "-p", s.port, "-c", strconv.Itoa(l.clients), "-P", strconv.Itoa(l.pipeline), "-n", strconv.Itoa(requests),
		"--csv", "--precision", "3",
	}
	if l.random > 0 {
		args = append(args, "-r", strconv.Itoa(l.random))
	}
	if l.bytes > 0 {
		args = append(args, "-d", strconv.Itoa(l.bytes))
	}
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	out, err := exec.CommandContext(ctx, "redis-benchmark", append(args, l.args...)...).Output()
	if err != nil {
		return sample{}, fmt.Errorf("redis-benchmark: %w", err)
	}
	after, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	result, err := parseBenchmark(string(out))
	result.cpu = float64(after-before) / float64(time.Microsecond) / float64(requests)
	return result, err
}

// parseBenchmark reads "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95...","p99...","max...".
func parseBenchmark(text string) (sample, error) {
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) < 2 || len(records[1]) < 8 {
		return sample{}, errors.Join(err, fmt.Errorf("redis-benchmark said %q", text))
	}
	var fields [8]float64
	for i := 1; i < len(fields); i++ {
		if fields[i], err = strconv.ParseFloat(records[1][i], 64); err != nil {
			return sample{}, err
		}
	}
	return sample{throughput: fields[1], p50: fields[4], p99: fields[6]}, nil
}

// fillKeys stores the keys that redis-benchmark -r will name.
func fillKeys(addr string, n int) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.close()
	value := strings.Repeat("x", 32)
	i := 0
	return c.load(func() []string {
		if i == n {
			return nil
		}
		i++
		return []string{"SET", fmt.Sprintf("key:%012d", i-1), value}
	})
}
