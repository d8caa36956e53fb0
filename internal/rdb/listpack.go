package rdb

import (
	"encoding/binary"
	"math"

	"github.com/larderdb/larder/internal/types/number"
)

// A listpack is a sequence of strings and integers in one run of bytes:
//
//	bytes in 4, entries in 2, entry*, 0xff            little endian; 65535 entries: count them
//	entry = encoding, payload, back length
//
//	0nnnnnnn            the integer n
//	10llllll            string of l bytes
//	110nnnnn n          integer of 13 bits, high bits first
//	1110llll l          string of l bytes, 12 bits of length
//	11110000 llll       string, the length in four bytes
//	11110001 to 0100    integer of 2, 3, 4, 8 bytes
//
// The back length is that of encoding and payload, seven bits a byte, high bits first, all but the first byte marked.
const (
	lpHeader  = 6
	lpEnd     = 0xff
	lpUnknown = math.MaxUint16

	lpStr32 = 0xf0
	lpInt16 = 0xf1
	lpInt24 = 0xf2
	lpInt32 = 0xf3
	lpInt64 = 0xf4
)

// Listpack builds a listpack. The zero value is empty.
type Listpack struct {
	b []byte
	n int
}

// Reset makes it empty.
func (l *Listpack) Reset() { l.b, l.n = l.b[:0], 0 }

// Count is the number of entries.
func (l *Listpack) Count() int { return l.n }

// Size is the length in bytes that Bytes will have.
func (l *Listpack) Size() int { return max(len(l.b), lpHeader) + 1 }

// Add appends a string, as an integer where it is the decimal form of one.
func (l *Listpack) Add(s []byte) {
	if n, ok := number.ParseInt(s); ok {
		l.AddInt(n)
		return
	}
	start := l.begin()
	switch n := len(s); {
	case n < 1<<6:
		l.b = append(l.b, 0x80|byte(n))
	case n < 1<<12:
		l.b = append(l.b, 0xe0|byte(n>>8), byte(n))
	default:
		l.b = binary.LittleEndian.AppendUint32(append(l.b, lpStr32), uint32(n))
	}
	l.b = append(l.b, s...)
	l.end(start)
}

// AddInt appends an integer.
func (l *Listpack) AddInt(n int64) {
	start := l.begin()
	switch {
	case n >= 0 && n < 1<<7:
		l.b = append(l.b, byte(n))
	case n >= -1<<12 && n < 1<<12:
		l.b = append(l.b, 0xc0|byte(n>>8)&0x1f, byte(n))
	case n >= math.MinInt16 && n <= math.MaxInt16:
		l.b = binary.LittleEndian.AppendUint16(append(l.b, lpInt16), uint16(n))
	case n >= -1<<23 && n < 1<<23:
		l.b = append(l.b, lpInt24, byte(n), byte(n>>8), byte(n>>16))
	case n >= math.MinInt32 && n <= math.MaxInt32:
		l.b = binary.LittleEndian.AppendUint32(append(l.b, lpInt32), uint32(n))
	default:
		l.b = binary.LittleEndian.AppendUint64(append(l.b, lpInt64), uint64(n))
	}
	l.end(start)
}

func (l *Listpack) begin() (start int) {
	if len(l.b) == 0 {
		l.b = append(l.b, make([]byte, lpHeader)...)
	}
	return len(l.b)
}

func (l *Listpack) end(start int) {
	l.n++
	n := len(l.b) - start
	for shift := 7 * (backLen(n) - 1); shift >= 0; shift -= 7 {
		c := byte(n>>shift) & 0x7f
		if 7*(backLen(n)-1) != shift {
			c |= 0x80
		}
		l.b = append(l.b, c)
	}
}

// Bytes is the listpack. It is void after the next change.
func (l *Listpack) Bytes() []byte {
	l.begin()
	b := append(l.b, lpEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(min(l.n, lpUnknown)))
	l.b = b[:len(b)-1]
	return b
}

// EntrySize is the number of bytes that a string takes in a listpack.
func EntrySize(s []byte) int {
	n := len(s)
	if v, ok := number.ParseInt(s); ok {
		n = intSize(v)
	} else {
		switch {
		case n < 1<<6:
			n++
		case n < 1<<12:
			n += 2
		default:
			n += 5
		}
	}
	return n + backLen(n)
}

