package top

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// safe makes text of a server fit to be shown in one line of a terminal: bytes that are no text, control characters,
// characters that nobody sees and those that turn the direction of writing are written as in a Go string. It never holds
// an escape sequence. A pile of more than two combining marks is written out, too.
func safe(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f && s[i] != '\\'
	}
	if plain {
		return s
	}
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
			marks = 0
		case unicode.Is(unicode.M, r) && (marks == 2 || b.Len() == 0), r >= 0xfe00 && r <= 0xfe0f, r >= 0x1f3fb && r <= 0x1f3ff,
			r >= 0x1f1e6 && r <= 0x1f1ff, isBlank(r): // selectors, skin tones and flags are of another width in every terminal
			b.WriteString(strings.Trim(strconv.QuoteToASCII(string(r)), `"`))
		case unicode.Is(unicode.M, r):
			b.WriteRune(r)
			marks++
		case r == '"':
			b.WriteByte('"')
			marks = 0
		default:
			b.WriteString(strings.Trim(strconv.Quote(string(r)), `"`))
			marks = 0
		}
		i += size
	}
	return b.String()
}

// isBlank tells of letters, marks and symbols that are drawn as nothing: fillers, joiners and the empty pattern of Braille.
func isBlank(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180b, 0x180c, 0x180d, 0x180f, 0x2800, 0x3164, 0xffa0:
		return true
	}
	return false
}

// fit cuts or fills text, which is safe, to exactly width cells.
func fit(s string, width int, right bool) string {
	if width <= 0 {
		return ""
	}
	w := ansi.StringWidth(s)
	if w > width {
		s = ansi.Truncate(s, width, "~")
		w = ansi.StringWidth(s)
	}
	if right {
		return strings.Repeat(" ", width-w) + s
	}
	return s + strings.Repeat(" ", width-w)
}
