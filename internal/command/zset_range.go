package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/zset"
)

func zsetRangeRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatSortedSet
		group = "sorted-set"
	)
	return []Command{
		{Name: "zrange", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.2.0",
			Cost:    "O(log N + M) where M is the number of members answered",
			Summary: "Lists a range of ranks, scores or members.", Run: zrange(rangeForm{})},
		{Name: "zrangestore", Arity: -5, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), KeyAt(RO|Access, 2)},
			Group: group, Since: "6.2.0",
			Cost:    "O(log N + M log M) where M is the number of members stored",
			Summary: "Stores a range of ranks, scores or members.", Run: zrangeStore},
		{Name: "zrevrange", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.2.0",
			Cost:     "O(log N + M) where M is the number of members answered",
			Summary:  "Lists a range of ranks counted from the highest score.",
			Outdated: "6.2.0", Instead: "`ZRANGE` with the `REV` argument", Run: zrange(rangeForm{fixed: true, rev: true})},
		{Name: "zrangebyscore", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.0.5",
			Cost: "O(log N + M) where M is the number of members answered", Summary: "Lists a range of scores.",
			Outdated: "6.2.0", Instead: "`ZRANGE` with the `BYSCORE` argument", Run: zrange(rangeForm{fixed: true, by: byScore})},
		{Name: "zrevrangebyscore", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.2.0",
			Cost:     "O(log N + M) where M is the number of members answered",
			Summary:  "Lists a range of scores, the highest first.",
			Outdated: "6.2.0", Instead: "`ZRANGE` with the `REV` and `BYSCORE` arguments", Run: zrange(rangeForm{fixed: true, by: byScore, rev: true})},
		{Name: "zrangebylex", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.8.9",
			Cost:     "O(log N + M) where M is the number of members answered",
			Summary:  "Lists a range of members of equal scores.",
			Outdated: "6.2.0", Instead: "`ZRANGE` with the `BYLEX` argument", Run: zrange(rangeForm{fixed: true, by: byMember})},
		{Name: "zrevrangebylex", Arity: -4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "2.8.9",
			Cost:     "O(log N + M) where M is the number of members answered",
			Summary:  "Lists a range of members of equal scores, the last first.",
			Outdated: "6.2.0", Instead: "`ZRANGE` with the `REV` and `BYLEX` arguments", Run: zrange(rangeForm{fixed: true, by: byMember, rev: true})},
		{Name: "zremrangebyrank", Arity: 4, Flags: Write, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "2.0.0",
			Cost: "O(log N + M) where M is the number of members removed", Summary: "Removes a range of ranks.", Run: zremRange(byRank, engine.EventZRemRangeByRank)},
		{Name: "zremrangebyscore", Arity: 4, Flags: Write, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "1.2.0",
			Cost: "O(log N + M) where M is the number of members removed", Summary: "Removes a range of scores.", Run: zremRange(byScore, engine.EventZRemRangeByScore)},
		{Name: "zremrangebylex", Arity: 4, Flags: Write, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "2.8.9",
			Cost:    "O(log N + M) where M is the number of members removed",
			Summary: "Removes a range of members of equal scores.", Run: zremRange(byMember, engine.EventZRemRangeByLex)},
	}
}

// rangeBy is what the bounds of a range are.
type rangeBy uint8

const (
	byRank rangeBy = iota
	byScore
	byMember // among equal scores
)

// rangeForm is what the name of a command says of its range. ZRANGE and
// ZRANGESTORE leave it to their options.
type rangeForm struct {
	fixed bool // options do not change it
	by    rangeBy
	rev   bool
}

// rangeArgs are the arguments of ZRANGE and its kin.
type rangeArgs struct {
	rangeForm
	scores        bool
	offset, limit int64 // limit -1: none
	ranks         span
	bounds        zset.Range
}

const (
	errNotScore    engine.Error = "ERR min or max is not a float"
	errNotLex      engine.Error = "ERR min or max not valid string range item"
	errLimitByRank engine.Error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	errLexScores   engine.Error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
)

// rangeArgs reads <min> <max> [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES] from
// argument at on.
func (c *Ctx) rangeArgs(at int, form rangeForm, store bool) (a rangeArgs, err error) {
	a = rangeArgs{rangeForm: form, limit: -1}
	for i := at + 2; i < len(c.Args); i++ {
		switch {
		case !store && c.Is(i, "WITHSCORES"):
			a.scores = true
		case i+2 < len(c.Args) && c.Is(i, "LIMIT"):
			if a.offset, err = c.IntArg(i + 1); err == nil {
				a.limit, err = c.IntArg(i + 2)
			}
			if err != nil {
				return a, err
			}
			i += 2
		case !form.fixed && !a.rev && c.Is(i, "REV"):
			a.rev = true
		case !form.fixed && a.by == byRank && c.Is(i, "BYSCORE"):
			a.by = byScore
		case !form.fixed && a.by == byRank && c.Is(i, "BYLEX"):
			a.by = byMember
		default:
			return a, errSyntax
		}
	}
	switch {
	case a.limit != -1 && a.by == byRank:
		return a, errLimitByRank
	case a.scores && a.by == byMember:
		return a, errLexScores
	case a.by == byRank:
		a.ranks, err = c.span(at)
	case a.rev:
		a.bounds, err = c.bounds(a.by, at+1, at)
	default:
		a.bounds, err = c.bounds(a.by, at, at+1)
	}
	return a, err
}

