package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The picture of LATENCY GRAPH: a column for each sample, four rows high, each row in three steps, and below it,
// downwards, how long ago it was.
const (
	graphColumns = 80
	graphRows    = 4
	graphSteps   = "_o#" // of a column's last row; a row that is full and has another above is '|'
)

func latencyGraph(c *Ctx) {
	event := string(c.Args[2])
	s := c.latency.get(event)
	if len(s.samples) == 0 {
		c.FailText("ERR No samples available for event '" + event + "'")
		return
	}
	low, high := s.bounds()
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n%s\n",
		s.event, high, low, s.longest, strings.Repeat("-", graphColumns))
	now := c.clock.Now().Unix()
	for i, part := 0, s.samples; len(part) > 0; i++ {
		if i > 0 {
			b.WriteByte('\n')
		}
		n := min(len(part), graphColumns)
		drawGraph(&b, part[:n], low, high, now)
		part = part[n:]
	}
	c.Out.Verbatim("txt", b.String())
}

// bounds are the shortest and the longest of the samples.
func (s *latencySeries) bounds() (low, high int64) {
	byTime := func(a, b latencySample) int { return int(a.millis - b.millis) }
	return slices.MinFunc(s.samples, byTime).millis, slices.MaxFunc(s.samples, byTime).millis
}

// drawGraph draws samples side by side, their heights between low and high.
func drawGraph(b *strings.Builder, samples []latencySample, low, high, now int64) {
	const most = graphRows * len(graphSteps)
	heights, labels := make([]int, len(samples)), make([]string, len(samples))
	longest := 0
	for i, e := range samples {
		heights[i] = min(int((e.millis-low)*int64(most)/max(high-low, 1)), most-1)
		labels[i] = shortAge(now - e.unix)
		longest = max(longest, len(labels[i]))
	}
	line := func(at func(i int) byte) {
		for i := range samples {
			b.WriteByte(at(i))
		}
		b.WriteByte('\n')
	}
	for row := graphRows - 1; row >= 0; row-- {
		line(func(i int) byte { return barAt(heights[i] - row*len(graphSteps)) })
	}
	line(func(int) byte { return ' ' })
	for at := range longest {
		line(func(i int) byte {
			if at < len(labels[i]) {
				return labels[i][at]
			}
			return ' '
		})
	}
}

// barAt is what a row shows of a column that reaches so many steps into it.
func barAt(steps int) byte {
	switch {
	case steps < 0:
		return ' '
	case steps < len(graphSteps):
		return graphSteps[steps]
	}
	return '|'
}

// shortAge writes seconds in the largest unit of which there is one.
func shortAge(seconds int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{86400, "d"}, {3600, "h"}, {60, "m"}} {
		if seconds >= unit.size {
			return strconv.FormatInt(seconds/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(max(seconds, 0), 10) + "s"
}

// advice is what can be done about an event.
func (c *Ctx) advice(event string) []string {
	s := c.Config.Settings()
	threshold := s.LatencyMonitorThreshold
	large := "Few large values cost more at once than many small ones: read and delete them in parts (SCAN family, ranges, UNLINK)."
	switch event {
	case "command":
		advice := []string{"Look at SLOWLOG GET for the commands that took long.", large}
		switch {
		case s.SlowlogLogSlowerThan < 0 || s.SlowlogMaxLen == 0:
			advice[0] = fmt.Sprintf("Turn the slow log on, to see which commands took long: CONFIG SET slowlog-log-slower-than %d.", threshold*1000)
		case s.SlowlogLogSlowerThan/1000 > threshold:
			advice[0] = fmt.Sprintf("Let the slow log show what is shown here: CONFIG SET slowlog-log-slower-than %d.", threshold*1000)
		}
		return advice
	case "fast-command":
		return []string{"Commands that do little were held up: by long commands on the same shards, which SLOWLOG GET names, " +
			"or by a machine that had no processor to spare. Look at its load, at the limits of its container and at its swapping."}
	case "expire-cycle":
		return []string{"Many keys came to their time at once: add some randomness to times to live, or raise hz for shorter rounds.", large}
	case "eviction-cycle":
		return []string{"Memory had to be made for a large write or for a lowered maxmemory: write in smaller parts, lower it in steps."}
	}
	return nil
}

func latencyDoctor(c *Ctx) {
	all := c.latency.all()
	var b strings.Builder
	switch {
	case len(all) == 0 && c.Config.Settings().LatencyMonitorThreshold == 0:
		b.WriteString("Latency is not being watched. CONFIG SET latency-monitor-threshold <milliseconds> begins to.\n")
	case len(all) == 0:
		b.WriteString("Nothing has held up clients for as long as latency-monitor-threshold.\n")
	default:
		b.WriteString("Clients were held up.\n\n")
	}
	var advice []string
	now := c.clock.Now().Unix()
	for i := range all {
		b.WriteString(all[i].describe(i+1, now))
		for _, a := range c.advice(all[i].event) {
			if !slices.Contains(advice, a) {
				advice = append(advice, a)
			}
		}
	}
	if len(advice) > 0 {
		b.WriteString("\nWhat can be done:\n\n")
	}
	for _, a := range advice {
		b.WriteString("- " + a + "\n")
	}
	c.Out.Verbatim("txt", b.String())
}

// describe sums a series up in a line.
func (s *latencySeries) describe(number int, now int64) string {
	n := int64(len(s.samples))
	var sum, spread int64
	for _, e := range s.samples {
		sum += e.millis
	}
	mean := sum / n
	for _, e := range s.samples {
		spread += max(e.millis-mean, mean-e.millis)
	}
	period := max(now-s.samples[0].unix, 1)
	return fmt.Sprintf("%d. %s: %d times (%d ms on average, mean deviation %d ms, one in %.2f seconds). The longest ever took %d ms.\n",
		number, s.event, n, mean, spread/n, float64(period)/float64(n), s.longest)
}
