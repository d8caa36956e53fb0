package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/types/list"
)

func listRows() []Command {
	const (
		read  = ReadOnly | Fast
		write = Write | DenyOOM | Fast
		acl   = CatList
		group = "list"
	)
	return []Command{
		{Name: "lpush", Arity: -3, Flags: write, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of elements added", Summary: "Adds elements at the front.", Run: push},
		{Name: "rpush", Arity: -3, Flags: write, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of elements added", Summary: "Adds elements at the back.", Run: push},
		{Name: "lpushx", Arity: -3, Flags: write, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "2.2.0",
			Cost:    "O(N) where N is the number of elements added",
			Summary: "Adds elements at the front of a list that is there.", Run: push},
		{Name: "rpushx", Arity: -3, Flags: write, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "2.2.0",
			Cost: "O(N) where N is the number of elements added", Summary: "Adds elements at the back of a list that is there.", Run: push},
		{Name: "lpop", Arity: -2, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Access | Delete), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of elements taken", Summary: "Takes elements off the front.", Run: pop},
		{Name: "rpop", Arity: -2, Flags: Write | Fast, ACL: acl, Keys: Key(RW | Access | Delete), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of elements taken", Summary: "Takes elements off the back.", Run: pop},
		{Name: "lmpop", Arity: -4, Flags: Write, ACL: acl, Keys: []KeySpec{KeyCount(RW|Access|Delete, 1)}, Group: group, Since: "7.0.0",
			Cost:    "O(N+M) where N is the number of keys and M of the elements taken",
			Summary: "Takes elements off the first of several lists that has any.", Run: lmpop},
		{Name: "llen", Arity: 2, Flags: read, ACL: acl, Keys: Key(RO), Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Counts the elements.", Run: llen},
		{Name: "lindex", Arity: 3, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.0.0",
			Cost: "O(log N) where N is the length of the list", Summary: "Reads the element at a position.", Run: lindex},
		{Name: "linsert", Arity: 5, Flags: Write | DenyOOM, ACL: acl, Keys: Key(RW | Insert), Group: group, Since: "2.2.0",
			Cost: "O(N) where N is the number of elements before the pivot", Summary: "Inserts an element beside another one.", Run: linsert},
		{Name: "lset", Arity: 4, Flags: Write | DenyOOM, ACL: acl, Keys: Key(RW | Update), Group: group, Since: "1.0.0",
			Cost: "O(log N) where N is the length of the list", Summary: "Replaces the element at a position.", Run: lset},
		{Name: "lrem", Arity: 4, Flags: Write, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the length of the list", Summary: "Removes elements that equal a value.", Run: lrem},
		{Name: "ltrim", Arity: 4, Flags: Write, ACL: acl, Keys: Key(RW | Delete), Group: group, Since: "1.0.0",
			Cost:    "O(log N + M) where M is the number of elements removed",
			Summary: "Cuts a list down to a range of positions.", Run: ltrim},
		{Name: "lrange", Arity: 4, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "1.0.0",
			Cost: "O(log N + M) where M is the number of elements answered", Summary: "Reads a range of positions.", Run: lrange},
		{Name: "lpos", Arity: -3, Flags: ReadOnly, ACL: acl, Keys: Key(RO | Access), Group: group, Since: "6.0.6",
			Cost: "O(N) where N is the length of the list", Summary: "Finds the positions of elements that equal a value.", Run: lpos},
		{Name: "lmove", Arity: 5, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(RW|Insert, 2)},
			Group: group, Since: "6.2.0",
			Cost: "O(1)", Summary: "Takes an element off one list and adds it to another.", Run: lmove},
		{Name: "rpoplpush", Arity: 3, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(RW|Insert, 2)},
			Group: group, Since: "1.2.0",
			Cost: "O(1)", Summary: "Takes the last element of a list and adds it at the front of another.",
			Outdated: "6.2.0", Instead: "`LMOVE` with the `RIGHT` and `LEFT` arguments", Run: rpopLPush},
		{Name: "blpop", Arity: -3, Flags: Write | Blocking, ACL: acl, Keys: keysButLast(RW | Access | Delete), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Takes the first element of the first list that has any, or waits for one.", Run: blockingPop},
		{Name: "brpop", Arity: -3, Flags: Write | Blocking, ACL: acl, Keys: keysButLast(RW | Access | Delete), Group: group, Since: "2.0.0",
			Cost: "O(N) where N is the number of keys", Summary: "Takes the last element of the first list that has any, or waits for one.", Run: blockingPop},
		{Name: "blmpop", Arity: -5, Flags: Write | Blocking, ACL: acl, Keys: []KeySpec{KeyCount(RW|Access|Delete, 2)}, Group: group, Since: "7.0.0",
			Cost:    "O(N+M) where N is the number of keys and M of the elements taken",
			Summary: "Takes elements off the first of several lists that has any, or waits for them.", Run: blmpop},
		{Name: "blmove", Arity: 6, Flags: Write | DenyOOM | Blocking, ACL: acl, Keys: []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(RW|Insert, 2)},
			Group: group, Since: "6.2.0",
			Cost: "O(1)", Summary: "Takes an element off one list and adds it to another, or waits for one.", Run: blmove},
		{Name: "brpoplpush", Arity: 4, Flags: Write | DenyOOM | Blocking, ACL: acl, Keys: []KeySpec{KeyAt(RW|Access|Delete, 1), KeyAt(RW|Insert, 2)},
			Group: group, Since: "2.2.0",
			Cost: "O(1)", Summary: "Takes the last element of a list and adds it at the front of another, or waits for one.",
			Outdated: "6.2.0", Instead: "`BLMOVE` with the `RIGHT` and `LEFT` arguments", Run: brpopLPush},
	}
}

func llen(c *Ctx) {
	e, ok := c.Read(1, engine.List)
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = list.Len(e)
	}
	c.Out.Int(int64(n))
}

// position reads an argument that is a position among n elements, negative from
// the end: -1 or n, or beyond, where there is no such element.
func (c *Ctx) position(i, n int) (int, error) {
	at, err := c.IntArg(i)
	if err == nil && at < 0 {
		at = max(at+int64(n), -1)
	}
	return int(at), err
}

func lindex(c *Ctx) {
	e, ok := c.Read(1, engine.List)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Null()
		return
	}
	i, err := c.position(2, list.Len(e))
	if err != nil {
		c.Fail(err)
		return
	}
	if v, found := list.Index(e, i); found {
		c.value(v)
	} else {
		c.Out.Null()
	}
}

func lrange(c *Ctx) {
	s, err := c.span(2)
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.List)
	if !ok {
		return
	}
	from, n := 0, 0
	if e != nil {
		from, n = s.of(list.Len(e))
	}
	c.Out.Array(n)
	if n > 0 {
		list.Range(e, from, n, false, func(v packed.Value) bool { c.value(v); return true })
	}
}

