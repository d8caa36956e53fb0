package command

import (
	"bytes"
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/number"
)

const (
	errSameObject engine.Error = "ERR source and destination objects are the same"
	errNotInt32   engine.Error = "ERR value is out of range, value must between -2147483648 and 2147483647"
	errDBRange                 = engine.ErrDBIndex
)

func genericRows() []Command {
	const group = "generic"
	return append(expireRows(), []Command{
		{Name: "del", Arity: -2, Flags: Write, ACL: CatKeyspace, Keys: KeysToEnd(RM|Delete, 1), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys; what a large value held is given back later", Summary: "Deletes keys.",
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"}, Run: del},
		{Name: "unlink", Arity: -2, Flags: Write | Fast, ACL: CatKeyspace, Keys: KeysToEnd(RM|Delete, 1), Group: group, Since: "4.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Deletes keys; the same as DEL here.",
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"}, Run: del},
		{Name: "exists", Arity: -2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: KeysToEnd(RO, 1), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Counts how many of the keys are there.",
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"}, Run: exists},
		{Name: "touch", Arity: -2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: KeysToEnd(RO, 1), Group: group, Since: "3.2.1",
			Cost: "O(N) where N is the number of keys", Summary: "Marks keys as used now and counts those that are there.",
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"}, Run: exists},
		{Name: "type", Arity: 2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: Key(RO), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Tells the type of the value at a key.", Run: typeOf},
		{Name: "rename", Arity: 3, Flags: Write, ACL: CatKeyspace,
			Keys:  []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(OW|Update, 2)},
			Group: group, Since: "1.0.0", Cost: "O(1), or O(N) where the keys are of different shards", Summary: "Renames a key, replacing what has the new name.", Run: rename},
		{Name: "renamenx", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace,
			Keys:  []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(OW|Insert, 2)},
			Group: group, Since: "1.0.0", Cost: "O(1), or O(N) where the keys are of different shards", Summary: "Renames a key unless the new name is taken.", Run: rename},
		{Name: "copy", Arity: -3, Flags: Write | DenyOOM, ACL: CatKeyspace,
			Keys:  []KeySpec{KeyAt(RO|Access, 1), KeyAt(OW|Update, 2)},
			Group: group, Since: "6.2.0", Cost: "O(N) where N is the size of the value", Summary: "Copies a value to another key.", Run: copyKey},
		{Name: "move", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace, Keys: Key(RW | Access | Update), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Moves a key to another database.", Run: moveKey},
		{Name: "keys", Arity: 2, Flags: ReadOnly, ACL: CatKeyspace | CatDangerous, Lock: LockWalk, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Lists the keys that match a pattern.",
			Tips: []string{"request_policy:all_shards", "nondeterministic_output_order"}, Run: keys},
		{Name: "scan", Arity: -2, Flags: ReadOnly, ACL: CatKeyspace, Lock: LockWalk, Group: group, Since: "2.8.0",
			Cost: "O(1) for each call, O(N) for a whole walk", Summary: "Walks over the keys in steps.",
			Tips: []string{"nondeterministic_output", "request_policy:special", "response_policy:special"}, Run: scan},
		{Name: "randomkey", Arity: 1, Flags: ReadOnly, ACL: CatKeyspace, Lock: LockWalk, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Picks some key.",
			Tips: []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"}, Run: randomKey},
		{Name: "object", Arity: -2, Group: group, Since: "2.2.3", Cost: "depends on the subcommand",
			Summary: "Looks at how a value is kept.", Subs: objectRows()},
	}...)
}

func del(c *Ctx) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if c.Tx.Delete(key) {
			n++
		}
		c.Tx.Step()
	}
	c.Out.Int(n)
}

// exists is EXISTS and TOUCH: both count, and only TOUCH touches.
func exists(c *Ctx) {
	how := engine.NoTouch
	if c.Row.Name == "touch" {
		how = 0
	}
	n := int64(0)
	for _, key := range c.Args[1:] {
		if c.Tx.Lookup(key, how) != nil {
			n++
		}
		c.Tx.Step()
	}
	c.Out.Int(n)
}

func typeOf(c *Ctx) {
	e := c.Tx.Lookup(c.Args[1], engine.NoTouch)
	if e == nil {
		c.Out.Simple("none")
		return
	}
	c.Out.Simple(engine.Kind(e.Kind()).String())
}

// rename is RENAME and RENAMENX.
func rename(c *Ctx) {
	from, to := c.Args[1], c.Args[2]
	nx := c.Row.Name == "renamenx"
	if c.Tx.Edit(from) == nil {
		c.Fail(errNoKey)
		return
	}
	same := bytes.Equal(from, to)
	switch {
	case nx && (same || c.Tx.Exists(to)):
		c.Out.Int(0)
		return
	case !same:
		c.Tx.Transfer(from, to, c.Tx.DB(), true)
		c.Tx.Changed(from, engine.EventRenameFrom)
		c.Tx.Changed(to, engine.EventRenameTo)
	}
	if nx {
		c.Out.Int(1)
	} else {
		c.OK()
	}
}

func copyKey(c *Ctx) {
	from, to, db, replace := c.Args[1], c.Args[2], c.Tx.DB(), false
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "REPLACE"):
			replace = true
		case c.Is(i, "DB") && i+1 < len(c.Args):
			i++
			var err error
			if db, err = c.dbArg(i, errNotInteger); err != nil {
				c.Fail(err)
				return
			}
		default:
			c.Fail(errSyntax)
			return
		}
	}
	if db == c.Tx.DB() && bytes.Equal(from, to) {
		c.Fail(errSameObject)
		return
	}
	if c.Tx.Find(from) == nil || !replace && c.existsIn(db, to) {
		c.Out.Int(0)
		return
	}
	here := c.Tx.DB()
	c.Tx.Transfer(from, to, db, false)
	c.Tx.Use(db)
	c.Tx.Changed(to, engine.EventCopyTo)
	c.Tx.Use(here)
	c.Out.Int(1)
}

