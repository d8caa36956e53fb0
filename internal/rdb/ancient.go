package rdb

import "encoding/binary"

// The structures in which Redis kept small collections before listpacks. They are only read.
//
// A ziplist:
//
//	bytes in 4, offset of the last entry in 4, entries in 2, entry*, 0xff
//	entry = length of the one before (a byte, or 254 and four bytes), encoding, payload
//
//	00llllll, 01llllll l        string, lengths of 6 and 14 bits, high bits first
//	10______ llll               string, the length in four bytes, big endian
//	11000000, 11010000, 11100000, 11110000, 11111110    integer of 2, 4, 8, 3, 1 bytes, little endian
//	1111nnnn                    the integer n-1, n being 1 to 13
const (
	zlHeader  = 10
	zlEnd     = 0xff
	zlBigPrev = 254
	zlUnknown = 0xffff
)

// eachZiplist shows the entries of a ziplist.
func eachZiplist(b []byte, fn func(v item) error) error {
	if len(b) < zlHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != zlEnd {
		return ErrZiplist
	}
	at, last, prev, count := zlHeader, zlHeader, 0, 0
	for at < len(b)-1 {
		v, before, size := zlEntry(b[at : len(b)-1])
		if size == 0 || before != prev {
			return ErrZiplist
		}
		if err := fn(v); err != nil {
			return err
		}
		last, prev = at, size
		at += size
		count++
	}
	n := int(binary.LittleEndian.Uint16(b[8:]))
	if uint64(binary.LittleEndian.Uint32(b[4:])) != uint64(last) || n != zlUnknown && n != count {
		return ErrZiplist
	}
	return nil
}

// zlEntry reads an entry: its value, the length that it says the one before has, and its own; 0 if it is malformed.
func zlEntry(b []byte) (v item, before, size int) {
	at := 1
	if before = int(b[0]); before >= zlBigPrev {
		if before != zlBigPrev || len(b) < 5 {
			return v, 0, 0
		}
		before, at = int(binary.LittleEndian.Uint32(b[1:])), 5
	}
	if at >= len(b) {
		return v, 0, 0
	}
	head, payload, isInt := zlShape(b[at:])
	if head == 0 || at+head+payload > len(b) {
		return v, 0, 0
	}
	body := b[at+head : at+head+payload : at+head+payload]
	switch {
	case !isInt:
		v.str = body
	case payload == 0:
		v = item{num: int64(b[at]&0x0f) - 1, isInt: true}
	default:
		v = item{num: littleInt(body), isInt: true}
	}
	return v, before, at + head + payload
}

// zlShape tells the lengths of an entry's encoding and payload; no encoding where it is malformed.
func zlShape(b []byte) (head, payload int, isInt bool) {
	switch c := b[0]; c >> 6 {
	case 0:
		return 1, int(c & 0x3f), false
	case 1:
		if len(b) < 2 {
			return 0, 0, false
		}
		return 2, int(c&0x3f)<<8 | int(b[1]), false
	case 2:
		if len(b) < 5 {
			return 0, 0, false
		}
		return 5, int(binary.BigEndian.Uint32(b[1:])), false
	}
	switch c := b[0]; c {
	case 0xc0:
		return 1, 2, true
	case 0xd0:
		return 1, 4, true
	case 0xe0:
		return 1, 8, true
	case 0xf0:
		return 1, 3, true
	case 0xfe:
		return 1, 1, true
	default:
		if c >= 0xf1 && c <= 0xfd {
			return 1, 0, true
		}
	}
	return 0, 0, false
}

// littleInt reads a two's complement of 1 to 8 bytes.
func littleInt(b []byte) int64 {
	var u uint64
	for i, c := range b {
		u |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(u<<shift) >> shift
}

// eachZipmap shows the fields of a zipmap:
//
//	pairs in 1 (254: count them), pair*, 0xff
//	pair = length, field, length, free bytes in 1, value, free bytes
//
// where a length is a byte, or 254 and four bytes, little endian.
func eachZipmap(b []byte, fn func(field, value []byte) error) error {
	if len(b) < 2 || b[len(b)-1] != zlEnd {
		return ErrZipmap
	}
	rest, count := b[1:len(b)-1], 0
	for len(rest) > 0 {
		field, after, ok := zmString(rest, false)
		if !ok {
			return ErrZipmap
		}
		value, after, ok := zmString(after, true)
		if !ok {
			return ErrZipmap
		}
		if err := fn(field, value); err != nil {
			return err
		}
		rest = after
		count++
	}
	if b[0] != zlBigPrev && int(b[0]) != count {
		return ErrZipmap
	}
	return nil
}

func zmString(b []byte, slack bool) (s, rest []byte, ok bool) {
	if len(b) == 0 || b[0] > zlBigPrev {
		return nil, nil, false
	}
	n, at := uint64(b[0]), uint64(1)
	if b[0] == zlBigPrev {
		if len(b) < 5 {
			return nil, nil, false
		}
		n, at = uint64(binary.LittleEndian.Uint32(b[1:])), 5
	}
	free := uint64(0)
	if slack {
		if at >= uint64(len(b)) {
			return nil, nil, false
		}
		free = uint64(b[at])
		at++
	}
	if at+n+free > uint64(len(b)) {
		return nil, nil, false
	}
	return b[at : at+n : at+n], b[at+n+free:], true
}

// eachIntset shows the members of an intset: bytes each in 4 (2, 4 or 8), members in 4, the members ascending, all
// little endian.
func eachIntset(b []byte, fn func(n int64) error) error {
	if len(b) < 8 {
		return ErrIntset
	}
	width, count := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	if width != 2 && width != 4 && width != 8 || uint64(len(b)) != 8+width*count || count == 0 {
		return ErrIntset
	}
	var last int64
	for i := uint64(0); i < count; i++ {
		at := 8 + i*width
		n := littleInt(b[at : at+width])
		if i > 0 && n <= last {
			return ErrIntset
		}
		if err := fn(n); err != nil {
			return err
		}
		last = n
	}
	return nil
}

// AppendIntset appends an intset of ascending members.
func AppendIntset(dst []byte, members []int64) []byte {
	width := 2
	for _, n := range members {
		for width < 8 && n>>(8*width-1) != 0 && n>>(8*width-1) != -1 {
			width *= 2
		}
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(width))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(members)))
	for _, n := range members {
		for i := range width {
			dst = append(dst, byte(n>>(8*i)))
		}
	}
	return dst
}
