package command

import (
	"math"
	"strconv"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
)

// INCREX, the bounded counter of Redis 8.8: what takes an INCR, an EXPIRE and a
// comparison otherwise. It answers the value and what was added. A sum out of
// bounds leaves everything as it is, or with SATURATE stops at the bound.

// counterOptions are the arguments of INCREX: positions, 0 where one is not given.
type counterOptions struct {
	by, lower, upper int
	float            bool
	saturate, enx    bool
	persist          bool
	expiry           setOptions
}

func (c *Ctx) counterOptions() (o counterOptions, err error) {
	var kind string
	for i := 2; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case more && o.by == 0 && (c.Is(i, "BYINT") || c.Is(i, "BYFLOAT")):
			o.float = c.Is(i, "BYFLOAT")
			i++
			o.by = i
		case more && o.lower == 0 && c.Is(i, "LBOUND"):
			i++
			o.lower = i
		case more && o.upper == 0 && c.Is(i, "UBOUND"):
			i++
			o.upper = i
		case !o.saturate && c.Is(i, "SATURATE"):
			o.saturate = true
		case !o.enx && !o.persist && c.Is(i, "ENX"):
			o.enx = true
		case !o.persist && !o.enx && kind == "" && c.Is(i, "PERSIST"):
			o.persist = true
		case more && !o.persist && kind == "" && c.expiryWord(i, &kind, &o.expiry.unit):
			i++
			o.expiry.at = i
		default:
			return o, errSyntax
		}
	}
	if o.enx && kind == "" {
		return o, engine.Error("ERR ENX flag requires an expiration")
	}
	return o, nil
}

// counted is what INCREX has worked out.
type counted struct {
	value, added []byte // as they are stored and replied
	within       bool   // the sum is to be stored
}

