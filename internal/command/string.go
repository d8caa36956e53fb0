package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
)

func stringRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		group = "string"
	)
	return slices.Concat(compareRows(), []Command{
		{Name: "get", Arity: 2, Flags: read, ACL: CatString, Keys: Key(RO | Access), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Reads the string at a key.", Run: get},
		{Name: "set", Arity: -3, Flags: Write | DenyOOM, ACL: CatString,
			Keys: []KeySpec{{Flags: RW | Access | Update | VariableFlags, Begin: 1, Step: 1, Notes: "RW and ACCESS due to the optional `GET` argument"}}, KeyUse: useOfSet,
			Group: group, Since: "1.0.0", Cost: "O(1)", Summary: "Stores a string, whatever was at the key before.", Run: setString},
		{Name: "setnx", Arity: 3, Flags: write, ACL: CatString, Keys: Key(OW | Insert), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Stores a string if the key is missing.", Outdated: "2.6.12", Instead: "`SET` with the `NX` argument", Run: setNX},
		{Name: "setex", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Keys: Key(OW | Update), Group: group, Since: "2.0.0",
			Cost: "O(1)", Summary: "Stores a string with a time to live in seconds.", Outdated: "2.6.12", Instead: "`SET` with the `EX` argument", Run: setEX},
		{Name: "psetex", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Keys: Key(OW | Update), Group: group, Since: "2.6.0",
			Cost: "O(1)", Summary: "Stores a string with a time to live in milliseconds.", Outdated: "2.6.12", Instead: "`SET` with the `PX` argument", Run: setEX},
		{Name: "getex", Arity: -2, Flags: Write | Fast, ACL: CatString,
			Keys:  []KeySpec{{Flags: RW | Access | Update, Begin: 1, Step: 1, Notes: "RW and UPDATE because it changes the TTL"}},
			Group: group, Since: "6.2.0", Cost: "O(1)", Summary: "Reads a string and sets or removes its time to live.", Run: getEX},
		{Name: "getdel", Arity: 2, Flags: Write | Fast, ACL: CatString, Keys: Key(RW | Access | Delete), Group: group, Since: "6.2.0",
			Cost: "O(1)", Summary: "Reads a string and deletes its key.", Run: getDel},
		{Name: "getset", Arity: 3, Flags: write, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Stores a string and answers the one before.", Outdated: "6.2.0", Instead: "`SET` with the `!GET` argument", Run: getSet},
		{Name: "mget", Arity: -2, Flags: read, ACL: CatString, Keys: KeysToEnd(RO|Access, 1), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Reads the strings at several keys.", Tips: []string{"request_policy:multi_shard"}, Run: mget},
		{Name: "mset", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Keys: KeysToEnd(OW|Update, 2), Group: group, Since: "1.0.1",
			Cost: "O(N) where N is the number of keys", Summary: "Stores several strings at once.",
			Tips: []string{"request_policy:multi_shard", "response_policy:all_succeeded"}, Run: mset},
		{Name: "msetnx", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Keys: KeysToEnd(OW|Insert, 2), Group: group, Since: "1.0.1",
			Cost: "O(N) where N is the number of keys", Summary: "Stores several strings if none of the keys is there.", Run: msetNX},
		{Name: "incr", Arity: 2, Flags: write, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Adds one to an integer.", Run: incr},
		{Name: "decr", Arity: 2, Flags: write, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Takes one from an integer.", Run: decr},
		{Name: "incrby", Arity: 3, Flags: write, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Adds to an integer.", Run: incrBy},
		{Name: "decrby", Arity: 3, Flags: write, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Takes from an integer.", Run: decrBy},
		{Name: "incrbyfloat", Arity: 3, Flags: write, ACL: CatString, Keys: Key(RW | Access | Update), Group: group, Since: "2.6.0",
			Cost: "O(1)", Summary: "Adds to a floating-point number.", Run: incrByFloat},
		{Name: "append", Arity: 3, Flags: write, ACL: CatString, Keys: Key(RW | Insert), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the length added, amortised", Summary: "Adds to the end of a string.", Run: appendTo},
		{Name: "strlen", Arity: 2, Flags: read, ACL: CatString, Keys: Key(RO), Group: group, Since: "2.2.0",
			Cost: "O(1)", Summary: "Tells the length of a string.", Run: strLen},
		{Name: "getrange", Arity: 4, Flags: ReadOnly, ACL: CatString, Keys: Key(RO | Access), Group: group, Since: "2.4.0",
			Cost: "O(N) where N is the length of the part", Summary: "Reads a part of a string.", Run: getRange},
		{Name: "substr", Arity: 4, Flags: ReadOnly, ACL: CatString, Keys: Key(RO | Access), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the length of the part", Summary: "Reads a part of a string.", Outdated: "2.0.0", Instead: "`GETRANGE`", Run: getRange},
		{Name: "setrange", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Keys: Key(RW | Update), Group: group, Since: "2.2.0",
			Cost: "O(N) where N is the length written", Summary: "Overwrites a part of a string, padding with zero bytes.", Run: setRange},
		{Name: "lcs", Arity: -3, Flags: ReadOnly, ACL: CatString,
			Keys: []KeySpec{{Flags: RO | Access, Begin: 1, Last: 1, Step: 1}}, Group: group, Since: "7.0.0",
			Cost: "O(N*M) where N and M are the lengths", Summary: "Finds the longest common subsequence of two strings.", Run: lcs},
	})
}

func get(c *Ctx) { c.replyString() }

// useOfSet is what a SET does with its key: only with GET, or where the value there decides, it reads it.
func useOfSet(args [][]byte) KeyFlag {
	for _, a := range args[min(len(args), 3):] {
		if _, reads := conditionWord(a); reads || isWord(a, "GET") {
			return RW | Access | Update
		}
	}
	return OW | Update
}

// replyString tells the string at the key of argument 1, or nil; false on a wrong type.
func (c *Ctx) replyString() bool {
	e, ok := c.Read(1, engine.String)
	switch {
	case !ok:
		return false
	case e == nil:
		c.Out.Null()
	default:
		c.Out.Bulk(e.Value())
	}
	return true
}

// put stores a string as SET does.
func (c *Ctx) put(key, value []byte, expiry int64) {
	e := c.Tx.Put(key, len(value), expiry)
	copy(e.Value(), value)
	c.Tx.Changed(key, engine.EventSet)
}

func setString(c *Ctx) {
	o, err := parseSet(c, 3, true)
	if err == nil {
		err = c.readExpiry(&o)
	}
	if err != nil {
		c.Fail(err)
		return
	}
	key, value := c.Args[1], c.Args[2]
	if o.get && !c.replyString() {
		return
	}
	if o.nx || o.xx {
		if found := c.Tx.Edit(key) != nil; found == o.nx {
			if !o.get {
				c.Out.Null()
			}
			return
		}
	}
	if o.compare != nil {
		switch holds, err := o.compare.met(c.Tx, key); {
		case err != nil:
			c.Fail(err)
			return
		case !holds:
			if !o.get {
				c.Out.Null()
			}
			return
		}
	}
	c.store(key, value, o)
	if !o.get {
		c.OK()
	}
}

// store writes a string with the expiry of the options; one in the past deletes the key.
func (c *Ctx) store(key, value []byte, o setOptions) {
	switch {
	case o.keepTTL:
		c.put(key, value, engine.KeepTTL)
		if o.get {
			c.Tx.Effect(words("SET"), key, value, words("KEEPTTL"))
		}
	case o.expiry != 0 && o.expiry <= c.Tx.Now():
		if c.Tx.Delete(key) {
			c.Tx.Effect(words("UNLINK"), key)
		}
	case o.expiry != 0:
		c.put(key, value, o.expiry)
		c.Tx.Note(key, engine.EventExpire)
		if c.Tx.Journaling() && (!o.isPlain() || c.Row.Name != "set") {
			c.Tx.Effect(words("SET"), key, value, words("PXAT"), intWord(o.expiry))
		}
	default:
		c.put(key, value, 0)
		if o.get {
			c.Tx.Effect(words("SET"), key, value)
		}
	}
}

func setNX(c *Ctx) {
	if c.Tx.Edit(c.Args[1]) != nil {
		c.Out.Int(0)
		return
	}
	c.put(c.Args[1], c.Args[2], 0)
	c.Out.Int(1)
}

// setEX is SETEX and PSETEX.
func setEX(c *Ctx) {
	expiry, err := c.expiryArg(2, unit{millis: c.Row.Name == "psetex"})
	if err != nil {
		c.Fail(err)
		return
	}
	c.store(c.Args[1], c.Args[3], setOptions{expiry: expiry})
	c.OK()
}

func getEX(c *Ctx) {
	o, err := parseSet(c, 2, false)
	if err != nil {
		c.Fail(err)
		return
	}
	key := c.Args[1]
	e, ok := c.Read(1, engine.String)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Null()
		return
	}
	if err := c.readExpiry(&o); err != nil { // only now, as Redis does
		c.Fail(err)
		return
	}
	c.Out.Bulk(e.Value())
	switch {
	case o.expiry != 0 && o.expiry <= c.Tx.Now():
		c.Tx.Remove(e, key, engine.EventDel)
		c.Tx.Effect(words("UNLINK"), key)
	case o.expiry != 0:
		e.SetExpiry(o.expiry)
		c.Tx.Changed(key, engine.EventExpire)
		if c.Tx.Journaling() {
			c.Tx.Effect(words("PEXPIREAT"), key, intWord(o.expiry))
		}
	case o.persist && e.Expiry() != 0:
		e.SetExpiry(0)
		c.Tx.Changed(key, engine.EventPersist)
		c.Tx.Effect(words("PERSIST"), key)
	}
}

func getDel(c *Ctx) {
	e, ok := c.Read(1, engine.String)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Null()
		return
	}
	c.Out.Bulk(e.Value())
	c.Tx.Remove(e, c.Args[1], engine.EventDel)
	c.Tx.Effect(words("DEL"), c.Args[1])
}

func getSet(c *Ctx) {
	if !c.replyString() {
		return
	}
	c.put(c.Args[1], c.Args[2], 0)
	c.Tx.Effect(words("SET"), c.Args[1], c.Args[2])
}

func mget(c *Ctx) {
	c.Out.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		e := c.Tx.Find(key)
		if e == nil || engine.Kind(e.Kind()) != engine.String {
			c.Out.Null()
		} else {
			c.Out.Bulk(e.Value())
		}
		c.Tx.Step()
	}
}

func mset(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.FailText("ERR wrong number of arguments for 'mset' command")
		return
	}
	c.putPairs()
	c.OK()
}

func msetNX(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.FailText("ERR wrong number of arguments for 'msetnx' command")
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		if c.Tx.Exists(c.Args[i]) {
			c.Out.Int(0)
			return
		}
		c.Tx.Step()
	}
	c.putPairs()
	c.Out.Int(1)
}

func (c *Ctx) putPairs() {
	for i := 1; i < len(c.Args); i += 2 {
		c.put(c.Args[i], c.Args[i+1], 0)
		c.Tx.Step()
	}
}

func strLen(c *Ctx) {
	e, ok := c.Read(1, engine.String)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = len(e.Value())
	}
	c.Out.Int(int64(n))
}
