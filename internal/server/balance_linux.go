package server

import "time"

// Spreading connections over loops
//
// A loop that serves many sockets is cheaper per command than several that serve a few each: it finds more of them ready
// at every wake-up. So connections begin on one loop, and others join in when it runs out of time. Once a second the server
// looks at how busy each loop in use was. If the busiest has little time left, it hands a share of its sockets to the one
// with the most, or to one more loop; if the load would fit in one loop less, the last one's sockets go back to the others.
// Between the two lies room, so that a steady load does not make sockets wander. With GETs of 32 B at pipeline 1 over 50
// connections one loop costs 6.5 us of CPU per command and two cost 7.0.

const (
	busyMuch = 0.80 // share of its time from which a loop is to be relieved
	busyFits = 0.40 // mean share below which the load of n loops fits in n-1
	busyGap  = 0.25 // difference worth a move
)

// move says that a share of one loop's sockets is to go to another.
type move struct {
	from, to int
	share    float64
}

// rebalance decides from the shares of time that the loops in use were busy. total is how many there could be. It returns
// how many are to be used and, if share > 0, a move.
func rebalance(busy []float64, total int) (active int, m move) {
	n := len(busy)
	most, least, sum := 0, 0, 0.0
	for i, b := range busy {
		sum += b
		if b > busy[most] {
			most = i
		}
		if b < busy[least] {
			least = i
		}
	}
	switch gap := busy[most] - busy[least]; {
	case busy[most] >= busyMuch && gap >= busyGap:
		return n, move{most, least, gap / 2 / busy[most]}
	case busy[most] >= busyMuch && n < total:
		return n + 1, move{most, n, 0.5}
	case n > 1 && sum/float64(n-1) < busyFits:
		least = 0
		for i, b := range busy[:n-1] {
			if b < busy[least] {
				least = i
			}
		}
		return n - 1, move{n - 1, least, 1}
	}
	return n, move{}
}

// balance is called once a second.
func (s *Server) balance(now time.Duration) {
	s.mu.Lock()
	loops := s.loops
	s.mu.Unlock()
	if len(loops) < 2 {
		return
	}
	n := int(s.active.Load())
	busy := make([]float64, n)
	for i, l := range loops {
		share := l.share(now)
		if i < n {
			busy[i] = share
		} else if l.load.Load() > 0 { // what could not be moved at once
			l.shed(loops[0], 1)
		}
	}
	active, m := rebalance(busy, len(loops))
	s.active.Store(int32(active))
	if m.share > 0 {
		loops[m.from].shed(loops[m.to], m.share)
		s.log.Debug("connections move between loops", "from", m.from, "to", m.to, "share", m.share, "loops", active)
	}
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
