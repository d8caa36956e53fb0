package jsondoc

import (
	"math"
	"strconv"
)

// Format says how text is laid out. The zero value is the compact text.
type Format struct {
	Indent, Newline, Space []byte
	depth                  int
}

// plain tells whether the text is the compact one.
func (f *Format) plain() bool { return f.Indent == nil && f.Newline == nil && f.Space == nil }

// AppendText appends the JSON text of the value. O(value).
func (n Node) AppendText(dst []byte) []byte { return n.AppendFormat(dst, &Format{}) }

// AppendFormat appends the JSON text of the value as f lays it out. O(value).
func (n Node) AppendFormat(dst []byte, f *Format) []byte {
	switch n.Type() {
	case Null:
		return append(dst, "null"...)
	case Bool:
		return strconv.AppendBool(dst, n.Bool())
	case Int:
		return strconv.AppendInt(dst, n.Int(), 10)
	case Uint:
		return strconv.AppendUint(dst, n.Uint(), 10)
	case Float:
		return AppendFloat(dst, n.Float())
	case String:
		return AppendQuoted(dst, n.Bytes())
	case Array:
		dst = f.Open(dst, '[')
		v := Node{n.b, n.body()}
		for i := range n.Len() {
			dst = v.AppendFormat(f.Next(dst, i), f)
			v.at = v.end()
		}
		return f.Close(dst, ']', n.Len())
	}
	dst = f.Open(dst, '{')
	v := Node{n.b, n.body()}
	for i := range n.Len() {
		dst = f.Name(dst, i, v.Bytes())
		v.at = v.end()
		dst = v.AppendFormat(dst, f)
		v.at = v.end()
	}
	return f.Close(dst, '}', n.Len())
}

// TextRoom is about how long the text of the value is, in bytes: more often too much than too little.
func (n Node) TextRoom() int { return n.Size()*3/2 + 16 }

// Room is about how many bytes f adds to the compact text of the value, as an element of what is open. O(value), O(1)
// where f adds nothing.
func (f *Format) Room(n Node) int {
	if f.plain() {
		return 0
	}
	return f.room(n, f.depth)
}

func (f *Format) room(n Node, depth int) (room int) {
	line := min(len(f.Newline)+depth*len(f.Indent), MaxSize) // the sum of all must be a number
	switch n.Type() {
	case Array:
		n.Elements(func(_ int, v Node) bool { room += f.room(v, depth+1); return true })
	case Object:
		n.Members(func(_ []byte, v Node) bool { room += len(f.Space) + f.room(v, depth+1); return true })
	default:
		return line
	}
	return room + 2*line
}

// Open begins an array or object. The methods of Format also lay out arrays and objects that are in no document.
func (f *Format) Open(dst []byte, bracket byte) []byte {
	f.depth++
	return append(dst, bracket)
}

// Next begins element i.
func (f *Format) Next(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return f.line(dst)
}

// Name begins member i.
func (f *Format) Name(dst []byte, i int, name []byte) []byte {
	dst = append(AppendQuoted(f.Next(dst, i), name), ':')
	return append(dst, f.Space...)
}

// Close ends an array or object of n elements.
func (f *Format) Close(dst []byte, bracket byte, n int) []byte {
	f.depth--
	if n > 0 {
		dst = f.line(dst)
	}
	return append(dst, bracket)
}

func (f *Format) line(dst []byte) []byte {
	if f.plain() {
		return dst
	}
	dst = append(dst, f.Newline...)
	for range f.depth {
		dst = append(dst, f.Indent...)
	}
	return dst
}

// AppendFloat appends a number as RedisJSON spells one that is no integer: the shortest digits that give it back, with a
// fraction or an exponent always.
func AppendFloat(dst []byte, v float64) []byte {
	if math.IsInf(v, 0) || math.IsNaN(v) { // no document holds one
		return append(dst, "null"...)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	e := len(dst) - 1
	for dst[e] != 'e' {
		e--
	}
	exp, err := strconv.Atoi(string(dst[e+1:]))
	if err != nil {
		return dst
	}
	switch {
	case v == 0 || exp >= -5 && exp < 16:
		dst = strconv.AppendFloat(dst[:from], v, 'f', -1, 64)
		for _, c := range dst[from:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, '.', '0')
	}
	return strconv.AppendInt(dst[:e+1], int64(exp), 10)
}

const hexDigits = "0123456789abcdef"

// short are the escapes of two characters.
var short = [...]byte{'\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r'}

// AppendQuoted appends a string as JSON. What need not be escaped is not.
func AppendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case int(c) < len(short) && short[c] != 0:
			dst = append(dst, '\\', short[c])
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
