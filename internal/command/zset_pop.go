package command

import (
	"math"
	"strconv"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/types/zset"
)

func zsetPopRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatSortedSet
		group = "sorted-set"
	)
	return []Command{
		{Name: "zpopmin", Arity: -2, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Access | Delete), Group: group, Since: "5.0.0",
			Cost: "O(M log N) where M is the number of members taken", Summary: "Takes out the members of the lowest scores.", Run: zpop},
		{Name: "zpopmax", Arity: -2, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Access | Delete), Group: group, Since: "5.0.0",
			Cost: "O(M log N) where M is the number of members taken", Summary: "Takes out the members of the highest scores.", Run: zpop},
		{Name: "zmpop", Arity: -4, Flags: Write, ACL: acl, Keys: []KeySpec{KeyCount(RW|Access|Delete, 1)}, Group: group, Since: "7.0.0",
			Cost:    "O(K + M log N) where K is the number of keys and M of the members taken",
			Summary: "Takes members out of the first of several sorted sets that has any.", Run: zmpop},
		{Name: "bzpopmin", Arity: -3, Flags: Write | Fast | Blocking, ACL: acl, Keys: keysButLast(RW | Access | Delete), Group: group, Since: "5.0.0",
			Cost: "O(log N)", Summary: "Takes the member of the lowest score out of the first sorted set that has any, or waits for one.", Run: blockingZPop},
		{Name: "bzpopmax", Arity: -3, Flags: Write | Fast | Blocking, ACL: acl, Keys: keysButLast(RW | Access | Delete), Group: group, Since: "5.0.0",
			Cost: "O(log N)", Summary: "Takes the member of the highest score out of the first sorted set that has any, or waits for one.", Run: blockingZPop},
		{Name: "bzmpop", Arity: -5, Flags: Write | Blocking, ACL: acl, Keys: []KeySpec{KeyCount(RW|Access|Delete, 2)}, Group: group, Since: "7.0.0",
			Cost:    "O(K + M log N) where K is the number of keys and M of the members taken",
			Summary: "Takes members out of the first of several sorted sets that has any, or waits for them.", Run: bzmpop},
		{Name: "zrandmember", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "6.2.0",
			Cost: "O(M log N) where M is the number of members answered", Summary: "Picks members at random.", Tips: []string{"nondeterministic_output"}, Run: zrandMember},
		{Name: "zscan", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.8.0",
			Cost: "O(1) for each call, O(N) for a whole walk", Summary: "Walks over the members and scores in steps.", Tips: []string{"nondeterministic_output"}, Run: zscan},
	}
}

// zpop is ZPOPMIN and ZPOPMAX.
func zpop(c *Ctx) {
	n, many := 1, len(c.Args) == 3
	switch {
	case len(c.Args) > 3:
		c.Fail(errSyntax)
		return
	case many:
		var err error
		if n, err = c.atLeast(2, 0, errNegative); err != nil {
			c.Fail(err)
			return
		}
	}
	e, ok := c.Edit(1, engine.ZSet)
	switch {
	case !ok:
		return
	case e == nil || n == 0:
		c.Out.Array(0)
		return
	}
	n = min(n, zset.Len(e))
	nested := many && c.Out.Proto() > 2
	if nested {
		c.Out.Array(n)
	} else {
		c.Out.Array(2 * n)
	}
	c.popScores(e, c.Args[1], c.Row.Name == "zpopmax", n, nested)
}

// popScores takes n members out of a sorted set, which has as many, and replies
// them with their scores, flat or each pair an array.
func (c *Ctx) popScores(e *table.Entry, key []byte, highest bool, n int, nested bool) {
	zset.Pop(e, highest, n, func(member packed.Value, score float64) {
		if nested {
			c.Out.Array(2)
		}
		c.value(member)
		c.Out.Double(score)
	})
	ev := engine.EventZPopMin
	if highest {
		ev = engine.EventZPopMax
	}
	c.Tx.Finish(e, key, ev)
}

func zmpop(c *Ctx) {
	a, err := c.popArgs(1, "MIN", "MAX")
	switch {
	case err != nil:
		c.Fail(err)
	case !c.zpopSome(a):
		c.Out.NullArray()
	}
}

// zpopSome takes members out of the first sorted set that has any; false where none has.
func (c *Ctx) zpopSome(a popArgs) bool {
	return c.withFirst(a.keys, engine.ZSet, func(e *table.Entry, key []byte) {
		n := min(a.count, zset.Len(e))
		c.Out.Array(2)
		c.Out.Bulk(key)
		c.Out.Array(n)
		c.popScores(e, key, a.last, n, true)
		if c.Tx.Journaling() {
			name := "ZPOPMIN"
			if a.last {
				name = "ZPOPMAX"
			}
			c.Tx.Effect(words(name), key, intWord(int64(n)))
		}
	})
}

func zrandMember(c *Ctx) {
	a, err := c.randomArgs("WITHSCORES")
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.ZSet)
	switch {
	case !ok:
	case !a.given && e == nil:
		c.Out.Null()
	case !a.given:
		member, _ := zset.Random(e, c.random())
		c.value(member)
	case e == nil || a.count == 0:
		c.Out.Array(0)
	case a.repeat:
		c.pairs(a.count, a.with)
		for range a.count {
			member, score := zset.Random(e, c.random())
			c.scorePair(member, score, a.with)
		}
	default:
		c.pairs(min(a.count, zset.Len(e)), a.with)
		zset.RandomDistinct(e, c.random(), a.count, func(member packed.Value, score float64) {
			c.scorePair(member, score, a.with)
		})
	}
}

func zscan(c *Ctx) {
	e, o, ok := c.collectionScan(engine.ZSet)
	if !ok {
		return
	}
	found := c.elements()
	format := number.AppendFloat
	if engine.Encoding(e) == "skiplist" {
		format = appendLong
	}
	next := zset.Scan(e, o.cursor, o.count, func(member packed.Value, score float64) {
		if m := c.bytes(member); o.matches(m) {
			found.add(m)
			if !o.bare {
				found.add(format(c.Session.scratch.digits[:0], score))
			}
		}
	})
	c.replyStep(next, found)
}

// appendLong prints a score with seventeen digits, as C's %.17g: ZSCAN of a large
// sorted set is the one place where Redis does not print the shortest form.
func appendLong(dst []byte, f float64) []byte {
	if math.IsInf(f, 0) {
		return number.AppendFloat(dst, f)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}