// bounds reads two arguments as bounds of scores or of members.
func (c *Ctx) bounds(by rangeBy, lo, hi int) (zset.Range, error) {
	if by == byScore {
		r, ok := zset.ParseScores(c.Args[lo], c.Args[hi])
		if !ok {
			return r, errNotScore
		}
		return r, nil
	}
	r, ok := zset.ParseMembers(c.Args[lo], c.Args[hi])
	if !ok {
		return r, errNotLex
	}
	return r, nil
}

// of returns which ranks the range covers: n of them from a rank on, downwards
// if the range is reversed.
func (a *rangeArgs) of(e *table.Entry) (from, n int) {
	if a.by == byRank {
		length := zset.Len(e)
		if from, n = a.ranks.of(length); a.rev {
			return length - 1 - from, n
		}
		return from, n
	}
	from, n = zset.Span(e, a.bounds)
	if a.offset < 0 || a.offset >= int64(n) {
		return 0, 0
	}
	skip := int(a.offset)
	if a.rev {
		from += n - 1 - skip
	} else {
		from += skip
	}
	n -= skip
	if a.limit >= 0 {
		n = int(min(a.limit, int64(n)))
	}
	return from, n
}

// zrange is ZRANGE and those whose names say what ZRANGE's options do.
func zrange(form rangeForm) func(c *Ctx) {
	return func(c *Ctx) {
		a, err := c.rangeArgs(2, form, false)
		if err != nil {
			c.Fail(err)
			return
		}
		e, ok := c.Read(1, engine.ZSet)
		if !ok {
			return
		}
		from, n := 0, 0
		if e != nil {
			from, n = a.of(e)
		}
		c.pairs(n, a.scores)
		if n > 0 {
			zset.Walk(e, from, n, a.rev, func(member packed.Value, score float64) bool {
				c.scorePair(member, score, a.scores)
				return true
			})
		}
	}
}

// scorePair replies a member, and with its score if with says so.
func (c *Ctx) scorePair(member packed.Value, score float64, with bool) {
	c.pair(with)
	c.value(member)
	if with {
		c.Out.Double(score)
	}
}

func zrangeStore(c *Ctx) {
	a, err := c.rangeArgs(3, rangeForm{}, true)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(2, engine.ZSet)
	if !ok {
		return
	}
	list := new(zset.List)
	if e != nil {
		from, n := a.of(e)
		if a.rev && n > 0 { // the same members, in the order of the list
			from -= n - 1
		}
		zset.Walk(e, from, n, false, func(member packed.Value, score float64) bool {
			list.Add(c.bytes(member), score)
			return true
		})
	}
	c.storeZSet(list, engine.EventZRangeStore)
}

// zcount is ZCOUNT and ZLEXCOUNT.
func zcount(by rangeBy) func(c *Ctx) {
	return func(c *Ctx) {
		r, err := c.bounds(by, 2, 3)
		if err != nil {
			c.Fail(err)
			return
		}
		e, ok := c.Read(1, engine.ZSet)
		if !ok {
			return
		}
		n := 0
		if e != nil {
			_, n = zset.Span(e, r)
		}
		c.Out.Int(int64(n))
	}
}

// zremRange is ZREMRANGEBYRANK, ZREMRANGEBYSCORE and ZREMRANGEBYLEX.
func zremRange(by rangeBy, ev engine.Event) func(c *Ctx) {
	return func(c *Ctx) {
		a := rangeArgs{rangeForm: rangeForm{by: by}, limit: -1}
		var err error
		if by == byRank {
			a.ranks, err = c.span(2)
		} else {
			a.bounds, err = c.bounds(by, 2, 3)
		}
		if err != nil {
			c.Fail(err)
			return
		}
		e, ok := c.Edit(1, engine.ZSet)
		if !ok {
			return
		}
		from, n := 0, 0
		if e != nil {
			from, n = a.of(e)
		}
		if n > 0 {
			zset.RemoveRange(e, from, n)
			c.Tx.Finish(e, c.Args[1], ev)
		}
		c.Out.Int(int64(n))
	}
}
