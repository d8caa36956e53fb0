package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

const (
	busyConnections = 1_000
	idleConnections = 10_000
	dialers         = 8
)

// measureBusy: a thousand connections, each of which waits for its reply before it asks again. Both servers are
// always behind, so that what is measured is whether some connections wait much longer than others.
func measureBusy(ctx context.Context, o options, dir string) ([]line, error) {
	servers, stop, err := startBoth(ctx, o, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	l := load{args: []string{"-t", "set"}, clients: busyConnections, pipeline: 1, requests: 200_000, random: networkKeys, bytes: 32}
	all, err := alternate(o.rounds, servers, func(s *server) (sample, error) { return l.once(ctx, o, s) })
	if err != nil {
		return nil, err
	}
	return []line{
		ratioLine("1,000 busy connections, SET 32 B: p99", "ms", pick(all, p99), 1, 0, false),
		ratioLine("  p50", "ms", pick(all, p50), 0, 0, false),
		ratioLine("  commands/s", "", pick(all, throughput), 0, 0, true),
	}, nil
}

// measureIdle: what a server's resident set grows by for each connection that has said PING once and is silent since.
func measureIdle(ctx context.Context, o options, dir string) ([]line, error) {
	var perConnection [2][]float64
	for side, s := range []struct{ name, bin string }{{"larder", o.larder}, {"redis", o.redis}} {
		bytes, err := idle(ctx, o, s.name, s.bin, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		perConnection[side] = []float64{bytes}
	}
	return []line{
		ratioLine("10,000 idle connections: resident bytes each", "B", perConnection, 0, 0, false),
		plainLine("  the same, absolute", "B", perConnection[0], 5<<10, 0, false),
	}, nil
}

func idle(ctx context.Context, o options, name, bin, dir string) (float64, error) {
	s, err := startServer(ctx, name, bin, dir)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	n := o.scaled(idleConnections)
	if err := s.tell("CONFIG", "SET", "maxclients", fmt.Sprint(n+dialers)); err != nil {
		return 0, fmt.Errorf("the limit on open files is too low: %w", err)
	}
	before, err := s.settled()
	if err != nil {
		return 0, err
	}
	conns, err := greet(s.addr, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return 0, err
	}
	after, err := s.settled()
	return float64(after-before) / float64(n), err
}

// tell runs one command on a connection of its own.
func (s *server) tell(words ...string) error {
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.do(words...)
	return err
}

// greet opens n connections and says PING on each. What was opened is returned with an error, too.
func greet(addr string, n int) ([]net.Conn, error) {
	var mu sync.Mutex
	var conns []net.Conn
	var failed error
	var wg sync.WaitGroup
	for part := range dialers {
		wg.Go(func() {
			for i := part; i < n; i += dialers {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					err = ping(c)
				}
				mu.Lock()
				if c != nil {
					conns = append(conns, c)
				}
				if err != nil && failed == nil {
					failed = err
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	return conns, failed
}

// ping needs no buffers: ten thousand connections with some would be larger than the server.
func ping(c net.Conn) error {
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	var reply [len("+PONG\r\n")]byte
	_, err := io.ReadFull(c, reply[:])
	return err
}
