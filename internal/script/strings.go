package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openString makes the string library and the metatable of strings.
func (st *state) openString() {
	l := st.L
	lib := l.SetFuncs(l.NewTable(), map[string]lua.LGFunction{
		"byte": stringByte, "char": stringChar, "dump": stringDump, "find": stringFind, "format": stringFormat,
		"gfind": stringGFind, "gmatch": stringGMatch, "gsub": nested(stringGSub), "len": stringLen, "lower": stringLower,
		"match": stringMatch, "rep": stringRep, "reverse": stringReverse, "sub": stringSub, "upper": stringUpper,
	})
	frozenLib := st.freeze(lib, lua.LNil)
	st.globals.RawSetString("string", frozenLib)
	meta := l.NewTable() // the interpreter's; scripts see another that leads to the frozen library
	meta.RawSetString("__index", lib)
	l.SetMetatable(lua.LString(""), meta)
	shown := l.NewTable()
	shown.RawSetString("__index", frozenLib)
	st.stringMeta = st.freeze(shown, lua.LNil)
}

// position makes an index that may count from the end one from 1 on; 0 stays before the first.
func position(i, n int) int {
	switch {
	case i >= 0:
		return i
	case -i > n:
		return 0
	}
	return n + i + 1
}

func stringByte(l *lua.LState) int {
	s := checkText(l, 1)
	from := position(optInt(l, 2, 1), len(s))
	to := position(optInt(l, 3, from), len(s))
	from, to = max(from, 1), min(to, len(s))
	if from > to {
		return 0
	}
	if to-from >= maxResults {
		l.RaiseError("string slice too long")
	}
	for i := from; i <= to; i++ {
		l.Push(lua.LNumber(s[i-1]))
	}
	return to - from + 1
}

func stringChar(l *lua.LState) int {
	b := make([]byte, l.GetTop())
	for i := range b {
		c := checkInt(l, i+1)
		if c < 0 || c > 255 {
			argError(l, i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	l.Push(lua.LString(b))
	return 1
}

// stringDump gives what loading refuses: nothing here loads compiled code.
func stringDump(l *lua.LState) int {
	if fn, ok := l.Get(1).(*lua.LFunction); !ok {
		typeError(l, 1, "function")
	} else if fn.IsG {
		l.RaiseError("unable to dump given function")
	}
	l.Push(lua.LString("\x1bLuaQ"))
	return 1
}

func stringLen(l *lua.LState) int {
	l.Push(lua.LNumber(len(checkText(l, 1))))
	return 1
}

func stringLower(l *lua.LState) int { return mapBytes(l, 'A', 'Z') }
func stringUpper(l *lua.LState) int { return mapBytes(l, 'a', 'z') }

// mapBytes changes the case of the letters in a range.
func mapBytes(l *lua.LState, from, to byte) int {
	b := []byte(checkText(l, 1))
	for i, c := range b {
		if from <= c && c <= to {
			b[i] = c ^ 0x20
		}
	}
	l.Push(lua.LString(b))
	return 1
}

func stringRep(l *lua.LState) int {
	s, n := checkText(l, 1), checkInt(l, 2)
	if n <= 0 || s == "" {
		l.Push(lua.LString(""))
		return 1
	}
	if n > MaxString/len(s) {
		l.RaiseError("not enough memory")
	}
	l.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

func stringReverse(l *lua.LState) int {
	b := []byte(checkText(l, 1))
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	l.Push(lua.LString(b))
	return 1
}

func stringSub(l *lua.LState) int {
	s := checkText(l, 1)
	from, to := max(position(checkInt(l, 2), len(s)), 1), min(position(optInt(l, 3, -1), len(s)), len(s))
	if from > to {
		l.Push(lua.LString(""))
	} else {
		l.Push(lua.LString(s[from-1 : to]))
	}
	return 1
}

// patternText is a pattern up to its first NUL, where those of Lua 5.1 end.
func patternText(l *lua.LState, n int) string {
	p, _, _ := strings.Cut(checkText(l, n), "\x00")
	return p
}

func stringFind(l *lua.LState) int  { return findOrMatch(l, true) }
func stringMatch(l *lua.LState) int { return findOrMatch(l, false) }

func findOrMatch(l *lua.LState, find bool) int {
	s, whole := checkText(l, 1), checkText(l, 2)
	init := min(max(position(optInt(l, 3, 1), len(s))-1, 0), len(s))
	if find && (lua.LVAsBool(l.Get(4)) || !strings.ContainsAny(whole, "^$*+?.([%-")) {
		i := strings.Index(s[init:], whole)
		if i < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(init + i + 1))
		l.Push(lua.LNumber(init + i + len(whole)))
		return 2
	}
	pat := patternText(l, 2)
	anchored := strings.HasPrefix(pat, "^")
	m := &matcher{l: l, src: s, pat: strings.TrimPrefix(pat, "^")}
	for at := init; ; at++ {
		m.level = 0
		if e := m.match(at, 0); e >= 0 {
			if !find {
				return m.pushCaptures(at, e, true)
			}
			l.Push(lua.LNumber(at + 1))
			l.Push(lua.LNumber(e))
			return 2 + m.pushCaptures(at, e, false)
		}
		if anchored || at >= len(s) {
			l.Push(lua.LNil)
			return 1
		}
	}
}

func stringGFind(l *lua.LState) int {
	l.RaiseError("'string.gfind' was renamed to 'string.gmatch'")
	return 0
}

func stringGMatch(l *lua.LState) int {
	s, pat, at := checkText(l, 1), patternText(l, 2), 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		m := &matcher{l: l, src: s, pat: pat}
		for ; at <= len(s); at++ {
			m.level = 0
			if e := m.match(at, 0); e >= 0 {
				start := at
				if at = e; e == start {
					at++ // an empty match: go on behind it
				}
				return m.pushCaptures(start, e, true)
			}
		}
		return 0
	}))
	return 1
}

