package packed

import (
	"errors"
	"fmt"
)

// Refusals of Valid.
var (
	ErrHeader = errors.New("packed: malformed header")
	ErrCount  = errors.New("packed: header does not count the entries")
)

// EntryError is Valid's refusal of one entry.
type EntryError struct {
	Off    int // position of the entry
	Reason string
}

func (e *EntryError) Error() string { return fmt.Sprintf("packed: entry at %d: %s", e.Off, e.Reason) }

// Valid checks a run completely: its header, that every entry lies within b and
// is encoded the one way its value is encoded, backlens, and that the count is
// true. It is the invariant check of the package, and the gate for runs from
// outside. O(n).
func Valid(b []byte) error {
	count, size := header(b)
	if len(b) == 0 || b[size-1] >= 0x80 || size != headerLen(count) {
		return ErrHeader
	}
	l := LayoutOf(b)
	var scratch []byte
	for off := size; off < len(b); count-- {
		v, end := decode(b, off)
		if end == 0 {
			return &EntryError{off, "runs over the end or has an unknown tag"}
		}
		scratch = appendValue(scratch[:0], l, v)
		if !matches(b[off:], scratch, nil) {
			return &EntryError{off, "not in its canonical form, or wrong backlen"}
		}
		off += len(scratch)
	}
	if count != 0 {
		return ErrCount
	}
	return nil
}

// appendValue encodes what was decoded.
func appendValue(dst []byte, l Layout, v Value) []byte {
	if s := v.Bytes(); v.Kind() == String {
		return Append(dst, l, s)
	}
	if n, ok := v.Int(); ok {
		return AppendInt(dst, l, n)
	}
	f, _ := v.Float()
	return AppendFloat(dst, l, f)
}
