package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/zset"
)

func zsetAlgebraRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatSortedSet
		group = "sorted-set"
	)
	return []Command{
		{Name: "zunion", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: []KeySpec{KeyCount(RO|Access, 1)}, Group: group, Since: "6.2.0",
			Cost:    "O(N + M log M) where N is the number of members of all sets and M of the result",
			Summary: "Lists the members of all sorted sets with their scores combined.", Run: zunion},
		{Name: "zinter", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: []KeySpec{KeyCount(RO|Access, 1)}, Group: group, Since: "6.2.0",
			Cost:    "O(N*K + M log M) where N is the size of the smallest of K sets and M of the result",
			Summary: "Lists what all sorted sets have in common with their scores combined.", Run: zinter},
		{Name: "zdiff", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: []KeySpec{KeyCount(RO|Access, 1)}, Group: group, Since: "6.2.0",
			Cost:    "O(N + M log M) where N is the number of members of all sets and M of the result",
			Summary: "Lists the members of the first sorted set that no other has.", Run: zdiff},
		{Name: "zunionstore", Arity: -4, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), KeyCount(RO|Access, 2)},
			Group: group, Since: "2.0.0",
			Cost:    "O(N + M log M) where N is the number of members of all sets and M of the result",
			Summary: "Stores the members of all sorted sets with their scores combined.", Run: zunion},
		{Name: "zinterstore", Arity: -4, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), KeyCount(RO|Access, 2)},
			Group: group, Since: "2.0.0",
			Cost:    "O(N*K + M log M) where N is the size of the smallest of K sets and M of the result",
			Summary: "Stores what all sorted sets have in common with their scores combined.", Run: zinter},
		{Name: "zdiffstore", Arity: -4, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(OW|Update, 1), KeyCount(RO|Access, 2)},
			Group: group, Since: "6.2.0",
			Cost:    "O(N + M log M) where N is the number of members of all sets and M of the result",
			Summary: "Stores the members of the first sorted set that no other has.", Run: zdiff},
		{Name: "zintercard", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: []KeySpec{KeyCount(RO|Access, 1)}, Group: group, Since: "7.0.0",
			Cost:    "O(N*K) where N is the size of the smallest of K sets",
			Summary: "Counts what all sorted sets have in common.", Run: zinterCard},
	}
}

// plainSet is a set among sorted sets: every member has the score 1.
type plainSet struct{ e *table.Entry }

func (s plainSet) Len() int { return set.Len(s.e) }

func (s plainSet) Each(fn func(member packed.Value, score float64) bool) {
	set.Each(s.e, func(v packed.Value) bool { return fn(v, 1) })
}

func (s plainSet) Score(member []byte) (float64, bool) { return 1, set.Has(s.e, member) }

// combineArgs are the arguments of ZUNION, ZINTER, ZDIFF, their STORE forms and
// ZINTERCARD.
type combineArgs struct {
	sources   []zset.Source
	weights   []float64 // nil: all 1
	aggregate zset.Aggregate
	scores    bool
	limit     int
}

// combineOptions say which options a command has.
type combineOptions struct{ weights, scores, limit bool }

const errWeight engine.Error = "ERR weight value is not a float"

// store tells whether the running command is a STORE form, whose first argument
// is the key to store at.
func (c *Ctx) isStore() bool { return c.Row.Flags&Write != 0 }

// combineArgs reads numkeys key [key ...] and the options. It looks the sources
// up in between, as Redis does: a wrong type comes before a wrong option.
func (c *Ctx) combineArgs(o combineOptions) (a combineArgs, err error) {
	at := 1
	if c.isStore() {
		at, o.scores = 2, false
	}
	n, err := c.IntArg(at)
	rest := c.Args[at+1:]
	switch {
	case err != nil:
		return a, err
	case n < 1:
		return a, engine.Error("ERR at least 1 input key is needed for '" + c.Row.full + "' command")
	case n > int64(len(rest)):
		return a, errSyntax
	}
	if a.sources, err = c.ranked(rest[:n]); err != nil {
		return a, err
	}
	for i := at + 1 + int(n); i < len(c.Args) && err == nil; {
		i, err = c.combineOption(&a, o, i)
	}
	return a, err
}