func incrEx(c *Ctx) {
	o, err := c.counterOptions()
	if err != nil {
		c.Fail(err)
		return
	}
	var sum counted
	var e *table.Entry
	if o.float {
		sum, e, err = c.countFloat(&o)
	} else {
		sum, e, err = c.countInt(&o)
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if sum.within {
		c.storeCounter(e, &o, sum.value)
	}
	c.Out.Array(2)
	c.counterReply(sum.value, o.float)
	c.counterReply(sum.added, o.float)
}

// counterReply replies a number of INCREX.
func (c *Ctx) counterReply(text []byte, float bool) {
	n, isInt := number.ParseInt(text)
	switch {
	case !float && isInt:
		c.Out.Int(n)
	case c.Out.Proto() == 2:
		c.Out.Bulk(text)
	default:
		f, _ := strconv.ParseFloat(string(text), 64)
		c.Out.Double(f)
	}
}

// counterKey reads the expiry, now that the numbers are known to be right, and finds the key.
func (c *Ctx) counterKey(o *counterOptions) (*table.Entry, error) {
	if err := c.readExpiry(&o.expiry); err != nil {
		return nil, err
	}
	return c.Tx.EditKind(c.Args[1], engine.String)
}

const errBoundsCrossed engine.Error = "ERR LBOUND can't be greater than UBOUND"

// counterInt reads an integer of INCREX, or answers what stands for none.
func (c *Ctx) counterInt(i int, name string, none int64) (int64, error) {
	if i == 0 {
		return none, nil
	}
	n, ok := number.ParseInt(c.Args[i])
	if !ok {
		return 0, engine.Error("ERR " + name + " is not an integer or out of range")
	}
	return n, nil
}

func (c *Ctx) countInt(o *counterOptions) (sum counted, e *table.Entry, err error) {
	by, err := c.counterInt(o.by, "Increment", 1)
	if err != nil {
		return sum, nil, err
	}
	lower, err := c.counterInt(o.lower, "LBOUND", math.MinInt64)
	if err != nil {
		return sum, nil, err
	}
	upper, err := c.counterInt(o.upper, "UBOUND", math.MaxInt64)
	if err != nil {
		return sum, nil, err
	}
	if lower > upper {
		return sum, nil, errBoundsCrossed
	}
	if e, err = c.counterKey(o); err != nil {
		return sum, nil, err
	}
	old := int64(0)
	if e != nil {
		var ok bool
		if old, ok = number.ParseInt(e.Value()); !ok {
			return sum, nil, errNotInteger
		}
	}
	now := old + by
	overflow := by > 0 && old > math.MaxInt64-by || by < 0 && old < math.MinInt64-by
	above := overflow && by > 0 || !overflow && now > upper
	below := overflow && by < 0 || !overflow && now < lower
	switch {
	case !above && !below:
	case !o.saturate:
		return counted{value: intWord(old), added: intWord(0)}, e, nil
	case above:
		now = upper
	default:
		now = lower
	}
	if now >= 0 && old < now-math.MaxInt64 || now < 0 && old > now-math.MinInt64 {
		return sum, nil, engine.Error("ERR applied increment would overflow")
	}
	return counted{intWord(now), intWord(now - old), true}, e, nil
}

// counterFloat reads a floating-point number of INCREX, or answers what stands for none.
func (c *Ctx) counterFloat(i int, name string, none number.Extended) (number.Extended, error) {
	if i == 0 {
		return none, nil
	}
	x, ok := number.ParseExtended(c.Args[i])
	if !ok {
		return x, engine.Error("ERR " + name + " is not a valid float")
	}
	return x, nil
}

func (c *Ctx) countFloat(o *counterOptions) (sum counted, e *table.Entry, err error) {
	by, err := c.counterFloat(o.by, "Increment", number.Extended{})
	if err != nil {
		return sum, nil, err
	}
	if by.IsInf() {
		return sum, nil, engine.Error("ERR BYFLOAT increment cannot be Infinity")
	}
	lower, err := c.counterFloat(o.lower, "LBOUND", number.MaxExtended(true))
	if err != nil {
		return sum, nil, err
	}
	upper, err := c.counterFloat(o.upper, "UBOUND", number.MaxExtended(false))
	if err != nil {
		return sum, nil, err
	}
	if lower.Cmp(upper) > 0 {
		return sum, nil, errBoundsCrossed
	}
	if e, err = c.counterKey(o); err != nil {
		return sum, nil, err
	}
	var old number.Extended
	if e != nil {
		var ok bool
		if old, ok = number.ParseExtended(e.Value()); !ok {
			return sum, nil, errNotFloat
		}
		if old.IsInf() {
			return sum, nil, engine.Error("ERR value cannot be Infinity")
		}
	}
	return boundFloat(old, by, lower, upper, o.saturate, e)
}

// boundFloat adds within bounds.
func boundFloat(old, by, lower, upper number.Extended, saturate bool, e *table.Entry) (counted, *table.Entry, error) {
	now, finite := old.Add(by)
	above := !finite && by.Cmp(number.Extended{}) > 0 || finite && now.Cmp(upper) > 0
	below := !above && (!finite || now.Cmp(lower) < 0)
	added := by
	if above || below {
		if !saturate {
			return counted{value: old.Append(nil), added: intWord(0)}, e, nil
		}
		if now = lower; above {
			now = upper
		}
		if added, finite = now.Sub(old); !finite {
			return counted{}, nil, engine.Error("ERR applied increment would be Infinity")
		}
	}
	return counted{now.Append(nil), added.Append(nil), true}, e, nil
}

// storeCounter stores the sum with the expiry that the options say; one in the past deletes the key.
func (c *Ctx) storeCounter(e *table.Entry, o *counterOptions, text []byte) {
	key, old := c.Args[1], int64(0)
	if e != nil {
		old = e.Expiry()
	}
	expiry := old
	switch {
	case o.persist:
		expiry = 0
	case o.expiry.at != 0 && (!o.enx || old == 0):
		expiry = o.expiry.expiry
		if expiry <= c.Tx.Now() {
			if e != nil {
				c.Tx.Remove(e, key, engine.EventDel)
				c.Tx.Effect(words("UNLINK"), key)
			}
			return
		}
	}
	e = c.Tx.Put(key, len(text), expiry)
	copy(e.Value(), text)
	event := engine.EventIncrBy
	if o.float {
		event = engine.EventIncrByFloat
		engine.MarkText(e)
	}
	c.Tx.Changed(key, event)
	switch {
	case o.persist && old != 0:
		c.Tx.Note(key, engine.EventPersist)
	case expiry != old:
		c.Tx.Note(key, engine.EventExpire)
	}
	switch {
	case expiry != 0:
		c.Tx.Effect(words("SET"), key, text, words("PXAT"), intWord(expiry))
	default:
		c.Tx.Effect(words("SET"), key, text)
	}
}
