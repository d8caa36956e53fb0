package packed

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/larderdb/larder/internal/types/number"
)

// Tags; see the package's comment.
const (
	tagSmallInt = 0x80 // | 0..63
	tagInt      = 0xC0 // | width in bytes - 1
	tagFloat32  = 0xC8
	tagFloat64  = 0xC9
	tagLong     = 0xCA
	tagMedium   = 0xE0 // | upper five bits of the length

	shortLimit    = 0x80   // strings below need no length byte
	mediumLimit   = 0x2000 // strings below have their length in two bytes
	smallIntLimit = 0x40

	maxHead = 9 // an integer or float of eight bytes and its tag
)

// Kind is what an entry holds.
type Kind byte

const (
	None   Kind = iota // no entry
	String             // bytes that are not the canonical form of an int64
	Int
	Float
)

// Value is a decoded entry. A string's bytes alias the run: they are valid until
// the run changes or moves, and are not to be written.
//
// They are kept as a string, which is a word shorter than a slice: Value is then
// four words, the most that the compiler keeps in registers. One word more and
// reading an element takes twice as long.
type Value struct {
	kind Kind
	num  uint64 // an Int's two's complement, a Float's IEEE bits
	str  string
}

// lend and lent are bytes as a string and back, without a copy.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func lent(s string) []byte {
	if s == "" {
		return []byte{} // not nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// StringValue returns s as a Value, so that members of a run and members kept
// elsewhere pass through the same hands. It keeps s as it is, even if it is the
// form of an integer.
func StringValue(s []byte) Value { return Value{kind: String, str: lend(s)} }

// IntValue returns n as a Value.
func IntValue(n int64) Value { return Value{kind: Int, num: uint64(n)} }

// Kind returns what v holds; None for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// Bytes returns the bytes of a String, nil for every other kind. They alias the
// run.
func (v Value) Bytes() []byte {
	if v.kind != String {
		return nil
	}
	return lent(v.str)
}

// Int returns an Int's value; false for every other kind.
func (v Value) Int() (int64, bool) { return int64(v.num), v.kind == Int }

// Float returns the value of a Float or an Int; false for a String. An Int that
// was written by AppendFloat is exact.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case Int:
		return float64(int64(v.num)), true
	case Float:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// AppendString appends v as Redis would print it: strings as they are, integers
// in decimal, floats as scores.
func (v Value) AppendString(dst []byte) []byte {
	switch v.kind {
	case String:
		return append(dst, v.str...)
	case Int:
		return number.AppendInt(dst, int64(v.num))
	case Float:
		return number.AppendFloat(dst, math.Float64frombits(v.num))
	}
	return dst
}

// Len returns the length in bytes of what AppendString appends.
func (v Value) Len() int {
	switch v.kind {
	case String:
		return len(v.str)
	case Int:
		return number.IntLen(int64(v.num))
	case Float:
		var buf [32]byte
		return len(v.AppendString(buf[:0]))
	}
	return 0
}

// Equal reports whether v prints as s.
func (v Value) Equal(s []byte) bool {
	if v.kind == String {
		return v.str == string(s)
	}
	var buf [32]byte
	return v.kind != None && string(v.AppendString(buf[:0])) == string(s)
}

// Get decodes the entry at off. It returns the zero Value if there is none.
func Get(b []byte, off int) Value {
	v, _ := decode(b, off)
	return v
}

// Read decodes the entry at off and returns the position of the one after it, 0
// at the end.
func Read(b []byte, off int) (v Value, next int) {
	v, end := decode(b, off)
	if end == 0 {
		return v, 0
	}
	if LayoutOf(b) == TwoWay {
		end += backLen(end - off)
	}
	if end >= len(b) {
		return v, 0
	}
	return v, end
}

// decode returns the value at off and the end of its payload, 0 if corrupt.
func decode(b []byte, off int) (Value, int) {
	if off <= 0 {
		return Value{}, 0
	}
	end := payloadEnd(b, off)
	if end == 0 {
		return Value{}, 0
	}
	switch tag := b[off]; {
	case tag < tagSmallInt:
		return Value{kind: String, str: lend(b[off+1 : end])}, end
	case tag < tagInt:
		return Value{kind: Int, num: uint64(tag - tagSmallInt)}, end
	case tag < tagFloat32:
		return Value{kind: Int, num: uint64(readInt(b[off+1 : end]))}, end
	case tag == tagFloat32:
		f := math.Float32frombits(binary.LittleEndian.Uint32(b[off+1:]))
		return Value{kind: Float, num: math.Float64bits(float64(f))}, end
	case tag == tagFloat64:
		return Value{kind: Float, num: binary.LittleEndian.Uint64(b[off+1:])}, end
	case tag == tagLong:
		return Value{kind: String, str: lend(b[off+5 : end])}, end
	default:
		return Value{kind: String, str: lend(b[off+2 : end])}, end
	}
}

// readInt reads a two's complement of 1 to 8 bytes, little endian.
func readInt(b []byte) int64 {
	var u uint64
	for i, c := range b {
		u |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(u<<shift) >> shift
}

// payloadEnd returns the end of the payload of the entry at off, 0 if it does not
// lie within b.
func payloadEnd(b []byte, off int) int {
	if off >= len(b) {
		return 0
	}
	end := off + 1 + int(b[off])
	if b[off] >= shortLimit {
		end = longEnd(b, off)
	}
	if end > len(b) {
		return 0
	}
	return end
}

// longEnd is payloadEnd for all but short strings. What it returns may lie behind
// b; 0 is no entry.
func longEnd(b []byte, off int) int {
	switch tag := b[off]; {
	case tag < tagInt:
		return off + 1
	case tag < tagFloat32:
		return off + 2 + int(tag-tagInt)
	case tag == tagFloat32:
		return off + 5
	case tag == tagFloat64:
		return off + 9
	case tag == tagLong:
		if off+5 > len(b) {
			return 0
		}
		return off + 5 + int(binary.LittleEndian.Uint32(b[off+1:]))
	case tag >= tagMedium:
		if off+2 > len(b) {
			return 0
		}
		return off + 2 + int(tag-tagMedium)<<8 + int(b[off+1])
	}
	return 0 // a tag that nobody writes
}

// entryEnd returns the end of the entry at off, its backlen included; 0 if it
// does not lie within b.
func entryEnd(b []byte, off int) int {
	end := payloadEnd(b, off)
	if end == 0 {
		return 0
	}
	if LayoutOf(b) == TwoWay {
		end += backLen(end - off)
		if end > len(b) {
			return 0
		}
	}
	return end
}

// Append appends s as one encoded entry, ready to be put into a run of the same
// layout.
func Append(dst []byte, l Layout, s []byte) []byte {
	start := len(dst)
	dst, body := encode(dst, s)
	dst = append(dst, body...)
	return appendBack(dst, l, len(dst)-start)
}

// AppendInt appends n as one encoded entry.
func AppendInt(dst []byte, l Layout, n int64) []byte {
	start := len(dst)
	dst = encodeInt(dst, n)
	return appendBack(dst, l, len(dst)-start)
}

// AppendFloat appends f as one encoded entry. It is read back by Value.Float with
// the same bits; minus zero stays minus zero.
func AppendFloat(dst []byte, l Layout, f float64) []byte {
	start := len(dst)
	switch {
	case isInt(f):
		dst = encodeInt(dst, int64(f))
	case isFloat32(f):
		dst = append(dst, tagFloat32)
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f)))
	default:
		dst = append(dst, tagFloat64)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return appendBack(dst, l, len(dst)-start)
}

