package script

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// stringFormat is string.format: C's printf, of the conversions that Lua 5.1 knows.
func stringFormat(l *lua.LState) int {
	f := checkText(l, 1)
	var out []byte
	arg := 1
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			out = append(out, f[i])
			continue
		}
		if i++; i < len(f) && f[i] == '%' {
			out = append(out, '%')
			continue
		}
		s := parseSpec(l, f[min(i, len(f)):])
		i += s.len - 1
		if arg++; arg > l.GetTop() {
			argError(l, arg, "no value")
		}
		out = s.append(l, out, arg)
		checkSize(l, len(out))
	}
	l.Push(lua.LString(out))
	return 1
}

// spec is one conversion of a format.
type spec struct {
	flags            string
	width, precision int // -1: none
	verb             byte
	len              int
}

func parseSpec(l *lua.LState, f string) (s spec) {
	i := 0
	for i < len(f) && strings.IndexByte("-+ #0", f[i]) >= 0 {
		i++
	}
	if s.flags = f[:i]; i > 5 {
		l.RaiseError("invalid format (repeated flags)")
	}
	digits := func() int {
		start, n := i, 0
		for i < len(f) && isDigit(f[i]) && i < start+2 {
			n = n*10 + int(f[i]-'0')
			i++
		}
		if i < len(f) && isDigit(f[i]) {
			l.RaiseError("invalid format (width or precision too long)")
		}
		if i == start {
			return -1
		}
		return n
	}
	s.width, s.precision = digits(), -1
	if i < len(f) && f[i] == '.' {
		i++
		s.precision = max(digits(), 0)
	}
	if i < len(f) {
		s.verb = f[i]
	}
	s.len = i + 1
	return s
}

func (s *spec) append(l *lua.LState, out []byte, arg int) []byte {
	switch s.verb {
	case 'c':
		return s.pad(out, []byte{byte(checkInt(l, arg))})
	case 'd', 'i':
		return s.print(out, 'd', int64(checkInt(l, arg)))
	case 'o', 'x', 'X':
		return s.print(out, rune(s.verb), toUint(checkNumber(l, arg)))
	case 'u':
		return s.print(out, 'd', toUint(checkNumber(l, arg)))
	case 'e', 'E', 'f', 'g', 'G':
		return s.float(out, checkNumber(l, arg))
	case 'q':
		return quote(out, checkText(l, arg))
	case 's':
		str, ok := toStringArg(l, arg)
		if !ok {
			typeError(l, arg, "string")
		}
		if s.precision >= 0 && len(str) > s.precision {
			str = str[:s.precision]
		}
		return s.pad(out, []byte(str))
	}
	l.RaiseError("invalid option '%%%s' to 'format'", strings.TrimRight(string(s.verb), "\x00"))
	return out
}

func toStringArg(l *lua.LState, arg int) (string, bool) {
	if v := l.Get(arg); isText(v) {
		return text(v), true
	}
	return "", false
}

// toUint converts as C does on x86: negative numbers wrap, and what is too large gives 0.
func toUint(f float64) uint64 {
	if f >= 1<<63 {
		return uint64(toInt(f-1<<63)) ^ 1<<63
	}
	return uint64(toInt(f))
}

// print formats a number by Go's rules, which are C's here but for one: a precision turns zeros before an integer off.
func (s *spec) print(out []byte, verb rune, n any) []byte {
	var f strings.Builder
	f.WriteByte('%')
	_, isFloat := n.(float64)
	for _, c := range s.flags {
		if c != '0' || s.precision < 0 || isFloat {
			f.WriteRune(c)
		}
	}
	if s.width >= 0 {
		fmt.Fprint(&f, s.width)
	}
	if s.precision >= 0 {
		fmt.Fprintf(&f, ".%d", s.precision)
	}
	f.WriteRune(verb)
	return fmt.Appendf(out, f.String(), n)
}

func (s *spec) float(out []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		b := appendNumber(nil, x, 14)
		if s.verb == 'E' || s.verb == 'G' {
			b = bytes.ToUpper(b)
		}
		if strings.Contains(s.flags, "+") && b[0] != '-' {
			b = append([]byte{'+'}, b...)
		}
		return s.pad(out, b)
	}
	p := *s
	if p.precision < 0 {
		p.precision = 6
	}
	if p.precision == 0 && (s.verb == 'g' || s.verb == 'G') {
		p.precision = 1
	}
	return p.print(out, rune(s.verb), x)
}

// pad brings text to the width.
func (s *spec) pad(out, b []byte) []byte {
	fill := max(s.width-len(b), 0)
	if strings.Contains(s.flags, "-") {
		return append(append(out, b...), bytes.Repeat([]byte{' '}, fill)...)
	}
	return append(append(out, bytes.Repeat([]byte{' '}, fill)...), b...)
}

// quote writes a string that Lua reads back.
func quote(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			out = append(out, '\\', c)
		case '\r':
			out = append(out, `\r`...)
		case 0:
			out = append(out, `\000`...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
