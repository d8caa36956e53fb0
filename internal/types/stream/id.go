package stream

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/larderdb/larder/internal/types/number"
)

// ID names an entry: a time in milliseconds and a number among the entries of that time. IDs are ordered by both.
// The zero ID names no entry.
type ID struct {
	Ms, Seq uint64
}

// MaxID is the greatest ID there can be: "+".
func MaxID() ID { return ID{math.MaxUint64, math.MaxUint64} }

// IsZero tells whether id is 0-0.
func (id ID) IsZero() bool { return id == ID{} }

// Compare is negative if id comes before other, positive if after, 0 if they are equal.
func (id ID) Compare(other ID) int {
	if id.Ms != other.Ms {
		return cmp.Compare(id.Ms, other.Ms)
	}
	return cmp.Compare(id.Seq, other.Seq)
}

// Less tells whether id comes before other.
func (id ID) Less(other ID) bool { return id.Compare(other) < 0 }

// Next is the ID right after id; false if id is the greatest.
func (id ID) Next() (ID, bool) {
	switch {
	case id.Seq != math.MaxUint64:
		return ID{id.Ms, id.Seq + 1}, true
	case id.Ms != math.MaxUint64:
		return ID{id.Ms + 1, 0}, true
	}
	return ID{}, false
}

// Prev is the ID right before id; false if id is 0-0.
func (id ID) Prev() (ID, bool) {
	switch {
	case id.Seq != 0:
		return ID{id.Ms, id.Seq - 1}, true
	case id.Ms != 0:
		return ID{id.Ms - 1, math.MaxUint64}, true
	}
	return MaxID(), false
}

// MaxIDLen is the longest that Append appends, in bytes.
const MaxIDLen = 20 + 1 + 20

// Append appends the ID as it is shown: ms-seq.
func (id ID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.Ms, 10)
	return strconv.AppendUint(append(dst, '-'), id.Seq, 10)
}

// String is the ID as it is shown.
func (id ID) String() string { return string(id.Append(nil)) }

// idSize is the length of an ID in a cell: two big-endian numbers, which order as IDs do.
const idSize = 16

func (id ID) put(b []byte) {
	binary.BigEndian.PutUint64(b, id.Ms)
	binary.BigEndian.PutUint64(b[8:], id.Seq)
}

func idAt(b []byte) ID { return ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])} }

// maxText is the longest text that can be an ID, in bytes: leading zeros are allowed.
const maxText = 127

// ParseID reads an ID: ms-seq, or ms alone, which means ms-seq with the given seq. false if s is neither.
func ParseID(s []byte, seq uint64) (ID, bool) {
	id, auto, ok := ParseAutoID(s, seq)
	return id, ok && !auto
}

// ParseAutoID is ParseID and also knows ms-*: then auto is true and the sequence 0.
func ParseAutoID(s []byte, seq uint64) (id ID, auto, ok bool) {
	if len(s) > maxText {
		return ID{}, false, false
	}
	s = cString(s)
	ms, rest, both := bytes.Cut(s, []byte{'-'})
	if id.Ms, ok = parseUint(ms); !ok {
		return ID{}, false, false
	}
	switch {
	case !both:
		id.Seq = seq
	case string(rest) == "*":
		return id, true, true
	default:
		id.Seq, ok = parseUint(rest)
	}
	return id, false, ok
}

// ParseBound is ParseID and also knows "-" and "+", the least and the greatest ID.
func ParseBound(s []byte, seq uint64) (ID, bool) {
	switch string(cString(s)) {
	case "-":
		return ID{}, true
	case "+":
		return MaxID(), true
	}
	return ParseID(s, seq)
}

// cString is s up to its first NUL, where Redis stops reading an ID.
func cString(s []byte) []byte {
	s, _, _ = bytes.Cut(s, []byte{0})
	return s
}

// parseUint reads a number as Redis does: one in canonical form must not be negative; any other goes by the rules of C's
// strtoull, which allows space in front, a sign (a minus negates modulo 2^64) and leading zeros.
func parseUint(s []byte) (uint64, bool) {
	if n, ok := number.ParseInt(s); ok {
		return uint64(n), n >= 0
	}
	digits := bytes.TrimLeft(s, " \t\n\v\f\r")
	negative := false
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		negative, digits = digits[0] == '-', digits[1:]
	}
	if len(digits) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		d := uint64(c - '0')
		if c < '0' || c > '9' || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if negative {
		n = -n
	}
	return n, true
}
