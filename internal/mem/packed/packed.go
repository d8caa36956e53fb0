// Package packed keeps a small collection as one run of bytes: no pointers, no
// slots, nothing beside the elements but a byte or two each. Small hashes, sets,
// sorted sets and the leaves of lists are such runs, most of them inside their
// key's own record.
//
// # Format
//
//	run   = header entry*
//	header = varint(count<<1 | layout)          one byte below 64 entries
//	entry = tag payload [backlen]
//
//	tag              payload
//	0lllllll         string of l bytes                      0 to 127
//	10nnnnnn         the integer n                          0 to 63
//	11000www         integer, two's complement, w+1 bytes, little endian
//	11001000         float32, little endian
//	11001001         float64, little endian
//	11001010         length in 4 bytes, string              8192 and more
//	111lllll l'      string of (l<<8 | l') bytes            128 to 8191
//
// A string that is the canonical decimal form of an int64 is kept as an integer
// and reads back as the same bytes. A float takes the smallest of integer,
// float32 and float64 that holds it exactly. So every value has exactly one
// encoding, and [Find] encodes what it looks for once and compares bytes.
//
// backlen is the length of tag and payload, seven bits a byte, written so that
// it can be read from its last byte backwards. Only runs of the [TwoWay] layout
// have it; a [Forward] run saves that byte per entry and pays with [Prev] and
// [Last] in O(n). Hashes and sets never walk backwards.
//
// # Positions
//
// A position is an entry's offset in the run, always greater than 0; 0 is "no
// entry". Positions behind an edit are void after it; [Edit.At] says where the
// edit's place has gone.
//
// # Corrupt bytes
//
// Every function is safe on any bytes: none panics or loops, a broken entry reads
// as the end of the run. [Valid] tells whether a run is sound and is to be asked
// once for bytes from outside.
//
// Runs are meant to stay small (a few KiB): every search and every edit is O(n)
// in the run's bytes, with the constant of a linear read.
package packed

// Layout says which ways a run can be walked.
type Layout byte

const (
	Forward Layout = 0 // no backlens: smallest, walking back is O(n) a step
	TwoWay  Layout = 1 // backlens: walks both ways in O(1) a step
)

// MinLen is the length of an empty run in bytes.
const MinLen = 1

// AppendRun appends a run of count entries to dst. The entries' bytes are the
// given parts one after the other, each encoded (or cut from a run) in the same
// layout. It is how runs are begun (no parts), cut out and merged.
func AppendRun(dst []byte, l Layout, count int, parts ...[]byte) []byte {
	dst = appendHeader(dst, l, count)
	for _, part := range parts {
		dst = append(dst, part...)
	}
	return dst
}

// LayoutOf returns the layout of the run b.
func LayoutOf(b []byte) Layout {
	if len(b) == 0 {
		return Forward
	}
	return Layout(b[0] & 1)
}

// Count returns the number of entries in b. O(1).
func Count(b []byte) int {
	count, _ := header(b)
	return count
}

// Entries returns the bytes of all entries: a part for [AppendRun]. It aliases b.
func Entries(b []byte) []byte {
	_, size := header(b)
	return b[size:]
}

// First returns the position of the first entry, 0 in an empty run.
func First(b []byte) int {
	_, size := header(b)
	if size >= len(b) {
		return 0
	}
	return size
}

// Last returns the position of the last entry, 0 in an empty run. O(1) in a
// TwoWay run, O(n) in a Forward one.
func Last(b []byte) int { return before(b, len(b)) }

// Next returns the position of the entry after off, 0 if off is the last.
func Next(b []byte, off int) int {
	if off <= 0 {
		return 0
	}
	end := entryEnd(b, off)
	if end == 0 || end >= len(b) {
		return 0
	}
	return end
}

// Prev returns the position of the entry before off, 0 if off is the first. O(1)
// in a TwoWay run, O(n) in a Forward one.
func Prev(b []byte, off int) int {
	if off <= 0 || off > len(b) {
		return 0
	}
	return before(b, off)
}

// before returns the position of the entry that ends at off.
func before(b []byte, off int) int {
	_, size := header(b)
	if off <= size {
		return 0
	}
	if LayoutOf(b) == TwoWay {
		start := off - backSpan(b[size:off])
		if start == off || start < size {
			return 0
		}
		return start
	}
	for at := size; ; {
		end := entryEnd(b, at)
		if end == 0 || end > off {
			return 0
		}
		if end == off {
			return at
		}
		at = end
	}
}

// At returns the position of entry i, counted from 0, or from the end if i is
// negative (-1 is the last). It is 0 when there is no such entry. O(n), from the
// nearer end in a TwoWay run.
func At(b []byte, i int) int {
	count := Count(b)
	if i < 0 {
		i += count
	}
	if i < 0 || i >= count {
		return 0
	}
	if LayoutOf(b) == TwoWay && i > count/2 {
		off := Last(b)
		for i = count - 1 - i; i > 0 && off > 0; i-- {
			off = Prev(b, off)
		}
		return off
	}
	off, skipped := Skip(b, First(b), i)
	if skipped < i || off >= len(b) {
		return 0
	}
	return off
}

// Skip goes n entries on from off and returns the position reached, which is
// len(b) behind the last entry, and the number of entries passed, which is less
// than n only if the run ends before.
func Skip(b []byte, off, n int) (end, skipped int) {
	for skipped < n && off > 0 && off < len(b) {
		next := entryEnd(b, off)
		if next == 0 {
			break
		}
		off = next
		skipped++
	}
	return off, skipped
}

// Find looks for the string s among the entry at from and every step-th entry
// after it: step 1 looks at all, step 2 at the fields of field-value pairs. It
// returns the position of the first that equals s, or 0. O(n).
func Find(b []byte, from, step int, s []byte) int {
	if from <= 0 || step <= 0 {
		return 0
	}
	var buf [maxHead]byte
	head, body := encode(buf[:0], s)
	tag, twoWay := head[0], LayoutOf(b) == TwoWay
	for off, wait := from, 1; off < len(b); {
		if wait--; wait == 0 {
			if b[off] == tag && matches(b[off:], head, body) {
				return off
			}
			wait = step
		}
		end := off + 1 + int(b[off])
		if b[off] >= shortLimit {
			end = longEnd(b, off)
		}
		if twoWay {
			end += backLen(end - off)
		}
		if end <= off {
			return 0
		}
		off = end
	}
	return 0
}

// matches reports whether b begins with head and body.
func matches(b, head, body []byte) bool {
	n := len(head)
	return len(b) >= n+len(body) && string(b[:n]) == string(head) && string(b[n:n+len(body)]) == string(body)
}

// header returns the number of entries and the header's length in bytes, which
// never exceeds len(b).
func header(b []byte) (count, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < 0x80 {
		return int(b[0] >> 1), 1
	}
	var v uint64
	for i, c := range b[:min(len(b), maxHeader)] {
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int(v >> 1), i + 1
		}
	}
	return 0, len(b) // corrupt: reads as empty
}

// maxHeader is the longest header in bytes: 34 bits of count.
const maxHeader = 5

func appendHeader(dst []byte, l Layout, count int) []byte {
	v := uint64(count)<<1 | uint64(l)
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func headerLen(count int) int {
	n := 1
	for v := uint64(count) << 1; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
