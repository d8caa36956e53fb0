package number

// literal is a number as C's strtod grammar cuts it up; the digits are still
// text.
type literal struct {
	negative    bool
	infinite    bool
	zero        bool // no digit but zeros
	hasExponent bool
	base        int    // 10 or 16
	whole       []byte // digits before the point
	fraction    []byte // digits behind it
	exponent    int    // of 10, or of 2 when base is 16; clamped to ±exponentLimit
}

// exponentLimit is beyond what any input of maxExtendedLen digits could bring
// back into an extended double's range.
const exponentLimit = 1 << 20

func (l *literal) sign() int {
	if l.negative {
		return -1
	}
	return 1
}

// scan cuts s up by the grammar of strtod in the "C" locale and reports whether
// all of s is one number. NaN in all its spellings, and space, are refused, as
// Redis refuses them.
func scan(s []byte) (l literal, ok bool) {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		l.negative, s = s[0] == '-', s[1:]
	}
	if equalFold(s, "inf") || equalFold(s, "infinity") {
		l.infinite = true
		return l, true
	}
	l.base = 10
	marker, isDigit := byte('e'), isDecimal
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		l.base, s = 16, s[2:]
		marker, isDigit = 'p', isHexadecimal
	}
	l.whole, s = takeDigits(s, isDigit)
	if len(s) > 0 && s[0] == '.' {
		l.fraction, s = takeDigits(s[1:], isDigit)
	}
	if len(l.whole)+len(l.fraction) == 0 {
		return l, false
	}
	l.zero = onlyZeros(l.whole) && onlyZeros(l.fraction)
	if len(s) > 0 && s[0]|0x20 == marker {
		l.hasExponent = true
		l.exponent, s, ok = takeExponent(s[1:])
		if !ok {
			return l, false
		}
	}
	return l, len(s) == 0
}

func takeDigits(s []byte, isDigit func(byte) bool) (digits, rest []byte) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

// takeExponent reads an optional sign and at least one decimal digit.
func takeExponent(s []byte) (exponent int, rest []byte, ok bool) {
	negative := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	digits, rest := takeDigits(s, isDecimal)
	for _, c := range digits {
		exponent = min(exponent*10+int(c-'0'), exponentLimit)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, rest, len(digits) > 0
}

func isDecimal(c byte) bool { return c-'0' <= 9 }

func isHexadecimal(c byte) bool { return isDecimal(c) || (c|0x20)-'a' <= 5 }

func onlyZeros(digits []byte) bool {
	for _, c := range digits {
		if c != '0' {
			return false
		}
	}
	return true
}

// equalFold compares s with lower, which is in lower-case letters.
func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}
