package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/jsondoc"
)

// jsonEditing is a command that changes all values of one type that a path leads to, in the same way. What it replies of
// each is gathered first, for it may fail at the last.
type jsonEditing struct {
	event   engine.Event
	is      func(t jsondoc.Type) bool
	nothing error // where a legacy path leads to no such value
	change  func(i int, n jsondoc.Node) (jsondoc.Change, error)
	reply   func(i int)                   // what is told of value i
	all     func(same []int, legacy bool) // instead of reply: the whole reply, to values that are the same as others
	changed func() bool                   // nil: every change is one
	ordered bool                          // of a legacy path the last reply is that of the last in RedisJSON's order of changes
}

func (c *Ctx) jsonEditEach(path int, o jsonEditing) {
	e, p, found, ok := c.jsonTarget(path)
	if !ok {
		return
	}
	targets := make([]jsondoc.Node, 0, len(found))
	at := make([]int, 0, len(found)) // of each target among those found
	for i, n := range found {
		if o.is(n.Type()) {
			targets, at = append(targets, n), append(at, i)
		}
	}
	if p.Legacy() && len(targets) == 0 {
		c.Fail(o.nothing)
		return
	}
	last := len(targets) - 1
	if p.Legacy() && o.ordered {
		last = jsondoc.LastChanged(jsondoc.Root(e.Value()), targets)
	}
	if len(targets) > 0 {
		err := jsondoc.Apply(e, targets, func(i int, n jsondoc.Node) (jsondoc.Change, error) { return o.change(at[i], n) })
		if err != nil {
			c.jsonFail(err)
			return
		}
		if o.changed == nil || o.changed() || p.Legacy() {
			c.Tx.Changed(c.Args[1], o.event)
		}
	}
	same := jsonSame(found)
	switch {
	case o.all != nil:
		o.all(same, p.Legacy())
	case p.Legacy():
		o.reply(same[at[last]])
	default:
		c.Out.Array(len(found))
		for i := range found {
			if len(at) > 0 && at[0] == i {
				at = at[1:]
				o.reply(same[i])
			} else {
				c.Out.Null()
			}
		}
	}
}

// jsonResults are what was found out about values, by their positions; most often there is one.
type jsonResults[T any] struct {
	first T
	at    int
	some  bool
	more  map[int]T
}

func (r *jsonResults[T]) set(i int, v T) {
	switch {
	case !r.some || r.at == i:
		r.first, r.at, r.some = v, i, true
		return
	case r.more == nil:
		r.more = make(map[int]T)
	}
	r.more[i] = v
}

func (r *jsonResults[T]) get(i int) (v T, ok bool) {
	if r.some && r.at == i {
		return r.first, true
	}
	v, ok = r.more[i]
	return v, ok
}

// jsonSame says of each value which is the first in its place: a path may lead to one several times, which is changed once.
func jsonSame(found []jsondoc.Node) []int {
	same := make([]int, len(found))
	if len(found) == 1 {
		return same
	}
	first := make(map[int]int, len(found))
	for i, n := range found {
		if _, ok := first[n.At()]; !ok {
			first[n.At()] = i
		}
		same[i] = first[n.At()]
	}
	return same
}

func jsonNumIncrBy(c *Ctx) {
	c.jsonNumber(engine.EventJSONNumIncrBy, func(a, b int64) int64 { return a + b }, func(a, b float64) float64 { return a + b })
}

func jsonNumMultBy(c *Ctx) {
	c.jsonNumber(engine.EventJSONNumMultBy, func(a, b int64) int64 { return a * b }, func(a, b float64) float64 { return a * b })
}

func jsonNumPowBy(c *Ctx) {
	c.jsonNumber(engine.EventJSONNumPowBy, jsonPower, math.Pow)
}

// jsonPower is a to the power of the lower 32 bits of b.
func jsonPower(a, b int64) int64 {
	r := int64(1)
	for e := uint32(b); e != 0; e >>= 1 {
		if e&1 != 0 {
			r *= a
		}
		a *= a
	}
	return r
}

