package command

import (
	"github.com/larderdb/larder/internal/engine"
)

// blockingPop is BLPOP and BRPOP.
func blockingPop(c *Ctx) {
	timeout, err := c.timeoutArg(len(c.Args) - 1)
	if err != nil {
		c.Fail(err)
		return
	}
	front := c.Row.Name == "blpop"
	c.orWait(waiting{keys: c.Args[1 : len(c.Args)-1], kind: engine.List, timeout: timeout, try: func(c *Ctx) bool {
		for _, key := range c.Args[1 : len(c.Args)-1] {
			e, err := c.Tx.EditKind(key, engine.List)
			if err != nil {
				c.Fail(err)
				return true
			}
			if e == nil {
				c.Tx.Step()
				continue
			}
			c.Out.Array(2)
			c.Out.Bulk(key)
			c.popElements(e, key, front, 1)
			c.Tx.Effect(words(c.Row.Name[1:]), key)
			return true
		}
		return false
	}})
}

// blmpop is LMPOP that waits.
func blmpop(c *Ctx) {
	c.blockingMany("LEFT", "RIGHT", engine.List, (*Ctx).popSome)
}

// bzmpop is ZMPOP that waits.
func bzmpop(c *Ctx) {
	c.blockingMany("MIN", "MAX", engine.ZSet, (*Ctx).zpopSome)
}

func (c *Ctx) blockingMany(first, last string, kind engine.Kind, pop func(*Ctx, popArgs) bool) {
	timeout, err := c.timeoutArg(1)
	if err != nil {
		c.Fail(err)
		return
	}
	a, err := c.popArgs(2, first, last)
	if err != nil {
		c.Fail(err)
		return
	}
	c.orWait(waiting{keys: a.keys, kind: kind, timeout: timeout, try: func(c *Ctx) bool {
		a, err := c.popArgs(2, first, last) // again: the words are others after a wait
		return err == nil && pop(c, a)
	}})
}

func blmove(c *Ctx) {
	if from, to, ok := c.sides(); ok {
		c.blockingMove(from, to, 5)
	}
}

func brpopLPush(c *Ctx) { c.blockingMove(false, true, 3) }

// blockingMove moves an element as LMOVE does, or waits for one. The timeout is the last argument.
func (c *Ctx) blockingMove(from, to bool, last int) {
	timeout, err := c.timeoutArg(last)
	if err != nil {
		c.Fail(err)
		return
	}
	c.orWait(waiting{keys: c.Args[1:2], kind: engine.List, timeout: timeout, nothing: Sink.Null, try: func(c *Ctx) bool {
		if !c.tryMove(from, to) {
			return false
		}
		if c.failed {
			return true // nothing has changed: the target is of another type
		}
		words := make([][]byte, last) // without the timeout, under the name without b
		copy(words, c.Args)
		words[0] = []byte(c.Row.Name[1:])
		c.Tx.Effect(words...)
		return true
	}})
}

// blockingZPop is BZPOPMIN and BZPOPMAX.
func blockingZPop(c *Ctx) {
	timeout, err := c.timeoutArg(len(c.Args) - 1)
	if err != nil {
		c.Fail(err)
		return
	}
	highest := c.Row.Name == "bzpopmax"
	c.orWait(waiting{keys: c.Args[1 : len(c.Args)-1], kind: engine.ZSet, timeout: timeout, try: func(c *Ctx) bool {
		for _, key := range c.Args[1 : len(c.Args)-1] {
			e, err := c.Tx.EditKind(key, engine.ZSet)
			if err != nil {
				c.Fail(err)
				return true
			}
			if e == nil {
				c.Tx.Step()
				continue
			}
			c.Out.Array(3)
			c.Out.Bulk(key)
			c.popScores(e, key, highest, 1, false)
			c.Tx.Effect(words(c.Row.Name[1:]), key)
			return true
		}
		return false
	}})
}
