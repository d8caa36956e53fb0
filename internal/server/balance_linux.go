package server

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Spreading connections over loops
//
// A loop that serves many sockets is cheaper per command than several that serve a few each: it finds more of them ready
// at every wake-up, and no other loop pulls the same keys' cache lines and locks to and fro. So connections begin on one
// loop. Once a second the server looks at how busy each loop in use was. If the busiest has little time left, it hands a
// share of its sockets to the one with the most. If all are busy and a processor of the machine stands idle, one more loop
// joins in, on trial: unless that moves clearly more bytes, the sockets go back, and the next attempt comes later. If the
// load would fit in one loop less, the last one's sockets go back to the others. Between the two lies room, so that a
// steady load does not make sockets wander.
//
// Measured on two processors, redis-benchmark on the same machine, 50 connections at pipeline 16, one loop against two:
// SET of a million keys 0.86 us of CPU per command against 1.11 and 1.14 M/s against 0.88 M/s; HSET of one key 0.62
// against 0.74 us and 1.55 M/s against 1.15 M/s: the second loop took its processor from the client.

const (
	busyMuch = 0.80 // share of its time from which a loop is to be relieved
	busyFits = 0.40 // mean share below which the load of n loops fits in n-1
	busyGap  = 0.25 // difference worth a move
	busyLong = 3    // looks in a row at which all loops must be busy for one more

	idleRoom = 0.50 // processors that must stand idle for one more loop

	trialLooks  = 2    // looks that a trial lasts: sockets move in the first
	trialGain   = 1.10 // times as many bytes make it a success
	trialPause  = 8    // looks until the next trial; twice as many after every failure in a row
	trialPauses = 256  // at most
)

// move says that a share of one loop's sockets is to go to another.
type move struct {
	from, to int
	share    float64
}

// view is what is seen of the last second.
type view struct {
	busy  []float64 // share of its time that each loop in use was busy
	total int       // loops there could be
	idle  float64   // processors of the machine that had nothing to do
	bytes float64   // moved, in and out
}

// balancer decides how many loops are used, and which sockets move.
type balancer struct {
	hot    int     // looks in a row at which all loops were busy
	trial  int     // looks left of a trial; 0 = none
	before float64 // bytes at the last look before it
	wait   int     // looks until another trial may begin
	pause  int     // what wait is set to when one fails
}

// look returns how many loops are to be used and, if share > 0, a move.
func (b *balancer) look(v view) (active int, m move) {
	n := len(v.busy)
	most, least, sum := 0, 0, 0.0
	for i, busy := range v.busy {
		sum += busy
		if busy > v.busy[most] {
			most = i
		}
		if busy < v.busy[least] {
			least = i
		}
	}
	b.wait = max(0, b.wait-1)
	if v.busy[least] >= busyMuch {
		b.hot++
	} else {
		b.hot = 0
	}
	if b.trial > 0 {
		if b.trial--; b.trial == 0 && n > 1 {
			if v.bytes < b.before*trialGain {
				b.pause = min(max(2*b.pause, trialPause), trialPauses)
				b.wait = b.pause
				return n - 1, retire(v.busy)
			}
			b.pause = 0
		}
		return n, move{}
	}
	switch gap := v.busy[most] - v.busy[least]; {
	case v.busy[most] >= busyMuch && gap >= busyGap:
		return n, move{most, least, gap / 2 / v.busy[most]}
	case b.hot >= busyLong && n < v.total && v.idle >= idleRoom && b.wait == 0:
		b.hot, b.trial, b.before = 0, trialLooks, v.bytes
		return n + 1, move{most, n, 0.5}
	case n > 1 && sum/float64(n-1) < busyFits:
		return n - 1, retire(v.busy)
	}
	return n, move{}
}

// retire gives the last loop's sockets to the least busy of the others.
func retire(busy []float64) move {
	last, least := len(busy)-1, 0
	for i, b := range busy[:last] {
		if b < busy[least] {
			least = i
		}
	}
	return move{last, least, 1}
}

// spreading is the watching goroutine's memory of the last look.
type spreading struct {
	balancer  balancer
	seenAt    time.Duration
	seenIdle  time.Duration
	seenMoved int64 // bytes
}

// balance is called once a second.
func (s *Server) balance(now time.Duration) {
	s.mu.Lock()
	loops := s.loops
	s.mu.Unlock()
	if len(loops) < 2 {
		return
	}
	v := view{busy: make([]float64, s.active.Load()), total: len(loops)}
	moved := int64(0)
	for i, l := range loops {
		moved += l.bytes.in.Load() + l.bytes.out.Load()
		share := l.share(now)
		if i < len(v.busy) {
			v.busy[i] = share
		} else if l.load.Load() > 0 { // what could not be moved at once
			l.shed(loops[0], 1)
		}
	}
	idle, known := idleTime()
	if passed := now - s.seenAt; passed > 0 {
		v.idle = float64(idle-s.seenIdle) / float64(passed)
		v.bytes = float64(moved-s.seenMoved) / passed.Seconds()
	}
	if !known {
		v.idle = 1 // a trial will tell
	}
	s.seenAt, s.seenIdle, s.seenMoved = now, idle, moved
	active, m := s.balancer.look(v)
	s.active.Store(int32(active))
	if m.share > 0 {
		loops[m.from].shed(loops[m.to], m.share)
		s.log.Debug("connections move between loops", "from", m.from, "to", m.to, "share", m.share, "loops", active)
	}
}

// idleTime is the time that the machine's processors had nothing to do since it started, all of them together.
func idleTime() (sum time.Duration, known bool) {
	const hertz = 100 // USER_HZ: the kernel's unit towards programs, on every architecture that Go runs on
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	var line [256]byte
	n, _ := f.Read(line[:])
	words := strings.Fields(string(line[:n])) // cpu user nice system idle iowait ...
	if len(words) < 5 || words[0] != "cpu" {
		return 0, false
	}
	ticks, err := strconv.ParseInt(words[4], 10, 64)
	return time.Duration(ticks) * time.Second / hertz, err == nil
}

// share is the part of the time since the last call that the loop was not parked. The watching goroutine alone calls it.
func (l *loop) share(now time.Duration) float64 {
	busy := time.Duration(l.busy.Load())
	if since := l.awake.Load(); since > 0 {
		busy += max(now-time.Duration(since), 0)
	}
	spent, passed := busy-l.seenBusy, now-l.seenAt
	l.seenBusy, l.seenAt = busy, now
	if passed <= 0 {
		return 0
	}
	return float64(spent) / float64(passed)
}

// shed asks the loop to give a share of its sockets to another. Any goroutine may call it.
func (l *loop) shed(to *loop, share float64) {
	l.mu.Lock()
	l.moveTo, l.moveShare = to, share
	l.mu.Unlock()
	l.interruptWait()
}

// give moves sockets to another loop, except those whose turn is still to come.
func (l *loop) give(to *loop, share float64) {
	l.settle(nil)
	n := int(float64(l.load.Load())*share + 0.5)
	for _, k := range l.sockets {
		if n == 0 {
			return
		}
		if k == nil || k.queued {
			continue
		}
		n--
		l.sockets[k.sys] = nil
		l.unregister(k.sys)
		l.load.Add(-1)
		to.adopt(k)
	}
}

// adopt hands a socket to the loop. Its owner, if it had one, does not touch it any more.
func (l *loop) adopt(k *socket) {
	l.load.Add(1)
	k.loop.Store(l)
	l.mu.Lock()
	l.joining = append(l.joining, k)
	l.mu.Unlock()
	l.interruptWait()
}
