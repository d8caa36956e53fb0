package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/stream"
)

func streamClaimRows() []Command {
	const (
		acl   = CatStream
		group = "stream"
	)
	undetermined := []string{"nondeterministic_output"}
	return []Command{
		{Name: "xpending", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "5.0.0",
			Cost:    "O(C) where C is the number of consumers, or O(log N + M) where M is the number of pending entries looked at",
			Summary: "Tells what is pending in a consumer group.", Tips: undetermined, Run: xpending},
		{Name: "xclaim", Arity: -6, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "5.0.0",
			Cost:    "O(log N) for each ID",
			Summary: "Makes a consumer the owner of pending entries.", Tips: undetermined, Run: xclaim},
		{Name: "xautoclaim", Arity: -6, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "6.2.0",
			Cost:    "O(M log N) where M is the number of pending entries looked at",
			Summary: "Makes a consumer the owner of entries that are pending for long.", Tips: undetermined, Run: xautoclaim},
	}
}

const (
	errClaimIdle    engine.Error = "ERR Invalid min-idle-time argument for XCLAIM"
	errClaimIdleArg engine.Error = "ERR Invalid IDLE option argument for XCLAIM"
	errClaimTime    engine.Error = "ERR Invalid TIME option argument for XCLAIM"
	errClaimRetry   engine.Error = "ERR Invalid RETRYCOUNT option argument for XCLAIM"
	errAutoIdle     engine.Error = "ERR Invalid min-idle-time argument for XAUTOCLAIM"
	errAutoCount    engine.Error = "ERR COUNT must be > 0"
)

// claimArgs are the arguments of XCLAIM behind the consumer.
type claimArgs struct {
	idle      int64 // milliseconds
	ids       []stream.ID
	delivered int64 // Unix milliseconds
	retries   int64 // -1: one more
	force     bool
	justID    bool
	last      stream.ID
}

// intOr reads an integer, refusing with a text of its own.
func (c *Ctx) intOr(i int, refusal engine.Error) (int64, error) {
	n, err := c.IntArg(i)
	if err != nil {
		return 0, refusal
	}
	return n, nil
}

// claimArgs reads min-idle id... [IDLE ms] [TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID] [LASTID id].
func (c *Ctx) claimArgs() (a claimArgs, err error) {
	if a.idle, err = c.intOr(4, errClaimIdle); err != nil {
		return a, err
	}
	a.idle = max(a.idle, 0)
	i := 5
	for ; i < len(c.Args); i++ {
		id, ok := stream.ParseID(c.Args[i], 0)
		if !ok {
			break
		}
		a.ids = append(a.ids, id)
	}
	now := c.Tx.Now()
	a.delivered, a.retries = -1, -1
	for ; i < len(c.Args) && err == nil; i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "FORCE"):
			a.force = true
			continue
		case c.Is(i, "JUSTID"):
			a.justID = true
			continue
		case more && c.Is(i, "IDLE"):
			a.delivered, err = c.intOr(i+1, errClaimIdleArg)
			a.delivered = now - a.delivered
		case more && c.Is(i, "TIME"):
			a.delivered, err = c.intOr(i+1, errClaimTime)
		case more && c.Is(i, "RETRYCOUNT"):
			a.retries, err = c.intOr(i+1, errClaimRetry)
		case more && c.Is(i, "LASTID"):
			a.last, err = c.streamID(i+1, 0)
		default:
			err = engine.Error("ERR Unrecognized XCLAIM option '" + cText(c.Args[i]) + "'")
		}
		i++
	}
	if a.delivered < 0 || a.delivered > now {
		a.delivered = now
	}
	return a, err
}

// claimGroup opens what XCLAIM and XAUTOCLAIM work on; ok is false when a refusal is replied.
func (c *Ctx) claimGroup() (d delivery, ok bool) {
	s, g, ok := c.readGroupAt(1)
	if !ok {
		return d, false
	}
	if s == nil {
		c.Fail(noGroup(c.Args[1], c.Args[2]))
		return d, false
	}
	return delivery{c: c, s: s, g: g, key: c.Args[1], group: c.Args[2]}, true
}

// begin finds or makes the consumer of argument 3.
func (d *delivery) begin() {
	c := d.c
	m, created := d.g.CreateConsumer(c.Args[3], c.Tx.Now())
	if created {
		c.consumerCreated(d.key, d.group, c.Args[3])
	}
	m.Seen = c.Tx.Now()
	d.to = &m
}

// end saves what was done.
func (d *delivery) end() {
	d.to.Save()
	d.g.Save()
	d.s.Save()
}

