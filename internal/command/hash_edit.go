package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/number"
)

// editHash finds the hash at a key to change it, and makes one where there is none.
func (c *Ctx) editHash() (e *table.Entry, ok bool) {
	if e, ok = c.Edit(1, engine.Hash); ok && e == nil {
		e = c.Tx.Create(c.Args[1], engine.Hash, hash.InitLen, 0)
		hash.Init(e)
	}
	return e, ok
}

// hset is HSET and HMSET, which differ in the reply.
func hset(c *Ctx) {
	if len(c.Args)%2 != 0 {
		c.Fail(c.arityError())
		return
	}
	e, ok := c.editHash()
	if !ok {
		return
	}
	added := hash.SetMany(e, c.Limits().Hash, c.Args[2:])
	c.Tx.Changed(c.Args[1], engine.EventHSet)
	if c.Row.Name == "hmset" {
		c.OK()
		return
	}
	c.Out.Int(int64(added))
}

func hsetNX(c *Ctx) {
	e, ok := c.editHash()
	if !ok {
		return
	}
	added := hash.SetNew(e, c.Limits().Hash, c.Args[2], c.Args[3])
	if added {
		c.Tx.Changed(c.Args[1], engine.EventHSet)
	}
	c.Bool(added)
}

func hdel(c *Ctx) {
	e, ok := c.Edit(1, engine.Hash)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		for _, field := range c.Args[2:] {
			if hash.Delete(e, field) {
				n++
			}
		}
	}
	if n > 0 {
		c.Tx.Finish(e, c.Args[1], engine.EventHDel)
	}
	c.Out.Int(int64(n))
}

func hincrBy(c *Ctx) {
	by, err := c.IntArg(3)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.editHash() // an increment of a missing field cannot fail: no hash stays empty
	if !ok {
		return
	}
	n, err := hash.IncrBy(e, c.Limits().Hash, c.Args[2], by)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Tx.Changed(c.Args[1], engine.EventHIncrBy)
	c.Out.Int(n)
}

const errNotFinite engine.Error = "ERR value is NaN or Infinity"

func hincrByFloat(c *Ctx) {
	key, field := c.Args[1], c.Args[2]
	by, ok := number.ParseExtended(c.Args[3])
	switch {
	case !ok:
		c.Fail(errNotFloat)
		return
	case by.IsInf():
		c.Fail(errNotFinite)
		return
	}
	e, ok := c.editHash()
	if !ok {
		return
	}
	sum, err := hash.IncrByFloat(e, c.Limits().Hash, field, by, nil)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Tx.Changed(key, engine.EventHIncrByFloat)
	if at, _ := hash.Expiry(e, field); at != 0 { // which HSET would take off it
		c.Tx.Effect(words("HSETEX"), key, words("KEEPTTL"), words("FIELDS"), words("1"), field, sum)
	} else {
		c.Tx.Effect(words("HSET"), key, field, sum)
	}
	c.Out.Bulk(sum)
}
