package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/list"
)

// atFront tells which end the running command is about: LPUSH, LPOP and their
// like the front, RPUSH, RPOP the back.
func (c *Ctx) atFront() bool { return c.Row.Name[0] == 'l' }

func pushEvent(front bool) engine.Event {
	if front {
		return engine.EventLPush
	}
	return engine.EventRPush
}

func popEvent(front bool) engine.Event {
	if front {
		return engine.EventLPop
	}
	return engine.EventRPop
}

// push is LPUSH, RPUSH, LPUSHX and RPUSHX.
func push(c *Ctx) {
	key, front := c.Args[1], c.atFront()
	e, ok := c.Edit(1, engine.List)
	if !ok {
		return
	}
	if e == nil {
		if len(c.Row.Name) == len("lpushx") {
			c.Out.Int(0)
			return
		}
		e = c.Tx.Create(key, engine.List, list.InitLen, 0)
		list.Init(e)
	}
	list.Push(e, c.Limits().List, front, c.Args[2:]...)
	c.Tx.Changed(key, pushEvent(front))
	c.Out.Int(int64(list.Len(e)))
}

// pop is LPOP and RPOP.
func pop(c *Ctx) {
	n, many := 1, len(c.Args) == 3
	switch {
	case len(c.Args) > 3:
		c.FailText("ERR wrong number of arguments for '" + c.Row.full + "' command")
		return
	case many:
		var err error
		if n, err = c.atLeast(2, 0, errNegative); err != nil {
			c.Fail(err)
			return
		}
	}
	e, ok := c.Edit(1, engine.List)
	switch {
	case !ok:
		return
	case e == nil && many:
		c.Out.NullArray()
		return
	case e == nil:
		c.Out.Null()
		return
	case n == 0:
		c.Out.Array(0)
		return
	}
	if n = min(n, list.Len(e)); many {
		c.Out.Array(n)
	}
	c.popElements(e, c.Args[1], c.atFront(), n)
}

// popElements takes n elements off a list, which has as many, and replies them.
func (c *Ctx) popElements(e *table.Entry, key []byte, front bool, n int) {
	list.Pop(e, c.Limits().List, front, n, func(v packed.Value) { c.value(v) })
	c.Tx.Finish(e, key, popEvent(front))
}

func lmpop(c *Ctx) {
	a, err := c.popArgs(1, "LEFT", "RIGHT")
	switch {
	case err != nil:
		c.Fail(err)
	case !c.popSome(a):
		c.Out.NullArray()
	}
}

// popSome takes elements off the first list that has any; false where none has.
func (c *Ctx) popSome(a popArgs) bool {
	front := !a.last
	return c.withFirst(a.keys, engine.List, func(e *table.Entry, key []byte) {
		n := min(a.count, list.Len(e))
		c.Out.Array(2)
		c.Out.Bulk(key)
		c.Out.Array(n)
		c.popElements(e, key, front, n)
		if c.Tx.Journaling() {
			name := "RPOP"
			if front {
				name = "LPOP"
			}
			c.Tx.Effect(words(name), key, intWord(int64(n)))
		}
	})
}

func linsert(c *Ctx) {
	after := c.Is(2, "AFTER")
	if !after && !c.Is(2, "BEFORE") {
		c.Fail(errSyntax)
		return
	}
	e, ok := c.Edit(1, engine.List)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = list.Insert(e, c.Limits().List, after, c.Args[3], c.Args[4])
	}
	if n > 0 {
		c.Tx.Changed(c.Args[1], engine.EventLInsert)
	}
	c.Out.Int(int64(n))
}

func lset(c *Ctx) {
	e, ok := c.Edit(1, engine.List)
	if !ok {
		return
	}
	if e == nil {
		c.Fail(errNoKey)
		return
	}
	i, err := c.position(2, list.Len(e))
	switch {
	case err != nil:
		c.Fail(err)
	case !list.Set(e, c.Limits().List, i, c.Args[3]):
		c.Fail(errIndex)
	default:
		c.Tx.Changed(c.Args[1], engine.EventLSet)
		c.OK()
	}
}

func lrem(c *Ctx) {
	n, err := c.IntArg(2)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Edit(1, engine.List)
	if !ok {
		return
	}
	removed := 0
	if e != nil { // the least integer has no negative: one more says the same
		removed = list.Remove(e, c.Limits().List, int(max(n, -math.MaxInt64)), c.Args[3])
	}
	if removed > 0 {
		c.Tx.Finish(e, c.Args[1], engine.EventLRem)
	}
	c.Out.Int(int64(removed))
}

func ltrim(c *Ctx) {
	s, err := c.span(2)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Edit(1, engine.List)
	if !ok {
		return
	}
	if e != nil {
		from, n := s.of(list.Len(e))
		list.Trim(e, c.Limits().List, from, n)
		c.Tx.Finish(e, c.Args[1], engine.EventLTrim)
	}
	c.OK()
}

// side reads LEFT or RIGHT.
func (c *Ctx) side(i int) (front bool, err error) {
	front = c.Is(i, "LEFT")
	if !front && !c.Is(i, "RIGHT") {
		err = errSyntax
	}
	return front, err
}

func lmove(c *Ctx) {
	if from, to, ok := c.sides(); ok {
		c.move(from, to)
	}
}

// sides reads where LMOVE takes from and adds to; where that fails the error is replied.
func (c *Ctx) sides() (from, to, ok bool) {
	from, err := c.side(3)
	if err == nil {
		to, err = c.side(4)
	}
	if err != nil {
		c.Fail(err)
	}
	return from, to, err == nil
}

func rpopLPush(c *Ctx) { c.move(false, true) }

func (c *Ctx) move(from, to bool) {
	if !c.tryMove(from, to) {
		c.Out.Null()
	}
}

// tryMove takes the first or last element of the list of argument 1 and adds it at
// the front or the back of that of argument 2, which may be the same. false: there is none.
func (c *Ctx) tryMove(from, to bool) bool {
	source, target := c.Args[1], c.Args[2]
	c.settle(source, target)
	src, ok := c.Edit(1, engine.List)
	if !ok || src == nil {
		return !ok
	}
	if _, ok = c.Edit(2, engine.List); !ok {
		return true
	}
	lim := c.Limits().List
	var element []byte
	list.Pop(src, lim, from, 1, func(v packed.Value) { element = c.keep(v) })
	dst := src
	if string(source) != string(target) {
		if dst = c.Tx.Edit(target); dst == nil { // once more: the change of src may have moved it
			dst = c.Tx.Create(target, engine.List, list.InitLen, 0)
			list.Init(dst)
		}
	}
	list.Push(dst, lim, to, element)
	c.Tx.Note(target, pushEvent(to)) // with the pop it counts as one change
	c.Tx.Finish(c.Tx.Edit(source), source, popEvent(from))
	c.Out.Bulk(element)
	return true
}
