package resp

import (
	"strconv"
	"strings"

	"github.com/larderdb/larder/internal/types/number"
)

// Writer encodes replies into a buffer that grows. It never fails and does no I/O: whoever owns it takes Bytes to where
// they go. Each method appends one value, or the head of an aggregate whose elements the next calls append. Bytes and
// strings are copied. The zero value speaks RESP2. Not safe for concurrent use.
//
// What RESP2 lacks is written as Redis writes it: a map as an array of twice the length, a set or a push as an array, a
// double, a big number or a verbatim string as a bulk string, a boolean as 0 or 1.
type Writer struct {
	buf       []byte
	resp3     bool
	limit     int  // bytes it may hold; 0: any number
	overflown bool // it was given more, and has dropped it
}

// NewWriter makes a Writer of RESP2 that appends to buf.
func NewWriter(buf []byte) *Writer { return &Writer{buf: buf} }

// Proto is the version spoken, 2 or 3.
func (w *Writer) Proto() int {
	if w.resp3 {
		return 3
	}
	return 2
}

// SetProto changes the version from the next value on.
func (w *Writer) SetProto(version int) { w.resp3 = version == 3 }

// SetLimit bounds the memory: a Writer that is given more than n bytes drops what it has and says so by Overflown. What it
// holds then is of no use. 0 is no bound.
func (w *Writer) SetLimit(n int) { w.limit = n }

// Overflown tells whether something was dropped since Reset.
func (w *Writer) Overflown() bool { return w.overflown }

// Bytes is what has been written. It is the Writer's own memory: good until the next call of another method.
func (w *Writer) Bytes() []byte { return w.buf }

// Len is the number of bytes written.
func (w *Writer) Len() int { return len(w.buf) }

// Truncate takes back everything behind the first n bytes, a length that Len has returned.
func (w *Writer) Truncate(n int) { w.buf = w.buf[:n] }

// Reset empties the Writer and keeps its memory, unless that is more than keep bytes.
func (w *Writer) Reset(keep int) {
	w.overflown = false
	if cap(w.buf) > keep {
		w.buf = nil
		return
	}
	w.buf = w.buf[:0]
}

// Take returns what has been written and leaves the Writer empty, without memory.
func (w *Writer) Take() []byte {
	b := w.buf
	w.buf = nil
	return b
}

// Raw appends bytes that are RESP already.
func (w *Writer) Raw(b []byte) {
	w.grow(len(b))
	w.buf = append(w.buf, b...)
}

// Simple writes a status such as OK. Line breaks in it become spaces.
func (w *Writer) Simple(s string) { w.line('+', s) }

// Error writes an error: its code in capitals, a space and the text. Line breaks in it become spaces.
func (w *Writer) Error(s string) { w.line('-', s) }

// Int writes an integer.
func (w *Writer) Int(n int64) { w.head(':', n) }

// Bulk writes a string of bytes. A nil slice is the empty string, not Null.
func (w *Writer) Bulk(b []byte) {
	w.grow(len(b) + headRoom)
	w.head('$', int64(len(b)))
	w.buf = append(append(w.buf, b...), '\r', '\n')
}

// BulkString is Bulk for a string.
func (w *Writer) BulkString(s string) {
	w.grow(len(s) + headRoom)
	w.head('$', int64(len(s)))
	w.buf = append(append(w.buf, s...), '\r', '\n')
}

// BulkSpace writes a bulk string of n bytes and returns its place, for the caller to fill before the next call.
func (w *Writer) BulkSpace(n int) []byte {
	w.grow(n + headRoom)
	w.head('$', int64(n))
	start := len(w.buf)
	w.buf = w.buf[:start+n+2]
	w.buf[start+n], w.buf[start+n+1] = '\r', '\n'
	return w.buf[start : start+n : start+n]
}

// Null writes that there is no value.
func (w *Writer) Null() { w.null("$-1\r\n") }

// NullArray is Null where RESP2 distinguishes a missing array from a missing string.
func (w *Writer) NullArray() { w.null("*-1\r\n") }

