package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// measured is one column of the demo's table.
type measured struct {
	rate     float64 // served requests a second
	p50, p99 time.Duration
	served   int64
	queries  int64
	hitRatio float64 // of cache and hash reads, 0 to 1; negative without a cache
	refused  int64
}

// writeTable puts the two runs side by side.
func writeTable(w io.Writer, without, with measured) error {
	rows := [][4]string{
		{"", "without", "with Larder", ""},
		{"requests/s", count(int64(without.rate)), count(int64(with.rate)), times(with.rate, without.rate, "more")},
		{"p50", millis(without.p50), millis(with.p50), times(float64(without.p50), float64(with.p50), "faster")},
		{"p99", millis(without.p99), millis(with.p99), times(float64(without.p99), float64(with.p99), "faster")},
		{"requests served", count(without.served), count(with.served), ""},
		{"database queries", count(without.queries), count(with.queries), ""},
		{"queries a request", perRequest(without), perRequest(with), times(queriesEach(without), queriesEach(with), "fewer")},
		{"hit ratio", ratio(without.hitRatio), ratio(with.hitRatio), ""},
		{"requests refused", count(without.refused), count(with.refused), ""},
	}
	var width [4]int
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	total := width[0] + width[1] + width[2] + width[3] + 3*3
	for i, row := range rows {
		line := pad(row[0], -width[0]) + "   " + pad(row[1], width[1]) + "   " + pad(row[2], width[2]) + "   " + pad(row[3], width[3])
		if _, err := fmt.Fprintln(w, "  "+strings.TrimRight(line, " ")); err != nil {
			return err
		}
		if i == 0 {
			if _, err := fmt.Fprintln(w, "  "+strings.Repeat("─", total)); err != nil {
				return err
			}
		}
	}
	return nil
}

// pad fills up on the left, or on the right if width is negative.
func pad(s string, width int) string {
	fill := strings.Repeat(" ", max(0, max(width, -width)-utf8.RuneCountInString(s)))
	if width < 0 {
		return s + fill
	}
	return fill + s
}

// count writes n with commas between thousands.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64) + " ms"
}

func ratio(r float64) string {
	if r < 0 {
		return "-"
	}
	return strconv.FormatFloat(100*r, 'f', 1, 64) + " %"
}

func queriesEach(m measured) float64 { return float64(m.queries) / float64(max(1, m.served)) }

func perRequest(m measured) string { return strconv.FormatFloat(queriesEach(m), 'f', 2, 64) }

// times says how many times a is of b, or the other way round if it came out worse.
func times(a, b float64, better string) string {
	opposite := map[string]string{"more": "fewer", "fewer": "more", "faster": "slower"}[better]
	switch {
	case a <= 0 || b <= 0:
		return ""
	case a < 1.05*b && b < 1.05*a:
		return "the same"
	case a >= b:
		return strconv.FormatFloat(a/b, 'f', 1, 64) + "x " + better
	}
	return strconv.FormatFloat(b/a, 'f', 1, 64) + "x " + opposite
}