func moveKey(c *Ctx) {
	key, here := c.Args[1], c.Tx.DB()
	db, err := c.dbArg(2, errNotInteger)
	switch {
	case err != nil:
		c.Fail(err)
		return
	case db == here:
		c.Fail(errSameObject)
		return
	case c.Tx.Edit(key) == nil || c.existsIn(db, key):
		c.Out.Int(0)
		return
	}
	c.Tx.Transfer(key, key, db, true)
	c.Tx.Changed(key, engine.EventMoveFrom)
	c.Tx.Use(db)
	c.Tx.Changed(key, engine.EventMoveTo)
	c.Tx.Use(here)
	c.Out.Int(1)
}

func (c *Ctx) existsIn(db int, key []byte) bool {
	here := c.Tx.DB()
	c.Tx.Use(db)
	defer c.Tx.Use(here)
	return c.Tx.Exists(key)
}

// dbArg reads a database number; invalid is the error for what is no number.
func (c *Ctx) dbArg(i int, invalid engine.Error) (int, error) {
	n, err := c.IntArg(i)
	if err != nil {
		return 0, invalid
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		if invalid == errNotInteger {
			invalid = errNotInt32
		}
		return 0, invalid
	}
	if n < 0 || n >= int64(c.Engine.Databases()) {
		return 0, errDBRange
	}
	return int(n), nil
}

func randomKey(c *Ctx) {
	key := c.Tx.RandomKey()
	if key == nil {
		c.Out.Null()
		return
	}
	c.Out.Bulk(key)
}

func objectRows() []Command {
	const group = "generic"
	return []Command{
		{Name: "encoding", Arity: 3, Flags: ReadOnly, ACL: CatKeyspace, Keys: []KeySpec{KeyAt(RO, 2)}, Group: group, Since: "2.2.3",
			Cost: "O(1)", Summary: "Names the encoding of a value.", Tips: []string{"nondeterministic_output"}, Run: objectEncoding},
		{Name: "freq", Arity: 3, Flags: ReadOnly, ACL: CatKeyspace, Keys: []KeySpec{KeyAt(RO, 2)}, Group: group, Since: "4.0.0",
			Cost: "O(1)", Summary: "Tells how often a key is used, on a logarithmic scale.", Tips: []string{"nondeterministic_output"}, Run: objectFreq},
		{Name: "idletime", Arity: 3, Flags: ReadOnly, ACL: CatKeyspace, Keys: []KeySpec{KeyAt(RO, 2)}, Group: group, Since: "2.2.3",
			Cost: "O(1)", Summary: "Tells the seconds since a key was used.", Tips: []string{"nondeterministic_output"}, Run: objectIdle},
		{Name: "refcount", Arity: 3, Flags: ReadOnly, ACL: CatKeyspace, Keys: []KeySpec{KeyAt(RO, 2)}, Group: group, Since: "2.2.3",
			Cost: "O(1)", Summary: "Answers 1, as values are not shared, but for small integers.", Tips: []string{"nondeterministic_output"}, Run: objectRefcount},
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatKeyspace, Group: group, Since: "6.2.0",
			Cost: "O(1)", Summary: "Explains the subcommands.", Run: objectHelp},
	}
}

func objectEncoding(c *Ctx) {
	e := c.Tx.Lookup(c.Args[2], engine.NoTouch|engine.NoStats)
	if e == nil {
		c.Out.Null()
		return
	}
	c.Out.BulkString(engine.Encoding(e))
}

// Redis has one object each for the integers below sharedIntegers, as long as it needs no access times of them, and
// answers sharedRefs for their references. Here values are never shared; clients see what they see there.
const (
	sharedIntegers = 10_000
	sharedRefs     = math.MaxInt32
)

func objectRefcount(c *Ctx) {
	e := c.Tx.Lookup(c.Args[2], engine.NoTouch|engine.NoStats)
	if e == nil {
		c.Out.Null()
		return
	}
	l, refs := c.Limits(), int64(1)
	if engine.Kind(e.Kind()) == engine.String && engine.Encoding(e) == "int" && (l.MaxMemory == 0 || !l.Policy.LRU() && !l.Policy.Counts()) {
		if n, _ := number.ParseInt(e.Value()); n >= 0 && n < sharedIntegers {
			refs = sharedRefs
		}
	}
	c.Out.Int(refs)
}

func objectIdle(c *Ctx) {
	e := c.Tx.Lookup(c.Args[2], engine.NoTouch|engine.NoStats)
	switch {
	case e == nil:
		c.Out.Null()
	case c.Limits().Policy.Counts():
		c.FailText("ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	default:
		c.Out.Int(c.Engine.Idle(e))
	}
}

func objectFreq(c *Ctx) {
	e := c.Tx.Lookup(c.Args[2], engine.NoTouch|engine.NoStats)
	switch {
	case e == nil:
		c.Out.Null()
	case !c.Limits().Policy.Counts():
		c.FailText("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	default:
		c.Out.Int(c.Engine.Frequency(e))
	}
}

func objectHelp(c *Ctx) {
	c.help("OBJECT", "ENCODING <key>", "    The name of the encoding of the value.",
		"FREQ <key>", "    How often the key is used, on a logarithmic scale; needs an LFU policy.",
		"IDLETIME <key>", "    The seconds since the key was used; needs another policy than LFU.",
		"REFCOUNT <key>", "    1: values are not shared. Small integers count as if they were.")
}
