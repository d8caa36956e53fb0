package command

import (
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/script"
)

// luaHost runs the commands of a session's Lua scripts. It is used again for the next one.
type luaHost struct {
	s        *Session
	run      script.Run
	name     string
	flags    scriptFlags
	args     [][]byte // of the command that runs it
	eval     bool     // rather than a function
	readOnly bool
	wrote    atomic.Bool // a command that writes has run
	timer    clock.Timer // fires when the script is slow
	slow     *slowScript // nil: it is not, yet
}

// host returns the session's.
func (s *Session) host() *luaHost {
	if s.lua == nil {
		s.lua = &luaHost{s: s}
	}
	return s.lua
}

func (h *luaHost) begin(name string, flags scriptFlags, eval, readOnly bool) {
	h.run.Reset(h)
	h.name, h.flags, h.eval, h.args = name, flags, eval, h.s.ctx.Args
	h.readOnly = readOnly || flags&flagDeclared != 0 && flags&flagNoWrites != 0
	h.wrote.Store(false)
	after := slowAfter
	if limit := h.s.p.busyAfter(); limit > 0 {
		after = min(after, limit)
	}
	if h.timer == nil {
		h.timer = h.s.p.clock.AfterFunc(after, h.run.Signal)
	} else {
		h.timer.Reset(after)
	}
}

func (h *luaHost) end() {
	h.timer.Stop()
	h.args, h.s.tx.Mute = nil, false
	if h.slow != nil {
		h.slow.end()
		h.slow = nil
	}
}

// Call implements script.Host.
func (h *luaHost) Call(args [][]byte, out *script.Reply) string {
	s := h.s
	row, refusal := h.admit(args)
	if refusal != "" {
		text := refusal
		if text[0] == '-' {
			text = text[1:]
		} else {
			text = "ERR " + text
		}
		s.p.stats.rejected(row, text)
		return refusal
	}
	c := &s.ctx
	if c.Tx.Journaling() {
		args = append([][]byte(nil), args...) // the effects outlive the call
	}
	c.Row, c.Args, c.Out = row, args, out
	s.call(c)
	return ""
}

// admit decides whether the script may call a command. The answer is as script.Host.Call's.
func (h *luaHost) admit(args [][]byte) (row *Command, refusal string) {
	s, tx := h.s, h.s.tx
	row, wrong := s.p.resolve(args)
	switch {
	case row == nil || row.Subs != nil && wrong != "" && len(args) > 1:
		return row, "Unknown command called from script"
	case wrong != "":
		return row, "Wrong number of args calling command from script"
	case row.Flags&(NoScript|Immediate) != 0 && !s.p.scripts.anything.Load():
		return row, "This Redis command is not allowed from script"
	}
	if denied := s.permitCalled(row, args); denied != "" {
		return row, "-" + denied
	}
	standing := s.p.refusal(row.Flags, row.Flags&Stale != 0)
	switch {
	case standing == refusalStale:
		return row, "Can not execute the command on a stale replica"
	case h.readOnly && row.Flags&(Write|MayReplicate) != 0:
		return row, "Write commands are not allowed from read-only scripts."
	case standing != "" && !h.wrote.Load(): // what was begun goes on
		return row, "-" + standing
	case s.full && row.Flags&DenyOOM != 0 && h.flags&flagAllowOOM == 0 && !h.wrote.Load():
		return row, "-OOM command not allowed when used memory > 'maxmemory'."
	case row.lock(args) != LockKeys && !tx.Holds(^uint64(0)):
		return row, "-" + string(errScriptDenied)
	case row.plain && !tx.Holds(tx.Mask(args[1])), !row.plain && !tx.Holds(keyMask(row, tx, args)):
		return row, "-" + string(errScriptKey)
	}
	if row.Flags&Write != 0 && !h.wrote.Load() {
		h.wrote.Store(true)
	}
	return row, ""
}

// Check implements script.Host.
func (h *luaHost) Check(args [][]byte) (allowed, exists bool) {
	row, wrong := h.s.p.resolve(args)
	if row == nil || wrong != "" {
		return false, false
	}
	return h.s.MayRun(row, args), true
}

// Replicate implements script.Host. The journal is what both replicas and files are fed from.
func (h *luaHost) Replicate(journal, replicas bool) { h.s.tx.Mute = !journal && !replicas }

// Log implements script.Host.
func (h *luaHost) Log(level int, text string) { h.s.p.logScript(level, text) }

func (p *Processor) logScript(level int, text string) {
	if p.Info.Log != nil {
		p.Info.Log(level, text)
	}
}

// Breathe implements script.Host: the script is slow.
func (h *luaHost) Breathe() {
	if h.slow == nil {
		h.slow = h.s.p.scripts.slow.begin(h)
	}
	h.s.stepAside()
}

// busyAfter is how long a script may run before others are told that it is busy; 0: for ever.
func (p *Processor) busyAfter() time.Duration {
	return time.Duration(p.Config.Settings().BusyReplyThreshold) * time.Millisecond
}
