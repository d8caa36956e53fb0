package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/set"
)

// sources finds the sets at several keys, nil where there is none. ok is false
// when one is of another type, and then the error is replied.
func (c *Ctx) sources(keys [][]byte) (sets []*table.Entry, ok bool) {
	c.settle(keys...)
	sets = make([]*table.Entry, len(keys))
	for i, key := range keys {
		e, err := c.Tx.FindKind(key, engine.Set)
		if err != nil {
			c.Fail(err)
			return nil, false
		}
		sets[i] = e
	}
	return sets, true
}

func sinter(c *Ctx) {
	sets, ok := c.sources(c.Args[1:])
	if !ok {
		return
	}
	found := c.elements()
	set.Inter(sets, func(v packed.Value) bool { found.add(c.bytes(v)); return true })
	c.Out.Set(found.n)
	c.replyElements(found)
}

func sunion(c *Ctx) {
	sets, ok := c.sources(c.Args[1:])
	if !ok {
		return
	}
	found := c.elements()
	set.Union(sets, func(v packed.Value) { found.add(c.bytes(v)) })
	c.Out.Set(found.n)
	c.replyElements(found)
}

func sdiff(c *Ctx) {
	sets, ok := c.sources(c.Args[1:])
	if !ok {
		return
	}
	found := c.elements()
	set.Diff(sets, func(v packed.Value) { found.add(c.bytes(v)) })
	c.Out.Set(found.n)
	c.replyElements(found)
}

func sinterCard(c *Ctx) {
	keys, i, err := c.manyKeys(1)
	limit := 0
	for err == nil && i < len(c.Args) {
		if !c.Is(i, "LIMIT") || i+1 == len(c.Args) {
			err = errSyntax
			break
		}
		limit, err = c.atLeast(i+1, 0, errLimit)
		i += 2
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if sets, ok := c.sources(keys); ok {
		c.Out.Int(int64(set.InterCard(sets, limit)))
	}
}

func sinterStore(c *Ctx) {
	if sets, ok := c.sources(c.Args[2:]); ok {
		a, seed := c.Tx.Memory(c.Args[1])
		c.storeSet(set.StoreInter(a, seed, c.Limits().Set, sets), engine.EventSInterStore)
	}
}

func sunionStore(c *Ctx) {
	if sets, ok := c.sources(c.Args[2:]); ok {
		a, seed := c.Tx.Memory(c.Args[1])
		c.storeSet(set.StoreUnion(a, seed, c.Limits().Set, sets), engine.EventSUnionStore)
	}
}

func sdiffStore(c *Ctx) {
	if sets, ok := c.sources(c.Args[2:]); ok {
		a, seed := c.Tx.Memory(c.Args[1])
		c.storeSet(set.StoreDiff(a, seed, c.Limits().Set, sets), engine.EventSDiffStore)
	}
}

// storeSet makes a set the value of the key of argument 1, whatever was there
// before, which may be one of the sources; an empty set deletes the key. It
// replies the number of members.
func (c *Ctx) storeSet(result *set.Temp, ev engine.Event) {
	key := c.Args[1]
	n := set.Len(result.Entry())
	if n == 0 {
		result.Free()
		c.Tx.Delete(key)
	} else {
		result.MoveTo(c.Tx.Replace(key, engine.Set, set.InitLen))
		c.Tx.Changed(key, ev)
	}
	c.Out.Int(int64(n))
}
