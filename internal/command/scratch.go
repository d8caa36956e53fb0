package command

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/types/number"
)

// scratch is memory of a session that its commands use one after the other, so
// that the hot ones allocate nothing. What a command leaves in it is gone when
// the next one begins.
type scratch struct {
	digits   [2 * number.MaxIntLen]byte // a number on its way to the sink: an array on the stack would escape
	text     []byte
	scores   []float64
	elements elements
	random   func() uint64
}

// scratchKeep is how much of a buffer a session keeps between commands, in bytes.
const scratchKeep = 64 << 10

// elements is a sequence of byte strings in one buffer, for replies whose length
// has to be told before their elements are known.
type elements struct {
	n   int
	buf []byte // each element with its length in front
}

// elements returns the session's sequence, empty.
func (c *Ctx) elements() *elements {
	x := &c.Session.scratch.elements
	if x.n = 0; cap(x.buf) > scratchKeep {
		x.buf = nil
	}
	x.buf = x.buf[:0]
	return x
}

// add copies b to the end.
func (x *elements) add(b []byte) {
	x.n++
	x.buf = append(binary.AppendUvarint(x.buf, uint64(len(b))), b...)
}

// each visits the elements in order. They alias the sequence.
func (x *elements) each(fn func(b []byte)) {
	for rest := x.buf; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		end := size + int(n)
		fn(rest[size:end])
		rest = rest[end:]
	}
}

// replyElements replies the elements; their number has been told already.
func (c *Ctx) replyElements(x *elements) {
	x.each(func(b []byte) { c.Out.Bulk(b) })
}

// replyStep replies what one call of HSCAN, SSCAN or ZSCAN has found.
func (c *Ctx) replyStep(next uint64, x *elements) {
	c.Out.Array(2)
	c.Out.BulkString(uintText(next))
	c.Out.Array(x.n)
	c.replyElements(x)
}

// bytes returns a value as bytes: the value's own or, of a number, digits in
// the scratch that the next call overwrites.
func (c *Ctx) bytes(v packed.Value) []byte {
	if v.Kind() == packed.String {
		return v.Bytes()
	}
	return v.AppendString(c.Session.scratch.digits[:0])
}

// value replies a value as a bulk string.
func (c *Ctx) value(v packed.Value) { c.Out.Bulk(c.bytes(v)) }

// keep copies a value to the session's text buffer, where it stays until the
// next call of keep.
func (c *Ctx) keep(v packed.Value) []byte {
	s := &c.Session.scratch
	if cap(s.text) > scratchKeep {
		s.text = nil
	}
	s.text = v.AppendString(s.text[:0])
	return s.text
}

// random is a source of 64 random bits at a time.
func (c *Ctx) random() func() uint64 {
	s := &c.Session.scratch
	if s.random == nil {
		s.random = c.Engine.Random
	}
	return s.random
}
