package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// line is one line of the table, ready to print.
type line struct {
	what, larder, redis, ratio, asked, verdict string
}

type table struct{ lines []line }

func (t *table) failed(name string, err error) {
	t.lines = append(t.lines, line{what: name, verdict: "not measured: " + err.Error()})
}

func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "what\tlarder\tredis\tratio (spread)\treach (stretch)\t")
	fmt.Fprintln(tw, "----\t------\t-----\t--------------\t---------------\t")
	for _, l := range t.lines {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", l.what, l.larder, l.redis, l.ratio, l.asked, l.verdict)
	}
	return tw.Flush()
}

// ratioLine: medians of both sides, and the median of the ratios of neighbouring measurements with the least and the
// greatest. more says that a greater ratio is better; reach 0 asks for nothing.
func ratioLine(what, unit string, sides [2][]float64, reach, stretch float64, more bool) line {
	var ratios []float64
	for i := range sides[0] {
		ratios = append(ratios, sides[0][i]/sides[1][i])
	}
	l := line{
		what: what, larder: figure(median(sides[0]), unit), redis: figure(median(sides[1]), unit),
		ratio: fmt.Sprintf("%.2f", median(ratios)),
	}
	if len(ratios) > 1 {
		l.ratio += fmt.Sprintf(" (%.2f-%.2f)", slices.Min(ratios), slices.Max(ratios))
	}
	if reach > 0 {
		l.asked = asked(reach, stretch, "x", more)
		l.verdict = verdict(median(ratios), reach, stretch, more)
	}
	return l
}

// plainLine: a figure without a counterpart in Redis.
func plainLine(what, unit string, values []float64, reach, stretch float64, more bool) line {
	l := line{what: what, larder: figure(median(values), unit)}
	if len(values) > 1 {
		l.larder += fmt.Sprintf(" (%s-%s)", figure(slices.Min(values), ""), figure(slices.Max(values), ""))
	}
	if reach > 0 {
		l.asked = asked(reach, stretch, unit, more)
		l.verdict = verdict(median(values), reach, stretch, more)
	}
	return l
}

func asked(reach, stretch float64, unit string, more bool) string {
	sign := "<= "
	if more {
		sign = ">= "
	}
	s := sign + figure(reach, unit)
	if stretch > 0 {
		s += " (" + figure(stretch, "") + ")"
	}
	return s
}

func verdict(v, reach, stretch float64, more bool) string {
	met := func(asked float64) bool {
		if more {
			return v >= asked
		}
		return v <= asked
	}
	switch {
	case stretch > 0 && met(stretch):
		return "stretch met"
	case met(reach):
		return "met"
	}
	return "MISSED"
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// figure prints three digits that count.
func figure(v float64, unit string) string {
	var s string
	switch {
	case v >= 1e6:
		s = fmt.Sprintf("%.3g M", v/1e6)
	case v >= 1e4:
		s = fmt.Sprintf("%.0f k", v/1e3)
	case v >= 100:
		s = fmt.Sprintf("%.0f", v)
	default:
		s = strconv.FormatFloat(v, 'g', 3, 64)
	}
	if unit == "" {
		return s
	}
	return s + " " + unit
}
