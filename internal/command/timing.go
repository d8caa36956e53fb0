package command

import (
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/config"
)

// Commands are timed for INFO, for LATENCY and for the slow log without a look at
// the clock at each, which would cost a small GET a tenth of its time.
//
// A brief command does a bounded amount of work: what INFO calls fast, and reads and
// writes of O(1). Brief commands of one kind that follow each other in a pipeline are a
// run, and the clock is read at the ends of the run only: that it took less than the
// thresholds is true of each of its commands, and their times are the average. A run of one command (whoever
// does not pipeline has no others) is exact. Everything else is timed alone, which next to its own work costs nothing.
//
// What this misses is one slow brief command in the midst of a run. Its own work
// made it so only where its value is huge, else it waited for a lock, whose holder is in the
// log. So no command of a run that took too long is blamed, but the session
// is watched closely from then on: its next commands are timed alone, each of them, and what happens again is
// caught. And where slowlog-log-slower-than is so low that it means small commands, all sessions time all
// commands alone, from their next run on.
const (
	watchClosely = 4096                   // commands timed alone after a run that took too long
	finest       = 100 * time.Microsecond // a threshold below means commands of any kind
)

// timing is what one session has counted and not yet added to the shared counters.
type timing struct {
	last    *Command
	args    [][]byte // words of the first command of the run: as long as the batch is there
	calls   int64
	failed  int64
	since   time.Duration // monotonic time at which the run began, or the last command ended; 0: no batch is under way
	closely int           // commands still to be timed alone
	timed   bool          // the embedded store's calls are counted, not timed
	running bool          // last is brief, and more of its kind join the run
	fresh   bool          // since is now, near enough: a command ended then, and no other began
	tick    int64         // where untimed calls are added at least once between two ticks
}

// maxPending bounds what an untimed session keeps back, as no batch ever ends there.
const maxPending = 256

// isBrief tells whether a command's work is bounded, whatever it is given.
func (r *Command) isBrief() bool {
	return r.Flags&Blocking == 0 && (r.Flags&Fast != 0 || r.Cost == "O(1)" && r.Flags&(Write|ReadOnly) != 0)
}

// start notes that a command begins. began is when, if it is timed alone, else 0.
func (t *timing) start(c *Ctx, row *Command) (began time.Duration) {
	if row == t.last && t.running {
		return 0
	}
	return t.turn(c, row)
}

// turn ends a run, and begins another or the time of one command.
func (t *timing) turn(c *Ctx, row *Command) (began time.Duration) {
	if !t.timed {
		if row != t.last || t.calls >= maxPending {
			t.add(c, 0)
		}
		t.last = row
		return 0
	}
	now := t.since
	if !t.fresh || now == 0 {
		now = c.clock.Monotonic()
		t.add(c, now-t.since)
	}
	t.last, t.args, t.since, t.fresh = row, c.Args, now, false
	if row.brief && t.closely == 0 && !c.watch.finely.Load() {
		t.running = true
		return 0
	}
	t.closely = max(t.closely-1, 0)
	return now
}

// startWithin is start for a command that another one runs: what that one did meanwhile is not its time.
func (t *timing) startWithin(c *Ctx, row *Command) (began time.Duration) {
	t.fresh = false
	return t.start(c, row)
}

// end counts a command that ended. Those that it ran in between (EXEC, scripts) are counted already.
func (t *timing) end(c *Ctx, row *Command, args [][]byte, began time.Duration) {
	if c.late { // it waits, and is counted when it has its reply
		c.late, t.last, t.running, t.fresh = false, row, false, false
		return
	}
	if began == 0 {
		if row != t.last { // not timed, and it ran others
			t.turn(c, row)
		}
		t.calls++
		if c.failed {
			t.failed++
		}
		if tick := c.stats.ticks.Load(); !t.timed && tick != t.tick { // a session that nobody calls again keeps nothing back
			t.tick = tick
			t.add(c, 0)
		}
		return
	}
	now := c.clock.Monotonic()
	t.add(c, now-t.since) // a run within, if there is one
	var failed int64
	if c.failed {
		failed = 1
	}
	took := now - began
	c.account(row, args, failed, took)
	t.last, t.since, t.fresh, t.running = row, now, true, false
}

