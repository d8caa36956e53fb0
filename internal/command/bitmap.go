package command

import (
	"bytes"
	"math"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/bitmap"
	"github.com/larderdb/larder/internal/types/number"
)

func bitmapRows() []Command {
	const group = "bitmap"
	return []Command{
		{Name: "setbit", Arity: 4, Flags: Write | DenyOOM, ACL: CatBitmap, Keys: Key(RW | Access | Update), Group: group, Since: "2.2.0",
			Cost: "O(1)", Summary: "Sets or clears a bit of a string, padding with zero bytes.", Run: setBit},
		{Name: "getbit", Arity: 3, Flags: ReadOnly | Fast, ACL: CatBitmap, Keys: Key(RO | Access), Group: group, Since: "2.2.0",
			Cost: "O(1)", Summary: "Reads a bit of a string.", Run: getBit},
		{Name: "bitcount", Arity: -2, Flags: ReadOnly, ACL: CatBitmap, Keys: Key(RO | Access), Group: group, Since: "2.6.0",
			Cost: "O(N) where N is the length of the range", Summary: "Counts the bits of a string that are set.", Run: bitCount},
		{Name: "bitpos", Arity: -3, Flags: ReadOnly, ACL: CatBitmap, Keys: Key(RO | Access), Group: group, Since: "2.8.7",
			Cost: "O(N) where N is the length of the range", Summary: "Finds the first bit of a string that is set, or clear.", Run: bitPos},
		{Name: "bitop", Arity: -4, Flags: Write | DenyOOM, ACL: CatBitmap,
			Keys: []KeySpec{KeyAt(OW|Update, 2), {Flags: RO | Access, Begin: 3, Last: -1, Step: 1}}, Group: group, Since: "2.6.0",
			Cost:    "O(N) where N is the length of all strings together",
			Summary: "Combines strings bit by bit and stores the result.", Run: bitOp},
		{Name: "bitfield", Arity: -2, Flags: Write | DenyOOM, ACL: CatBitmap,
			Keys:   []KeySpec{{Flags: RW | Access | Update | VariableFlags, Begin: 1, Step: 1, Notes: "This command allows both access and modification of the key"}},
			KeyUse: useOfBitField, Group: group, Since: "3.2.0", Cost: "O(1) for each operation",
			Summary: "Reads, writes and increments integers of any width within a string.", Run: bitField},
		{Name: "bitfield_ro", Arity: -2, Flags: ReadOnly | Fast, ACL: CatBitmap, Keys: Key(RO | Access), Group: group, Since: "6.0.0",
			Cost: "O(1) for each operation", Summary: "Reads integers of any width within a string.", Run: bitField},
	}
}

const (
	errBitOffset engine.Error = "ERR bit offset is not an integer or out of range"
	errBitValue  engine.Error = "ERR bit is not an integer or out of range"
	errBitSought engine.Error = "ERR The bit argument must be 1 or 0."
	errBitNot    engine.Error = "ERR BITOP NOT must be called with a single source key."
)

// bitOffset parses the position of a bit, which is within the longest string that there may
// be. With width > 0, #n is the n-th of integers of so many bits.
func (c *Ctx) bitOffset(word []byte, width int64) (uint64, error) {
	scale := int64(1)
	if width > 0 && len(word) > 0 && word[0] == '#' {
		word, scale = word[1:], width
	}
	n, ok := number.ParseInt(word)
	if !ok || n < 0 || n > math.MaxInt64/scale || n*scale>>3 >= c.Config.Settings().ProtoMaxBulkLen {
		return 0, errBitOffset
	}
	return uint64(n * scale), nil
}

// editBits finds the string of argument 1 to change bits up to the one at last, which the
// string is made long enough for. grown tells whether it was not.
func (c *Ctx) editBits(last uint64) (e *table.Entry, grown, ok bool) {
	if e, ok = c.Edit(1, engine.String); !ok {
		return nil, false, false
	}
	need, old := int(last>>3)+1, 0
	if e != nil {
		old = len(e.Value())
	}
	switch {
	case e == nil:
		e = c.Tx.Create(c.Args[1], engine.String, need, 0)
		clear(e.Value())
	case old < need:
		clear(e.SetLen(need)[old:])
	default:
		e.Change()
	}
	engine.MarkRaw(e)
	return e, old < need, true
}

func setBit(c *Ctx) {
	at, err := c.bitOffset(c.Args[2], 0)
	if err != nil {
		c.Fail(err)
		return
	}
	bit, ok := number.ParseInt(c.Args[3])
	if !ok || bit&^1 != 0 {
		c.Fail(errBitValue)
		return
	}
	e, grown, ok := c.editBits(at)
	if !ok {
		return
	}
	old := bitmap.Get(e.Value(), at)
	if grown || old != int(bit) {
		bitmap.Set(e.Value(), at, int(bit))
		c.Tx.Changed(c.Args[1], engine.EventSetBit)
	}
	c.Out.Int(int64(old))
}

func getBit(c *Ctx) {
	at, err := c.bitOffset(c.Args[2], 0)
	if err != nil {
		c.Fail(err)
		return
	}
	if value, _, ok := c.readBytes(); ok {
		c.Out.Int(int64(bitmap.Get(value, at)))
	}
}

// readBytes finds the string of argument 1; an empty one where there is none.
func (c *Ctx) readBytes() (value []byte, found, ok bool) {
	e, ok := c.Read(1, engine.String)
	if e == nil {
		return nil, false, ok
	}
	return e.Value(), true, true
}

