package info

import "time"

// Change is what happened between two answers of INFO from the same address.
type Change struct {
	// Reset says that counters began anew in between: the server restarted, another server answers at its address, or
	// CONFIG RESETSTAT ran. No counter has a rate over a Reset.
	Reset   bool
	Elapsed time.Duration

	before, after Info
}

// Between compares two answers. Whoever asked says how long they were apart: a client's clock is monotonic, the server's
// is not. An empty before or after gives a Change without any rate.
func Between(before, after Info, elapsed time.Duration) Change {
	return Change{Reset: reset(before, after), Elapsed: elapsed, before: before, after: after}
}

// ever are counters that only grow on every server, and always do between two INFOs, however quiet it is. A single one that
// shrank says that all began anew, also those that have already grown past where they had been.
func ever() []string {
	return []string{"total_connections_received", "total_commands_processed", "total_net_input_bytes", "total_net_output_bytes", "uptime_in_seconds"}
}

func reset(before, after Info) bool {
	was, ok1 := before.Text("run_id")
	is, ok2 := after.Text("run_id")
	if ok1 && ok2 && was != is {
		return true
	}
	for _, field := range ever() {
		was, ok1 := before.Int(field)
		is, ok2 := after.Int(field)
		if ok1 && ok2 && is < was {
			return true
		}
	}
	return false
}

// Grown is by how much a counter grew; ok is false if either answer lacks it, after a Reset, and if it shrank.
func (c Change) Grown(field string) (by float64, ok bool) {
	was, ok1 := c.before.Float(field)
	is, ok2 := c.after.Float(field)
	if !ok1 || !ok2 || c.Reset || is < was {
		return 0, false
	}
	return is - was, true
}

// Rate is Grown per second. ok is false also when no time passed.
func (c Change) Rate(field string) (perSecond float64, ok bool) { return c.rate(c.Grown(field)) }

// GrownPart is Grown of a part of a field: calls of cmdstat_get. A field that is new counts from zero if the server showed
// others of the same section before: commands get their line in commandstats with their first call.
func (c Change) GrownPart(section, field, part string) (by float64, ok bool) {
	is, ok := c.after.Parts(field).Float(part)
	if !ok || c.Reset || !c.before.Has(section) {
		return 0, false
	}
	was, _ := c.before.Parts(field).Float(part)
	return is - was, is >= was
}

// RatePart is GrownPart per second.
func (c Change) RatePart(section, field, part string) (perSecond float64, ok bool) {
	return c.rate(c.GrownPart(section, field, part))
}

func (c Change) rate(by float64, ok bool) (float64, bool) {
	if !ok || c.Elapsed <= 0 {
		return 0, false
	}
	return by / c.Elapsed.Seconds(), true
}

// Share is a's part of a + b as both grew, hits of hits and misses say; ok is false if neither grew.
func (c Change) Share(a, b string) (share float64, ok bool) {
	x, ok1 := c.Grown(a)
	y, ok2 := c.Grown(b)
	if !ok1 || !ok2 || x+y <= 0 {
		return 0, false
	}
	return x / (x + y), true
}
