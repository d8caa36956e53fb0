package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/set"
)

func sscan(c *Ctx) {
	e, o, ok := c.collectionScan(engine.Set)
	if !ok {
		return
	}
	found := c.elements()
	next := set.Scan(e, o.cursor, o.count, func(v packed.Value) {
		if m := c.bytes(v); o.matches(m) {
			found.add(m)
		}
	})
	c.replyStep(next, found)
}

func spop(c *Ctx) {
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
	e, ok := c.Edit(1, engine.Set)
	switch {
	case !ok:
		return
	case e == nil && !many:
		c.Out.Null()
		return
	case e == nil || n == 0:
		c.Out.Set(0)
		return
	}
	n = min(n, set.Len(e))
	if many {
		c.Out.Set(n)
	}
	c.popMembers(e, n, many)
}

// popMembers takes n members out of a set, which has as many, and replies them.
// The effect names them: DEL, or UNLINK, when a number of them was asked for and all go.
func (c *Ctx) popMembers(e *table.Entry, n int, many bool) {
	key := c.Args[1]
	journal, all := c.Tx.Journaling(), many && n == set.Len(e)
	var effect [][]byte
	set.Pop(e, c.Limits().Set, c.random(), n, func(v packed.Value) {
		c.value(v)
		if journal && !all {
			effect = append(effect, v.AppendString(nil))
		}
	})
	c.Tx.Finish(e, key, engine.EventSPop)
	switch {
	case !journal:
	case all:
		word := "DEL"
		if c.Config.Settings().LazyServerDel {
			word = "UNLINK"
		}
		c.Tx.Effect(words(word), key)
	default:
		c.Tx.Effect(append([][]byte{words("SREM"), key}, effect...)...)
	}
}

func srandMember(c *Ctx) {
	if len(c.Args) > 3 {
		c.Fail(errSyntax)
		return
	}
	a, err := c.randomArgs("")
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.Set)
	switch {
	case !ok:
	case !a.given && e == nil:
		c.Out.Null()
	case !a.given:
		c.value(set.Random(e, c.random()))
	case e == nil || a.count == 0:
		c.Out.Array(0)
	case a.repeat:
		c.Out.Array(a.count)
		set.RandomRepeat(e, c.random(), a.count, func(v packed.Value) bool { c.value(v); return true })
	default:
		c.Out.Array(min(a.count, set.Len(e)))
		set.RandomDistinct(e, c.random(), a.count, func(v packed.Value) { c.value(v) })
	}
}
