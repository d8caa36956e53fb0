package command

import (
	"strconv"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hll"
)

func hllRows() []Command {
	const (
		acl   = CatHyperLogLog
		group = "hyperloglog"
	)
	return []Command{
		{Name: "pfadd", Arity: -2, Flags: Write | DenyOOM | Fast, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "2.8.9",
			Cost: "O(1) for each element", Summary: "Lets a HyperLogLog see elements.", Run: pfAdd},
		{Name: "pfcount", Arity: -2, Flags: ReadOnly | MayReplicate, ACL: acl,
			Keys: []KeySpec{{Flags: RW | Access, Begin: 1, Last: -1, Step: 1,
				Notes: "RW because it may change the internal representation of the key, and propagate to replicas"}},
			Group: group, Since: "2.8.9",
			Cost:    "O(1) for one key, O(N) with a high constant for N keys",
			Summary: "Estimates how many different elements HyperLogLogs have seen together.", Run: pfCount},
		{Name: "pfmerge", Arity: -2, Flags: Write | DenyOOM, ACL: acl,
			Keys: []KeySpec{KeyAt(RW|Access|Insert, 1), {Flags: RO | Access, Begin: 2, Last: -1, Step: 1}}, Group: group, Since: "2.8.9",
			Cost: "O(N) with a high constant for N keys", Summary: "Merges HyperLogLogs into one.", Run: pfMerge},
		{Name: "pfdebug", Arity: 3, Flags: Write | DenyOOM | Admin | SysCmd, ACL: acl, Keys: []KeySpec{KeyAt(RW|Access, 2)},
			Group: group, Since: "2.8.9", Cost: "O(N) where N is the number of registers",
			Summary: "Shows the registers of a HyperLogLog.", Run: pfDebug},
		{Name: "pfselftest", Arity: 1, Flags: Admin | SysCmd, ACL: acl, Group: group, Since: "2.8.9", Cost: "O(1), tens of milliseconds",
			Summary: "Checks registers and estimates of HyperLogLogs.", Run: pfSelfTest},
	}
}

const (
	errNotHLL     engine.Error = "WRONGTYPE Key is not a valid HyperLogLog string value."
	errCorruptHLL engine.Error = "INVALIDOBJ Corrupted HLL object detected"
	errHLLMissing engine.Error = "ERR The specified key does not exist"
	errHLLDense   engine.Error = "ERR HLL encoding is not sparse"
)

// findSketch returns the record of a key that must hold a HyperLogLog or nothing; its
// registers have not been looked at.
func (c *Ctx) findSketch(key []byte, find func(key []byte, k engine.Kind) (*table.Entry, error)) (*table.Entry, error) {
	e, err := find(key, engine.String)
	if err == nil && e != nil && !hll.Is(e.Value()) {
		err = errNotHLL
	}
	return e, err
}

// editSketch returns the record of a key with a HyperLogLog, and the HyperLogLog to change; an
// empty one and no record where there is none. Of a dense one that is the value itself; of a
// sparse one, whose length changes and whose registers have not been looked at, a copy in the
// session's scratch.
func (c *Ctx) editSketch(key []byte) (e *table.Entry, sketch []byte, err error) {
	e, err = c.findSketch(key, c.Tx.EditKind)
	s := &c.Session.scratch
	switch {
	case err != nil:
		return nil, nil, err
	case e == nil:
		s.text = hll.AppendEmpty(s.text[:0])
	case len(e.Value()) > hll.MaxLen:
		return nil, nil, errCorruptHLL
	case !hll.IsSparse(e.Value()):
		e.Change()
		return e, e.Value(), nil
	default:
		s.text = append(s.text[:0], e.Value()...)
	}
	return e, s.text, nil
}

// putSketch makes a HyperLogLog, which may be the value itself, the value of a key, at e if the
// key is there. The TTL stays.
func (c *Ctx) putSketch(e *table.Entry, key, sketch []byte, ev engine.Event) {
	if e == nil {
		e = c.Tx.Create(key, engine.String, len(sketch), 0)
	} else {
		e.SetLen(len(sketch))
	}
	copy(e.Value(), sketch)
	engine.MarkRaw(e)
	c.Tx.Changed(key, ev)
}

func (c *Ctx) sparseLimit() int { return c.Config.Settings().HLLSparseMaxBytes }

func pfAdd(c *Ctx) {
	key, limit := c.Args[1], c.sparseLimit()
	e, sketch, err := c.editSketch(key)
	if err != nil {
		c.Fail(err)
		return
	}
	changed := e == nil
	if changed {
		hll.Invalidate(sketch)
	}
	for _, element := range c.Args[2:] {
		var did bool
		if sketch, did, err = hll.Add(sketch, element, limit); err != nil {
			c.Fail(errCorruptHLL)
			return
		}
		changed = changed || did
	}
	if changed {
		c.putSketch(e, key, sketch, engine.EventPFAdd)
	}
	c.Bool(changed)
}

