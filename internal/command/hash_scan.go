package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/types/hash"
)

func hscan(c *Ctx) {
	e, o, ok := c.collectionScan(engine.Hash)
	if !ok {
		return
	}
	found := c.elements()
	next := hash.Scan(e, o.cursor, o.count, func(field, value packed.Value) {
		if f := c.bytes(field); o.matches(f) {
			found.add(f)
			if !o.bare {
				found.add(c.bytes(value))
			}
		}
	})
	c.replyStep(next, found)
}

func hrandField(c *Ctx) {
	a, err := c.randomArgs("WITHVALUES")
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.Hash)
	switch {
	case !ok:
	case !a.given && e == nil:
		c.Out.Null()
	case !a.given:
		field, _ := hash.Random(e, c.random())
		c.value(field)
	case e == nil || a.count == 0:
		c.Out.Array(0)
	case a.repeat:
		c.pairs(a.count, a.with)
		hash.RandomRepeat(e, c.random(), a.count, func(field, value packed.Value) bool {
			c.fieldPair(field, value, a.with)
			return true
		})
	default:
		c.pairs(min(a.count, hash.Len(e)), a.with)
		hash.RandomDistinct(e, c.random(), a.count, func(field, value packed.Value) {
			c.fieldPair(field, value, a.with)
		})
	}
}

func (c *Ctx) fieldPair(field, value packed.Value, with bool) {
	c.pair(with)
	c.value(field)
	if with {
		c.value(value)
	}
}