func intSize(n int64) int {
	switch {
	case n >= 0 && n < 1<<7:
		return 1
	case n >= -1<<12 && n < 1<<12:
		return 2
	case n >= math.MinInt16 && n <= math.MaxInt16:
		return 3
	case n >= -1<<23 && n < 1<<23:
		return 4
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return 5
	}
	return 9
}

// backLen is the number of bytes of a back length.
func backLen(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	case n < 1<<28:
		return 4
	}
	return 5
}

// item is an entry of one of the compact structures: a string, or an integer.
type item struct {
	str   []byte
	num   int64
	isInt bool
}

// text returns the item as bytes, those of an integer in buf.
func (v item) text(buf []byte) []byte {
	if v.isInt {
		return number.AppendInt(buf[:0], v.num)
	}
	return v.str
}

// walker goes through the entries of a listpack and checks all there is to check on the way: done reports true at the end of
// a sound one.
type walker struct {
	b     []byte
	at    int
	count int // entries passed
}

// newWalker checks the header.
func newWalker(b []byte) (walker, error) {
	if len(b) < lpHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != lpEnd {
		return walker{}, ErrListpack
	}
	return walker{b: b, at: lpHeader}, nil
}

// done tells whether the end is reached, which is where the header says.
func (w *walker) done() (bool, error) {
	if w.at < len(w.b)-1 {
		return false, nil
	}
	n := int(binary.LittleEndian.Uint16(w.b[4:]))
	if w.at != len(w.b)-1 || n != lpUnknown && n != w.count {
		return true, ErrListpack
	}
	return true, nil
}

// next reads an entry.
func (w *walker) next() (v item, err error) {
	b := w.b[w.at : len(w.b)-1]
	head, payload := 1, 0
	if len(b) == 0 {
		return v, ErrListpack
	}
	switch c := b[0]; {
	case c < 0x80:
		v = item{num: int64(c), isInt: true}
	case c < 0xc0:
		payload = int(c & 0x3f)
	case c < 0xe0:
		head = 2
	case c < 0xf0:
		if head = 2; len(b) >= head {
			payload = int(c&0x0f)<<8 | int(b[1])
		}
	case c == lpStr32:
		if head = 5; len(b) >= head {
			payload = int(binary.LittleEndian.Uint32(b[1:]))
		}
	case c <= lpInt32:
		head = int(c-lpInt16) + 3
	case c == lpInt64:
		head = 9
	default:
		return v, ErrListpack
	}
	size := head + payload
	if size+backLen(size) > len(b) || !hasBackLen(b[size:], size) {
		return v, ErrListpack
	}
	switch c := b[0]; {
	case c >= 0x80 && c < 0xc0, c >= 0xe0 && c <= lpStr32:
		v.str = b[head:size:size]
	case c >= 0xc0:
		v = item{num: lpInteger(b[:head]), isInt: true}
	}
	w.at += size + backLen(size)
	w.count++
	return v, nil
}

// lpInteger reads an integer that is more than one byte with its encoding.
func lpInteger(b []byte) int64 {
	switch b[0] {
	case lpInt16:
		return int64(int16(binary.LittleEndian.Uint16(b[1:])))
	case lpInt24:
		return int64(int32(uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24) >> 8)
	case lpInt32:
		return int64(int32(binary.LittleEndian.Uint32(b[1:])))
	case lpInt64:
		return int64(binary.LittleEndian.Uint64(b[1:]))
	}
	return int64(int16(uint16(b[0]&0x1f)<<11|uint16(b[1])<<3) >> 3) // 13 bits
}

// hasBackLen tells whether b begins with the back length of n bytes.
func hasBackLen(b []byte, n int) bool {
	last := backLen(n) - 1
	for i := range last + 1 {
		c := byte(n>>(7*(last-i))) & 0x7f
		if i > 0 {
			c |= 0x80
		}
		if b[i] != c {
			return false
		}
	}
	return true
}

// integer reads an entry that must be one.
func (w *walker) integer() (int64, error) {
	v, err := w.next()
	if err == nil && !v.isInt {
		err = ErrListpack
	}
	return v.num, err
}
