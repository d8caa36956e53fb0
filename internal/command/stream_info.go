package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/stream"
)

// infoStream opens the stream that XINFO describes; ok is false when a refusal is replied.
func (c *Ctx) infoStream() (s stream.Stream, ok bool) {
	e, ok := c.Read(2, engine.Stream)
	if !ok {
		return s, false
	}
	if e == nil {
		c.Fail(errNoKey)
		return s, false
	}
	return stream.Open(e), true
}

// named replies the name of a value that is replied next.
func (c *Ctx) named(name string) Sink {
	c.Out.BulkString(name)
	return c.Out
}

func (c *Ctx) namedID(name string, id stream.ID) {
	c.Out.BulkString(name)
	c.id(id)
}

func xinfoGroups(c *Ctx) {
	s, ok := c.infoStream()
	if !ok {
		return
	}
	c.Out.Array(s.Groups())
	s.EachGroup(func(name []byte, g *stream.Group) {
		c.Out.Map(6)
		c.named("name").Bulk(name)
		c.named("consumers").Int(int64(g.Consumers()))
		c.named("pending").Int(int64(g.Pending()))
		c.namedID("last-delivered-id", g.LastID)
		c.counters(g)
	})
}

// counters replies how many entries a group has come past, and how many it has not, if that can be told.
func (c *Ctx) counters(g *stream.Group) {
	c.Out.BulkString("entries-read")
	if g.Read != stream.Unknown {
		c.Out.Int(g.Read)
	} else {
		c.Out.Null()
	}
	c.Out.BulkString("lag")
	if n, ok := g.Lag(); ok {
		c.Out.Int(n)
	} else {
		c.Out.Null()
	}
}

func xinfoConsumers(c *Ctx) {
	s, ok := c.infoStream()
	if !ok {
		return
	}
	g, ok := s.Group(c.Args[3])
	if !ok {
		c.Fail(noGroupOf(c.Args[3], c.Args[2]))
		return
	}
	now := c.Tx.Now()
	c.Out.Array(g.Consumers())
	g.EachConsumer(func(name []byte, m *stream.Consumer) {
		inactive := stream.Never
		if m.Active != stream.Never {
			inactive = now - m.Active
		}
		c.Out.Map(4)
		c.named("name").Bulk(name)
		c.named("pending").Int(int64(m.Pending()))
		c.named("idle").Int(max(now-m.Seen, 0))
		c.named("inactive").Int(inactive)
	})
}

// fullCount is how much of each list XINFO STREAM FULL shows.
const fullCount = 10

func xinfoStream(c *Ctx) {
	s, ok := c.infoStream()
	if !ok {
		return
	}
	count, full := int64(fullCount), len(c.Args) > 3
	switch n := len(c.Args); {
	case full && (n != 4 && n != 6 || !c.Is(3, "FULL") || n == 6 && !c.Is(4, "COUNT")):
		c.wrongSub()
		return
	case n == 6:
		var err error
		if count, err = c.IntArg(5); err != nil {
			c.Fail(err)
			return
		}
		if count < 0 {
			count = fullCount
		}
	}
	if full {
		c.Out.Map(9)
	} else {
		c.Out.Map(10)
	}
	leaves, nodes := s.Leaves()
	c.named("length").Int(int64(s.Len()))
	c.named("radix-tree-keys").Int(int64(leaves))
	c.named("radix-tree-nodes").Int(int64(nodes))
	c.namedID("last-generated-id", s.LastID)
	c.namedID("max-deleted-entry-id", s.MaxDeletedID)
	c.named("entries-added").Int(s.Added)
	c.namedID("recorded-first-entry-id", s.FirstID())
	if full {
		c.Out.BulkString("entries")
		c.entries(&s, stream.ID{}, stream.MaxID(), count, false)
		c.fullGroups(&s, count)
		return
	}
	c.named("groups").Int(int64(s.Groups()))
	c.Out.BulkString("first-entry")
	c.entryOrNull(&s, s.FirstID())
	c.Out.BulkString("last-entry")
	c.entryOrNull(&s, s.TopID())
}

func (c *Ctx) entryOrNull(s *stream.Stream, id stream.ID) {
	if !s.Get(id, c.entry) {
		c.Out.Null()
	}
}

func (c *Ctx) fullGroups(s *stream.Stream, count int64) {
	c.named("groups").Array(s.Groups())
	s.EachGroup(func(name []byte, g *stream.Group) {
		c.Out.Map(7)
		c.named("name").Bulk(name)
		c.namedID("last-delivered-id", g.LastID)
		c.counters(g)
		c.named("pel-count").Int(int64(g.Pending()))
		c.named("pending")
		left := c.upTo(g.Pending(), count)
		g.PendingRange(stream.ID{}, stream.MaxID(), func(n *stream.Pending) bool {
			if left--; left < 0 {
				return false
			}
			c.Out.Array(4)
			c.id(n.ID)
			c.Out.Bulk(g.Owner(n))
			c.Out.Int(n.Delivered)
			c.Out.Int(n.Count)
			return true
		})
		c.fullConsumers(g, count)
	})
}

// upTo begins an array of n elements, or of limit if that is less; limit 0 is none.
func (c *Ctx) upTo(n int, limit int64) int {
	if limit > 0 {
		n = int(min(int64(n), limit))
	}
	c.Out.Array(n)
	return n
}

func (c *Ctx) fullConsumers(g *stream.Group, count int64) {
	c.named("consumers").Array(g.Consumers())
	g.EachConsumer(func(name []byte, m *stream.Consumer) {
		c.Out.Map(5)
		c.named("name").Bulk(name)
		c.named("seen-time").Int(m.Seen)
		c.named("active-time").Int(m.Active)
		c.named("pel-count").Int(int64(m.Pending()))
		c.named("pending")
		left := c.upTo(m.Pending(), count)
		g.PendingOf(m, stream.ID{}, stream.MaxID(), func(n *stream.Pending) bool {
			if left--; left < 0 {
				return false
			}
			c.Out.Array(3)
			c.id(n.ID)
			c.Out.Int(n.Delivered)
			c.Out.Int(n.Count)
			return true
		})
	})
}

func xinfoHelp(c *Ctx) {
	c.help("XINFO", "CONSUMERS <key> <groupname>",
		"    The consumers of a group.",
		"GROUPS <key>",
		"    The consumer groups of a stream.",
		"STREAM <key> [FULL [COUNT <count>]",
		"    The counters and the ends of a stream, or with FULL all that there is in it.")
}
