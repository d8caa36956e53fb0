package command

import (
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/bitmap"
	"github.com/larderdb/larder/internal/types/number"
)

const (
	errFieldType     engine.Error = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	errFieldOverflow engine.Error = "ERR Invalid OVERFLOW type specified"
	errFieldReadOnly engine.Error = "ERR BITFIELD_RO only supports the GET subcommand"
)

// fieldOp is one operation of BITFIELD.
type fieldOp struct {
	verb  fieldVerb
	field bitmap.Field
	over  bitmap.Overflow
	at    uint64 // the field's first bit
	value int64  // to set, or to add
}

type fieldVerb uint8

const (
	fieldGet fieldVerb = iota
	fieldSet
	fieldIncrBy
)

// useOfBitField is what a BITFIELD does with its key: with nothing but GET it only reads.
func useOfBitField(args [][]byte) KeyFlag {
	for i := 2; i < len(args); {
		verb, size := fieldVerbOf(args[i:])
		if size == 0 || verb != fieldGet {
			return RW | Access | Update
		}
		i += size
	}
	return RO | Access
}

// fieldVerbOf reads the word that an operation begins with and says how many words belong
// to it; none if it is unknown or not all of them are there. OVERFLOW, which only concerns
// what follows, counts as a GET of two words.
func fieldVerbOf(words [][]byte) (verb fieldVerb, size int) {
	switch {
	case isWord(words[0], "GET"):
		size = 3
	case isWord(words[0], "SET"):
		verb, size = fieldSet, 4
	case isWord(words[0], "INCRBY"):
		verb, size = fieldIncrBy, 4
	case isWord(words[0], "OVERFLOW"):
		size = 2
	}
	if size > len(words) {
		return 0, 0
	}
	return verb, size
}

// fieldOps reads the operations of BITFIELD, all before any is done. writes tells whether
// there is one that is not GET, last the last bit that such a one touches.
func (c *Ctx) fieldOps() (ops []fieldOp, writes bool, last uint64, err error) {
	over := bitmap.Wrap
	for i := 2; i < len(c.Args); {
		verb, size := fieldVerbOf(c.Args[i:])
		switch {
		case size == 0:
			return nil, false, 0, errSyntax
		case size == 2:
			if over, err = c.overflow(i + 1); err != nil {
				return nil, false, 0, err
			}
		default:
			op, err := c.fieldOp(verb, i)
			if err != nil {
				return nil, false, 0, err
			}
			op.over = over
			ops = append(ops, op)
			if verb != fieldGet {
				writes, last = true, max(last, op.at+uint64(op.field.Width)-1)
			}
		}
		i += size
	}
	return ops, writes, last, nil
}

func (c *Ctx) overflow(i int) (bitmap.Overflow, error) {
	switch {
	case c.Is(i, "WRAP"):
		return bitmap.Wrap, nil
	case c.Is(i, "SAT"):
		return bitmap.Saturate, nil
	case c.Is(i, "FAIL"):
		return bitmap.Refuse, nil
	}
	return 0, errFieldOverflow
}

// fieldOp reads type, offset and value of the operation whose first word is argument i.
func (c *Ctx) fieldOp(verb fieldVerb, i int) (op fieldOp, err error) {
	op.verb = verb
	var ok bool
	if op.field, ok = fieldType(c.Args[i+1]); !ok {
		return op, errFieldType
	}
	if op.at, err = c.bitOffset(c.Args[i+2], int64(op.field.Width)); err == nil && verb != fieldGet {
		op.value, err = c.IntArg(i + 3)
	}
	return op, err
}

// fieldType reads i1 ... i64 or u1 ... u63.
func fieldType(word []byte) (f bitmap.Field, ok bool) {
	if len(word) == 0 || word[0] != 'i' && word[0] != 'u' {
		return f, false
	}
	f.Signed = word[0] == 'i'
	width, ok := number.ParseInt(word[1:])
	if !ok || width < 1 || width > 64 || width == 64 && !f.Signed {
		return f, false
	}
	f.Width = uint8(width)
	return f, true
}

// bitField is BITFIELD and BITFIELD_RO.
func bitField(c *Ctx) {
	ops, writes, last, err := c.fieldOps()
	if err == nil && writes && c.Row.Flags&Write == 0 {
		err = errFieldReadOnly
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if !writes {
		if value, _, ok := c.readBytes(); ok {
			c.Out.Array(len(ops))
			for _, op := range ops {
				c.Out.Int(op.field.Load(value, op.at))
			}
		}
		return
	}
	e, changed, ok := c.editBits(last)
	if !ok {
		return
	}
	value := e.Value()
	c.Out.Array(len(ops))
	for _, op := range ops {
		changed = c.doField(value, op) || changed
	}
	if changed {
		c.Tx.Changed(c.Args[1], engine.EventSetBit)
	}
}

// doField does one operation, replies to it, and tells whether the string is another now.
func (c *Ctx) doField(value []byte, op fieldOp) (changed bool) {
	old := op.field.Load(value, op.at)
	next, ok, reply := old, true, old
	switch op.verb {
	case fieldSet:
		next, ok = op.field.Fit(op.value, op.over)
	case fieldIncrBy:
		next, ok = op.field.Add(old, op.value, op.over)
		reply = next
	}
	if !ok {
		c.Out.Null()
		return false
	}
	if op.verb != fieldGet {
		op.field.Store(value, op.at, next)
	}
	c.Out.Int(reply)
	return next != old
}
