package rdb

import "math/bits"

// LZF is Marc Lehmann's LZ77 without entropy coding. A stream is a sequence of
//
//	000lllll bytes                l+1 literal bytes
//	lllooooo o                    copy l+2 bytes from o+1 back, l being 1 to 6
//	111ooooo l o                  copy l+9 bytes from o+1 back
//
// with 13 bits of offset, high bits first. A copy may overlap what it writes. So three bytes unpack to 264 at the most,
// which bounds what a packed string may claim to be.

const (
	lzfWindow  = 1 << 13
	lzfMax     = 264 // bytes of the longest copy
	lzfLiteral = 32  // bytes of the longest run of literals

	lzfBits = 14 // of the table of the places where three bytes were seen last, at the most

	lzfMinLen = 20 // strings up to this length are not worth trying
)

// lzfTable maps a hash of three bytes to where they were seen last, plus one.
type lzfTable [1 << lzfBits]uint32

func lzfHash(b []byte, shift int) uint32 {
	v := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	return v * 0x9e3779b1 >> shift
}

// compress appends src packed to dst; ok is false, and dst as it was, where that would not be smaller. O(src).
func (t *lzfTable) compress(dst, src []byte) (out []byte, ok bool) {
	width := min(max(bits.Len(uint(len(src))), 8), lzfBits) // short strings need not clear all of it
	shift := 32 - width
	clear(t[:1<<width])
	start := len(dst)
	literals := 0 // from here to i
	i := 0
	for i+2 < len(src) {
		if len(dst)-start+i-literals+2 >= len(src) {
			return dst[:start], false
		}
		h := lzfHash(src[i:], shift)
		at := int(t[h]) - 1
		t[h] = uint32(i + 1)
		if at < 0 || i-at > lzfWindow || src[at] != src[i] || src[at+1] != src[i+1] || src[at+2] != src[i+2] {
			i++
			continue
		}
		n := 3
		for limit := min(len(src)-i, lzfMax); n < limit && src[at+n] == src[i+n]; n++ {
		}
		dst = lzfLiterals(dst, src[literals:i])
		dst = lzfCopy(dst, i-at-1, n)
		for end := i + n; i < end; i++ {
			if i+2 < len(src) {
				t[lzfHash(src[i:], shift)] = uint32(i + 1)
			}
		}
		literals = i
	}
	dst = lzfLiterals(dst, src[literals:])
	if len(dst)-start >= len(src) {
		return dst[:start], false
	}
	return dst, true
}

func lzfLiterals(dst, lit []byte) []byte {
	for len(lit) > 0 {
		n := min(len(lit), lzfLiteral)
		dst = append(append(dst, byte(n-1)), lit[:n]...)
		lit = lit[n:]
	}
	return dst
}

func lzfCopy(dst []byte, offset, n int) []byte {
	if n < 9 {
		return append(dst, byte((n-2)<<5|offset>>8), byte(offset))
	}
	return append(dst, byte(7<<5|offset>>8), byte(n-9), byte(offset))
}

// lzfFits tells whether packed bytes can hold as many as they claim.
func lzfFits(packed, unpacked uint64) bool { return unpacked <= packed/3*lzfMax+packed%3*lzfLiteral }

// decompress appends the n bytes that src unpacks to. O(n).
func decompress(dst, src []byte, n int) ([]byte, error) {
	start := len(dst)
	for i := 0; i < len(src); {
		ctrl := int(src[i])
		i++
		if ctrl < lzfLiteral {
			end := i + ctrl + 1
			if end > len(src) || len(dst)-start+ctrl+1 > n {
				return dst[:start], ErrLZF
			}
			dst = append(dst, src[i:end]...)
			i = end
			continue
		}
		length := ctrl >> 5
		if length == 7 {
			if i >= len(src) {
				return dst[:start], ErrLZF
			}
			length += int(src[i])
			i++
		}
		length += 2
		if i >= len(src) {
			return dst[:start], ErrLZF
		}
		from := len(dst) - (ctrl&0x1f)<<8 - int(src[i]) - 1
		i++
		if from < start || len(dst)-start+length > n {
			return dst[:start], ErrLZF
		}
		dst = lzfRepeat(dst, from, length)
	}
	if len(dst)-start != n {
		return dst[:start], ErrLZF
	}
	return dst, nil
}

// lzfRepeat appends n bytes from an earlier place on, which may be those that it appends.
func lzfRepeat(dst []byte, from, n int) []byte {
	for n > 0 {
		part := min(n, len(dst)-from)
		dst = append(dst, dst[from:from+part]...)
		n -= part
	}
	return dst
}
