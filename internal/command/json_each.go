package command

import (
	"github.com/larderdb/larder/internal/types/jsondoc"
)

// jsonEach replies something of each value that a path leads to: of a legacy path, of the first.
type jsonEach struct {
	is      func(t jsondoc.Type) bool
	reply   func(n jsondoc.Node)
	missing error // for a JSONPath where there is no key
	absent  error // for a legacy path where there is no key; nil: the reply is nil
	nothing error // where a legacy path leads nowhere; nil: the reply is nil
	other   error // where a legacy path leads to another type

	room func(n jsondoc.Node) int // about how long the reply of a value is, if that grows with it
}

func (c *Ctx) jsonReplyEach(o jsonEach) {
	root, found, ok := c.jsonRead(1)
	if !ok {
		return
	}
	if !found {
		switch {
		case !isLegacyArg(c.jsonPathArg(2)):
			c.Fail(o.missing)
		case o.absent != nil:
			c.Fail(o.absent)
		default:
			c.Out.Null()
		}
		return
	}
	p, ok := c.jsonPath(2)
	if !ok {
		return
	}
	nodes, ok := c.jsonFind(p, root)
	switch {
	case !ok:
	case o.tooLong(nodes):
		c.jsonFail(jsondoc.ErrCosty)
	case !p.Legacy():
		c.Out.Array(len(nodes))
		for _, n := range nodes {
			if o.is(n.Type()) {
				o.reply(n)
			} else {
				c.Out.Null()
			}
		}
	case len(nodes) == 0 && o.nothing == nil:
		c.Out.Null()
	case len(nodes) == 0:
		c.Fail(o.nothing)
	case !o.is(nodes[0].Type()):
		c.Fail(o.other)
	default:
		o.reply(nodes[0])
	}
}

// tooLong tells whether a path leads to the same values so often that the reply would be longer than any document.
func (o *jsonEach) tooLong(nodes []jsondoc.Node) bool {
	room := 0
	for i := 0; i < len(nodes) && o.room != nil && room <= 2*jsondoc.MaxSize; i++ {
		if o.is(nodes[i].Type()) {
			room += o.room(nodes[i])
		}
	}
	return room > 2*jsondoc.MaxSize
}

// isLegacyArg tells whether a text would be a path of the legacy dialect.
func isLegacyArg(text []byte) bool { return jsondoc.IsLegacy(text) }

func isJSON(t jsondoc.Type) func(jsondoc.Type) bool {
	return func(other jsondoc.Type) bool { return t == other }
}

func jsonStrLen(c *Ctx) {
	c.jsonReplyEach(jsonEach{is: isJSON(jsondoc.String), missing: errJSONMissing, nothing: errJSONPath, other: errJSONWanted("string"),
		reply: func(n jsondoc.Node) { c.Out.Int(int64(len(n.Bytes()))) }})
}

func jsonArrLen(c *Ctx) {
	c.jsonReplyEach(jsonEach{is: isJSON(jsondoc.Array), missing: errJSONMissing, nothing: errJSONPath, other: errJSONNotArray,
		reply: func(n jsondoc.Node) { c.Out.Int(int64(n.Len())) }})
}

func jsonObjLen(c *Ctx) {
	c.jsonReplyEach(jsonEach{is: isJSON(jsondoc.Object), missing: errJSONNotObject, other: errJSONWanted("object"),
		reply: func(n jsondoc.Node) { c.Out.Int(int64(n.Len())) }})
}

func jsonObjKeys(c *Ctx) {
	c.jsonReplyEach(jsonEach{is: isJSON(jsondoc.Object), missing: errJSONMissing, other: errJSONNotObject, room: jsonNamesRoom, reply: func(n jsondoc.Node) {
		c.Out.Array(n.Len())
		n.Members(func(name []byte, _ jsondoc.Node) bool { c.Out.Bulk(name); return true })
	}})
}

// jsonNamesRoom is about how long the reply of the names in an object is.
func jsonNamesRoom(n jsondoc.Node) (room int) {
	n.Members(func(name []byte, _ jsondoc.Node) bool { room += len(name) + 8; return true })
	return room
}

// jsonIndexArg parses the position at an argument; fallback where there is none. false: the error is replied.
func (c *Ctx) jsonIndexArg(i int, fallback int64) (int64, bool) {
	if i >= len(c.Args) {
		return fallback, true
	}
	n, err := c.IntArg(i)
	if err != nil {
		c.Fail(errJSONInteger)
	}
	return n, err == nil
}

func jsonArrIndex(c *Ctx) {
	from, ok := c.jsonIndexArg(4, 0)
	if !ok {
		return
	}
	to, ok := c.jsonIndexArg(5, 0)
	if !ok {
		return
	}
	if len(c.Args) > 6 {
		c.Fail(c.arityError())
		return
	}
	want, ok := c.jsonValue(3)
	if !ok {
		return
	}
	c.jsonReplyEach(jsonEach{is: isJSON(jsondoc.Array), missing: errJSONPath, absent: errJSONPath, nothing: errJSONPath, other: errJSONWanted("array"),
		reply: func(n jsondoc.Node) { c.Out.Int(jsonIndexIn(n, jsondoc.Root(want.Bytes), from, to)) }})
}

// jsonIndexIn is the position of a value between two; the second is not part of the range, and 0 is the end.
func jsonIndexIn(n, want jsondoc.Node, from, to int64) int64 {
	size := int64(n.Len())
	from = jsonStart(from, size)
	switch {
	case to == 0:
		to = size
	case to < 0:
		to = max(0, size+to)
	}
	at := int64(-1)
	n.Elements(func(i int, v jsondoc.Node) bool {
		if int64(i) >= to {
			return false
		}
		if int64(i) >= from && jsondoc.Equal(v, want) {
			at = int64(i)
		}
		return at < 0
	})
	return at
}

// jsonStart is a position in an array of n elements; the nearest where there is none so far out.
func jsonStart(i, n int64) int64 {
	if i < 0 {
		return max(0, n+i)
	}
	return min(i, n-1)
}
