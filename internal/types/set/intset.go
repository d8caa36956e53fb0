package set

// An intset is the form of a small set of integers: a width in bytes, 1 to 8,
// then the members in ascending order, each in that many bytes, two's complement,
// little endian. Search is binary; an insertion moves what follows. The width is
// that of the widest member there ever was: as with Redis it grows and does not
// shrink, so that a set which flips between widths is not rewritten all the time.
//
// The functions read any bytes without panic.

import (
	"errors"

	"github.com/larderdb/larder/internal/mem/table"
)

// emptyIntset is the value of an intset without members.
var emptyIntset = [...]byte{1}

func intWidth(b []byte) int { return int(b[0]) }

func intCount(b []byte) int { return (len(b) - 1) / intWidth(b) }

// intAt returns member i.
func intAt(b []byte, i int) int64 {
	w := intWidth(b)
	return readInt(b[1+i*w : 1+i*w+w])
}

func readInt(b []byte) int64 {
	var u uint64
	for i, c := range b {
		u |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(u<<shift) >> shift
}

func writeInt(b []byte, n int64) {
	for i := range b {
		b[i] = byte(n)
		n >>= 8
	}
}

// widthOf returns the bytes that n needs.
func widthOf(n int64) int {
	w := 1
	for n>>(8*w-1) != 0 && n>>(8*w-1) != -1 {
		w++
	}
	return w
}

// intSearch returns the index of n, or where it would have to be inserted.
func intSearch(b []byte, n int64) (index int, found bool) {
	lo, hi := 0, intCount(b)
	for lo < hi {
		mid := (lo + hi) / 2
		switch m := intAt(b, mid); {
		case m == n:
			return mid, true
		case m < n:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// intInsert adds n to e's intset; false if it is a member already. O(members).
func intInsert(e *table.Entry, n int64) bool {
	b := e.Value()
	if w := widthOf(n); w > intWidth(b) {
		widen(e, w)
		b = e.Value()
	}
	i, found := intSearch(b, n)
	if found {
		return false
	}
	w := intWidth(b)
	at := 1 + i*w
	writeInt(e.Splice(at, 0, w)[at:at+w], n)
	return true
}

// intRemove removes n from e's intset; false if it is no member. O(members).
func intRemove(e *table.Entry, n int64) bool {
	b := e.Value()
	i, found := intSearch(b, n)
	if found {
		w := intWidth(b)
		e.Splice(1+i*w, w, 0)
	}
	return found
}

// widen rewrites e's intset with w bytes a member.
func widen(e *table.Entry, w int) {
	var buf [512]byte
	old := append(buf[:0], e.Value()...)
	count := intCount(old)
	b := e.SetLen(1 + count*w)
	b[0] = byte(w)
	for i := range count {
		writeInt(b[1+i*w:1+i*w+w], intAt(old, i))
	}
}

var errIntset = errors.New("set: malformed intset")

// intCheck checks an intset completely.
func intCheck(b []byte) error {
	if len(b) == 0 || b[0] < 1 || b[0] > 8 || (len(b)-1)%int(b[0]) != 0 {
		return errIntset
	}
	for i := 1; i < intCount(b); i++ {
		if intAt(b, i-1) >= intAt(b, i) {
			return errIntset
		}
	}
	return nil
}