// jsonNumber computes with numbers: with integers, which wrap around as in RedisJSON, while both are.
func (c *Ctx) jsonNumber(ev engine.Event, ints func(a, b int64) int64, floats func(a, b float64) float64) {
	var results jsonResults[jsondoc.Value]
	var by jsondoc.Node
	c.jsonEditEach(2, jsonEditing{
		event: ev, is: jsondoc.Type.Number, nothing: errJSONPath + " or does not contains a number",
		change: func(i int, n jsondoc.Node) (jsondoc.Change, error) {
			if !results.some {
				b, err := jsondoc.Parse(nil, c.Args[3])
				if err != nil {
					return jsondoc.Keep(), err
				}
				if by = jsondoc.Root(b); !by.Type().Number() {
					return jsondoc.Keep(), engine.Error("bad input number")
				}
			}
			var v jsondoc.Value
			if n.Type() == jsondoc.Int && by.Type() == jsondoc.Int {
				v = jsondoc.IntValue(ints(n.Int(), by.Int()))
			} else {
				f := floats(n.Float(), by.Float())
				if math.IsInf(f, 0) || math.IsNaN(f) {
					return jsondoc.Keep(), engine.Error("result is not a number")
				}
				v = jsondoc.FloatValue(f)
			}
			results.set(i, v)
			return jsondoc.Replace(v), nil
		},
		all: func(same []int, legacy bool) { c.jsonReplyNumbers(same, &results, legacy) },
	})
}

// jsonReplyNumbers replies new numbers: an array for RESP3, else text, of a legacy path that of the last.
func (c *Ctx) jsonReplyNumbers(same []int, results *jsonResults[jsondoc.Value], legacy bool) {
	if c.Out.Proto() == 3 {
		c.Out.Array(len(same))
		for _, first := range same {
			if v, ok := results.get(first); !ok {
				c.Out.Null()
			} else if n := jsondoc.Root(v.Bytes); n.Type() == jsondoc.Int {
				c.Out.Int(n.Int())
			} else {
				c.Out.Double(n.Float())
			}
		}
		return
	}
	f := &jsondoc.Format{}
	b := f.Open(nil, '[')
	var last []byte
	for i, first := range same {
		b = f.Next(b, i)
		if v, ok := results.get(first); ok {
			last = jsondoc.Root(v.Bytes).AppendText(nil)
			b = append(b, last...)
		} else {
			b = append(b, "null"...)
		}
	}
	if legacy {
		c.Out.Bulk(last)
		return
	}
	c.Out.Bulk(f.Close(b, ']', len(same)))
}

func jsonToggle(c *Ctx) {
	var results jsonResults[bool]
	c.jsonEditEach(2, jsonEditing{
		event: engine.EventJSONToggle, is: isJSON(jsondoc.Bool), nothing: errJSONPath + " or not a bool",
		change: func(i int, n jsondoc.Node) (jsondoc.Change, error) {
			results.set(i, !n.Bool())
			return jsondoc.Replace(jsondoc.BoolValue(!n.Bool())), nil
		},
		reply: func(i int) {
			on, _ := results.get(i)
			switch {
			case !isLegacyArg(c.Args[2]):
				c.Bool(on)
			case on:
				c.Out.BulkString("true")
			default:
				c.Out.BulkString("false")
			}
		},
	})
}

func jsonStrAppend(c *Ctx) {
	path, text := 2, c.Args[len(c.Args)-1]
	if len(c.Args) == 3 {
		path = len(c.Args) // the root
	} else {
		text = c.Args[3]
	}
	var more []byte
	var lens jsonResults[int]
	c.jsonEditEach(path, jsonEditing{
		event: engine.EventJSONStrAppend, is: isJSON(jsondoc.String), nothing: errJSONPath + " or not a string",
		change: func(i int, n jsondoc.Node) (jsondoc.Change, error) {
			if !lens.some {
				b, err := jsondoc.Parse(nil, text)
				if err != nil {
					return jsondoc.Keep(), err
				}
				if jsondoc.Root(b).Type() != jsondoc.String {
					return jsondoc.Keep(), errJSONWanted("string")
				}
				more = jsondoc.Root(b).Bytes()
			}
			lens.set(i, len(n.Bytes())+len(more))
			return jsondoc.Replace(jsondoc.StringValue(n.Bytes(), more)), nil
		},
		reply: func(i int) { c.jsonReplyLen(&lens, i) },
	})
}

// jsonValues parses the texts from an argument on, one behind the other. false: the error is replied.
func (c *Ctx) jsonValues(from int) (all jsondoc.Value, n int, ok bool) {
	for i := from; i < len(c.Args); i++ {
		v, ok := c.jsonValue(i)
		if !ok {
			return all, 0, false
		}
		all.Bytes = append(all.Bytes, v.Bytes...)
		all.Depth = max(all.Depth, v.Depth)
	}
	return all, len(c.Args) - from, true
}
