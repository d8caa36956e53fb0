package command

import (
	"slices"

	"github.com/larderdb/larder/internal/types/stream"
)

// delivery hands entries of a stream to a consumer of a group.
type delivery struct {
	c          *Ctx
	s          *stream.Stream
	g          *stream.Group
	to         *stream.Consumer
	key, group []byte
}

// fresh hands out entries that the group was not given yet.
func (d *delivery) fresh(count int64, noAck bool) {
	c, now := d.c, d.c.Tx.Now()
	next, _ := d.g.LastID.Next()
	n := d.s.Count(next, stream.MaxID())
	if count > 0 {
		n = int(min(int64(n), count))
	}
	c.Out.Array(n)
	d.s.Range(next, stream.MaxID(), false, func(e *stream.Entry) bool {
		if n == 0 {
			return false
		}
		n--
		d.g.Advance(e.ID)
		c.entry(e)
		if !noAck {
			d.to.Active = now
			d.assign(stream.Pending{ID: e.ID, Delivered: now, Count: 1})
		}
		return true
	})
	d.advanced()
}

// again hands out once more what the consumer has not acknowledged; entries that are gone are replied without fields.
func (d *delivery) again(after stream.ID, count int64) {
	c, now := d.c, d.c.Tx.Now()
	next, _ := after.Next()
	n := d.to.PendingCount(next, stream.MaxID())
	if count > 0 {
		n = int(min(int64(n), count))
	}
	c.Out.Array(n)
	d.g.PendingOf(d.to, next, stream.MaxID(), func(p *stream.Pending) bool {
		if n == 0 {
			return false
		}
		n--
		if d.s.Get(p.ID, c.entry) {
			p.Delivered = now
			p.Count++
			d.assign(*p)
			return true
		}
		c.Out.Array(2)
		c.id(p.ID)
		c.Out.NullArray()
		return true
	})
}

// assign makes an entry pending for the consumer, and journals that.
func (d *delivery) assign(p stream.Pending) {
	d.g.Assign(d.to, p)
	if d.c.Tx.Journaling() {
		d.c.Tx.Effect(words("XCLAIM"), d.key, d.group, slices.Clone(d.g.NameOf(d.to)), words("0"), idWord(p.ID), words("TIME"), intWord(p.Delivered),
			words("RETRYCOUNT"), intWord(p.Count), words("FORCE"), words("JUSTID"), words("LASTID"), idWord(d.g.LastID))
	}
}

// advanced journals how far the group has come.
func (d *delivery) advanced() {
	if d.c.Tx.Journaling() {
		d.c.Tx.Effect(words("XGROUP"), words("SETID"), d.key, d.group, idWord(d.g.LastID), words("ENTRIESREAD"), intWord(d.g.Read))
	}
}
