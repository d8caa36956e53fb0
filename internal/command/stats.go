package command

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stats counts commands. A session gathers its counts while one command
// follows another of its kind and adds them to the shared counters when another
// kind comes or the batch ends, so that the cores do not quarrel over them: see timing.
type stats struct {
	commands []commandStats // by Command.index
	total    atomic.Int64

	ticks, tickTime, longest atomic.Int64 // of the periodic work: how often, nanoseconds in all and at the most
	evicting                 atomic.Int64 // nanoseconds spent on making room
	mostInBatch              atomic.Int64 // commands that one read brought
	evictedClients           atomic.Int64
	fullSyncs                atomic.Int64                 // snapshots given to replicas
	replicated               atomic.Int64                 // bytes given to replicas, snapshots included
	loaded                   atomic.Int64                 // keys of the last snapshot that was read; RESETSTAT leaves it
	network                  atomic.Pointer[NetworkStats] // what it was at the last reset; nil: zero

	mu     sync.Mutex
	errors map[string]int64 // by code
	meters rates
}

type commandStats struct {
	calls, nanos, rejected, failed atomic.Int64
	latency                        atomic.Pointer[histogram] // nil until a call was timed
}

// record counts calls of one kind that took so long in all; 0 is not measured. latency tells that the histogram is
// wanted: each of them then counts as one that took its share.
func (c *commandStats) record(calls, failed int64, took time.Duration, latency bool) {
	c.calls.Add(calls)
	if failed != 0 {
		c.failed.Add(failed)
	}
	if took <= 0 {
		return
	}
	c.nanos.Add(int64(took))
	if !latency {
		return
	}
	h := c.latency.Load()
	for h == nil {
		c.latency.CompareAndSwap(nil, new(histogram))
		h = c.latency.Load()
	}
	h.add(took/time.Duration(calls), calls)
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

// maxErrorCodes bounds the table: a script could invent a code a call. Then those it invents count as one.
const (
	maxErrorCodes    = 128
	errorsOverflow   = "ERRORSTATS_OVERFLOW"
	longestErrorCode = 32 // bytes; an error without a code counts as ERR
)

func (s *stats) failure(text string) {
	code, _, found := strings.Cut(text, " ")
	if !found || len(code) >= longestErrorCode {
		code = "ERR"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.errors[code]; !known && len(s.errors) >= maxErrorCodes && !isOwnCode(code) {
		code = errorsOverflow
	}
	s.errors[code]++
}

// isOwnCode tells codes that commands answer from those that scripts invent.
func isOwnCode(code string) bool {
	switch code {
	case "ERR", "WRONGTYPE", "OOM", "NOAUTH", "WRONGPASS", "NOPERM", "NOPROTO", "EXECABORT", "NOSCRIPT", "BUSY", "NOTBUSY",
		"UNKILLABLE", "BUSYGROUP", "NOGROUP", "BUSYKEY", "UNBLOCKED", "NOREPLICAS", "READONLY", "MISCONF", "LOADING",
		"MASTERDOWN", "CROSSSLOT", "INPROG", "IOERR", "NOSUB", "NOADDR", "DENIED":
		return true
	}
	return false
}

// reset sets all counters to zero. Those of the network go on; what they are now is taken off from then on.
func (s *stats) reset(network NetworkStats) {
	for i := range s.commands {
		c := &s.commands[i]
		c.calls.Store(0)
		c.nanos.Store(0)
		c.rejected.Store(0)
		c.failed.Store(0)
		c.latency.Store(nil)
	}
	for _, n := range []*atomic.Int64{&s.total, &s.ticks, &s.tickTime, &s.longest, &s.evicting, &s.mostInBatch, &s.evictedClients, &s.fullSyncs, &s.replicated} {
		n.Store(0)
	}
	s.network.Store(&network)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.errors)
	s.meters = rates{}
}