// EncodedLen returns the length in bytes of the entry that Append writes for s.
func EncodedLen(l Layout, s []byte) int {
	n := len(s)
	if v, ok := number.ParseInt(s); ok {
		n = intLen(v)
	} else {
		n += headLen(n)
	}
	return n + backLenIf(l, n)
}

// IntEncodedLen returns the length in bytes of the entry that AppendInt writes.
func IntEncodedLen(l Layout, n int64) int {
	size := intLen(n)
	return size + backLenIf(l, size)
}

// FloatEncodedLen returns the length in bytes of the entry that AppendFloat
// writes.
func FloatEncodedLen(l Layout, f float64) int {
	size := 9
	switch {
	case isInt(f):
		size = intLen(int64(f))
	case isFloat32(f):
		size = 5
	}
	return size + backLenIf(l, size)
}

// encode appends the tag (and length) of s to dst and returns the bytes that
// have to follow. An integer is all tag.
func encode(dst, s []byte) (head, body []byte) {
	if n, ok := number.ParseInt(s); ok {
		return encodeInt(dst, n), nil
	}
	switch n := len(s); {
	case n < shortLimit:
		dst = append(dst, byte(n))
	case n < mediumLimit:
		dst = append(dst, tagMedium|byte(n>>8), byte(n))
	default:
		dst = binary.LittleEndian.AppendUint32(append(dst, tagLong), uint32(n))
	}
	return dst, s
}

func headLen(n int) int {
	switch {
	case n < shortLimit:
		return 1
	case n < mediumLimit:
		return 2
	}
	return 5
}

func encodeInt(dst []byte, n int64) []byte {
	if n >= 0 && n < smallIntLimit {
		return append(dst, tagSmallInt|byte(n))
	}
	width := intLen(n) - 1
	dst = append(dst, tagInt|byte(width-1))
	for range width {
		dst = append(dst, byte(n))
		n >>= 8
	}
	return dst
}

// intLen returns the length of an integer's tag and payload.
func intLen(n int64) int {
	if n >= 0 && n < smallIntLimit {
		return 1
	}
	width := 1
	for n>>(8*width-1) != 0 && n>>(8*width-1) != -1 {
		width++
	}
	return 1 + width
}

// isInt reports whether f takes the integer form: whole, and below 2^53, where
// every whole number is a double. Minus zero is not an integer.
func isInt(f float64) bool {
	return f == math.Trunc(f) && math.Abs(f) <= 1<<53 && !(f == 0 && math.Signbit(f))
}

func isFloat32(f float64) bool { return float64(float32(f)) == f }

// appendBack appends the backlen of an entry of n bytes if the layout has one.
func appendBack(dst []byte, l Layout, n int) []byte {
	if l == Forward {
		return dst
	}
	size := backLen(n)
	for i := range size {
		c := byte(n>>(7*(size-1-i))) & 0x7f
		if i > 0 {
			c |= 0x80 // more to the left
		}
		dst = append(dst, c)
	}
	return dst
}

// backLen returns the length in bytes of the backlen of an entry of n bytes.
func backLen(n int) int {
	size := 1
	for n >= 0x80 {
		n >>= 7
		size++
	}
	return size
}

func backLenIf(l Layout, n int) int {
	if l == Forward {
		return 0
	}
	return backLen(n)
}

// backSpan returns the length in bytes of the whole last entry of b, whose last
// bytes are a backlen; 0 if that is corrupt.
func backSpan(b []byte) int {
	n := 0
	for i := range min(len(b), 5) {
		c := b[len(b)-1-i]
		n |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			if n == 0 {
				return 0
			}
			return n + i + 1
		}
	}
	return 0
}
