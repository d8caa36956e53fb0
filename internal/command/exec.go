package command

import (
	"strings"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// Exec runs one command of the session and replies to out exactly once. args
// are borrowed until it returns. No input makes it panic.
func (s *Session) Exec(args [][]byte, out Sink) {
	if len(args) == 0 {
		return
	}
	if s.hushed || s.replies != speaks {
		s.execHushed(args, out)
		return
	}
	s.exec(args, out)
}

func (s *Session) exec(args [][]byte, out Sink) {
	c := &s.ctx
	c.Args, c.Out, c.failed, c.alone = args, out, false, true
	row, refusal := s.p.resolve(args)
	c.Row = row
	if refusal == "" {
		refusal = s.admit(row)
	}
	if refusal == "" && s.p.pause.what.Load() != pausedNothing && s.putOff(c) {
		return
	}
	if s.track != nil {
		s.track.beginCommand(row)
	}
	switch {
	case refusal != "":
		s.reject(row, refusal, out)
	case s.multi != nil && row.Flags&Immediate == 0:
		s.multi.add(row, c.flags(row, args), args)
		out.Simple("QUEUED")
	case s.mayLinger(c):
		s.runAside(c)
	default:
		s.run(c)
	}
}

// resolve finds the row of a command and checks the number of its words.
func (p *Processor) resolve(args [][]byte) (*Command, string) {
	row := p.Table.Find(args[0])
	if row == nil {
		return nil, unknownCommand(args)
	}
	if row.Subs != nil && len(args) > 1 {
		sub := row.sub(args[1])
		if sub == nil {
			return row, "ERR unknown subcommand '" + clip(string(args[1]), 128) + "'. Try " + strings.ToUpper(row.Name) + " HELP."
		}
		row = sub
	}
	if row.Arity >= 0 && len(args) != row.Arity || len(args) < -row.Arity {
		return row, "ERR wrong number of arguments for '" + row.full + "' command"
	}
	return row, ""
}

func unknownCommand(args [][]byte) string {
	var b strings.Builder
	b.WriteString("ERR unknown command '" + clip(string(args[0]), 128) + "', with args beginning with: ")
	shown := 0
	for _, a := range args[1:] {
		if shown >= 128 {
			break
		}
		word := clip(string(a), 128-shown)
		b.WriteString("'" + word + "' ")
		shown += len(word) + 3
	}
	return b.String()
}

// clip cuts a word of a client for an error: at n bytes, and at a NUL, where C strings end.
func clip(s string, n int) string {
	s, _, _ = strings.Cut(s, "\x00")
	if len(s) > n {
		return s[:n]
	}
	return s
}

// admit decides whether a command may run now; it answers the refusal, or nothing.
func (s *Session) admit(row *Command) string {
	if !s.authed && row.Flags&NoAuth == 0 && !s.Authenticated() {
		return "NOAUTH Authentication required."
	}
	if s.multi != nil && row.Flags&NoMulti != 0 {
		return "ERR Command not allowed inside a transaction"
	}
	if !s.unbound() {
		if denied := s.permitNow(row); denied != "" {
			return denied
		}
	}
	s.makeRoom()
	if s.track != nil {
		s.prepareTracking()
	}
	if s.full && s.grows(row) {
		return string(engine.ErrOutOfMemory)
	}
	if text := s.forbidden(row); text != "" {
		return text
	}
	if s.proto == 2 && s.subs.any() && row.Flags&InSubscribe == 0 {
		return "ERR Can't execute '" + row.full +
			"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
	}
	if s.monitors && row.Flags&(ReadOnly|Write|MayReplicate) != 0 {
		return "ERR Replica can't interact with the keyspace"
	}
	if row.Flags&AllowBusy == 0 && s.p.scripts.slow.busy.Load() != nil {
		return s.p.scripts.slow.refusal()
	}
	return ""
}

// makeRoom evicts what maxmemory wants to go, and notes where that was not enough.
func (s *Session) makeRoom() {
	e := s.p.Engine
	if s.full = false; e.Limits().MaxMemory == 0 || s.p.scripts.slow.busy.Load() != nil || !e.OverLimit() {
		return
	}
	began := s.p.clock.Monotonic()
	s.full = !e.MakeRoom()
	if s.full && e.Limits().Policy != config.NoEviction && s.p.scripts.slow.oldest() != nil {
		s.tx.Begin(s.db) // what may go is perhaps where that script is: wait as long as for any key
		if s.tx.LockAll() {
			s.tx.End()
			s.full = !e.MakeRoom()
		}
	}
	took := s.p.clock.Monotonic() - began
	s.p.stats.evicting.Add(int64(took))
	s.p.latency.note(s.p.clock.Now(), "eviction-cycle", took, s.p.Config.Settings().LatencyMonitorThreshold)
}

// grows tells whether a command, or the transaction that it runs, may need more memory.
func (s *Session) grows(row *Command) bool {
	if row.Name == "exec" && s.multi != nil {
		return s.multi.flags&DenyOOM != 0
	}
	if row.Flags&Scripted != 0 {
		return s.ctx.script(row, s.ctx.Args).commandFlags(row.Flags)&DenyOOM != 0
	}
	return row.Flags&DenyOOM != 0
}

// reject replies a refusal; inside MULTI it also spoils the transaction, and of EXEC ends it.
func (s *Session) reject(row *Command, text string, out Sink) {
	switch {
	case row != nil && row.Name == "exec":
		s.discard()
		s.tellMonitors(&s.ctx)
		text = "EXECABORT Transaction discarded because of: " + strings.TrimPrefix(text, "ERR ")
	case s.multi != nil:
		s.multi.spoilt = true
	}
	s.p.stats.rejected(row, text)
	out.Error(text)
}

// run locks what a command needs, runs it, and commits.
func (s *Session) run(c *Ctx) {
	row, tx := c.Row, c.Tx
	began, args := s.pending.start(c, row), c.Args
	tx.Begin(s.db)
	s.heedNoTouch(c)
	tx.Reading = row.Flags&ReadOnly != 0
	locked := true
	switch {
	case row.plain:
		locked = tx.LockKey(c.Args[1])
	case row.lock(c.Args) == LockAll, row.Flags&Scripted != 0 && c.found.locksAll():
		locked = tx.LockAll()
	case len(row.Keys) != 0:
		locked = tx.LockMask(keyMask(row, tx, c.Args))
	}
	if locked && row.Flags&(Write|Scripted) != 0 {
		locked = tx.Widen()
	}
	if !locked {
		s.reject(row, s.p.scripts.slow.refusal(), c.Out)
		return
	}
	mark := 0
	w, _ := c.Out.(*resp.Writer)
	if w != nil {
		mark = w.Len()
	}
	tx.StartCommand()
	s.announce(c)
	c.invoke(row)
	if tx.Refused() { // it met a script that takes long, half-way through the keyspace
		if w != nil {
			w.Truncate(mark)
		} else if v, ok := c.Out.(*Value); ok {
			v.Reset(v.proto)
		}
		s.reject(row, s.p.scripts.slow.refusal(), c.Out)
	}
	tx.FinishCommand(tx.DB(), c.Args)
	if s.track != nil {
		c.remember()
	}
	s.observe(c)
	tx.End()
	s.pending.end(c, row, args, began)
}

// heedNoTouch lets the command leave access times alone, if the client wants that and it is not TOUCH.
func (s *Session) heedNoTouch(c *Ctx) { c.Tx.NoTouch = s.noTouch.Load() && c.Row.Name != "touch" }

// invoke runs a command whose shards are locked, unless one of them is full.
func (c *Ctx) invoke(row *Command) {
	if row.Flags&DenyOOM != 0 && c.shardFull(row) {
		c.Fail(engine.ErrShardFull)
		return
	}
	row.Run(c)
}

// shardFull tells whether a shard is full that the command may write to: within a script or a transaction, one of many
// that are held.
func (c *Ctx) shardFull(row *Command) bool {
	if row.plain && !c.alone {
		return c.Tx.FullAmong(c.Tx.Mask(c.Args[1]))
	}
	return c.Tx.Full()
}

// keyMask is the set of shards with a command's keys.
func keyMask(row *Command, tx *engine.Tx, args [][]byte) (mask uint64) {
	row.eachKey(args, func(i int, f KeyFlag) {
		if f&NotKey == 0 {
			mask |= tx.Mask(args[i])
		}
	})
	return mask
}

// call runs a command inside a transaction or script whose shards are locked.
func (s *Session) call(c *Ctx) {
	began := s.pending.startWithin(c, c.Row)
	c.failed, c.alone = false, false
	s.heedNoTouch(c)
	c.Tx.Reading = c.Row.Flags&ReadOnly != 0
	c.Tx.Step()
	c.Tx.StartCommand()
	s.announce(c)
	c.invoke(c.Row)
	c.Tx.FinishCommand(c.Tx.DB(), c.Args)
	if s.track != nil {
		c.remember()
	}
	s.observe(c)
	s.pending.end(c, c.Row, c.Args, began)
}