func stringGSub(l *lua.LState) int {
	s, pat, with := checkText(l, 1), patternText(l, 2), l.Get(3)
	switch with.(type) {
	case lua.LString, lua.LNumber, *lua.LTable, *lua.LFunction:
	default:
		argError(l, 3, "string/function/table expected")
	}
	most := optInt(l, 4, len(s)+1)
	anchored := strings.HasPrefix(pat, "^")
	m := &matcher{l: l, src: s, pat: strings.TrimPrefix(pat, "^")}
	var out []byte
	n := 0
	for at := 0; n < most; {
		m.level = 0
		e := m.match(at, 0)
		if e >= 0 {
			n++
			out = m.substitute(out, at, e, with)
			checkSize(l, len(out))
		}
		switch {
		case e > at:
			at = e
		case at < len(s):
			out = append(out, s[at])
			at++
		default:
			l.Push(lua.LString(out))
			l.Push(lua.LNumber(n))
			return 2
		}
		if anchored || n >= most {
			out = append(out, s[at:]...)
			break
		}
	}
	if most <= 0 {
		out = []byte(s)
	}
	l.Push(lua.LString(out))
	l.Push(lua.LNumber(n))
	return 2
}

// substitute appends what a match is replaced by.
func (m *matcher) substitute(out []byte, start, end int, with lua.LValue) []byte {
	var v lua.LValue
	switch with := with.(type) {
	case *lua.LTable:
		v = m.l.GetTable(with, m.capture(0, start, end))
	case *lua.LFunction:
		m.l.Push(with)
		n := m.pushCaptures(start, end, true)
		m.l.Call(n, 1)
		v = m.l.Get(-1)
		m.l.Pop(1)
	default:
		return m.template(out, start, end, text(with))
	}
	switch {
	case !lua.LVAsBool(v):
		return append(out, m.src[start:end]...)
	case !isText(v):
		m.l.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
	return appendText(out, v)
}

// template appends a replacement text, in which %1 is a capture.
func (m *matcher) template(out []byte, start, end int, with string) []byte {
	for i := 0; i < len(with); i++ {
		switch {
		case with[i] != '%':
			out = append(out, with[i])
			continue
		case i+1 >= len(with):
			return append(out, 0) // as the C string that it is there
		}
		i++
		switch c := with[i]; {
		case !isDigit(c):
			out = append(out, c)
		case c == '0':
			out = append(out, m.src[start:end]...)
		default:
			out = appendText(out, m.capture(int(c-'1'), start, end))
		}
	}
	return out
}
