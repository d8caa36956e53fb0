package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/types/stream"
)

// pendingArgs are the arguments of XPENDING behind the group.
type pendingArgs struct {
	summary  bool
	idle     int64 // milliseconds
	from, to stream.ID
	count    int64
	consumer []byte // nil: all
}

// pendingArgs reads [[IDLE min-idle] start end count [consumer]].
func (c *Ctx) pendingArgs() (a pendingArgs, err error) {
	switch n := len(c.Args); {
	case n == 3:
		return pendingArgs{summary: true}, nil
	case n < 6 || n > 9:
		return a, errSyntax
	}
	i := 3
	if c.Is(i, "IDLE") {
		if a.idle, err = c.IntArg(i + 1); err == nil && len(c.Args) < 8 {
			err = errSyntax
		}
		i += 2
	}
	if err == nil {
		a.count, err = c.IntArg(i + 2)
	}
	if err == nil {
		a.from, err = c.fromID(i)
	}
	if err == nil {
		a.to, err = c.toID(i + 1)
	}
	if i+3 < len(c.Args) {
		a.consumer = c.Args[i+3]
	}
	return a, err
}

func xpending(c *Ctx) {
	a, err := c.pendingArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.Stream)
	if !ok {
		return
	}
	var s stream.Stream
	if e != nil {
		s = stream.Open(e)
	}
	g, ok := s.Group(c.Args[2])
	switch {
	case !ok:
		c.Fail(noGroup(c.Args[1], c.Args[2]))
	case a.summary:
		c.pendingSummary(&g)
	default:
		c.pendingList(&g, &a)
	}
}

// pendingSummary replies how many entries are pending, the first and the last, and how many for each consumer.
func (c *Ctx) pendingSummary(g *stream.Group) {
	c.Out.Array(4)
	c.Out.Int(int64(g.Pending()))
	if g.Pending() == 0 {
		c.Out.Null()
		c.Out.Null()
		c.Out.NullArray()
		return
	}
	first, last := g.PendingSpan()
	c.id(first)
	c.id(last)
	n := 0
	g.EachConsumer(func(_ []byte, m *stream.Consumer) {
		if m.Pending() > 0 {
			n++
		}
	})
	c.Out.Array(n)
	g.EachConsumer(func(name []byte, m *stream.Consumer) {
		if m.Pending() > 0 {
			c.Out.Array(2)
			c.Out.Bulk(name)
			c.Out.Bulk(number.AppendInt(c.Session.scratch.digits[:0], int64(m.Pending())))
		}
	})
}

// pendingList replies pending entries one by one.
func (c *Ctx) pendingList(g *stream.Group, a *pendingArgs) {
	now := c.Tx.Now()
	var list []stream.Pending
	collect := func(n *stream.Pending) bool {
		if int64(len(list)) >= a.count {
			return false
		}
		if a.idle == 0 || now-n.Delivered >= a.idle {
			list = append(list, *n)
		}
		return true
	}
	if a.consumer == nil {
		g.PendingRange(a.from, a.to, collect)
	} else if m, ok := g.Consumer(a.consumer); ok {
		g.PendingOf(&m, a.from, a.to, collect)
	}
	c.Out.Array(len(list))
	for i := range list {
		n := &list[i]
		c.Out.Array(4)
		c.id(n.ID)
		c.Out.Bulk(g.Owner(n))
		c.Out.Int(max(now-n.Delivered, 0))
		c.Out.Int(n.Count)
	}
}
