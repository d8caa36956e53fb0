package command

import "github.com/larderdb/larder/internal/resp"

// debugProtocol replies a sample of each kind of reply, for tests of clients and of scripts.
func debugProtocol(c *Ctx) {
	out := c.Out
	switch string(lower(nil, c.Args[2])) {
	case "string":
		out.BulkString("Hello World")
	case "integer":
		out.Int(12345)
	case "double":
		out.Double(3.141)
	case "bignum":
		out.BigNumber("1234567999999999999999999999999999999")
	case "null":
		out.Null()
	case "array":
		out.Array(3)
		c.countTo(3)
	case "set":
		out.Set(3)
		c.countTo(3)
	case "map":
		out.Map(3)
		for i := range 3 {
			out.Int(int64(i))
			out.Bool(i == 1)
		}
	case "attrib":
		if w, ok := out.(*resp.Writer); ok && out.Proto() == 3 { // no other sink takes attributes
			w.Attribute(1)
			out.BulkString("key-popularity")
			out.Array(2)
			out.BulkString("key:123")
			out.Int(90)
		}
		out.BulkString("Some real reply following the attribute")
	case "push":
		c.debugPush()
	case "verbatim":
		out.Verbatim("txt", "This is a verbatim\nstring")
	case "true", "false":
		out.Bool(c.Is(2, "TRUE"))
	default:
		c.FailText("ERR Wrong protocol type name. Please use one of the following: " +
			"string|integer|double|null|array|set|map|attrib|push|verbatim|true|false")
	}
}

func (c *Ctx) countTo(n int) {
	for i := range n {
		c.Out.Int(int64(i))
	}
}

// debugPush sends a push, which is no reply, and a reply after it.
func (c *Ctx) debugPush() {
	if c.Out.Proto() < 3 {
		c.FailText("ERR RESP2 is not supported by this command")
		return
	}
	if _, ok := c.Out.(*resp.Writer); ok {
		c.Out.Push(2)
		c.Out.BulkString("server-cpu-usage")
		c.Out.Int(42)
	}
	c.Out.BulkString("Some real reply following the push reply")
}