// account counts a command that was timed alone.
func (c *Ctx) account(row *Command, args [][]byte, failed int64, took time.Duration) {
	c.Session.commands.Add(1)
	c.stats.add(row, 1, failed, took, c.watch.tracking.Load())
	if took >= c.watch.least() {
		c.slow(row, args, took)
	}
}

// count counts a call that is no command of a batch.
func (t *timing) count(c *Ctx, row *Command) {
	t.start(c, row)
	t.calls++
}

// flush adds what was counted, as the batch is over, and returns the time; 0 where none was measured. The words of
// the batch's commands must still be there.
func (t *timing) flush(c *Ctx) (now time.Duration) {
	if t.since != 0 {
		now = t.since
		if !t.fresh {
			now = c.clock.Monotonic()
		}
	}
	t.add(c, now-t.since)
	t.since, t.args, t.fresh = 0, nil, false
	return now
}

// add moves the counts of a run that took so long to the shared counters.
func (t *timing) add(c *Ctx, took time.Duration) {
	t.running = false
	if t.calls == 0 {
		return
	}
	c.Session.commands.Add(t.calls)
	c.stats.add(t.last, t.calls, t.failed, took, c.watch.tracking.Load())
	if took >= c.watch.least() && t.timed {
		if t.calls == 1 {
			c.slow(t.last, t.args, took)
		} else {
			t.closely = watchClosely
		}
	}
	t.calls, t.failed = 0, 0
}

// add counts calls of a command that took so long in all.
func (s *stats) add(row *Command, calls, failed int64, took time.Duration, latency bool) {
	s.commands[row.index].record(calls, failed, took, latency)
	s.total.Add(calls)
}

// watchpoints are the settings that every command is held against, kept where a look at them costs one load each.
type watchpoints struct {
	shortest atomic.Int64 // nanoseconds: nothing shorter concerns the slow log or LATENCY
	finely   atomic.Bool  // the threshold is so low that each command is timed alone
	tracking atomic.Bool  // latency-tracking
}

// least is the time from which on a command is to be looked at.
func (w *watchpoints) least() time.Duration { return time.Duration(w.shortest.Load()) }

// set follows the configuration.
func (w *watchpoints) set(s *config.Settings) {
	const never = time.Duration(1<<63 - 1)
	least := never
	if s.SlowlogLogSlowerThan >= 0 && s.SlowlogMaxLen > 0 {
		least = saturated(s.SlowlogLogSlowerThan, time.Microsecond)
	}
	if s.LatencyMonitorThreshold > 0 {
		least = min(least, saturated(s.LatencyMonitorThreshold, time.Millisecond))
	}
	w.shortest.Store(int64(least))
	w.finely.Store(least < finest)
	w.tracking.Store(s.LatencyTracking)
}

// saturated is n units, or as many as there can be.
func saturated(n int64, unit time.Duration) time.Duration {
	return time.Duration(min(n, int64(1<<63-1)/int64(unit))) * unit
}

// slow notes a command that took long where it is asked for: in the slow log and among the latency events.
func (c *Ctx) slow(row *Command, args [][]byte, took time.Duration) {
	s := c.Config.Settings()
	event := "command"
	if row.Flags&Fast != 0 {
		event = "fast-command"
	}
	c.latency.note(c.clock.Now(), event, took, s.LatencyMonitorThreshold)
	if s.SlowlogLogSlowerThan >= 0 && took/time.Microsecond >= time.Duration(s.SlowlogLogSlowerThan) && row.Flags&SkipSlowlog == 0 {
		c.slowlog.push(c, row, args, took, s.SlowlogMaxLen)
	}
}