// drop makes an entry that is gone from the stream pending no longer.
func (d *delivery) drop(n stream.Pending) {
	mine := n.OwnedBy(d.to)
	if mine {
		d.to.Save()
	}
	d.g.Ack(n.ID)
	if mine { // its list of IDs is another now
		m, _ := d.g.Consumer(d.c.Args[3])
		m.Seen, m.Active = d.to.Seen, d.to.Active
		*d.to = m
	}
	d.c.Tx.Remembered()
	if d.c.Tx.Journaling() {
		d.c.Tx.Effect(words("XACK"), d.key, d.group, idWord(n.ID))
	}
}

// take makes the consumer the owner of an entry.
func (d *delivery) take(n stream.Pending) {
	d.to.Active = d.c.Tx.Now()
	d.assign(n)
	d.c.Tx.Remembered()
}

// reply replies entries, or their IDs alone.
func (d *delivery) reply(ids []stream.ID, justID bool) {
	d.c.Out.Array(len(ids))
	for _, id := range ids {
		if justID {
			d.c.id(id)
		} else {
			d.s.Get(id, d.c.entry)
		}
	}
}

func xclaim(c *Ctx) {
	d, ok := c.claimGroup()
	if !ok {
		return
	}
	a, err := c.claimArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	moved := d.g.LastID.Less(a.last)
	if moved {
		d.g.LastID = a.last
	}
	d.begin()
	var claimed []stream.ID
	for _, id := range a.ids {
		if d.claim(id, &a) {
			claimed = append(claimed, id)
		}
	}
	if moved {
		c.Tx.Remembered()
		d.advanced()
	}
	d.end()
	d.reply(claimed, a.justID)
}

// claim claims one entry for XCLAIM; false if it is not to be had.
func (d *delivery) claim(id stream.ID, a *claimArgs) bool {
	n, isPending := d.g.PendingEntry(id)
	if !d.s.Exists(id) {
		if isPending {
			d.drop(n)
		}
		return false
	}
	switch {
	case !isPending && !a.force:
		return false
	case !isPending:
		n = stream.Pending{ID: id, Count: 1}
	case a.idle > 0 && d.c.Tx.Now()-n.Delivered < a.idle:
		return false
	}
	n.Delivered = a.delivered
	if a.retries >= 0 {
		n.Count = a.retries
	} else if !a.justID {
		n.Count++
	}
	d.take(n)
	return true
}

// autoClaimArgs are the arguments of XAUTOCLAIM behind the consumer.
type autoClaimArgs struct {
	idle   int64 // milliseconds
	from   stream.ID
	count  int64
	justID bool
}

// claimAttempts is how many pending entries XAUTOCLAIM looks at for each that it may claim.
const claimAttempts = 10

func (c *Ctx) autoClaimArgs() (a autoClaimArgs, err error) {
	a.count = 100
	if a.idle, err = c.intOr(4, errAutoIdle); err != nil {
		return a, err
	}
	a.idle = max(a.idle, 0)
	if a.from, err = c.fromID(5); err != nil {
		return a, err
	}
	for i := 6; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "JUSTID"):
			a.justID = true
		case i+1 < len(c.Args) && c.Is(i, "COUNT"):
			i++
			if a.count, err = c.intOr(i, errAutoCount); err != nil || a.count < 1 || a.count > math.MaxInt64/16 {
				return a, errAutoCount
			}
		default:
			return a, errSyntax
		}
	}
	return a, nil
}

func xautoclaim(c *Ctx) {
	a, err := c.autoClaimArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	d, ok := c.claimGroup()
	if !ok {
		return
	}
	d.begin()
	claimed, gone, next := d.autoClaim(&a)
	d.end()
	c.Out.Array(3)
	c.id(next)
	d.reply(claimed, a.justID)
	c.Out.Array(len(gone))
	for _, id := range gone {
		c.id(id)
	}
}

// autoClaim claims entries that are pending for long, drops those that are gone, and returns where to go on; 0-0 is the
// end.
func (d *delivery) autoClaim(a *autoClaimArgs) (claimed, gone []stream.ID, next stream.ID) {
	now := d.c.Tx.Now()
	n, more := d.g.PendingFrom(a.from)
	for attempts := a.count * claimAttempts; more && attempts > 0 && a.count > 0; attempts-- {
		id := n.ID
		switch {
		case !d.s.Exists(id):
			d.drop(n)
			gone = append(gone, id)
			a.count--
		case a.idle == 0 || now-n.Delivered >= a.idle:
			n.Delivered = now
			if !a.justID {
				n.Count++
			}
			d.take(n)
			claimed = append(claimed, id)
			a.count--
		}
		if next, more = id.Next(); more {
			n, more = d.g.PendingFrom(next)
		}
	}
	if !more {
		return claimed, gone, stream.ID{}
	}
	return claimed, gone, n.ID
}
