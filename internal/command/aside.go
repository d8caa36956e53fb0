package command

import (
	"sync/atomic"

	"github.com/larderdb/larder/internal/resp"
)

// aside is where a connection's command runs that may turn out to take long: in a coroutine, with words and a reply of
// its own. If it ends soon, its reply is copied, and that was all. If it does not, it yields (stepAside); then the
// connection is blocked, the event loop goes on with others, and the command with a goroutine of its own.
//
// While it is away the session is its, and nobody else uses it: the connection runs no command until the reply comes,
// and what a loop may still ask (EndBatch, Queued, Close) looks at state first.
type aside struct {
	late  resp.Writer
	co    *coroutine // nil: it runs in none, or has left the loop already
	state atomic.Int32
}

// States of an aside.
const (
	asideHere   = iota
	asideAway   // on a goroutine of its own
	asideClosed // so, and the connection is gone
)

// maxAsideReply is what a reply may have, as for any other.
const maxAsideReply = 1 << 30

// mayLinger tells whether the running command may take long, on a connection.
func (s *Session) mayLinger(c *Ctx) bool {
	switch {
	case c.Row.Flags&Scripted != 0:
		c.found = c.script(c.Row, c.Args)
		_, isLua := c.found.flags()
		return isLua && s.client != nil
	case c.Row.Flags&Immediate != 0 && s.multi != nil && s.client != nil && c.Row.Name == "exec":
		return s.multi.flags&Scripted != 0
	}
	return false
}

// runAside is run for a command that may take long.
func (s *Session) runAside(c *Ctx) {
	if s.aside == nil {
		s.aside = new(aside)
	}
	a, out := s.aside, c.Out
	a.late.Reset(scratchKeep)
	a.late.SetProto(s.proto)
	a.late.SetLimit(maxAsideReply)
	c.Args, c.Out = copyWords(c.Args), &a.late
	co := s.p.coroutines.take()
	a.co = co
	done := co.start(s, c)
	a.co = nil
	if done {
		s.p.coroutines.give(co)
		w, _ := out.(*resp.Writer)
		w.Raw(a.late.Bytes())
		s.checkReply()
		return
	}
	a.state.Store(asideAway)
	s.client.Block()
	go func() {
		for !co.resume() {
		}
		s.p.coroutines.give(co)
		s.comeBack()
	}()
}

// stepAside is called by the running command, between two steps of which the next may be long in coming.
func (s *Session) stepAside() {
	if a := s.aside; a != nil && a.co != nil {
		co := a.co
		a.co = nil
		co.stepAside()
	}
}

// comeBack gives the session back to its connection, with the reply.
func (s *Session) comeBack() {
	a := s.aside
	s.checkReply()
	s.flushBatch()
	reply := append([]byte(nil), a.late.Bytes()...)
	if !a.state.CompareAndSwap(asideAway, asideHere) {
		s.close() // the connection has gone meanwhile
		return
	}
	s.resume(reply)
}

// checkReply ends a connection that asked for too much in one reply.
func (s *Session) checkReply() {
	if s.aside.late.Overflown() {
		s.client.Close(false, "reply too long")
	}
}

// isAway tells whether the session is in use by a command that has left the loop.
func (s *Session) isAway() bool { return s.aside != nil && s.aside.state.Load() != asideHere }

// closeLater leaves the end of the session to the command that is away, if there is one, however often it is asked.
func (s *Session) closeLater() bool {
	a := s.aside
	return a != nil && (a.state.CompareAndSwap(asideAway, asideClosed) || a.state.Load() == asideClosed)
}
