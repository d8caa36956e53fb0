package command

import (
	"context"
	"math"
	"time"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/store"
)

// Blocking
//
// A command that may block gives a function which tries it. Where that finds nothing, the session is left without a
// reply, its connection runs nothing more, and an engine.Waiter at the keys holds the function: who changes a key calls
// it. It runs on the goroutine of the writer then, with a Ctx and words of its own, while the session that it belongs
// to stands still. Whoever ends the wait first (a writer, the time, CLIENT UNBLOCK, the end of the connection) gives
// the reply: the engine's Cancel says who that is.

func waitRows() []Command {
	tips := []string{"request_policy:all_shards", "response_policy:agg_min"}
	return []Command{
		{Name: "wait", Arity: 3, Flags: Blocking, ACL: CatConnection, Group: "generic", Since: "3.0.0", Cost: "O(1)",
			Summary: "Waits until replicas have the writes so far.", Tips: tips, Run: wait},
		{Name: "waitaof", Arity: 4, Flags: Blocking, ACL: CatConnection, Group: "generic", Since: "7.2.0", Cost: "O(1)",
			Summary: "Waits until the writes so far are in the append-only files.", Tips: tips, Run: waitAOF},
	}
}

// blocking is a command that waits.
type blocking struct {
	waiter engine.Waiter
	waiting
	ctx   Ctx // its own, as a command of another session serves it
	timer clock.Timer
	late  resp.Writer   // the reply, for a connection
	done  chan struct{} // closed when the reply is there, for an embedded session
}

// waiting is what a command waits for.
type waiting struct {
	keys    [][]byte
	kind    engine.Kind
	gone    bool          // also when a key disappears or becomes something else
	timeout time.Duration // 0: for ever

	// try, of one with keys, runs the command with what is there, and reports whether it has replied. After a wait it must journal what
	// it did by Effect, under the name of the command that does not block.
	try func(c *Ctx) bool
	// nothing replies where the command may not block, and timedOut where it has blocked in vain; nil: a null array.
	nothing, timedOut func(out Sink)
}

func (w *waiting) reply(f func(Sink), out Sink) {
	if f == nil {
		out.NullArray()
		return
	}
	f(out)
}

// orWait tries a command and, where it has found nothing and may block, blocks. The words are copied.
func (c *Ctx) orWait(w waiting) {
	switch {
	case w.try(c):
	case !c.alone:
		w.reply(w.nothing, c.Out)
	default:
		c.block(w)
	}
}

func (c *Ctx) block(w waiting) {
	s := c.Session
	b := &blocking{waiting: w, ctx: Ctx{Processor: c.Processor, Session: s, Row: c.Row, Args: copyWords(c.Args)}}
	if s.client != nil {
		b.late.SetProto(s.proto)
		b.ctx.Out = &b.late
		s.client.Block()
	} else {
		b.done = make(chan struct{})
		b.ctx.Out = c.Out
		s.awaited = b
	}
	c.late = true
	c.blocked.Add(1)
	c.Tx.Wait(&b.waiter, engine.WaitFor{Keys: w.keys, Kind: w.kind, Gone: w.gone,
		Mask: keyMask(c.Row, c.Tx, c.Args), Serve: b.serve})
	if w.timeout > 0 {
		b.timer = c.clock.AfterFunc(w.timeout, func() { s.giveUp(b, "") })
	}
	s.mu.Lock()
	s.blocked = b
	s.mu.Unlock()
}

// copyWords copies the words of a command into memory of their own.
func copyWords(args [][]byte) [][]byte {
	total := 0
	for _, a := range args {
		total += len(a)
	}
	buf := make([]byte, 0, total)
	own := make([][]byte, len(args))
	for i, a := range args {
		start := len(buf)
		buf = append(buf, a...)
		own[i] = buf[start:len(buf):len(buf)]
	}
	return own
}

// serve tries the command in the transaction of another session.
func (b *blocking) serve(tx *engine.Tx) bool {
	c := &b.ctx
	c.Tx, c.failed = tx, false
	by := tx.By
	tx.By = nil
	if t := c.Session.track; t != nil {
		tx.By = &t.tracker
	}
	defer func() { tx.By = by }()
	tx.StartCommand()
	began := c.clock.Monotonic()
	if _, denied := c.Session.permit(c.Row, c.Args, acl.TopLevel); denied != "" { // it was allowed when it came
		c.stats.rejected(c.Row, "NOPERM "+denied)
		c.Out.Error("NOPERM " + denied)
		b.end()
		return true
	}
	if c.Row.Flags&DenyOOM != 0 && tx.Full() {
		c.Fail(engine.ErrShardFull)
	} else if !b.try(c) {
		return false
	}
	tx.FinishCommand(tx.DB(), c.Args)
	if c.Session.track != nil {
		c.remember()
	}
	c.Tx = nil
	b.account(c.clock.Monotonic() - began)
	b.end()
	return true
}

