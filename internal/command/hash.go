package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/types/hash"
)

func hashRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatHash
		group = "hash"
	)
	return slices.Concat(hashExpireRows(), hashExRows(), []Command{
		{Name: "hset", Arity: -4, Flags: write, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the number of fields", Summary: "Gives fields their values.", Run: hset},
		{Name: "hmset", Arity: -4, Flags: write, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the number of fields", Summary: "Gives fields their values.",
			Outdated: "4.0.0", Instead: "`HSET` with multiple field-value pairs", Run: hset},
		{Name: "hsetnx", Arity: 4, Flags: write, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "2.0.0",
			Cost: "O(1)", Summary: "Gives a field a value unless it has one.", Run: hsetNX},
		{Name: "hget", Arity: 3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(1)", Summary: "Reads a field.", Run: hget},
		{Name: "hmget", Arity: -3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the number of fields asked for", Summary: "Reads several fields.", Run: hmget},
		{Name: "hgetall", Arity: 2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the size of the hash", Summary: "Reads all fields with their values.", Tips: []string{"nondeterministic_output_order"}, Run: hgetAll},
		{Name: "hkeys", Arity: 2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the size of the hash", Summary: "Lists the fields.", Tips: []string{"nondeterministic_output_order"}, Run: hkeys},
		{Name: "hvals", Arity: 2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the size of the hash", Summary: "Lists the values.", Tips: []string{"nondeterministic_output_order"}, Run: hvals},
		{Name: "hdel", Arity: -3, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the number of fields named", Summary: "Removes fields, and the key with the last of them.", Run: hdel},
		{Name: "hexists", Arity: 3, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "2.0.0",
			Cost: "O(1)", Summary: "Tells whether a hash has a field.", Run: hexists},
		{Name: "hlen", Arity: 2, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "2.0.0",
			Cost: "O(1)", Summary: "Counts the fields.", Run: hlen},
		{Name: "hstrlen", Arity: 3, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "3.2.0",
			Cost: "O(1)", Summary: "Tells the length of a field's value.", Run: hstrLen},
		{Name: "hincrby", Arity: 4, Flags: write, ACL: acl, Keys: Key(RW | Access | Update), Group: group, Since: "2.0.0",
			Cost: "O(1)", Summary: "Adds to the integer in a field.", Run: hincrBy},
		{Name: "hincrbyfloat", Arity: 4, Flags: write, ACL: acl, Keys: Key(RW | Access | Update), Group: group, Since: "2.6.0",
			Cost: "O(1)", Summary: "Adds to the floating-point number in a field.", Run: hincrByFloat},
		{Name: "hrandfield", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "6.2.0",
			Cost: "O(N) where N is the number of fields answered", Summary: "Picks fields at random.", Tips: []string{"nondeterministic_output"}, Run: hrandField},
		{Name: "hscan", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.8.0",
			Cost: "O(1) for each call, O(N) for a whole walk", Summary: "Walks over the fields and values in steps.", Tips: []string{"nondeterministic_output"}, Run: hscan},
	})
}

func hget(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	if e != nil {
		if v, found := hash.Get(e, c.Args[2]); found {
			c.value(v)
			return
		}
	}
	c.Out.Null()
}

func hmget(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, field := range c.Args[2:] {
		if e != nil {
			if v, found := hash.Get(e, field); found {
				c.value(v)
				continue
			}
		}
		c.Out.Null()
	}
}

func hgetAll(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Map(0)
		return
	}
	c.Out.Map(hash.Len(e))
	hash.Each(e, func(field, value packed.Value) bool {
		c.value(field)
		c.value(value)
		return true
	})
}

func hkeys(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Array(0)
		return
	}
	c.Out.Array(hash.Len(e))
	hash.Each(e, func(field, _ packed.Value) bool { c.value(field); return true })
}

func hvals(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Array(0)
		return
	}
	c.Out.Array(hash.Len(e))
	hash.Each(e, func(_, value packed.Value) bool { c.value(value); return true })
}

func hexists(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	found := false
	if e != nil {
		_, found = hash.Get(e, c.Args[2])
	}
	c.Bool(found)
}

func hlen(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = hash.Len(e)
	}
	c.Out.Int(int64(n))
}

func hstrLen(c *Ctx) {
	e, ok := c.Read(1, engine.Hash)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		if v, found := hash.Get(e, c.Args[2]); found {
			n = v.Len()
		}
	}
	c.Out.Int(int64(n))
}
