package command

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stats counts commands. A session gathers its counts while one command
// follows another of its kind and adds them to the shared counters when another
// kind comes or the batch ends, so that the cores do not quarrel over them.
type stats struct {
	commands []commandStats // by Command.index
	total    atomic.Int64

	mu     sync.Mutex
	errors map[string]int64 // by code
	meter  rateMeter
}

type commandStats struct {
	calls, nanos, rejected, failed atomic.Int64
}

func (s *stats) init(n int) {
	s.commands = make([]commandStats, n)
	s.errors = make(map[string]int64)
}

// rejected counts a command refused before it ran; row is nil for an unknown one.
func (s *stats) rejected(row *Command, text string) {
	if row != nil {
		s.commands[row.index].rejected.Add(1)
	}
	s.failure(text)
}

// maxErrorCodes bounds the table: a script could invent a code a call.
const maxErrorCodes = 128

func (s *stats) failure(text string) {
	code, _, _ := strings.Cut(text, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.errors[code]; ok || len(s.errors) < maxErrorCodes {
		s.errors[code]++
	}
}

func (s *stats) reset() {
	for i := range s.commands {
		c := &s.commands[i]
		c.calls.Store(0)
		c.nanos.Store(0)
		c.rejected.Store(0)
		c.failed.Store(0)
	}
	s.total.Store(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.errors)
}

// pendingStats is what one session has counted and not yet added. The clock is
// read when a batch begins, when another kind of command comes, and when the batch ends: the
// time of a run of equal commands needs no more.
type pendingStats struct {
	last   *Command
	calls  int64
	failed int64
	since  time.Duration // monotonic time at which the run began; 0: none is under way
	timed  bool          // the embedded store's calls are counted, not timed
}

// maxPending bounds what an untimed session keeps back, as no batch ever ends there.
const maxPending = 256

// start notes that a command begins.
func (p *pendingStats) start(proc *Processor, row *Command) {
	switch {
	case !p.timed:
		if row != p.last || p.calls >= maxPending {
			p.add(&proc.stats, 0)
		}
	case p.since == 0:
		p.since = proc.clock.Monotonic()
	case row != p.last:
		now := proc.clock.Monotonic()
		p.add(&proc.stats, now-p.since)
		p.since = now
	}
	p.last = row
}

// end counts a command that ended. Those that it ran in between (EXEC, scripts) are counted already.
func (p *pendingStats) end(proc *Processor, row *Command, failed bool) {
	if row != p.last {
		p.start(proc, row)
	}
	p.calls++
	if failed {
		p.failed++
	}
}

// count counts a call that is no command of a batch.
func (p *pendingStats) count(proc *Processor, row *Command) {
	p.start(proc, row)
	p.calls++
}

// flush adds what was counted, as the batch is over, and returns the time; 0 where none was measured.
func (p *pendingStats) flush(proc *Processor) (now time.Duration) {
	if p.since != 0 {
		now = proc.clock.Monotonic()
	}
	p.add(&proc.stats, now-p.since)
	p.since = 0
	return now
}

// add moves the counts of a run that took so long to the shared counters.
func (p *pendingStats) add(s *stats, took time.Duration) {
	if p.calls == 0 {
		return
	}
	c := &s.commands[p.last.index]
	c.calls.Add(p.calls)
	if took > 0 {
		c.nanos.Add(int64(took))
	}
	if p.failed != 0 {
		c.failed.Add(p.failed)
	}
	s.total.Add(p.calls)
	p.calls, p.failed = 0, 0
}
