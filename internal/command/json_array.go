package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/jsondoc"
)

// jsonArrays changes arrays; fn gives the change and the new length.
func (c *Ctx) jsonArrays(ev engine.Event, ordered bool, fn func(n jsondoc.Node) (jsondoc.Change, int, error)) {
	var lens jsonResults[int]
	c.jsonEditEach(2, jsonEditing{
		event: ev, is: isJSON(jsondoc.Array), nothing: errJSONNotArray, ordered: ordered,
		change: func(i int, n jsondoc.Node) (jsondoc.Change, error) {
			change, size, err := fn(n)
			lens.set(i, size)
			return change, err
		},
		reply: func(i int) { c.jsonReplyLen(&lens, i) },
	})
}

func (c *Ctx) jsonReplyLen(lens *jsonResults[int], i int) {
	n, _ := lens.get(i)
	c.Out.Int(int64(n))
}

func jsonArrAppend(c *Ctx) {
	v, count, ok := c.jsonValues(3)
	if !ok {
		return
	}
	c.jsonArrays(engine.EventJSONArrAppend, false, func(n jsondoc.Node) (jsondoc.Change, int, error) {
		return jsondoc.Insert(n, n.Len(), count, v), n.Len() + count, nil
	})
}

func jsonArrInsert(c *Ctx) {
	at, ok := c.jsonIndexArg(3, 0)
	if !ok {
		return
	}
	v, count, ok := c.jsonValues(4)
	if !ok {
		return
	}
	c.jsonArrays(engine.EventJSONArrInsert, true, func(n jsondoc.Node) (jsondoc.Change, int, error) {
		i, size := at, int64(n.Len())
		if i < 0 {
			i += size
		}
		if i < 0 || i > size {
			return jsondoc.Keep(), 0, engine.Error("ERR index out of bounds")
		}
		return jsondoc.Insert(n, int(i), count, v), n.Len() + count, nil
	})
}

func jsonArrTrim(c *Ctx) {
	start, ok := c.jsonIndexArg(3, 0)
	if !ok {
		return
	}
	stop, ok := c.jsonIndexArg(4, 0)
	if !ok {
		return
	}
	c.jsonArrays(engine.EventJSONArrTrim, true, func(n jsondoc.Node) (jsondoc.Change, int, error) {
		from, to := jsonRange(start, stop, int64(n.Len()))
		return jsondoc.Trim(n, int(from), int(to)), int(to - from), nil
	})
}

// jsonRange are the bounds of what JSON.ARRTRIM keeps of n elements; the second is not part of it.
func jsonRange(start, stop, n int64) (from, to int64) {
	if start >= n || n == 0 {
		return 0, 0
	}
	if start < 0 {
		start = max(0, n+max(start, -n))
	}
	if stop < 0 {
		stop = max(0, n+max(stop, -n))
	}
	stop = min(stop, n-1)
	if start > stop {
		return 0, 0
	}
	return start, stop + 1
}

// jsonArrPop takes the last element where no position is given, or one that is no number.
func jsonArrPop(c *Ctx) {
	l := jsonLayout{reply: "STRINGS", resp3: c.Out.Proto() == 3}
	path := 2
	if len(c.Args) > 3 && c.Is(2, "FORMAT") {
		if err := l.setReply(c.Args[3]); err != nil || l.reply == "STRING" {
			c.Fail(errJSONFormat)
			return
		}
		if !l.resp3 {
			c.FailText("ERR FORMAT argument is not supported on RESP2")
			return
		}
		path = 4
	}
	if l.reply != "STRINGS" && isLegacyArg(c.jsonPathArg(path)) {
		c.FailText("Legacy paths are supported only with FORMAT STRINGS")
		return
	}
	at := int64(-1)
	if path+1 < len(c.Args) {
		if n, err := c.IntArg(path + 1); err == nil {
			at = n
		}
	}
	var popped jsonResults[[]byte]
	c.jsonEditEach(path, jsonEditing{
		event: engine.EventJSONArrPop, is: isJSON(jsondoc.Array), nothing: errJSONNotArray, ordered: true,
		change: func(i int, n jsondoc.Node) (jsondoc.Change, error) {
			if n.Len() == 0 {
				return jsondoc.Keep(), nil
			}
			from := int(jsonStart(at, int64(n.Len())))
			popped.set(i, n.Index(from).Copy())
			return jsondoc.Remove(n, from, 1), nil
		},
		changed: func() bool { return popped.some },
		reply: func(i int) {
			v, _ := popped.get(i)
			popped.set(i, nil) // what was taken is told once, however often the path leads to its array
			switch {
			case v == nil:
				c.Out.Null()
			case l.expanded():
				c.jsonReplyNode(jsondoc.Root(v), &l)
			default:
				c.Out.Bulk(jsondoc.Root(v).AppendText(nil))
			}
		},
	})
}
