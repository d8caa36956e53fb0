package command

import (
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
)

// Arguments within bounds: counts, numbers of keys, ranges of positions.

const (
	errNumKeys     engine.Error = "ERR numkeys should be greater than 0"
	errCount       engine.Error = "ERR count should be greater than 0"
	errLimit       engine.Error = "ERR LIMIT can't be negative"
	errMinInt      engine.Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	errOutOfRange  engine.Error = "ERR value is out of range"
	errTooManyKeys engine.Error = "ERR Number of keys can't be greater than number of args"
)

// atLeast reads an integer that must not be less than least; refusal says that
// it is, or that it is none.
func (c *Ctx) atLeast(i int, least int64, refusal engine.Error) (int, error) {
	n, err := c.IntArg(i)
	if err != nil || n < least {
		return 0, refusal
	}
	return int(n), nil
}

// negatable reads an integer whose negative is one too.
func (c *Ctx) negatable(i int) (int, error) {
	n, err := c.IntArg(i)
	if err == nil && n == math.MinInt64 {
		err = errMinInt
	}
	return int(n), err
}

// span reads two arguments that are positions, from and to, negative ones
// counted from the end.
func (c *Ctx) span(i int) (s span, err error) {
	if s.from, err = c.IntArg(i); err == nil {
		s.to, err = c.IntArg(i + 1)
	}
	return s, err
}

// span is a range of positions as it was given.
type span struct{ from, to int64 }

// of returns which of n positions the span covers: count of them, from start on.
func (s span) of(n int) (start, count int) {
	from, to, length := s.from, s.to, int64(n)
	if from < 0 {
		from = max(from+length, 0)
	}
	if to < 0 {
		to += length
	}
	to = min(to, length-1)
	if from > to {
		return 0, 0
	}
	return int(from), int(to - from + 1)
}

// maxRepeat is how many elements HRANDFIELD, SRANDMEMBER and ZRANDMEMBER answer
// at most when the same one may come again (a negative count). Redis has no bound
// and goes on until memory ends; here the reply is refused.
const maxRepeat = 1 << 24

// randomArgs are the arguments of HRANDFIELD and ZRANDMEMBER behind the key.
type randomArgs struct {
	given  bool // a count was
	count  int
	repeat bool // the same element may come again
	with   bool // the values, or the scores, too
}

// randomArgs reads [count [WITHVALUES]], word being the option's.
func (c *Ctx) randomArgs(word string) (a randomArgs, err error) {
	if len(c.Args) < 3 {
		return a, nil
	}
	n, err := c.negatable(2)
	if err != nil {
		return a, err
	}
	a = randomArgs{given: true, count: n, with: len(c.Args) == 4}
	if n < 0 {
		a.count, a.repeat = -n, true
	}
	switch {
	case len(c.Args) > 4 || a.with && !c.Is(3, word):
		return a, errSyntax
	case a.with && a.count > math.MaxInt/2, a.repeat && a.count > maxRepeat:
		return a, errOutOfRange
	}
	return a, nil
}

// pairs begins a reply of n elements, each with a value if with says so: flat in
// RESP2, an array of pairs in RESP3.
func (c *Ctx) pairs(n int, with bool) {
	if with && c.Out.Proto() == 2 {
		n *= 2
	}
	c.Out.Array(n)
}

// pair begins one element of the reply that pairs began.
func (c *Ctx) pair(with bool) {
	if with && c.Out.Proto() > 2 {
		c.Out.Array(2)
	}
}

// manyKeys are the arguments of LMPOP, ZMPOP, SINTERCARD and their like: a
// number of keys, the keys, and what follows.
func (c *Ctx) manyKeys(i int) (keys [][]byte, next int, err error) {
	n, err := c.atLeast(i, 1, errNumKeys)
	if err != nil {
		return nil, 0, err
	}
	if n > len(c.Args)-i-1 {
		return nil, 0, errTooManyKeys
	}
	return c.Args[i+1 : i+1+n], i + 1 + n, nil
}

// popArgs are the arguments of LMPOP, ZMPOP and the commands that wait for them.
type popArgs struct {
	keys  [][]byte
	last  bool // RIGHT, MAX
	count int
}

// popArgs reads numkeys key [key ...] first|last [COUNT count], from an argument on.
func (c *Ctx) popArgs(at int, first, last string) (a popArgs, err error) {
	keys, i, err := c.manyKeys(at)
	switch {
	case err == errTooManyKeys || err == nil && i >= len(c.Args):
		return a, errSyntax
	case err != nil:
		return a, err
	case c.Is(i, last):
		a.last = true
	case !c.Is(i, first):
		return a, errSyntax
	}
	a.keys = keys
	switch len(c.Args) - i {
	case 1:
		a.count = 1
		return a, nil
	case 2:
		return a, errSyntax
	}
	if !c.Is(i+1, "COUNT") {
		return a, errSyntax
	}
	if a.count, err = c.atLeast(i+2, 1, errCount); err == nil && len(c.Args) > i+3 {
		err = errSyntax
	}
	return a, err
}

// withFirst calls pop with the first of several keys that is there, to change it. It reports whether there is a reply:
// pop's, or the error where a key on the way is of another type.
func (c *Ctx) withFirst(keys [][]byte, k engine.Kind, pop func(e *table.Entry, key []byte)) bool {
	for _, key := range keys {
		e, err := c.Tx.EditKind(key, k)
		switch {
		case err != nil:
			c.Fail(err)
			return true
		case e != nil:
			pop(e, key)
			return true
		}
		c.Tx.Step()
	}
	return false
}

// settle removes those of several keys whose time has come, so that finding one
// of them later cannot remove it and so put an end to the records found before.
func (c *Ctx) settle(keys ...[]byte) {
	for _, key := range keys {
		c.Tx.Exists(key)
		c.Tx.Step()
	}
}
