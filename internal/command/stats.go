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

// pendingStats is what one session has counted and not yet added.
type pendingStats struct {
	last   *Command
	calls  int64
	failed int64
	nanos  time.Duration
	since  time.Duration // monotonic time at which the running command began; 0: not read
	timed  bool          // the embedded store's calls are counted, not timed
}

// maxPending bounds what an untimed session keeps back, as no batch ever ends there.
const maxPending = 256

// start notes when a command begins: when the one before it in the batch ended.
func (p *pendingStats) start(proc *Processor) {
	if p.timed && p.since == 0 {
		p.since = proc.clock.Monotonic()
	}
}

// add counts a command that ended now.
func (p *pendingStats) add(proc *Processor, row *Command, failed bool) {
	if row != p.last || !p.timed && p.calls >= maxPending {
		p.flushCounts(&proc.stats)
		p.last = row
	}
	p.calls++
	if failed {
		p.failed++
	}
	if p.timed {
		now := proc.clock.Monotonic()
		p.nanos += now - p.since
		p.since = now
	}
}

// flush adds the counts and forgets the time: the batch is over.
func (p *pendingStats) flush(s *stats) {
	p.flushCounts(s)
	p.since = 0
}

func (p *pendingStats) flushCounts(s *stats) {
	if p.calls == 0 {
		return
	}
	c := &s.commands[p.last.index]
	c.calls.Add(p.calls)
	c.nanos.Add(int64(p.nanos))
	if p.failed != 0 {
		c.failed.Add(p.failed)
	}
	s.total.Add(p.calls)
	p.calls, p.failed, p.nanos = 0, 0, 0
}
