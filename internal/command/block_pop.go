package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
)

// blockingPop is BLPOP and BRPOP.
func blockingPop(c *Ctx) {
	front := c.Row.Name == "blpop"
	c.blockingFirst(engine.List, func(c *Ctx, e *table.Entry, key []byte) {
		c.Out.Array(2)
		c.Out.Bulk(key)
		c.popElements(e, key, front, 1)
	})
}

// blockingZPop is BZPOPMIN and BZPOPMAX.
func blockingZPop(c *Ctx) {
	highest := c.Row.Name == "bzpopmax"
	c.blockingFirst(engine.ZSet, func(c *Ctx, e *table.Entry, key []byte) {
		c.Out.Array(3)
		c.Out.Bulk(key)
		c.popScores(e, key, highest, 1, false)
	})
}

// blockingFirst pops off the first key that is there, or waits for one. All arguments are keys but the last, the timeout.
func (c *Ctx) blockingFirst(kind engine.Kind, pop func(c *Ctx, e *table.Entry, key []byte)) {
	last := len(c.Args) - 1
	timeout, err := c.timeoutArg(last)
	if err != nil {
		c.Fail(err)
		return
	}
	c.orWait(waiting{keys: c.Args[1:last], kind: kind, timeout: timeout, try: func(c *Ctx) bool {
		return c.withFirst(c.Args[1:last], kind, func(e *table.Entry, key []byte) {
			pop(c, e, key)
			c.Tx.Effect(words(c.Row.Name[1:]), key)
		})
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
