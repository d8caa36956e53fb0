package command

import (
	"slices"
	"sync"
	"time"
)

// latencyEvents are the moments at which something held up clients for latency-monitor-threshold or longer: by the
// name of what did, the longest of each of the last seconds in which it happened.
type latencyEvents struct {
	mu     sync.Mutex
	series []*latencySeries // in order of name; as many as there are events in this program
}

type latencySeries struct {
	event   string
	longest int64           // milliseconds, ever
	samples []latencySample // in order of time
}

type latencySample struct{ unix, millis int64 }

// maxSamplesKept is how many seconds a series goes back, counting only those in which something happened.
const maxSamplesKept = 160

// note keeps a moment if it was as long as the threshold, in milliseconds; 0: none is kept.
func (l *latencyEvents) note(now time.Time, event string, took time.Duration, threshold int64) {
	if threshold == 0 || took.Milliseconds() < threshold {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i, found := l.find(event)
	if !found {
		l.series = slices.Insert(l.series, i, &latencySeries{event: event})
	}
	l.series[i].add(latencySample{now.Unix(), took.Milliseconds()})
}

// find looks a series up by its name.
func (l *latencyEvents) find(event string) (i int, found bool) {
	for i, s := range l.series {
		if s.event >= event {
			return i, s.event == event
		}
	}
	return len(l.series), false
}

func (s *latencySeries) add(e latencySample) {
	s.longest = max(s.longest, e.millis)
	if n := len(s.samples); n > 0 && s.samples[n-1].unix == e.unix {
		s.samples[n-1].millis = max(s.samples[n-1].millis, e.millis)
		return
	}
	if len(s.samples) == maxSamplesKept {
		s.samples = slices.Delete(s.samples, 0, 1)
	}
	s.samples = append(s.samples, e)
}

// get copies a series; its samples are empty where there is none.
func (l *latencyEvents) get(event string) (copied latencySeries) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, found := l.find(event); found {
		return l.series[i].clone()
	}
	return copied
}

func (s *latencySeries) clone() latencySeries {
	return latencySeries{s.event, s.longest, slices.Clone(s.samples)}
}

// all copies every series.
func (l *latencyEvents) all() (copied []latencySeries) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.series {
		copied = append(copied, s.clone())
	}
	return copied
}

// reset forgets the series that forget wants forgotten and tells how many there were.
func (l *latencyEvents) reset(forget func(event string) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.series)
	l.series = slices.DeleteFunc(l.series, func(s *latencySeries) bool { return forget(s.event) })
	return before - len(l.series)
}

func latencyRow() Command {
	const group = "server"
	sub := func(name string, arity int, flags Flag, since, cost, summary string, tips []string, run func(*Ctx)) Command {
		return Command{Name: name, Arity: arity, Flags: Loading | Stale | flags, Group: group, Since: since,
			Cost: cost, Summary: summary, Tips: tips, Run: run}
	}
	const watching = Admin | NoScript
	figures := []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}
	return Command{Name: "latency", Arity: -2, Group: group, Since: "2.8.13", Cost: "depends on the subcommand",
		Summary: "Looks at what held up clients.", Subs: []Command{
			sub("doctor", 2, watching, "2.8.13", "O(1)", "Explains the latency events in words.", figures, latencyDoctor),
			sub("graph", 3, watching, "2.8.13", "O(1)", "Draws the samples of an event.", figures, latencyGraph),
			sub("help", 2, 0, "2.8.13", "O(1)", "Explains the subcommands.", nil, latencyHelp),
			sub("histogram", -2, watching, "7.0.0", "O(N) where N is the number of commands that were called",
				"Gives the distribution of commands' times.", figures, latencyHistogram),
			sub("history", 3, watching, "2.8.13", "O(1)", "Lists the samples of an event.", figures, latencyHistory),
			sub("latest", 2, watching, "2.8.13", "O(1)", "Gives the latest sample of each event.", figures, latencyLatest),
			sub("reset", -2, watching, "2.8.13", "O(1)", "Forgets the samples of events.",
				[]string{"request_policy:all_nodes", "response_policy:agg_sum"}, latencyReset),
		}}
}

func latencyLatest(c *Ctx) {
	all := c.latency.all()
	c.Out.Array(len(all))
	for _, s := range all {
		last := s.samples[len(s.samples)-1]
		c.Out.Array(4)
		c.Out.BulkString(s.event)
		c.Out.Int(last.unix)
		c.Out.Int(last.millis)
		c.Out.Int(s.longest)
	}
}

func latencyHistory(c *Ctx) {
	s := c.latency.get(string(c.Args[2]))
	c.Out.Array(len(s.samples))
	for _, e := range s.samples {
		c.Out.Array(2)
		c.Out.Int(e.unix)
		c.Out.Int(e.millis)
	}
}

func latencyReset(c *Ctx) {
	if len(c.Args) == 2 {
		c.Out.Int(int64(c.latency.reset(func(string) bool { return true })))
		return
	}
	n := 0
	for _, word := range c.Args[2:] {
		n += c.latency.reset(func(event string) bool { return event == string(lower(nil, word)) })
	}
	c.Out.Int(int64(n))
}

func latencyHistogram(c *Ctx) {
	var rows []*Command
	add := func(r *Command) {
		if c.stats.commands[r.index].latency.Load() != nil {
			rows = append(rows, r)
		}
	}
	if len(c.Args) == 2 {
		c.Table.Visit(func(_ string, r *Command) { add(r) })
	}
	for _, name := range c.Args[2:] {
		if r := c.Table.named(name); r != nil {
			add(r)
			for i := range r.Subs {
				add(&r.Subs[i])
			}
		}
	}
	c.Out.Map(len(rows))
	for _, r := range rows {
		h := c.stats.commands[r.index].latency.Load()
		if h == nil { // CONFIG RESETSTAT came in between
			h = new(histogram)
		}
		c.Out.BulkString(r.full)
		c.replyHistogram(h)
	}
}

func (c *Ctx) replyHistogram(h *histogram) {
	steps, total := h.steps()
	c.Out.Map(2)
	c.Out.BulkString("calls")
	c.Out.Int(total)
	c.Out.BulkString("histogram_usec")
	c.Out.Map(len(steps))
	for _, s := range steps {
		c.Out.Int(s.micros)
		c.Out.Int(s.calls)
	}
}

func latencyHelp(c *Ctx) {
	c.help("LATENCY", "DOCTOR", "    What the events mean and what can be done.",
		"GRAPH <event>", "    The samples of an event, drawn.",
		"HISTORY <event>", "    The samples of an event: Unix time and milliseconds.",
		"LATEST", "    The latest sample of each event and its longest.",
		"RESET [<event> ...]", "    Forget the samples of some events, or of all.",
		"HISTOGRAM [<command> ...]", "    How many calls of some commands, or of all, took up to how many microseconds.")
}
