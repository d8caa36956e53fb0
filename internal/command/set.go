package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/types/set"
)

func setRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatSet
		group = "set"
	)
	return []Command{
		{Name: "sadd", Arity: -3, Flags: write, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of members named", Summary: "Adds members.", Run: sadd},
		{Name: "srem", Arity: -3, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of members named", Summary: "Removes members, and the key with the last of them.", Run: srem},
		{Name: "smembers", Arity: 2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the size of the set", Summary: "Lists the members.", Tips: []string{"nondeterministic_output_order"}, Run: smembers},
		{Name: "sismember", Arity: 3, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Tells whether something is a member.", Run: sisMember},
		{Name: "smismember", Arity: -3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "6.2.0",
			Cost:    "O(N) where N is the number of members asked for",
			Summary: "Tells for several things whether they are members.", Run: smisMember},
		{Name: "scard", Arity: 2, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Counts the members.", Run: scard},
		{Name: "spop", Arity: -2, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Access | Delete), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of members taken", Summary: "Takes members out at random.", Tips: []string{"nondeterministic_output"}, Run: spop},
		{Name: "srandmember", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of members answered", Summary: "Picks members at random.", Tips: []string{"nondeterministic_output"}, Run: srandMember},
		{Name: "smove", Arity: 4, Flags: Write | Fast, ACL: acl, Keys: []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(RW|Insert, 2)},
			Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Moves a member to another set.", Run: smove},
		{Name: "sinter", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: KeysToEnd(RO|Access, 1), Group: group, Since: "1.0.0",
			Cost:    "O(N*M) where N is the size of the smallest set and M the number of sets",
			Summary: "Lists what all sets have in common.", Tips: []string{"nondeterministic_output_order"}, Run: sinter},
		{Name: "sinterstore", Arity: -3, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), {Flags: RO | Access, Begin: 2, Last: -1, Step: 1}},
			Group: group, Since: "1.0.0",
			Cost:    "O(N*M) where N is the size of the smallest set and M the number of sets",
			Summary: "Stores what all sets have in common.", Run: sinterStore},
		{Name: "sintercard", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: []KeySpec{KeyCount(RO|Access, 1)}, Group: group, Since: "7.0.0",
			Cost:    "O(N*M) where N is the size of the smallest set and M the number of sets",
			Summary: "Counts what all sets have in common.", Run: sinterCard},
		{Name: "sunion", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: KeysToEnd(RO|Access, 1), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of members of all sets", Summary: "Lists the members of all sets.", Tips: []string{"nondeterministic_output_order"}, Run: sunion},
		{Name: "sunionstore", Arity: -3, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), {Flags: RO | Access, Begin: 2, Last: -1, Step: 1}},
			Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of members of all sets", Summary: "Stores the members of all sets.", Run: sunionStore},
		{Name: "sdiff", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: KeysToEnd(RO|Access, 1), Group: group, Since: "1.0.0",
			Cost:    "O(N) where N is the number of members of all sets",
			Summary: "Lists the members of the first set that no other has.", Tips: []string{"nondeterministic_output_order"}, Run: sdiff},
		{Name: "sdiffstore", Arity: -3, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), {Flags: RO | Access, Begin: 2, Last: -1, Step: 1}},
			Group: group, Since: "1.0.0",
			Cost:    "O(N) where N is the number of members of all sets",
			Summary: "Stores the members of the first set that no other has.", Run: sdiffStore},
		{Name: "sscan", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.8.0",
			Cost: "O(1) for each call, O(N) for a whole walk", Summary: "Walks over the members in steps.", Tips: []string{"nondeterministic_output"}, Run: sscan},
	}
}

func sadd(c *Ctx) {
	key, members := c.Args[1], c.Args[2:]
	e, ok := c.Edit(1, engine.Set)
	if !ok {
		return
	}
	lim := c.Limits().Set
	if e == nil {
		e = c.Tx.Create(key, engine.Set, set.InitLen, 0)
		set.Init(e, lim, members[0], len(members))
	}
	n := set.AddMany(e, lim, members)
	if n > 0 {
		c.Tx.Changed(key, engine.EventSAdd)
	}
	c.Out.Int(int64(n))
}

func srem(c *Ctx) {
	e, ok := c.Edit(1, engine.Set)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		for _, member := range c.Args[2:] {
			if set.Remove(e, member) {
				n++
			}
		}
	}
	if n > 0 {
		c.Tx.Finish(e, c.Args[1], engine.EventSRem)
	}
	c.Out.Int(int64(n))
}

func smembers(c *Ctx) {
	e, ok := c.Read(1, engine.Set)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Set(0)
		return
	}
	c.Out.Set(set.Len(e))
	set.Each(e, func(v packed.Value) bool { c.value(v); return true })
}

func sisMember(c *Ctx) {
	if e, ok := c.Read(1, engine.Set); ok {
		c.Bool(e != nil && set.Has(e, c.Args[2]))
	}
}

func smisMember(c *Ctx) {
	e, ok := c.Read(1, engine.Set)
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		c.Bool(e != nil && set.Has(e, member))
	}
}

func scard(c *Ctx) {
	e, ok := c.Read(1, engine.Set)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = set.Len(e)
	}
	c.Out.Int(int64(n))
}

func smove(c *Ctx) {
	from, to, member := c.Args[1], c.Args[2], c.Args[3]
	c.settle(from, to)
	src, ok := c.Edit(1, engine.Set)
	if !ok {
		return
	}
	if src == nil {
		c.Out.Int(0)
		return
	}
	if _, ok := c.Edit(2, engine.Set); !ok {
		return
	}
	switch {
	case string(from) == string(to):
		c.Bool(set.Has(src, member))
		return
	case !set.Remove(src, member):
		c.Out.Int(0)
		return
	}
	lim := c.Limits().Set
	c.Tx.Finish(src, from, engine.EventSRem)
	dst := c.Tx.Edit(to) // only now: the change of src may have moved it
	if dst == nil {
		dst = c.Tx.Create(to, engine.Set, set.InitLen, 0)
		set.Init(dst, lim, member, 1)
	}
	if set.Add(dst, lim, member) {
		c.Tx.Changed(to, engine.EventSAdd)
	}
	c.Out.Int(1)
}
