package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/zset"
)

const (
	errNXAndXX   engine.Error = "ERR XX and NX options at the same time are not compatible"
	errNXGTLT    engine.Error = "ERR GT, LT, and/or NX options at the same time are not compatible"
	errIncrPairs engine.Error = "ERR INCR option supports a single increment-element pair"
)

// addArgs are the arguments of ZADD and ZINCRBY.
type addArgs struct {
	zset.Options
	changed bool      // CH: count updates, too
	scores  []float64 // in the session's scratch
	members [][]byte  // score, member, score, member, as they were given
	longest int       // bytes of the longest member
}

func zadd(c *Ctx) { c.add(zset.Options{}) }

func zincrBy(c *Ctx) { c.add(zset.Options{Incr: true}) }

// addArgs reads [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...].
func (c *Ctx) addArgs(o zset.Options) (a addArgs, err error) {
	a.Options = o
	i := 2
	for ; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "NX"):
			a.NX = true
		case c.Is(i, "XX"):
			a.XX = true
		case c.Is(i, "GT"):
			a.GT = true
		case c.Is(i, "LT"):
			a.LT = true
		case c.Is(i, "CH"):
			a.changed = true
		case c.Is(i, "INCR"):
			a.Incr = true
		default:
			return c.scoreArgs(a, i)
		}
	}
	return c.scoreArgs(a, i)
}

// scoreArgs checks the options and reads the scores, from argument i on.
func (c *Ctx) scoreArgs(a addArgs, i int) (addArgs, error) {
	a.members = c.Args[i:]
	switch n := len(a.members); {
	case n == 0 || n%2 != 0:
		return a, errSyntax
	case a.NX && a.XX:
		return a, errNXAndXX
	case a.NX && (a.GT || a.LT) || a.GT && a.LT:
		return a, errNXGTLT
	case a.Incr && n > 2:
		return a, errIncrPairs
	}
	s := &c.Session.scratch
	if cap(s.scores) > scratchKeep/8 {
		s.scores = nil
	}
	s.scores = s.scores[:0]
	for ; i < len(c.Args); i += 2 {
		score, err := c.FloatArg(i)
		if err != nil {
			return a, err
		}
		s.scores = append(s.scores, score)
		a.longest = max(a.longest, len(c.Args[i+1]))
	}
	a.scores = s.scores
	return a, nil
}

// add is ZADD and ZINCRBY.
func (c *Ctx) add(o zset.Options) {
	a, err := c.addArgs(o)
	if err != nil {
		c.Fail(err)
		return
	}
	c.addMembers(a)
}

// addMembers adds to the sorted set at the key of argument 1, or makes it.
func (c *Ctx) addMembers(a addArgs) {
	e, ok := c.Edit(1, engine.ZSet)
	switch {
	case !ok:
		return
	case e == nil && a.XX:
		if a.Incr {
			c.Out.Null()
		} else {
			c.Out.Int(0)
		}
		return
	case e == nil:
		e = c.Tx.Create(c.Args[1], engine.ZSet, zset.InitLen, 0)
		zset.Init(e)
	}
	zset.Expect(e, c.Limits().ZSet, len(a.scores), a.longest)
	if a.Incr {
		c.addOne(e, a)
	} else {
		c.addAll(e, a)
	}
}

func (c *Ctx) addAll(e *table.Entry, a addArgs) {
	lim := c.Limits().ZSet
	added, updated := 0, 0
	for i, score := range a.scores {
		switch _, outcome, _ := zset.Add(e, lim, a.Options, score, a.members[2*i+1]); outcome {
		case zset.Added:
			added++
		case zset.Updated:
			updated++
		}
	}
	if added+updated > 0 {
		c.Tx.Changed(c.Args[1], engine.EventZAdd)
	}
	if a.changed {
		added += updated
	}
	c.Out.Int(int64(added))
}

// addOne increments the score of a member.
func (c *Ctx) addOne(e *table.Entry, a addArgs) {
	score, outcome, err := zset.Add(e, c.Limits().ZSet, a.Options, a.scores[0], a.members[1])
	if err != nil {
		c.Fail(err)
		return
	}
	switch outcome {
	case zset.Skipped:
		c.Out.Null()
		return
	case zset.Added, zset.Updated:
		c.Tx.Changed(c.Args[1], engine.EventZIncr)
	}
	c.Out.Double(score)
}