// bitRange is [start [end [BYTE | BIT]]] as it was given; both ends belong to the range.
type bitRange struct {
	span
	open bool // no end was given
	bits bool // positions of bits, not of bytes
}

// bitRange reads the range from argument i on, which is all that is left.
func (c *Ctx) bitRange(i int) (r bitRange, err error) {
	n := len(c.Args) - i
	if n > 3 {
		return r, errSyntax
	}
	r.open, r.to = n < 2, -1
	if n > 0 {
		if r.from, err = c.IntArg(i); err != nil {
			return r, err
		}
	}
	if n > 2 {
		if r.bits = c.Is(i+2, "BIT"); !r.bits && !c.Is(i+2, "BYTE") {
			return r, errSyntax
		}
	}
	if n > 1 {
		r.to, err = c.IntArg(i + 1)
	}
	return r, err
}

// of returns which bits of a string the range covers: from one up to, not including, another.
// Ends before the beginning count as the beginning.
func (r bitRange) of(value []byte) (from, to int) {
	total, scale := int64(len(value)), int64(8)
	if r.bits {
		total, scale = 8*total, 1
	}
	start, end := r.from, r.to
	if start < 0 {
		start = max(start+total, 0)
	}
	if end < 0 {
		end = max(end+total, 0)
	}
	end = min(end, total-1)
	if start > end {
		return 0, 0
	}
	return int(start * scale), int((end + 1) * scale)
}

func bitCount(c *Ctx) {
	r, err := c.bitRange(2)
	if err != nil {
		c.Fail(err)
		return
	}
	value, _, ok := c.readBytes()
	if !ok {
		return
	}
	if r.from < 0 && r.to < 0 && r.from > r.to { // empty, though both may count as the beginning
		c.Out.Int(0)
		return
	}
	from, to := r.of(value)
	c.Out.Int(int64(bitmap.CountRange(value, from, to)))
}

func bitPos(c *Ctx) {
	bit, err := c.IntArg(2)
	if err == nil && bit&^1 != 0 {
		err = errBitSought
	}
	if err != nil {
		c.Fail(err)
		return
	}
	r, err := c.bitRange(3)
	if err != nil {
		c.Fail(err)
		return
	}
	value, found, ok := c.readBytes()
	if !ok {
		return
	}
	if !found { // nothing but zeros, whatever the range
		c.Out.Int(-bit)
		return
	}
	from, to := r.of(value)
	at := bitmap.Find(value, int(bit), from, to)
	if at < 0 && bit == 0 && r.open && from < to { // zeros follow the string
		at = to
	}
	c.Out.Int(int64(at))
}

// bitOperation finds an operation by its name.
func bitOperation(name []byte) (bitmap.Op, bool) {
	for op, word := range [...]string{
		bitmap.And: "AND", bitmap.Or: "OR", bitmap.Xor: "XOR", bitmap.Not: "NOT",
		bitmap.Diff: "DIFF", bitmap.Diff1: "DIFF1", bitmap.AndOr: "ANDOR", bitmap.One: "ONE",
	} {
		if isWord(name, word) {
			return bitmap.Op(op), true
		}
	}
	return 0, false
}

// checkSources refuses numbers of sources that an operation makes no sense of.
func checkSources(op bitmap.Op, n int) error {
	name := ""
	switch op {
	case bitmap.Not:
		if n != 1 {
			return errBitNot
		}
	case bitmap.Diff:
		name = "DIFF"
	case bitmap.Diff1:
		name = "DIFF1"
	case bitmap.AndOr:
		name = "ANDOR"
	}
	if name != "" && n < 2 {
		return engine.Error("ERR BITOP " + name + " must be called with at least two source keys.")
	}
	return nil
}

func bitOp(c *Ctx) {
	op, known := bitOperation(c.Args[1])
	if !known {
		c.Fail(errSyntax)
		return
	}
	dst, keys := c.Args[2], c.Args[3:]
	if err := checkSources(op, len(keys)); err != nil {
		c.Fail(err)
		return
	}
	c.settle(keys...)
	longest, alone := 0, true
	for _, key := range keys {
		e, err := c.Tx.FindKind(key, engine.String)
		if err != nil {
			c.Fail(err)
			return
		}
		if e != nil {
			longest = max(longest, len(e.Value()))
		}
		alone = alone && !bytes.Equal(key, dst)
		c.Tx.Step()
	}
	switch {
	case longest == 0:
		c.Tx.Delete(dst)
	case alone:
		e := c.Tx.Put(dst, longest, 0)
		bitmap.Combine(op, e.Value(), c.bitSources(keys)) // which are where they are only now
		c.putBits(e, dst)
	default:
		result := make([]byte, longest)
		bitmap.Combine(op, result, c.bitSources(keys))
		e := c.Tx.Put(dst, longest, 0)
		copy(e.Value(), result)
		c.putBits(e, dst)
	}
	c.Out.Int(int64(longest))
}

// bitSources are the strings at several keys, empty where there is none; good until something is
// written.
func (c *Ctx) bitSources(keys [][]byte) [][]byte {
	sources := make([][]byte, len(keys))
	for i, key := range keys {
		if e := c.Tx.Lookup(key, engine.NoStats|engine.NoTouch); e != nil {
			sources[i] = e.Value()
		}
	}
	return sources
}

func (c *Ctx) putBits(e *table.Entry, key []byte) {
	engine.MarkRaw(e)
	c.Tx.Changed(key, engine.EventSet)
}