// combineOption reads the option at argument i and returns where the next one is.
func (c *Ctx) combineOption(a *combineArgs, o combineOptions, i int) (next int, err error) {
	left := len(c.Args) - i - 1
	switch {
	case o.weights && left >= len(a.sources) && c.Is(i, "WEIGHTS"):
		a.weights = make([]float64, len(a.sources))
		for j := range a.weights {
			var ok bool
			if a.weights[j], ok = number.ParseFloat(c.Args[i+1+j]); !ok {
				return i, errWeight
			}
		}
		return i + 1 + len(a.sources), nil
	case o.weights && left >= 1 && c.Is(i, "AGGREGATE"):
		switch {
		case c.Is(i+1, "SUM"):
			a.aggregate = zset.Sum
		case c.Is(i+1, "MIN"):
			a.aggregate = zset.Min
		case c.Is(i+1, "MAX"):
			a.aggregate = zset.Max
		default:
			return i, errSyntax
		}
		return i + 2, nil
	case o.scores && c.Is(i, "WITHSCORES"):
		a.scores = true
		return i + 1, nil
	case o.limit && left >= 1 && c.Is(i, "LIMIT"):
		a.limit, err = c.atLeast(i+1, 0, errLimit)
		return i + 2, err
	}
	return i, errSyntax
}

// ranked finds the sorted sets and sets at several keys, nil where there is none.
func (c *Ctx) ranked(keys [][]byte) ([]zset.Source, error) {
	c.settle(keys...)
	sources := make([]zset.Source, len(keys))
	for i, key := range keys {
		e := c.Tx.Find(key)
		if e == nil {
			continue
		}
		switch engine.Kind(e.Kind()) {
		case engine.ZSet:
			sources[i] = zset.Of(e)
		case engine.Set:
			sources[i] = plainSet{e}
		default:
			return nil, engine.ErrWrongType
		}
	}
	return sources, nil
}

// zunion is ZUNION and ZUNIONSTORE.
func zunion(c *Ctx) {
	a, err := c.combineArgs(combineOptions{weights: true, scores: true})
	if err != nil {
		c.Fail(err)
		return
	}
	c.combined(zset.Union(a.sources, a.weights, a.aggregate), a.scores, engine.EventZUnionStore)
}

// zinter is ZINTER and ZINTERSTORE.
func zinter(c *Ctx) {
	a, err := c.combineArgs(combineOptions{weights: true, scores: true})
	if err != nil {
		c.Fail(err)
		return
	}
	c.combined(zset.Inter(a.sources, a.weights, a.aggregate), a.scores, engine.EventZInterStore)
}

// zdiff is ZDIFF and ZDIFFSTORE.
func zdiff(c *Ctx) {
	a, err := c.combineArgs(combineOptions{scores: true})
	if err != nil {
		c.Fail(err)
		return
	}
	c.combined(zset.Diff(a.sources), a.scores, engine.EventZDiffStore)
}

func zinterCard(c *Ctx) {
	a, err := c.combineArgs(combineOptions{limit: true})
	if err != nil {
		c.Fail(err)
		return
	}
	c.Out.Int(int64(zset.InterCard(a.sources, a.limit)))
}

// combined stores a result or replies it.
func (c *Ctx) combined(list *zset.List, scores bool, ev engine.Event) {
	if c.isStore() {
		c.storeZSet(list, ev)
		return
	}
	c.pairs(list.Len(), scores)
	list.Each(func(member []byte, score float64) bool {
		c.pair(scores)
		c.Out.Bulk(member)
		if scores {
			c.Out.Double(score)
		}
		return true
	})
}

// storeZSet makes a list, whose members are in order, the value of the key of
// argument 1, as storeZSetAt does.
func (c *Ctx) storeZSet(list *zset.List, ev engine.Event) { c.storeZSetAt(c.Args[1], list, ev) }

// storeZSetAt makes a list, whose members are in order, the value of a key, whatever
// was there before; an empty list deletes the key. It replies the number of members.
func (c *Ctx) storeZSetAt(key []byte, list *zset.List, ev engine.Event) {
	if list.Len() == 0 {
		c.Tx.Delete(key)
	} else {
		e := c.Tx.Replace(key, engine.ZSet, zset.InitLen)
		zset.Init(e)
		zset.Store(e, c.Limits().ZSet, list)
		c.Tx.Changed(key, ev)
	}
	c.Out.Int(int64(list.Len()))
}
