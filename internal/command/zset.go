package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/zset"
)

func zsetRows() []Command {
	return slices.Concat(zsetMemberRows(), zsetRangeRows(), zsetPopRows(), zsetAlgebraRows())
}

func zsetMemberRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatSortedSet
		group = "sorted-set"
	)
	return []Command{
		{Name: "zadd", Arity: -4, Flags: write, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "1.2.0",
			Cost: "O(M log N) where M is the number of members named", Summary: "Adds members or changes their scores.", Run: zadd},
		{Name: "zincrby", Arity: 4, Flags: write, ACL: acl, Keys: Key(RW | Access | Update), Group: group, Since: "1.2.0",
			Cost: "O(log N) where N is the size of the sorted set", Summary: "Adds to a member's score.", Run: zincrBy},
		{Name: "zrem", Arity: -3, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "1.2.0",
			Cost:    "O(M log N) where M is the number of members named",
			Summary: "Removes members, and the key with the last of them.", Run: zrem},
		{Name: "zcard", Arity: 2, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "1.2.0",
			Cost: "O(1)", Summary: "Counts the members.", Run: zcard},
		{Name: "zscore", Arity: 3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.2.0",
			Cost: "O(1)", Summary: "Tells a member's score.", Run: zscore},
		{Name: "zmscore", Arity: -3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "6.2.0",
			Cost: "O(N) where N is the number of members asked for", Summary: "Tells the scores of several members.", Run: zmscore},
		{Name: "zrank", Arity: -3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(log N) where N is the size of the sorted set", Summary: "Tells how many members come before one.", Run: zrank},
		{Name: "zrevrank", Arity: -3, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(log N) where N is the size of the sorted set", Summary: "Tells how many members come after one.", Run: zrank},
		{Name: "zcount", Arity: 4, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.0.0",
			Cost: "O(log N) where N is the size of the sorted set", Summary: "Counts the members in a range of scores.", Run: zcount(byScore)},
		{Name: "zlexcount", Arity: 4, Flags: read, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.8.9",
			Cost:    "O(log N) where N is the size of the sorted set",
			Summary: "Counts the members in a range of members of equal scores.", Run: zcount(byMember)},
	}
}

func zrem(c *Ctx) {
	e, ok := c.Edit(1, engine.ZSet)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		for _, member := range c.Args[2:] {
			if zset.Remove(e, member) {
				n++
			}
		}
	}
	if n > 0 {
		c.Tx.Finish(e, c.Args[1], engine.EventZRem)
	}
	c.Out.Int(int64(n))
}

func zcard(c *Ctx) {
	e, ok := c.Read(1, engine.ZSet)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = zset.Len(e)
	}
	c.Out.Int(int64(n))
}

func zscore(c *Ctx) {
	if e, ok := c.Read(1, engine.ZSet); ok {
		c.score(e, c.Args[2])
	}
}

func zmscore(c *Ctx) {
	e, ok := c.Read(1, engine.ZSet)
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		c.score(e, member)
	}
}

// score replies a member's score, nil where there is no such member or no e.
func (c *Ctx) score(e *table.Entry, member []byte) {
	if e != nil {
		if score, found := zset.Score(e, member); found {
			c.Out.Double(score)
			return
		}
	}
	c.Out.Null()
}

// zrank is ZRANK and ZREVRANK.
func zrank(c *Ctx) {
	with := len(c.Args) > 3
	switch {
	case len(c.Args) > 4:
		c.FailText("ERR wrong number of arguments for '" + c.Row.full + "' command")
		return
	case with && !c.Is(3, "WITHSCORE"):
		c.Fail(errSyntax)
		return
	}
	e, ok := c.Read(1, engine.ZSet)
	if !ok {
		return
	}
	rank, score, found := 0, 0.0, false
	if e != nil {
		rank, score, found = zset.Rank(e, c.Args[2])
	}
	if found && c.Row.Name == "zrevrank" {
		rank = zset.Len(e) - 1 - rank
	}
	switch {
	case !found && with:
		c.Out.NullArray()
	case !found:
		c.Out.Null()
	case with:
		c.Out.Array(2)
		c.Out.Int(int64(rank))
		c.Out.Double(score)
	default:
		c.Out.Int(int64(rank))
	}
}
