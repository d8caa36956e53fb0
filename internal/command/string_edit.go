package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/number"
)

func incr(c *Ctx) { c.addInt(1) }

func decr(c *Ctx) { c.addInt(-1) }

func incrBy(c *Ctx) {
	n, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	c.addInt(n)
}

func decrBy(c *Ctx) {
	n, err := c.IntArg(2)
	switch {
	case err != nil:
		c.Fail(err)
	case n == math.MinInt64:
		c.FailText("ERR decrement would overflow")
	default:
		c.addInt(-n)
	}
}

// addInt adds to the integer at the key of argument 1; a missing key is 0. The TTL stays.
func (c *Ctx) addInt(by int64) {
	e, ok := c.Edit(1, engine.String)
	if !ok {
		return
	}
	var old int64
	if e != nil {
		if old, ok = number.ParseInt(e.Value()); !ok {
			c.Fail(errNotInteger)
			return
		}
	}
	if by > 0 && old > math.MaxInt64-by || by < 0 && old < math.MinInt64-by {
		c.Fail(errOverflow)
		return
	}
	var buf [number.MaxIntLen]byte
	text := number.AppendInt(buf[:0], old+by)
	if e == nil {
		e = c.Tx.Create(c.Args[1], engine.String, len(text), 0)
	} else {
		e.SetLen(len(text))
		engine.ClearStringFlags(e)
	}
	copy(e.Value(), text)
	c.Tx.Changed(c.Args[1], engine.EventIncrBy)
	c.Out.Int(old + by)
}

func incrByFloat(c *Ctx) {
	e, ok := c.Edit(1, engine.String)
	if !ok {
		return
	}
	var old number.Extended
	if e != nil {
		if old, ok = number.ParseExtended(e.Value()); !ok {
			c.Fail(errNotFloat)
			return
		}
	}
	by, ok := number.ParseExtended(c.Args[2])
	if !ok {
		c.Fail(errNotFloat)
		return
	}
	sum, ok := old.Add(by)
	if !ok || sum.IsInf() {
		c.FailText("ERR increment would produce NaN or Infinity")
		return
	}
	text := sum.Append(nil)
	e = c.Tx.Put(c.Args[1], len(text), engine.KeepTTL)
	copy(e.Value(), text)
	engine.MarkText(e)
	c.Tx.Changed(c.Args[1], engine.EventIncrByFloat)
	c.Tx.Effect(words("SET"), c.Args[1], text, words("KEEPTTL"))
	c.Out.Bulk(text)
}

// fits refuses a string that would be longer than proto-max-bulk-len.
func (c *Ctx) fits(size, more int64) bool {
	total := uint64(size) + uint64(more)
	if total > uint64(c.Config.Settings().ProtoMaxBulkLen) || total < uint64(size) || total < uint64(more) {
		c.Fail(errTooLong)
		return false
	}
	return true
}

func appendTo(c *Ctx) {
	key, more := c.Args[1], c.Args[2]
	e, ok := c.Edit(1, engine.String)
	if !ok {
		return
	}
	if e == nil {
		e = c.Tx.Create(key, engine.String, len(more), 0)
		copy(e.Value(), more)
	} else {
		old := len(e.Value())
		if !c.fits(int64(old), int64(len(more))) {
			return
		}
		copy(e.SetLen(old + len(more))[old:], more)
		engine.MarkRaw(e)
	}
	c.Tx.Changed(key, engine.EventAppend)
	c.Out.Int(int64(len(e.Value())))
}

func setRange(c *Ctx) {
	key, part := c.Args[1], c.Args[3]
	offset, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	if offset < 0 {
		c.FailText("ERR offset is out of range")
		return
	}
	e, ok := c.Edit(1, engine.String)
	if !ok {
		return
	}
	old := 0
	if e != nil {
		old = len(e.Value())
	}
	if len(part) == 0 {
		c.Out.Int(int64(old))
		return
	}
	if !c.fits(offset, int64(len(part))) {
		return
	}
	end := int(offset) + len(part)
	if e == nil {
		e = c.Tx.Create(key, engine.String, end, 0)
	} else if end > old {
		e.SetLen(end)
	}
	value := e.Value()
	if old < int(offset) {
		clear(value[old:offset])
	}
	copy(value[offset:], part)
	engine.MarkRaw(e)
	c.Tx.Changed(key, engine.EventSetRange)
	c.Out.Int(int64(len(value)))
}

func getRange(c *Ctx) {
	start, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	end, err := c.IntArg(3)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.String)
	if !ok {
		return
	}
	var value []byte
	if e != nil {
		value = e.Value()
	}
	n := int64(len(value))
	if start < 0 && end < 0 && start > end {
		c.Out.BulkString("")
		return
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end || n == 0 {
		c.Out.BulkString("")
		return
	}
	c.Out.Bulk(value[start : end+1])
}
