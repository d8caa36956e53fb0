package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/stream"
)

func streamRows() []Command {
	const (
		acl   = CatStream
		group = "stream"
	)
	undetermined := []string{"nondeterministic_output"}
	rows := []Command{
		{Name: "xadd", Arity: -5, Flags: Write | DenyOOM | Fast, ACL: acl,
			Keys:  []KeySpec{{Flags: RW | Update, Begin: 1, Step: 1, Notes: "UPDATE instead of INSERT because of the optional trimming feature"}},
			Group: group, Since: "5.0.0", Cost: "O(1), and O(N) to trim N entries", Summary: "Adds an entry, and perhaps trims.",
			Tips: undetermined, Run: xadd},
		{Name: "xtrim", Arity: -4, Flags: Write, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "5.0.0",
			Cost: "O(N) where N is the number of entries removed, by the leaf", Summary: "Removes the oldest entries.", Tips: undetermined, Run: xtrim},
		{Name: "xdel", Arity: -3, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "5.0.0",
			Cost: "O(log N) for each ID", Summary: "Removes entries by their IDs.", Run: xdel},
		{Name: "xdelex", Arity: -5, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "8.2.0",
			Cost:    "O(G log N) for each ID, where G is the number of groups",
			Summary: "Removes entries by their IDs and says what becomes of groups that have them pending.", Run: xdelEx},
		{Name: "xlen", Arity: 2, Flags: ReadOnly | Fast, ACL: acl, Keys: Key(RO), Group: group, Since: "5.0.0",
			Cost: "O(1)", Summary: "Counts the entries.", Run: xlen},
		{Name: "xrange", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "5.0.0",
			Cost: "O(log N + M) where M is the number of entries answered", Summary: "Reads a range of IDs.", Run: xrange},
		{Name: "xrevrange", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "5.0.0",
			Cost: "O(log N + M) where M is the number of entries answered", Summary: "Reads a range of IDs, the greatest first.", Run: xrange},
		{Name: "xsetid", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "5.0.0",
			Cost: "O(1)", Summary: "Sets a stream's last ID and counters.", Run: xsetID},
	}
	return append(append(append(rows, streamReadRows()...), streamGroupRows()...), streamClaimRows()...)
}

const (
	errStreamID  engine.Error = "ERR Invalid stream ID specified as stream command argument"
	errStartID   engine.Error = "ERR invalid start ID for the interval"
	errEndID     engine.Error = "ERR invalid end ID for the interval"
	errExhausted engine.Error = "ERR The stream has exhausted the last possible ID, unable to add more items"
)

// streamID reads an argument as an ID; seq is for one without a sequence.
func (c *Ctx) streamID(i int, seq uint64) (stream.ID, error) {
	id, ok := stream.ParseID(c.Args[i], seq)
	if !ok {
		return id, errStreamID
	}
	return id, nil
}