// account counts the command, which took so long besides waiting.
func (b *blocking) account(took time.Duration) {
	var failed int64
	if b.ctx.failed {
		failed = 1
	}
	b.ctx.account(b.ctx.Row, b.ctx.Args, failed, max(took, 1))
}

// end hands the reply to the session, which goes on.
func (b *blocking) end() {
	s := b.ctx.Session
	s.mu.Lock()
	s.blocked = nil
	timer := b.timer
	s.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	s.p.blocked.Add(-1)
	if s.client == nil {
		close(b.done)
		return
	}
	s.resume(b.late.Bytes())
}

// giveUp ends a wait in vain, with an error or else as when the time is up. false: it had ended already.
func (s *Session) giveUp(b *blocking, failure string) bool {
	if !s.p.Engine.Cancel(&b.waiter) {
		return false
	}
	if failure != "" {
		b.ctx.FailText(failure)
	} else {
		b.reply(b.timedOut, b.ctx.Out)
	}
	b.account(0)
	b.end()
	return true
}

// waits is the command that the session waits with, or nil.
func (s *Session) waits() *blocking {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocked
}

// Await waits, in a session without a connection, until the command that Exec ran has replied: at once, unless it
// blocks. When ctx or closed ends first there is no reply, and the error says why.
func (s *Session) Await(ctx context.Context, closed <-chan struct{}) error {
	b := s.awaited
	if b == nil {
		return nil
	}
	s.awaited = nil
	var err error
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		err = store.Unavailable(ctx.Err())
	case <-closed:
		err = store.ErrClosed
	}
	if !s.p.Engine.Cancel(&b.waiter) { // served at the last moment: what it took must not be lost
		<-b.done
		return nil
	}
	b.end()
	return err
}

// timeoutArg reads the timeout of a blocking command in seconds, with a fraction.
func (c *Ctx) timeoutArg(i int) (time.Duration, error) {
	f, ok := number.ParseFloat(c.Args[i])
	if !ok {
		return 0, engine.Error("ERR timeout is not a float or out of range")
	}
	if f *= 1000; f >= math.MaxInt64 {
		return 0, errTimeoutRange
	}
	return c.timeout(int64(math.Ceil(max(f, math.MinInt64))))
}

// millisArg reads the timeout of a blocking command in milliseconds.
func (c *Ctx) millisArg(i int) (time.Duration, error) {
	ms, ok := number.ParseInt(c.Args[i])
	if !ok {
		return 0, engine.Error("ERR timeout is not an integer or out of range")
	}
	return c.timeout(ms)
}

const (
	errTimeoutRange    engine.Error = "ERR timeout is out of range"
	errTimeoutNegative engine.Error = "ERR timeout is negative"
)

// timeout is a time in milliseconds, cut at what a Duration holds: 292 years.
func (c *Ctx) timeout(ms int64) (time.Duration, error) {
	switch {
	case ms < 0:
		return 0, errTimeoutNegative
	case ms > 0 && ms > math.MaxInt64-c.Tx.Now():
		return 0, errTimeoutRange
	}
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond, nil
}

// clientUnblock is CLIENT UNBLOCK id [TIMEOUT|ERROR].
func clientUnblock(c *Ctx) {
	failure := ""
	switch {
	case len(c.Args) > 4:
		c.FailText("ERR wrong number of arguments for 'client|unblock' command")
		return
	case len(c.Args) == 4 && c.Is(3, "ERROR"):
		failure = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	case len(c.Args) == 4 && !c.Is(3, "TIMEOUT"):
		c.FailText("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
		return
	}
	id, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	done := false
	if s := c.session(id); s != nil {
		if b := s.waits(); b != nil {
			done = s.giveUp(b, failure)
		}
	}
	c.Bool(done)
}

// waitAOF is WAITAOF without an append-only file and without replicas.
func waitAOF(c *Ctx) {
	n, timeout, err := c.waitAOFArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	none := func(out Sink) {
		out.Array(2)
		out.Int(0)
		out.Int(0)
	}
	if n == 0 || !c.alone {
		none(c.Out)
		return
	}
	c.block(waiting{timeout: timeout, timedOut: none})
}

func (c *Ctx) waitAOFArgs() (replicas int64, timeout time.Duration, err error) {
	local, err := c.IntArg(1)
	switch {
	case err != nil:
		return 0, 0, err
	case local < 0 || local > 1:
		return 0, 0, engine.Error("ERR value is out of range, value must between 0 and 1")
	}
	if replicas, err = c.IntArg(2); err != nil {
		return 0, 0, err
	}
	if replicas < 0 {
		return 0, 0, errNegative
	}
	if timeout, err = c.millisArg(3); err == nil && local == 1 {
		err = engine.Error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
	}
	return replicas, timeout, err
}
