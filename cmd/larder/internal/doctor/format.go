package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// number writes 1234567 as 1,234,567.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// size writes bytes in the unit that suits them.
func size(n int64) string {
	for _, unit := range []struct {
		shift int
		name  string
	}{{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<unit.shift {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(int64(1)<<unit.shift), unit.name)
		}
	}
	return number(n) + " bytes"
}

// percent writes a share.
func percent(share float64) string {
	switch p := 100 * share; {
	case p != 0 && p < 1, p < 100 && p > 99:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// span writes a duration with two units at the most.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return strings.TrimSuffix(fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour), " 0 h")
	case d >= time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute), " 0 min")
	case d >= time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second), " 0 s")
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d us", d/time.Microsecond)
}

// usec is microseconds as INFO writes them.
func usec(n float64) time.Duration { return time.Duration(n * float64(time.Microsecond)) }

// quoteMost is how much of a name is shown.
const quoteMost = 96

// quote shows a name that may hold anything: control characters and invalid UTF-8 are escaped, long names cut. Without
// anything to escape, quotation marks are for what the shell would not take as one word.
func quote(name string) string {
	cut := ""
	if len(name) > quoteMost {
		name, cut = name[:quoteMost], "..."
	}
	return strconv.QuoteToASCII(name) + cut
}

// clean makes a text of the server's fit for a terminal: nothing in it can move the cursor or change colours.
func clean(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
