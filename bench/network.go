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
	command        string // as redis-benchmark -t names it
	pipeline       int
	requests       int
	reach, stretch speed
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
	var servers []*server
	for _, s := range []struct{ name, bin string }{{"larder", o.larder}, {"redis", o.redis}} {
		started, err := startServer(ctx, s.name, s.bin, dir)
		if err != nil {
			return nil, err
		}
		defer started.stop()
		if err := fillKeys(started.addr, networkKeys); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		servers = append(servers, started)
	}
	samples, err := alternate(o.rounds, servers, func(s *server) (sample, error) { return n.once(ctx, o, s) })
	if err != nil {
		return nil, err
	}
	pick := func(f func(sample) float64) [2][]float64 {
		var out [2][]float64
		for side := range out {
			for _, s := range samples[side] {
				out[side] = append(out[side], f(s))
			}
		}
		return out
	}
	return []line{
		ratioLine(n.name+": commands/s", "", pick(func(s sample) float64 { return s.throughput }), n.reach.throughput, n.stretch.throughput, true),
		ratioLine("  server CPU per command", "us", pick(func(s sample) float64 { return s.cpu }), n.reach.cpu, n.stretch.cpu, false),
		ratioLine("  p50", "ms", pick(func(s sample) float64 { return s.p50 }), 0, 0, false),
		ratioLine("  p99", "ms", pick(func(s sample) float64 { return s.p99 }), 0, 0, false),
	}, nil
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

func (n networkRow) once(ctx context.Context, o options, s *server) (sample, error) {
	requests := o.scaled(n.requests)
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	out, err := exec.CommandContext(ctx, "redis-benchmark", "-h", "127.0.0.1", "-p", s.port, "-t", n.command, "-c", strconv.Itoa(networkClients),
		"-P", strconv.Itoa(n.pipeline), "-n", strconv.Itoa(requests), "-r", strconv.Itoa(networkKeys), "-d", "32", "--csv", "--precision", "3").Output()
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
