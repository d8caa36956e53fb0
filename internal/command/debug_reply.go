package command

import "strings"

// debugError answers an error as it is given, but on one line.
func debugError(c *Ctx) {
	c.failed = true
	c.Out.Error(strings.NewReplacer("\r", " ", "\n", " ").Replace(string(c.Args[2])))
}

// attributed is a Sink that can say something about the reply that follows.
type attributed interface{ Attribute(n int) }

// debugProtocol answers a value of a type, for clients to read.
func debugProtocol(c *Ctx) {
	out := c.Out
	switch {
	case c.Is(2, "STRING"):
		out.BulkString("Hello World")
	case c.Is(2, "INTEGER"):
		out.Int(12345)
	case c.Is(2, "DOUBLE"):
		out.Double(3.141)
	case c.Is(2, "BIGNUM"):
		out.BigNumber("1234567999999999999999999999999999999")
	case c.Is(2, "NULL"):
		out.Null()
	case c.Is(2, "ARRAY"):
		out.Array(3)
		c.countToThree()
	case c.Is(2, "SET"):
		out.Set(3)
		c.countToThree()
	case c.Is(2, "MAP"):
		out.Map(3)
		for i := range 3 {
			out.Int(int64(i))
			out.Bool(i == 1)
		}
	case c.Is(2, "ATTRIB"):
		c.debugAttribute()
	case c.Is(2, "PUSH"):
		c.debugPush()
	case c.Is(2, "TRUE"), c.Is(2, "FALSE"):
		out.Bool(c.Is(2, "TRUE"))
	case c.Is(2, "VERBATIM"):
		out.Verbatim("txt", "This is a verbatim\nstring")
	default:
		c.FailText("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	}
}

func (c *Ctx) countToThree() {
	for i := range 3 {
		c.Out.Int(int64(i))
	}
}

func (c *Ctx) debugAttribute() {
	if w, ok := c.Out.(attributed); ok && c.Out.Proto() >= 3 {
		w.Attribute(1)
		c.Out.BulkString("key-popularity")
		c.Out.Array(2)
		c.Out.BulkString("key:123")
		c.Out.Int(90)
	}
	c.Out.BulkString("Some real reply following the attribute")
}

func (c *Ctx) debugPush() {
	if c.Out.Proto() < 3 {
		c.FailText("ERR RESP2 is not supported by this command")
		return
	}
	if _, ok := c.Out.(attributed); ok { // a connection; a reply in memory has no place for it
		c.Out.Push(2)
		c.Out.BulkString("server-cpu-usage")
		c.Out.Int(42)
	}
	c.Out.BulkString("Some real reply following the push reply")
}