func pfCount(c *Ctx) {
	if len(c.Args) > 2 {
		c.countUnion()
		return
	}
	key := c.Args[1]
	e, err := c.findSketch(key, c.Tx.FindKind)
	if err != nil {
		c.Fail(err)
		return
	}
	if e == nil {
		c.Out.Int(0)
		return
	}
	n, fresh := hll.Cached(e.Value())
	if !fresh {
		var ok bool
		if n, ok = hll.Estimate(e.Value()); !ok {
			c.Fail(errCorruptHLL)
			return
		}
		e.Change()
		hll.SetCached(e.Value(), n)
		engine.MarkRaw(e)
		c.Tx.Changed(key, engine.EventNone)
	}
	c.Out.Int(int64(n))
}

// countUnion is PFCOUNT of several keys.
func (c *Ctx) countUnion() {
	union, _, err := c.union(c.Args[1:])
	if err != nil {
		c.Fail(err)
		return
	}
	c.Out.Int(int64(union.Estimate()))
}

// union merges the HyperLogLogs of several keys; those that are missing have seen nothing. dense
// tells whether one of them is.
func (c *Ctx) union(keys [][]byte) (u *hll.Union, dense bool, err error) {
	u = new(hll.Union)
	for _, key := range keys {
		e, err := c.findSketch(key, c.Tx.FindKind)
		if err != nil {
			return nil, false, err
		}
		if e != nil {
			if !u.Merge(e.Value()) {
				return nil, false, errCorruptHLL
			}
			dense = dense || !hll.IsSparse(e.Value())
		}
		c.Tx.Step()
	}
	return u, dense, nil
}

func pfMerge(c *Ctx) {
	key, limit := c.Args[1], c.sparseLimit()
	union, dense, err := c.union(c.Args[1:])
	if err != nil {
		c.Fail(err)
		return
	}
	e, sketch, err := c.editSketch(key)
	if err != nil {
		c.Fail(err)
		return
	}
	if dense {
		sketch = hll.Dense(nil, sketch)
	}
	c.putSketch(e, key, union.Store(sketch, limit), engine.EventPFAdd)
	c.OK()
}

func pfDebug(c *Ctx) {
	key := c.Args[2]
	e, err := c.findSketch(key, c.Tx.EditKind)
	switch {
	case err == nil && e == nil:
		err = errHLLMissing
	case err != nil:
	case c.Is(1, "GETREG"):
		if _, err = c.toDense(e, key); err == nil {
			c.replyRegisters(hll.Ranks(e.Value()))
		}
	case c.Is(1, "DECODE"):
		err = c.replyRuns(e.Value())
	case c.Is(1, "ENCODING"):
		if hll.IsSparse(e.Value()) {
			c.Out.Simple("sparse")
		} else {
			c.Out.Simple("dense")
		}
	case c.Is(1, "TODENSE"):
		var did bool
		if did, err = c.toDense(e, key); err == nil {
			c.Bool(did)
		}
	default:
		err = engine.Error("ERR Unknown PFDEBUG subcommand '" + clip(string(c.Args[1]), 128) + "'")
	}
	if err != nil {
		c.Fail(err)
	}
}

// toDense gives a HyperLogLog its dense encoding; false if it has it already.
func (c *Ctx) toDense(e *table.Entry, key []byte) (did bool, err error) {
	switch {
	case !hll.IsSparse(e.Value()):
		return false, nil
	case !hll.Sound(e.Value()):
		return false, errCorruptHLL
	}
	c.putSketch(e, key, hll.Dense(nil, e.Value()), engine.EventNone)
	return true, nil
}

func (c *Ctx) replyRegisters(ranks *hll.Union) {
	c.Out.Array(len(ranks))
	for _, rank := range ranks {
		c.Out.Int(int64(rank))
	}
}

// replyRuns tells sparse registers as PFDEBUG DECODE does: z:n and Z:n for n registers of rank 0,
// v:r,n for n of rank r.
func (c *Ctx) replyRuns(sketch []byte) error {
	switch {
	case !hll.IsSparse(sketch):
		return errHLLDense
	case len(sketch) > hll.MaxLen:
		return errCorruptHLL
	}
	var text []byte
	hll.Runs(sketch, func(size, run, rank int) {
		switch {
		case rank > 0:
			text = append(strconv.AppendInt(append(text, " v:"...), int64(rank), 10), ',')
		case size > 1:
			text = append(text, " Z:"...)
		default:
			text = append(text, " z:"...)
		}
		text = strconv.AppendInt(text, int64(run), 10)
	})
	if len(text) > 0 {
		text = text[1:]
	}
	c.Out.Bulk(text)
	return nil
}

func pfSelfTest(c *Ctx) {
	if err := hll.SelfTest(c.random()()); err != nil {
		c.Fail(err)
		return
	}
	c.OK()
}
