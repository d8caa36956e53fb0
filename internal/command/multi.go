package command

import (
	"github.com/larderdb/larder/internal/engine"
)

// multi is a transaction between MULTI and EXEC.
type multi struct {
	queue  []queued
	flags  Flag // of all queued commands together
	fresh  bool // one of them does not run on a replica without its primary
	spoilt bool // a command was refused: EXEC aborts
	held   int  // bytes: see Queued
}

type queued struct {
	row  *Command
	args [][]byte // own copies
}

// What a queued command takes besides its bytes.
const (
	wordSize   = 24 // a slice
	queuedSize = 64 // a queued and the cells around it
)

// Queued is the memory of the commands that wait for EXEC, in bytes.
func (s *Session) Queued() int {
	if s.isAway() || s.multi == nil {
		return 0
	}
	return s.multi.held
}

// add queues a command of these flags, copying its words.
func (m *multi) add(row *Command, flags Flag, args [][]byte) {
	for _, a := range args {
		m.held += len(a)
	}
	m.held += len(args)*wordSize + queuedSize
	m.flags |= flags
	m.fresh = m.fresh || row.Flags&Stale == 0
	m.queue = append(m.queue, queued{row, copyWords(args)})
}

func transactionRows() []Command {
	return []Command{
		{Name: "multi", Arity: 1, Flags: NoScript | Loading | Stale | Fast | NoMulti | AllowBusy | Immediate, ACL: CatTransaction,
			Group: "transactions", Since: "1.2.0", Cost: "O(1)", Summary: "Begins to queue commands for one atomic run.", Run: beginMulti},
		{Name: "exec", Arity: 1, Flags: NoScript | Loading | Stale | SkipSlowlog | Immediate, ACL: CatTransaction,
			Group: "transactions", Since: "1.2.0", Cost: "that of the queued commands", Summary: "Runs the queued commands, nothing else in between.", Run: exec},
		{Name: "discard", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy | Immediate, ACL: CatTransaction,
			Group: "transactions", Since: "2.0.0", Cost: "O(N) where N is the number of queued commands", Summary: "Drops the queued commands.", Run: discard},
		{Name: "watch", Arity: -2, Flags: NoScript | Loading | Stale | Fast | NoMulti | AllowBusy | Immediate, ACL: CatTransaction,
			Keys: KeysToEnd(RO, 1), Group: "transactions", Since: "2.2.0", Cost: "O(1) for each key",
			Summary: "Makes the next EXEC depend on keys staying as they are.", Run: watch},
		{Name: "unwatch", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, ACL: CatTransaction,
			Group: "transactions", Since: "2.2.0", Cost: "O(1)", Summary: "Forgets the watched keys.", Run: unwatch},
	}
}

func beginMulti(c *Ctx) {
	c.Session.multi = &multi{}
	c.OK()
}

func discard(c *Ctx) {
	if c.Session.multi == nil {
		c.FailText("ERR DISCARD without MULTI")
		return
	}
	c.Session.discard()
	c.OK()
}

// discard leaves the transaction and forgets the watches.
func (s *Session) discard() {
	s.multi = nil
	s.unwatch()
}

// unwatch forgets the watches.
func (s *Session) unwatch() {
	if s.watch.Len() != 0 && !s.p.Engine.Unwatch(s.watch) {
		s.watch = new(engine.Watch) // the old one is still on its way out
	}
}

func watch(c *Ctx) {
	for _, key := range c.Args[1:] {
		c.Tx.Watch(c.Session.watch, key)
	}
	c.OK()
}

func unwatch(c *Ctx) {
	if !c.Tx.Locked() { // those of EXEC, which runs this, it forgets itself
		c.Session.unwatch()
	}
	c.OK()
}

// exec runs a transaction: the shards of all its keys and of the watched keys
// are locked together, in ascending order, from the check of the watches to the commit.
func exec(c *Ctx) {
	s := c.Session
	m := s.multi
	if m == nil {
		c.FailText("ERR EXEC without MULTI")
		return
	}
	if m.spoilt {
		s.discard()
		c.FailText("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	s.multi = nil
	tx := c.Tx
	if !tx.LockMask(m.mask(c)|tx.WatchMask(s.watch)) || !tx.Widen() {
		s.unwatch()
		c.FailText("EXECABORT Transaction discarded because of: " + c.scripts.slow.refusal())
		return
	}
	broken := tx.Broken(s.watch)
	if !broken {
		s.runQueue(c, m)
	}
	tx.End()
	tx.Begin(s.db)
	s.unwatch()
	if broken {
		c.Out.NullArray()
	}
}

// mask is the set of shards that the queued commands may touch.
func (m *multi) mask(c *Ctx) (mask uint64) {
	for i := range m.queue {
		q := &m.queue[i]
		if q.row.lock(q.args) != LockKeys || q.row.Flags&Scripted != 0 && c.script(q.row, q.args).locksAll() {
			return ^uint64(0)
		}
		mask |= keyMask(q.row, c.Tx, q.args)
	}
	return mask
}

func (s *Session) runQueue(c *Ctx, m *multi) {
	row, args := c.Row, c.Args
	c.Out.Array(len(m.queue))
	for i := range m.queue {
		q := &m.queue[i]
		c.Row, c.Args = q.row, q.args
		if text := s.admitQueued(q); text != "" {
			c.Out.Error(text)
			continue
		}
		s.call(c)
	}
	c.Row, c.Args = row, args
	c.failed = false
	c.Tx.StartCommand() // EXEC itself is no effect
}

// admitQueued checks again what may have changed since the command was queued.
func (s *Session) admitQueued(q *queued) string {
	if !s.authed && q.row.Flags&NoAuth == 0 && !s.Authenticated() {
		return "NOAUTH Authentication required."
	}
	return s.permitQueued(q.row, q.args)
}
