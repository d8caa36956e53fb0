package command

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/list"
	"github.com/larderdb/larder/internal/types/number"
	"github.com/larderdb/larder/internal/types/set"
	"github.com/larderdb/larder/internal/types/zset"
)

func sortRows() []Command {
	const (
		acl   = CatSet | CatSortedSet | CatList | CatDangerous
		group = "generic"
		cost  = "O(N + M log M) where N is the number of elements and M of those sorted; O(N) without sorting"
	)
	source := KeyAt(RO|Access, 1)
	others := KeySpec{Flags: RO | Access, Unknown: true,
		Notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"}
	store := KeySpec{Flags: OW | Update, Unknown: true,
		Notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"}
	return []Command{
		{Name: "sort", Arity: -2, Flags: Write | DenyOOM, ACL: acl, Keys: []KeySpec{source, others, store}, KeyMore: sortTarget, Strays: sortStrays,
			Group: group, Since: "1.0.0", Cost: cost, Summary: "Sorts the elements of a list, set or sorted set, or what they refer to.", Run: sortElements},
		{Name: "sort_ro", Arity: -2, Flags: ReadOnly, ACL: acl, Keys: []KeySpec{source, others}, Strays: sortStrays,
			Group: group, Since: "7.0.0", Cost: cost, Summary: "Sorts the elements of a list, set or sorted set without storing them.", Run: sortElements},
	}
}

// eachSortOption gives the options of SORT to fn: the position of the word, and how many words
// belong to it as far as they are there.
func eachSortOption(args [][]byte, fn func(i, size int)) {
	for i := 2; i < len(args); {
		size := 1
		switch {
		case isWord(args[i], "LIMIT") && i+2 < len(args):
			size = 3
		case (isWord(args[i], "BY") || isWord(args[i], "GET") || isWord(args[i], "STORE")) && i+1 < len(args):
			size = 2
		}
		fn(i, size)
		i += size
	}
}

// sortTarget finds the key to store at.
func sortTarget(args [][]byte) (at int, f KeyFlag) {
	eachSortOption(args, func(i, size int) {
		if size == 2 && isWord(args[i], "STORE") {
			at = i + 1
		}
	})
	return at, OW | Update
}

// sortStrays tells whether elements lead to other keys.
func sortStrays(args [][]byte) (strays bool) {
	eachSortOption(args, func(i, size int) {
		if size == 2 && !isWord(args[i], "STORE") && bytes.IndexByte(args[i+1], '*') >= 0 {
			strays = true
		}
	})
	return strays
}

const (
	errSortBy     engine.Error = "ERR BY option of SORT denied due to insufficient ACL permissions."
	errSortGet    engine.Error = "ERR GET option of SORT denied due to insufficient ACL permissions."
	errSortScores engine.Error = "ERR One or more scores can't be converted into double"
)

// sortArgs are the options of SORT.
type sortArgs struct {
	desc, alpha bool
	native      bool // BY something constant: the order is the collection's
	by          *sortPattern
	gets        []sortPattern
	into        []byte // key to store at, or nil

	start, count int64 // of LIMIT; count < 0: all
}

func (c *Ctx) sortArgs() (a sortArgs, err error) {
	a.count = -1
	for i := 2; i < len(c.Args) && err == nil; i++ {
		left := len(c.Args) - i - 1
		switch {
		case c.Is(i, "ASC"):
			a.desc = false
		case c.Is(i, "DESC"):
			a.desc = true
		case c.Is(i, "ALPHA"):
			a.alpha = true
		case left >= 2 && c.Is(i, "LIMIT"):
			if a.start, err = c.IntArg(i + 1); err == nil {
				a.count, err = c.IntArg(i + 2)
			}
			i += 2
		case left >= 1 && c.Row.Flags&Write != 0 && c.Is(i, "STORE"):
			i++
			a.into = c.Args[i]
		case left >= 1 && c.Is(i, "BY"):
			i++
			err = c.sortBy(&a, c.Args[i])
		case left >= 1 && c.Is(i, "GET"):
			i++
			if !c.mayReadAll() {
				err = errSortGet
			}
			a.gets = append(a.gets, parsePattern(c.Args[i]))
		default:
			err = errSyntax
		}
	}
	return a, err
}

// sortBy takes a pattern of BY. Once a constant one was given, that is it, as in Redis.
func (c *Ctx) sortBy(a *sortArgs, word []byte) error {
	p := parsePattern(word)
	a.by = &p
	if !p.refers {
		a.native = true
	} else if !c.mayReadAll() {
		return errSortBy
	}
	return nil
}

// limit returns which of n elements are wanted.
func (a *sortArgs) limit(n int) (start, count int) {
	size := int64(n)
	from := min(max(a.start, 0), size)
	wanted := size - from
	if a.count >= 0 {
		wanted = min(wanted, a.count)
	}
	return int(from), int(wanted)
}

// sorting is one run of SORT. Elements are copies: what they refer to is looked up in between.
type sorting struct {
	c     *Ctx
	items []sortItem
	bytes []byte // of all items
	key   []byte // the key looked up last
}

type sortItem struct {
	element []byte
	score   float64
	text    []byte // what to compare with ALPHA; nil where BY found nothing
}

// sortElements is SORT and SORT_RO.
func sortElements(c *Ctx) {
	a, err := c.sortArgs()
	if err != nil {
		c.Fail(err)
		return
	}
	e := c.Tx.Find(c.Args[1])
	s := sorting{c: c}
	if e != nil {
		if err := s.load(e, &a); err != nil {
			c.Fail(err)
			return
		}
	}
	if a.into == nil {
		s.reply(&a)
	} else {
		s.store(&a)
	}
}

// load takes the elements that are wanted, in order.
func (s *sorting) load(e *table.Entry, a *sortArgs) error {
	c, kind := s.c, engine.Kind(e.Kind())
	if kind != engine.List && kind != engine.Set && kind != engine.ZSet {
		return engine.ErrWrongType
	}
	if kind == engine.ZSet { // as Redis, which gives what it sorts its large encoding for good
		zset.Expect(e, c.Limits().ZSet, math.MaxInt, 0)
	}
	if a.native && kind == engine.Set && (a.into != nil || c.inScript()) {
		a.native, a.alpha, a.by = false, true, nil // an order that does not depend on the encoding
	}
	if a.native && kind != engine.Set {
		s.loadRange(e, kind, a)
		return nil
	}
	switch kind {
	case engine.List:
		list.Each(e, s.add)
	case engine.Set:
		set.Each(e, s.add)
	default:
		zset.Each(e, s.addMember)
	}
	if !a.native {
		if err := s.sort(a); err != nil {
			return err
		}
	}
	start, n := a.limit(len(s.items))
	s.items = s.items[start : start+n]
	return nil
}

// loadRange takes what LIMIT leaves of a list or a sorted set in its own order.
func (s *sorting) loadRange(e *table.Entry, kind engine.Kind, a *sortArgs) {
	length := list.Len
	if kind == engine.ZSet {
		length = zset.Len
	}
	total := length(e)
	from, n := a.limit(total)
	if a.desc {
		from = total - 1 - from
	}
	if n == 0 {
		return
	}
	if kind == engine.ZSet {
		zset.Walk(e, from, n, a.desc, s.addMember)
	} else {
		list.Range(e, from, n, a.desc, s.add)
	}
}

func (s *sorting) add(v packed.Value) bool {
	s.items = append(s.items, sortItem{element: s.copy(s.c.bytes(v))})
	return true
}

func (s *sorting) addMember(v packed.Value, _ float64) bool { return s.add(v) }

// copy keeps bytes for as long as the run lasts.
func (s *sorting) copy(b []byte) []byte {
	start := len(s.bytes)
	s.bytes = append(s.bytes, b...)
	return s.bytes[start:len(s.bytes):len(s.bytes)]
}

// sort finds what the items are compared by, and sorts them.
func (s *sorting) sort(a *sortArgs) error {
	bad := false
	for i := range s.items {
		item := &s.items[i]
		value, ok := item.element, true
		if a.by != nil {
			value, ok = s.lookup(a.by, item.element)
		}
		switch {
		case !ok:
		case a.alpha && a.by != nil:
			item.text = append(make([]byte, 0, len(value)), value...) // not nil, though it be empty
		case a.alpha:
			item.text = value
		default:
			item.score, ok = sortScore(value)
			bad = bad || !ok
		}
	}
	if bad {
		return errSortScores
	}
	if a.alpha { // numbers are equal only if the elements are the same
		slices.SortStableFunc(s.items, a.compare)
	} else {
		slices.SortFunc(s.items, a.compare)
	}
	return nil
}

// compare orders two items: by number and, where they are equal, by their bytes; or with ALPHA
// by text, as C's strings unless the result is stored.
func (a *sortArgs) compare(x, y sortItem) (order int) {
	switch {
	case !a.alpha:
		order = cmp.Or(cmp.Compare(x.score, y.score), bytes.Compare(x.element, y.element))
	case x.text == nil && y.text == nil:
	case x.text == nil:
		order = -1
	case y.text == nil:
		order = 1
	case a.into != nil:
		order = bytes.Compare(x.text, y.text)
	default:
		order = bytes.Compare(untilNUL(x.text), untilNUL(y.text))
	}
	if a.desc {
		return -order
	}
	return order
}

// sortScore reads a number as C's strtod does: there may be space in front, and nothing is zero.
func sortScore(b []byte) (float64, bool) {
	b = untilNUL(b)
	if len(b) == 0 {
		return 0, true
	}
	return number.ParseFloat(bytes.TrimLeft(b, " \t\n\v\f\r"))
}

// untilNUL is what C takes for the string.
func untilNUL(b []byte) []byte {
	b, _, _ = bytes.Cut(b, []byte{0})
	return b
}

// reply tells the elements, or what GET makes of them.
func (s *sorting) reply(a *sortArgs) {
	out := s.c.Out
	out.Array(len(s.items) * max(1, len(a.gets)))
	for i := range s.items {
		if len(a.gets) == 0 {
			out.Bulk(s.items[i].element)
		}
		for j := range a.gets {
			if value, ok := s.lookup(&a.gets[j], s.items[i].element); ok {
				out.Bulk(value)
			} else {
				out.Null()
			}
		}
	}
}

// store makes a list of the elements, or of what GET makes of them.
func (s *sorting) store(a *sortArgs) {
	c := s.c
	var values [][]byte
	for i := range s.items {
		if len(a.gets) == 0 {
			values = append(values, s.items[i].element)
		}
		for j := range a.gets {
			value, _ := s.lookup(&a.gets[j], s.items[i].element)
			values = append(values, s.copy(value))
		}
	}
	c.Tx.Step()
	if len(values) == 0 {
		c.Tx.Delete(a.into)
	} else {
		e := c.Tx.Replace(a.into, engine.List, list.InitLen)
		list.Init(e)
		list.Push(e, c.Limits().List, false, values...)
		c.Tx.Changed(a.into, engine.EventSortStore)
	}
	c.Out.Int(int64(len(values)))
}
