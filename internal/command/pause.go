package command

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
)

// Pausing
//
// CLIENT PAUSE lets the commands of connections wait, all of them or those that may change something, until it is over:
// so that another server can take what this one has. A command that comes is put off before it has done anything, and
// comes again. What runs already, ends; a transaction is one command. Meanwhile no key vanishes by itself: expired ones
// look gone and stay, and nothing is evicted. Commands of the embedded store do not wait: whoever pauses is in the same
// program.

// What is paused, from less to more.
const (
	pausedNothing uint32 = iota
	pausedWrites
	pausedAll
)

type pause struct {
	what atomic.Uint32 // what every command looks at

	mu      sync.Mutex
	until   time.Duration // on the monotonic clock
	timer   clock.Timer
	waiting map[*Session]struct{}
}

// pauseClients pauses for a time. A pause that is under way keeps what is longer of it and what is more.
func (p *Processor) pauseClients(what uint32, d time.Duration) {
	g := &p.pause
	g.mu.Lock()
	defer g.mu.Unlock()
	now := p.clock.Monotonic()
	until := now + min(d, math.MaxInt64-now)
	if g.what.Load() == pausedNothing {
		if d == 0 {
			return
		}
		g.until = until
	}
	g.until = max(g.until, until)
	g.what.Store(max(g.what.Load(), what))
	p.Engine.SetPaused(true)
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = p.clock.AfterFunc(g.until-now, p.endPause)
}

// endPause ends the pause if its time has come.
func (p *Processor) endPause() {
	p.pause.mu.Lock()
	over := p.clock.Monotonic() >= p.pause.until
	p.pause.mu.Unlock()
	if over {
		p.unpause()
	}
}

// unpause ends the pause: the commands that wait come again.
func (p *Processor) unpause() {
	g := &p.pause
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	g.what.Store(pausedNothing)
	p.Engine.SetPaused(false)
	p.blocked.Add(-int64(len(g.waiting)))
	for s := range g.waiting {
		s.client.Resume(nil)
	}
	g.waiting = nil
}

// putOff lets the running command wait where it is paused, and tells whether it does.
func (s *Session) putOff(c *Ctx) bool {
	g := &s.p.pause
	if s.client == nil || s.monitors {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch what := g.what.Load(); { // again: it may just have ended
	case what == pausedNothing, what == pausedWrites && !s.mayChange(c):
		return false
	}
	if g.waiting == nil {
		g.waiting = make(map[*Session]struct{})
	}
	g.waiting[s] = struct{}{}
	s.p.blocked.Add(1)
	s.client.Postpone()
	return true
}

// mayChange tells whether a command, or the transaction that it runs, may change something.
func (s *Session) mayChange(c *Ctx) bool {
	flags := c.flags(c.Row, c.Args)
	if c.Row.Name == "exec" && s.multi != nil {
		flags = s.multi.flags
	}
	return flags&(Write|MayReplicate) != 0
}

// stopWaiting forgets a session that has ended.
func (g *pause) stopWaiting(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, waits := g.waiting[s]; waits {
		delete(g.waiting, s)
		s.p.blocked.Add(-1)
	}
}

// holds tells whether a command of the session is put off.
func (g *pause) holds(s *Session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, waits := g.waiting[s]
	return waits
}

func clientPause(c *Ctx) {
	what := pausedAll
	if len(c.Args) > 4 {
		c.wrongSub()
		return
	}
	if len(c.Args) == 4 {
		switch {
		case c.Is(3, "WRITE"):
			what = pausedWrites
		case !c.Is(3, "ALL"):
			c.FailText("ERR CLIENT PAUSE mode must be WRITE or ALL")
			return
		}
	}
	d, err := c.millisArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	c.pauseClients(what, d)
	c.OK()
}

func clientUnpause(c *Ctx) {
	c.unpause()
	c.OK()
}
