package top

import "slices"

// Board is what is known of the servers: for each, and for all together, the last two readings and what came of them.
type Board struct {
	Names  []string // the sum first if there are several servers, then they
	tracks map[string]*track
}

// track follows one server, or the sum.
type track struct {
	prev, cur Sample
	over      Overview
	alerts    []Alert
	hist      *History
	err       error // of the last reading; nil if it came
	failed    int   // readings that failed in a row
}

func newBoard() *Board { return &Board{tracks: map[string]*track{}} }

// all names the sum of several servers.
const all = "all nodes"

// take takes in a reading of all servers.
func (b *Board) take(samples []Sample) {
	b.Names = b.Names[:0]
	if len(samples) > 1 {
		b.Names = append(b.Names, all)
		b.track(all).takeSum(samples)
	}
	for _, s := range samples {
		b.Names = append(b.Names, s.Name)
		b.track(s.Name).take(s)
	}
	for name := range b.tracks { // of nodes that left the cluster
		if !has(b.Names, name) {
			delete(b.tracks, name)
		}
	}
}

func has(list []string, s string) bool { return slices.Contains(list, s) }

func (b *Board) track(name string) *track {
	t := b.tracks[name]
	if t == nil {
		t = &track{hist: newHistory()}
		b.tracks[name] = t
	}
	return t
}

// at is the track of the i-th name; an empty one if there is none yet.
func (b *Board) at(i int) *track {
	if i >= len(b.Names) {
		return &track{hist: newHistory()}
	}
	return b.tracks[b.Names[i]]
}

// takeSum takes what several servers say together. Those that do not answer are alerts: it is the others' sum then.
func (t *track) takeSum(samples []Sample) {
	t.take(merge(samples))
	if t.err != nil {
		return
	}
	if t.prev.Nodes != t.cur.Nodes { // which is why counters began anew
		t.alerts = slices.DeleteFunc(t.alerts, func(a Alert) bool { return a.Text == anew })
	}
	var lost []Alert
	for _, s := range samples {
		if s.Err != nil {
			lost = append(lost, Alert{true, s.Name + " does not answer: " + s.Err.Error()})
		}
	}
	t.alerts = append(lost, t.alerts...)
}

func (t *track) take(s Sample) {
	t.err = s.Err
	if s.Err != nil {
		t.failed++
		t.hist.lost()
		return
	}
	t.failed = 0
	t.prev, t.cur = t.cur, s
	t.over = overviewOf(t.prev, t.cur)
	t.hist.push(t.over)
	t.alerts = alertsOf(t.over, s.Info, t.hist)
}

// ready reports that there is something to show.
func (t *track) ready() bool { return !t.cur.Info.Empty() }