// Array begins an array of n values.
func (w *Writer) Array(n int) { w.head('*', int64(n)) }

// Map begins a map: 2n values, keys and values in turn.
func (w *Writer) Map(n int) { w.aggregate('%', n, 2*n) }

// Set begins a set of n values.
func (w *Writer) Set(n int) { w.aggregate('~', n, n) }

// Push begins a message out of turn, of n values.
func (w *Writer) Push(n int) { w.aggregate('>', n, n) }

// Attribute begins a map of 2n values that says something about the reply which follows. RESP2 has no place for it: write
// none there.
func (w *Writer) Attribute(n int) { w.head('|', int64(n)) }

// Double writes a floating-point number in the shortest form that reads back as the same.
func (w *Writer) Double(f float64) {
	if w.resp3 {
		w.buf = append(number.AppendFloat(append(w.buf, ','), f), '\r', '\n')
		return
	}
	var text [32]byte
	w.Bulk(number.AppendFloat(text[:0], f))
}

// Decimal writes a floating-point number given in decimal.
func (w *Writer) Decimal(text []byte) {
	if w.resp3 {
		w.buf = append(append(append(w.buf, ','), text...), '\r', '\n')
		return
	}
	w.Bulk(text)
}

// Bool writes true or false.
func (w *Writer) Bool(b bool) {
	switch {
	case w.resp3 && b:
		w.buf = append(w.buf, "#t\r\n"...)
	case w.resp3:
		w.buf = append(w.buf, "#f\r\n"...)
	case b:
		w.Int(1)
	default:
		w.Int(0)
	}
}

// BigNumber writes an integer of any size, given in decimal.
func (w *Writer) BigNumber(s string) {
	if w.resp3 {
		w.line('(', s)
		return
	}
	w.BulkString(s)
}

// Verbatim writes a text with its format in three letters, "txt" or "mkd".
func (w *Writer) Verbatim(format, s string) {
	if !w.resp3 {
		w.BulkString(s)
		return
	}
	w.grow(len(s) + headRoom + 4)
	w.head('=', int64(len(s)+4))
	w.buf = append(w.buf, format...)
	w.buf = append(w.buf, ':')
	w.buf = append(append(w.buf, s...), '\r', '\n')
}

// headRoom is more than what goes round the bytes of a bulk string: "$9223372036854775807\r\n" and "\r\n".
const headRoom = 24

func (w *Writer) head(kind byte, n int64) {
	if 0 <= n && n <= 9 {
		w.buf = append(w.buf, kind, byte('0'+n), '\r', '\n')
		return
	}
	w.buf = append(strconv.AppendInt(append(w.buf, kind), n, 10), '\r', '\n')
}

func (w *Writer) aggregate(kind byte, n, flat int) {
	if w.resp3 {
		w.head(kind, int64(n))
		return
	}
	w.head('*', int64(flat))
}

func (w *Writer) null(resp2 string) {
	if w.resp3 {
		resp2 = "_\r\n"
	}
	w.buf = append(w.buf, resp2...)
}

// breaks are the line breaks that would end a line too early.
var breaks = strings.NewReplacer("\r", " ", "\n", " ")

func (w *Writer) line(kind byte, s string) {
	w.buf = append(w.buf, kind)
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 {
		s = breaks.Replace(strings.TrimRight(s, "\r\n"))
	}
	w.buf = append(append(w.buf, s...), '\r', '\n')
}

// grow makes room for n more bytes. It doubles a full buffer: append's steps of a quarter would copy a large reply
// several times more.
func (w *Writer) grow(n int) {
	if cap(w.buf)-len(w.buf) >= n {
		return
	}
	double := 2 * cap(w.buf)
	if w.limit > 0 {
		if len(w.buf)+n > w.limit {
			w.buf, w.overflown = w.buf[:0], true
			if cap(w.buf) >= n {
				return
			}
		}
		double = min(double, w.limit)
	}
	buf := make([]byte, len(w.buf), max(double, len(w.buf)+n, 512))
	copy(buf, w.buf)
	w.buf = buf
}
