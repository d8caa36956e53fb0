package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// embeddedRow is measured inside a process that has the store in it: this binary, started again, so that one
// measurement's memory and garbage are not the next one's.
type embeddedRow struct {
	name, child string
	lines       []embeddedLine
}

// embeddedLine is one of the figures that the child reports.
type embeddedLine struct {
	what, key, unit string
	reach, stretch  float64
	more            bool // greater is better
}

func (e embeddedRow) measure(ctx context.Context, o options, _ string) ([]line, error) {
	values := map[string][]float64{}
	for range max(1, (o.rounds+1)/2) {
		figures, err := e.once(ctx, o)
		if err != nil {
			return nil, err
		}
		for key, v := range figures {
			values[key] = append(values[key], v)
		}
	}
	lines := make([]line, len(e.lines))
	for i, l := range e.lines {
		if values[l.key] == nil {
			return nil, fmt.Errorf("the child does not report %q", l.key)
		}
		lines[i] = plainLine(l.what, l.unit, values[l.key], l.reach, l.stretch, l.more)
	}
	return lines, nil
}

func (e embeddedRow) once(ctx context.Context, o options) (map[string]float64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", e.child, fmt.Sprintf("-quick=%t", o.quick))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("child %s: %w", e.child, err)
	}
	var figures map[string]float64
	return figures, json.Unmarshal(out, &figures)
}

// runChild runs one measurement and prints its figures as JSON.
func runChild(name string, o options, w io.Writer) error {
	measure := map[string]func(options) (map[string]float64, error){
		"get": measureGet, "limiter": measureLimiter, "cache": measureCache, "near": measureNear, "grow": measureGrowth, "gc": measureCollector,
	}[name]
	if measure == nil {
		return fmt.Errorf("no measurement %q", name)
	}
	figures, err := measure(o)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(figures)
}