const (
	errRankZero    engine.Error = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
	errCountMinus  engine.Error = "ERR COUNT can't be negative"
	errMaxLenMinus engine.Error = "ERR MAXLEN can't be negative"
)

// matchArgs reads the options of LPOS; many tells whether COUNT was one.
func (c *Ctx) matchArgs() (m list.Match, many bool, err error) {
	m = list.Match{Rank: 1, Count: 1}
	for i := 3; i < len(c.Args) && err == nil; i += 2 {
		switch more := i+1 < len(c.Args); {
		case more && c.Is(i, "RANK"):
			if m.Rank, err = c.negatable(i + 1); err == nil && m.Rank == 0 {
				err = errRankZero
			}
		case more && c.Is(i, "COUNT"):
			many = true
			m.Count, err = c.atLeast(i+1, 0, errCountMinus)
		case more && c.Is(i, "MAXLEN"):
			m.MaxLen, err = c.atLeast(i+1, 0, errMaxLenMinus)
		default:
			err = errSyntax
		}
	}
	return m, many, err
}

func lpos(c *Ctx) {
	m, many, err := c.matchArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	e, ok := c.Read(1, engine.List)
	if !ok {
		return
	}
	var found []int
	if e != nil {
		list.Find(e, c.Args[2], m, func(i int) { found = append(found, i) })
	}
	switch {
	case many:
		c.Out.Array(len(found))
		for _, i := range found {
			c.Out.Int(int64(i))
		}
	case len(found) > 0:
		c.Out.Int(int64(found[0]))
	default:
		c.Out.Null()
	}
}