// streamIDs reads all arguments from i on as IDs.
func (c *Ctx) streamIDs(i int) ([]stream.ID, error) {
	ids := make([]stream.ID, 0, len(c.Args)-i)
	for ; i < len(c.Args); i++ {
		id, err := c.streamID(i, 0)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// fromID reads the lower bound of a range of IDs: an ID, one that is excluded, "-" or "+".
func (c *Ctx) fromID(i int) (stream.ID, error) { return c.boundID(i, 0, stream.ID.Next, errStartID) }

// toID is fromID for the upper bound.
func (c *Ctx) toID(i int) (stream.ID, error) {
	return c.boundID(i, math.MaxUint64, stream.ID.Prev, errEndID)
}

func (c *Ctx) boundID(i int, seq uint64, inside func(stream.ID) (stream.ID, bool), refusal engine.Error) (stream.ID, error) {
	text := c.Args[i]
	if len(text) < 2 || text[0] != '(' {
		id, ok := stream.ParseBound(text, seq)
		if !ok {
			return id, errStreamID
		}
		return id, nil
	}
	id, ok := stream.ParseID(text[1:], seq)
	if !ok {
		return id, errStreamID
	}
	if id, ok = inside(id); !ok {
		return id, refusal
	}
	return id, nil
}

// id replies an ID.
func (c *Ctx) id(id stream.ID) { c.Out.Bulk(id.Append(c.Session.scratch.digits[:0])) }

// idWord is an ID as a word of an effect.
func idWord(id stream.ID) []byte { return id.Append(nil) }

// entry replies an entry: its ID, its fields and values.
func (c *Ctx) entry(e *stream.Entry) {
	c.Out.Array(2)
	c.id(e.ID)
	c.Out.Array(2 * e.Len())
	e.Pairs(func(field, value packed.Value) {
		c.value(field)
		c.value(value)
	})
}

// entries replies entries from one ID to another, limit of them at most; limit 0 is all.
func (c *Ctx) entries(s *stream.Stream, from, to stream.ID, limit int64, back bool) {
	n := s.Count(from, to)
	if limit > 0 {
		n = int(min(int64(n), limit))
	}
	c.Out.Array(n)
	if n == 0 {
		return
	}
	s.Range(from, to, back, func(e *stream.Entry) bool {
		c.entry(e)
		n--
		return n > 0
	})
}

// xrange is XRANGE and XREVRANGE.
func xrange(c *Ctx) {
	lo, hi, back := 2, 3, c.Row.Name == "xrevrange"
	if back {
		lo, hi = hi, lo
	}
	from, err := c.fromID(lo)
	if err != nil {
		c.Fail(err)
		return
	}
	to, err := c.toID(hi)
	if err != nil {
		c.Fail(err)
		return
	}
	count := int64(-1)
	for i := 4; i < len(c.Args); i += 2 {
		if !c.Is(i, "COUNT") || i+1 == len(c.Args) {
			c.Fail(errSyntax)
			return
		}
		if count, err = c.IntArg(i + 1); err != nil {
			c.Fail(err)
			return
		}
		count = max(count, 0)
	}
	e, ok := c.Read(1, engine.Stream)
	switch {
	case !ok:
	case e == nil:
		c.Out.Array(0)
	case count == 0:
		c.Out.NullArray()
	default:
		s := stream.Open(e)
		c.entries(&s, from, to, max(count, 0), back)
	}
}

func xlen(c *Ctx) {
	e, ok := c.Read(1, engine.Stream)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = stream.Len(e)
	}
	c.Out.Int(int64(n))
}

func xdel(c *Ctx) {
	e, ok := c.Edit(1, engine.Stream)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Int(0)
		return
	}
	ids, err := c.streamIDs(2)
	if err != nil {
		c.Fail(err)
		return
	}
	s := stream.Edit(e)
	n := int64(0)
	for _, id := range ids {
		if s.Delete(id) {
			n++
		}
	}
	if n > 0 {
		s.Save()
		c.Tx.Changed(c.Args[1], engine.EventXDel)
	}
	c.Out.Int(n)
}

const (
	errEntriesAdded engine.Error = "ERR entries_added must be positive"
	errSetIDDeleted engine.Error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	errSetIDGone    engine.Error = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
	errSetIDTop     engine.Error = "ERR The ID specified in XSETID is smaller than the target stream top item"
	errSetIDAdded   engine.Error = "ERR The entries_added specified in XSETID is smaller than the target stream length"
	noEntriesAdded               = -1
)

// setIDArgs are the arguments of XSETID.
type setIDArgs struct {
	last, deleted stream.ID
	added         int64 // noEntriesAdded: as it is
}

func (c *Ctx) setIDArgs() (a setIDArgs, err error) {
	a.added = noEntriesAdded
	if a.last, err = c.streamID(2, 0); err != nil {
		return a, err
	}
	for i := 3; i < len(c.Args); i += 2 {
		switch more := i+1 < len(c.Args); {
		case more && c.Is(i, "ENTRIESADDED"):
			if a.added, err = c.IntArg(i + 1); err == nil && a.added < 0 {
				err = errEntriesAdded
			}
		case more && c.Is(i, "MAXDELETEDID"):
			if a.deleted, err = c.streamID(i+1, 0); err == nil && a.last.Less(a.deleted) {
				err = errSetIDDeleted
			}
		default:
			err = errSyntax
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// refusal says why the stream cannot be given the values, or nothing.
func (a *setIDArgs) refusal(s *stream.Stream) error {
	switch {
	case a.last.Less(s.MaxDeletedID):
		return errSetIDGone
	case s.Len() == 0:
		return nil
	case a.last.Less(s.TopID()):
		return errSetIDTop
	case a.added != noEntriesAdded && int64(s.Len()) > a.added:
		return errSetIDAdded
	}
	return nil
}

func xsetID(c *Ctx) {
	a, err := c.setIDArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Edit(1, engine.Stream)
	if !ok {
		return
	}
	if e == nil {
		c.Fail(errNoKey)
		return
	}
	s := stream.Edit(e)
	if err := a.refusal(&s); err != nil {
		c.Fail(err)
		return
	}
	s.LastID = a.last
	if a.added != noEntriesAdded {
		s.Added = a.added
	}
	if !a.deleted.IsZero() {
		s.MaxDeletedID = a.deleted
	}
	s.Save()
	c.Tx.Changed(c.Args[1], engine.EventXSetID)
	c.OK()
}

// newStream makes the key of an argument, which is missing, an empty stream.
func (c *Ctx) newStream(i int) *table.Entry {
	e := c.Tx.Create(c.Args[i], engine.Stream, stream.InitLen, 0)
	stream.Init(e)
	return e
}

// cText is a word of a client as errors show it: up to its first NUL.
func cText(b []byte) string { return clip(string(b), math.MaxInt) }
