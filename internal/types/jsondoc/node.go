package jsondoc

import (
	"encoding/binary"
	"math"
)

// Tags. From tagString on the lower six bits are a string's length, from tagInt on the lower seven an integer.
const (
	tagNull byte = iota
	tagFalse
	tagTrue
	tagInt8
	tagInt16
	tagInt32
	tagInt64
	tagUint64 // above the greatest int64
	tagFloat32
	tagFloat64
	tagString8
	tagString16
	tagString32
	tagArray8
	tagArray16
	tagArray32
	tagObject8
	tagObject16
	tagObject32

	tagString byte = 0x40
	tagInt    byte = 0x80

	maxShort = 63  // bytes of a string whose length is in its tag
	maxTiny  = 127 // integer in a tag
)

// Type is what a value is.
type Type uint8

// The types. Uint is an integer above the greatest int64.
const (
	Null Type = iota
	Bool
	Int
	Uint
	Float
	String
	Array
	Object
)

var names = [...]string{"null", "boolean", "integer", "integer", "number", "string", "array", "object"}

// String is the type's name as JSON.TYPE answers it.
func (t Type) String() string { return names[t] }

// Number tells whether the type is one of the three kinds of numbers.
func (t Type) Number() bool { return t == Int || t == Uint || t == Float }

// Node is a value in a document: a place in its bytes.
type Node struct {
	b  []byte
	at int
}

// Root is the value that a document's bytes are.
func Root(b []byte) Node { return Node{b, 0} }

// At is where in its document the value begins.
func (n Node) At() int { return n.at }

func (n Node) tag() byte { return n.b[n.at] }

// types are the types of the tags below tagString.
var types = [...]Type{
	tagNull: Null, tagFalse: Bool, tagTrue: Bool, tagInt8: Int, tagInt16: Int, tagInt32: Int, tagInt64: Int, tagUint64: Uint,
	tagFloat32: Float, tagFloat64: Float, tagString8: String, tagString16: String, tagString32: String,
	tagArray8: Array, tagArray16: Array, tagArray32: Array, tagObject8: Object, tagObject16: Object, tagObject32: Object,
}

// Type is what the value is.
func (n Node) Type() Type {
	switch t := n.tag(); {
	case t >= tagInt:
		return Int
	case t >= tagString:
		return String
	default:
		return types[t]
	}
}

// Bool is the value of a Bool.
func (n Node) Bool() bool { return n.tag() == tagTrue }

// Int is the value of an Int.
func (n Node) Int() int64 {
	p := n.b[n.at+1:]
	switch t := n.tag(); t {
	case tagInt8:
		return int64(int8(p[0]))
	case tagInt16:
		return int64(int16(binary.LittleEndian.Uint16(p)))
	case tagInt32:
		return int64(int32(binary.LittleEndian.Uint32(p)))
	case tagInt64:
		return int64(binary.LittleEndian.Uint64(p))
	default:
		return int64(t &^ tagInt)
	}
}

// Uint is the value of a Uint.
func (n Node) Uint() uint64 { return binary.LittleEndian.Uint64(n.b[n.at+1:]) }

// Float is the value of any number, rounded if it has too many digits.
func (n Node) Float() float64 {
	switch n.tag() {
	case tagFloat32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(n.b[n.at+1:])))
	case tagFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(n.b[n.at+1:]))
	case tagUint64:
		return float64(n.Uint())
	}
	return float64(n.Int())
}

// widths are the bytes of a length behind a tag, fixed the bytes behind it of what has no length.
var (
	widths = [...]int{tagString8: 1, tagString16: 2, tagString32: 4, tagArray8: 1, tagArray16: 2, tagArray32: 4,
		tagObject8: 1, tagObject16: 2, tagObject32: 4}
	fixed = [...]int{tagInt8: 1, tagInt16: 2, tagInt32: 4, tagInt64: 8, tagUint64: 8, tagFloat32: 4, tagFloat64: 8, tagString8: 0}
)

// figure reads a number of w bytes.
func figure(p []byte, w int) int {
	switch w {
	case 1:
		return int(p[0])
	case 2:
		return int(binary.LittleEndian.Uint16(p))
	}
	return int(binary.LittleEndian.Uint32(p))
}

func putFigure(p []byte, w, v int) {
	switch w {
	case 1:
		p[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(p, uint16(v))
	default:
		binary.LittleEndian.PutUint32(p, uint32(v))
	}
}

// Bytes are the bytes of a String.
func (n Node) Bytes() []byte {
	t := n.tag()
	if t >= tagString {
		from := n.at + 1
		return n.b[from : from+int(t&maxShort)]
	}
	w := widths[t]
	from := n.at + 1 + w
	return n.b[from : from+figure(n.b[n.at+1:], w)]
}

// end is where the value ends.
func (n Node) end() int {
	t := n.tag()
	switch {
	case t >= tagInt:
		return n.at + 1
	case t >= tagString:
		return n.at + 1 + int(t&maxShort)
	case t < tagString8:
		return n.at + 1 + fixed[t]
	}
	w := widths[t]
	if t >= tagArray8 {
		return n.at + 1 + 2*w + figure(n.b[n.at+1:], w)
	}
	return n.at + 1 + w + figure(n.b[n.at+1:], w)
}

// raw is the whole encoding of the value.
func (n Node) raw() []byte { return n.b[n.at:n.end()] }

// Size is how many bytes the value takes in its document.
func (n Node) Size() int { return n.end() - n.at }

// Copy is a document of the value alone.
func (n Node) Copy() []byte { return append([]byte(nil), n.raw()...) }

// body is where the contents of an Array or Object begin.
func (n Node) body() int { return n.at + 1 + 2*widths[n.tag()] }

// Len is the number of elements of an Array or members of an Object. O(1).
func (n Node) Len() int {
	w := widths[n.tag()]
	return figure(n.b[n.at+1+w:], w)
}

// next is the value that begins where this one ends.
func (n Node) next() Node { return Node{n.b, n.end()} }

// Index is the element of an Array at a position that it has. O(i).
func (n Node) Index(i int) Node {
	v := Node{n.b, n.body()}
	for ; i > 0; i-- {
		v.at = v.end()
	}
	return v
}

// Member is the value of an Object's member, and where its name stands; false if there is none. O(members).
func (n Node) Member(name []byte) (v Node, key int, ok bool) {
	v = Node{n.b, n.body()}
	for i := n.Len(); i > 0; i-- {
		key = v.at
		found := string(v.Bytes()) == string(name)
		v.at = v.end()
		if found {
			return v, key, true
		}
		v.at = v.end()
	}
	return Node{}, 0, false
}

// Elements gives the elements of an Array in order, until fn returns false.
func (n Node) Elements(fn func(i int, v Node) bool) {
	v := Node{n.b, n.body()}
	for i := range n.Len() {
		next := v.end()
		if !fn(i, v) {
			return
		}
		v.at = next
	}
}

// Members gives the members of an Object in order, until fn returns false.
func (n Node) Members(fn func(name []byte, v Node) bool) {
	key := Node{n.b, n.body()}
	for range n.Len() {
		v := key.next()
		next := v.end()
		if !fn(key.Bytes(), v) {
			return
		}
		key.at = next
	}
}
