package script

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// MaxString bounds the strings that scripts make, in bytes: what the protocol can carry.
const MaxString = 512 << 20

// isText tells whether a value is a string or a number, which Lua takes for one.
func isText(v lua.LValue) bool {
	switch v.(type) {
	case lua.LString, lua.LNumber:
		return true
	}
	return false
}

// text is a value as tostring writes it, metatables aside.
func text(v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return string(appendNumber(nil, float64(v), 14))
	}
	return v.String()
}

// appendNumber writes a number as C's %.<precision>g does.
func appendNumber(dst []byte, f float64, precision int) []byte {
	switch {
	case f == math.Trunc(f) && math.Abs(f) < 1e14 && precision >= 14 && (f != 0 || !math.Signbit(f)):
		return strconv.AppendInt(dst, int64(f), 10)
	case math.IsNaN(f) && math.Signbit(f):
		return append(dst, "-nan"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, f, 'g', max(precision, 1), 64)
}

// argError raises the error of a bad argument as the auxiliary library of Lua words it.
func argError(l *lua.LState, n int, msg string) { l.ArgError(n, msg) }

// typeError raises the error of an argument of a wrong type.
func typeError(l *lua.LState, n int, want string) {
	got := "no value"
	if n <= l.GetTop() {
		got = l.Get(n).Type().String()
	}
	argError(l, n, want+" expected, got "+got)
}

// checkText is the string at an argument; numbers are written as Lua writes them.
func checkText(l *lua.LState, n int) string {
	switch v := l.Get(n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return text(v)
	}
	typeError(l, n, "string")
	return ""
}

// checkNumber is the number at an argument; strings that read as one are taken.
func checkNumber(l *lua.LState, n int) float64 {
	f, ok := numberOf(l.Get(n))
	if !ok {
		typeError(l, n, "number")
	}
	return f
}

func numberOf(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return parseNumber(string(v))
	}
	return 0, false
}

// parseNumber reads a number as Lua 5.1 does: what strtod takes, or hexadecimal digits after 0x; spaces around it.
func parseNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	if s == "" || strings.ContainsRune(s, '_') {
		return 0, false
	}
	sign, digits := 1.0, s
	if s[0] == '-' || s[0] == '+' {
		digits = s[1:]
		if s[0] == '-' {
			sign = -1
		}
	}
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' && !strings.ContainsAny(digits, "pP.") {
		n, err := strconv.ParseUint(digits[2:], 16, 64)
		return sign * float64(n), err == nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// checkInt is a number cut to an integer, as C converts it.
func checkInt(l *lua.LState, n int) int { return toInt(checkNumber(l, n)) }

func optInt(l *lua.LState, n, without int) int {
	if l.Get(n) == lua.LNil {
		return without
	}
	return checkInt(l, n)
}

// toInt cuts a number to an integer; what does not fit gives the smallest one, as on x86.
func toInt(f float64) int {
	if f != f || f >= -float64(math.MinInt) || f < math.MinInt {
		return math.MinInt
	}
	return int(f)
}

func checkTable(l *lua.LState, n int) *lua.LTable {
	t, ok := l.Get(n).(*lua.LTable)
	if !ok {
		typeError(l, n, "table")
	}
	return t
}

// concat is the operator "..", of any number of operands, joined from the right where metamethods matter.
func concat(l *lua.LState) int {
	n, size := l.GetTop(), 0
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			size += 24
		default:
			l.Push(concatMeta(l, n))
			return 1
		}
	}
	checkSize(l, size)
	if n == 2 {
		if a, ok := l.Get(1).(lua.LString); ok {
			if b, ok := l.Get(2).(lua.LString); ok {
				l.Push(a + b)
				return 1
			}
		}
	}
	buf := make([]byte, 0, size)
	for i := 1; i <= n; i++ {
		buf = appendText(buf, l.Get(i))
	}
	l.Push(lua.LString(buf))
	return 1
}

func appendText(dst []byte, v lua.LValue) []byte {
	if f, ok := v.(lua.LNumber); ok {
		return appendNumber(dst, float64(f), 14)
	}
	s, _ := v.(lua.LString)
	return append(dst, s...)
}

// concatMeta joins operands of which some are neither strings nor numbers.
func concatMeta(l *lua.LState, n int) lua.LValue {
	right := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		if isText(left) && isText(right) {
			a, b := text(left), text(right)
			checkSize(l, len(a)+len(b))
			right = lua.LString(a + b)
			continue
		}
		op := l.GetMetaField(left, "__concat")
		if op == lua.LNil {
			op = l.GetMetaField(right, "__concat")
		}
		if op == lua.LNil {
			at, bad := i+1, right
			if !isText(left) {
				at, bad = i, left
			}
			l.RaiseError("attempt to concatenate %s", describeArgument(l, at, bad))
		}
		l.Push(op)
		l.Push(left)
		l.Push(right)
		l.Call(2, 1)
		right = l.Get(-1)
		l.Pop(1)
	}
	return right
}

// checkSize refuses to make a string that is too long.
func checkSize(l *lua.LState, n int) {
	if n > MaxString {
		l.RaiseError("not enough memory")
	}
}
