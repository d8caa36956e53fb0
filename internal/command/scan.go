package command

import (
	"slices"
	"strings"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/glob"
	"github.com/larderdb/larder/internal/mem/table"
)

// scanOptions are those of SCAN, SSCAN, HSCAN and ZSCAN.
type scanOptions struct {
	cursor  uint64
	count   int
	pattern []byte // nil: all
	kind    string // SCAN's TYPE; empty: all
	bare    bool   // HSCAN NOVALUES, ZSCAN NOSCORES
}

// scanCursor reads the cursor at an argument.
func (c *Ctx) scanCursor(i int) (uint64, error) {
	n, ok := parseUint(c.Args[i])
	if !ok {
		return 0, engine.Error("ERR invalid cursor")
	}
	return n, nil
}

// parseUint reads an unsigned 64-bit integer: digits only.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		if n > (1<<64-1-uint64(d-'0'))/10 {
			return 0, false
		}
		n = n*10 + uint64(d-'0')
	}
	return n, true
}

// scanArgs reads the options from an argument on; e is the collection to be scanned, nil for the keyspace.
func (c *Ctx) scanArgs(from int, e *table.Entry) (o scanOptions, err error) {
	o.count = 10
	for i := from; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "COUNT"):
			i++
			n, err := c.IntArg(i)
			if err != nil {
				return o, err
			}
			if n < 1 {
				return o, errSyntax
			}
			o.count = int(min(n, 1<<31))
		case more && c.Is(i, "MATCH"):
			i++
			o.pattern = c.Args[i]
			if string(o.pattern) == "*" {
				o.pattern = nil
			}
		case more && e == nil && c.Is(i, "TYPE"):
			i++
			if o.kind = kindNamed(c.Args[i]); o.kind == "" {
				return o, engine.Error("ERR unknown type name '" + clip(string(c.Args[i]), len(c.Args[i])) + "'")
			}
		case c.Is(i, "NOVALUES"):
			if o.bare = e != nil && engine.Kind(e.Kind()) == engine.Hash; !o.bare {
				return o, engine.Error("ERR NOVALUES option can only be used in HSCAN")
			}
		case c.Is(i, "NOSCORES"):
			if o.bare = e != nil && engine.Kind(e.Kind()) == engine.ZSet; !o.bare {
				return o, engine.Error("ERR NOSCORES option can only be used in ZSCAN")
			}
		default:
			return o, errSyntax
		}
	}
	return o, nil
}

// kindNamed is the name of a type as TYPE answers it, for one in any case; empty, where there is none.
func kindNamed(name []byte) string {
	for _, k := range [...]engine.Kind{engine.String, engine.List, engine.Set, engine.ZSet, engine.Hash, engine.Stream, engine.JSON} {
		if strings.EqualFold(k.String(), string(name)) {
			return k.String()
		}
	}
	return ""
}

func (o *scanOptions) matches(b []byte) bool {
	return o.pattern == nil || glob.Match(o.pattern, b, false)
}

// replyScan tells the cursor and the elements of one step.
func (c *Ctx) replyScan(next uint64, elements [][]byte) {
	c.Out.Array(2)
	c.Out.BulkString(uintText(next))
	c.Out.Array(len(elements))
	for _, b := range elements {
		c.Out.Bulk(b)
	}
}

// collectionScan reads the arguments of HSCAN, SSCAN and ZSCAN and finds the
// collection. Where there is nothing to scan it has replied, and ok is false.
func (c *Ctx) collectionScan(k engine.Kind) (e *table.Entry, o scanOptions, ok bool) {
	cursor, err := c.scanCursor(2)
	if err != nil {
		c.Fail(err)
		return nil, o, false
	}
	if e, ok = c.Read(1, k); !ok {
		return nil, o, false
	}
	if e == nil { // Redis does not look at the options then
		c.replyStep(0, c.elements())
		return nil, o, false
	}
	if o, err = c.scanArgs(3, e); err != nil {
		c.Fail(err)
		return nil, o, false
	}
	o.cursor = cursor
	return e, o, true
}

func scan(c *Ctx) {
	cursor, err := c.scanCursor(1)
	if err != nil {
		c.Fail(err)
		return
	}
	o, err := c.scanArgs(2, nil)
	if err != nil {
		c.Fail(err)
		return
	}
	var found [][]byte
	wanted := func(key []byte, e *table.Entry) bool {
		return (o.kind == "" || engine.Kind(e.Kind()).String() == o.kind) && o.matches(key)
	}
	next := c.Tx.ScanFor(cursor, o.count, wanted, func(key []byte, _ *table.Entry) { found = append(found, slices.Clone(key)) })
	c.replyScan(next, found)
}

func keys(c *Ctx) {
	pattern := c.Args[1]
	all := string(pattern) == "*"
	var found [][]byte
	c.Tx.Keys(func(key []byte, _ *table.Entry) {
		if all || glob.Match(pattern, key, false) {
			found = append(found, slices.Clone(key))
		}
	})
	c.Out.Array(len(found))
	for _, key := range found {
		c.Out.Bulk(key)
	}
}
