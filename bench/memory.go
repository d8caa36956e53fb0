package main

import (
	"context"
	"fmt"
	"time"
)

type memoryRow struct {
	name, unit               string
	elements                 int
	reach, stretch           float64 // of Redis's bytes
	reachBytes, stretchBytes float64 // absolute; 0: none asked
	command                  func(i, n int) (words []string, elements int)
}

func (m memoryRow) measure(ctx context.Context, o options, dir string) ([]line, error) {
	var perElement [2][]float64
	for side, s := range []struct{ name, bin string }{{"larder", o.larder}, {"redis", o.redis}} {
		bytes, err := m.once(ctx, o, s.name, s.bin, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		perElement[side] = []float64{bytes}
	}
	lines := []line{ratioLine(m.name+": resident bytes per "+m.unit, "B", perElement, m.reach, m.stretch, false)}
	if m.reachBytes > 0 {
		lines = append(lines, plainLine("  the same, absolute", "B", perElement[0], m.reachBytes, m.stretchBytes, false))
	}
	return lines, nil
}

// once fills a fresh server. The resident set is taken when it has stopped moving, so that memory on its way back to
// the system is not counted; what the server keeps, is.
func (m memoryRow) once(ctx context.Context, o options, name, bin, dir string) (float64, error) {
	s, err := startServer(ctx, name, bin, dir)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	before, err := s.settled()
	if err != nil {
		return 0, err
	}
	c, err := dial(s.addr)
	if err != nil {
		return 0, err
	}
	n, i := o.scaled(m.elements), 0
	err = c.load(func() []string {
		if i >= n {
			return nil
		}
		words, count := m.command(i, n)
		i += count
		return words
	})
	c.close()
	if err != nil {
		return 0, err
	}
	after, err := s.settled()
	return float64(after-before) / float64(n), err
}

// settled waits until the resident set has stayed the same, within a thousandth, for a second and a half.
func (s *server) settled() (int64, error) {
	const pause, calm, most = 250 * time.Millisecond, 6, 40
	last, quiet := int64(0), 0
	for range most {
		now, err := s.resident()
		if err != nil {
			return 0, err
		}
		if diff := now - last; diff*diff*1_000_000 <= last*last && last > 0 {
			if quiet++; quiet == calm {
				return now, nil
			}
		} else {
			quiet = 0
		}
		last = now
		time.Sleep(pause)
	}
	return last, nil
}
