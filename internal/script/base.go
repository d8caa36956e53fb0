package script

import (
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxResults is how many values a function may return to a script at once.
const maxResults = 7999

// openBase fills the globals with the base library: what of the interpreter's own is fit for a sandbox, and what is
// done here, because it must see through frozen tables or write numbers as Lua does.
func (st *state) openBase(given *lua.LTable) {
	for _, name := range []string{"getfenv", "newproxy", "rawequal", "select", "type", "_VERSION"} {
		if v := given.RawGetString(name); v != lua.LNil {
			st.globals.RawSetString(name, v)
		}
	}
	next := st.L.NewFunction(st.next)
	st.globals.RawSetString("next", next)
	for name, fn := range map[string]lua.LGFunction{
		"assert": baseAssert, "collectgarbage": baseCollect, "gcinfo": baseCount, "error": baseError,
		"getmetatable": st.getMetatable, "setmetatable": st.setMetatable, "rawget": st.rawGet, "rawset": st.rawSet,
		"load": nested(st.load), "loadstring": st.loadString, "pcall": nested(st.pcall), "xpcall": nested(st.xpcall), "setfenv": st.setFenv(given),
		"tonumber": baseToNumber, "tostring": nested(baseToString), "unpack": st.unpack,
		"ipairs": baseIPairs(st.L.NewFunction(st.nextElement)),
		"pairs": func(l *lua.LState) int {
			t := checkTable(l, 1)
			l.Push(next)
			l.Push(t)
			l.Push(lua.LNil)
			return 3
		},
	} {
		st.globals.RawSetString(name, st.L.NewFunction(fn))
	}
}

func (st *state) next(l *lua.LState) int {
	k, v := st.thaw(checkTable(l, 1)).Next(l.Get(2))
	l.Push(k)
	if k == lua.LNil {
		return 1
	}
	l.Push(v)
	return 2
}

func baseAssert(l *lua.LState) int {
	if l.GetTop() == 0 {
		argError(l, 1, "value expected")
	}
	if !lua.LVAsBool(l.Get(1)) {
		msg := "assertion failed!"
		if l.Get(2) != lua.LNil {
			msg = checkText(l, 2)
		}
		l.RaiseError("%s", msg)
	}
	return l.GetTop()
}

func baseError(l *lua.LState) int {
	v, level := l.Get(1), optInt(l, 2, 1)
	if isText(v) && level > 0 {
		v = lua.LString(place(l, level) + text(v))
	}
	l.Error(v, 0)
	return 0
}

// place is "user_script:1: " of a level of the stack, or nothing.
func place(l *lua.LState, level int) string {
	where := strings.TrimPrefix(l.Where(level), "[G]:")
	if where == "" {
		return ""
	}
	return where + " "
}

// baseIPairs is pairs for the elements of an array.
func baseIPairs(step *lua.LFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		t := checkTable(l, 1)
		l.Push(step)
		l.Push(t)
		l.Push(lua.LNumber(0))
		return 3
	}
}

func (st *state) nextElement(l *lua.LState) int {
	i := checkInt(l, 2) + 1
	v := st.thaw(checkTable(l, 1)).RawGetInt(i)
	if v == lua.LNil {
		return 0
	}
	l.Push(lua.LNumber(i))
	l.Push(v)
	return 2
}

// baseCollect leaves the collector, which is everybody's, alone.
func baseCollect(l *lua.LState) int {
	if l.GetTop() > 0 && l.Get(1) != lua.LNil && checkText(l, 1) == "count" {
		return baseCount(l)
	}
	l.Push(lua.LNumber(0))
	return 1
}

func baseCount(l *lua.LState) int {
	l.Push(lua.LNumber(StateSize >> 10))
	return 1
}

func (st *state) getMetatable(l *lua.LState) int {
	if l.GetTop() == 0 {
		argError(l, 1, "value expected")
	}
	switch v := l.Get(1).(type) {
	case *lua.LTable:
		if f, ok := st.frozen[v]; ok {
			l.Push(f.meta)
			return 1
		}
	case lua.LString:
		l.Push(st.stringMeta)
		return 1
	}
	mt := l.GetMetatable(l.Get(1))
	if t, ok := mt.(*lua.LTable); ok {
		if shown := t.RawGetString("__metatable"); shown != lua.LNil {
			mt = shown
		}
	}
	l.Push(mt)
	return 1
}

func (st *state) setMetatable(l *lua.LState) int {
	t := checkTable(l, 1)
	meta := l.Get(2)
	if _, ok := meta.(*lua.LTable); !ok && (meta != lua.LNil || l.GetTop() < 2) {
		argError(l, 2, "nil or table expected")
	}
	if old, ok := t.Metatable.(*lua.LTable); ok && old.RawGetString("__metatable") != lua.LNil {
		l.RaiseError("cannot change a protected metatable")
	}
	st.mustChange(l)
	t.Metatable = meta
	l.SetTop(1)
	return 1
}

func (st *state) rawGet(l *lua.LState) int {
	l.Push(st.thaw(checkTable(l, 1)).RawGet(l.Get(2)))
	return 1
}

func (st *state) rawSet(l *lua.LState) int {
	t := checkTable(l, 1)
	st.mustChange(l)
	l.RawSet(t, l.Get(2), l.Get(3))
	l.SetTop(1)
	return 1
}

// setFenv does what the interpreter does, but for the environment of the whole state, which others will run in.
func (st *state) setFenv(given *lua.LTable) lua.LGFunction {
	set, _ := given.RawGetString("setfenv").(*lua.LFunction)
	return func(l *lua.LState) int {
		if f, ok := numberOf(l.Get(1)); ok && f == 0 {
			refuse(l)
		}
		return set.GFunction(l)
	}
}

// pcall gives scripts the text of an error where Redis does: of an error table its err field.
func (st *state) pcall(l *lua.LState) int {
	if l.GetTop() == 0 {
		argError(l, 1, "value expected")
	}
	l.Insert(lua.LTrue, 1) // the first result; also, the function is not the first argument any more
	return st.protected(l, 2, l.NewFunction(st.caught))
}

func (st *state) xpcall(l *lua.LState) int {
	if l.GetTop() < 2 {
		argError(l, 2, "value expected")
	}
	handler := l.Get(2)
	l.SetTop(1)
	l.Insert(lua.LTrue, 1)
	return st.protected(l, 2, l.NewFunction(func(l *lua.LState) int {
		v := st.translate(l, l.Get(1))
		l.Push(handler)
		l.Push(v)
		l.Call(1, 1)
		return 1
	}))
}

// protected calls the function at a place with what is behind it, below which true stands.
func (st *state) protected(l *lua.LState, at int, handler *lua.LFunction) int {
	if err := l.PCall(l.GetTop()-at, lua.MultRet, handler); err != nil {
		l.SetTop(0)
		l.Push(lua.LFalse)
		if api, ok := err.(*lua.ApiError); ok && api.Object != nil && api.Object != lua.LNil {
			l.Push(api.Object)
		} else {
			l.Push(lua.LString(err.Error()))
		}
		return 2
	}
	return l.GetTop()
}

// caught is the handler of pcall.
func (st *state) caught(l *lua.LState) int {
	v := l.Get(1)
	if t, ok := v.(*lua.LTable); ok {
		if msg := l.GetField(t, "err"); isText(msg) {
			v = msg
		}
	}
	l.Push(st.translate(l, v))
	return 1
}

func (st *state) loadString(l *lua.LState) int {
	src := checkText(l, 1)
	name := src
	if l.Get(2) != lua.LNil {
		name = checkText(l, 2)
	}
	return st.compiled(l, src, name)
}

func (st *state) load(l *lua.LState) int {
	fn, ok := l.Get(1).(*lua.LFunction)
	if !ok {
		typeError(l, 1, "function")
	}
	name := "=(load)"
	if l.Get(2) != lua.LNil {
		name = checkText(l, 2)
	}
	var b strings.Builder
	for {
		l.Push(fn)
		l.Call(0, 1)
		v := l.Get(-1)
		l.Pop(1)
		piece, ok := v.(lua.LString)
		if v == lua.LNil || ok && piece == "" {
			return st.compiled(l, b.String(), name)
		}
		if !ok {
			l.RaiseError("reader function must return a string")
		}
		checkSize(l, b.Len()+len(piece))
		b.WriteString(string(piece))
	}
}

func (st *state) compiled(l *lua.LState, src, name string) int {
	c, err := st.rt.Compile(src, chunkName(name))
	if err != nil {
		l.Push(lua.LNil)
		l.Push(lua.LString(err.Error()))
		return 2
	}
	l.Push(st.function(c))
	return 1
}

// chunkName is how errors call a chunk: after = or @ its name, else the beginning of its text.
func chunkName(name string) string {
	if strings.HasPrefix(name, "=") || strings.HasPrefix(name, "@") {
		return name[1:]
	}
	line, _, cut := strings.Cut(name, "\n")
	if len(line) > 45 {
		line, cut = line[:45], true
	}
	if cut {
		line += "..."
	}
	return `[string "` + line + `"]`
}

func baseToNumber(l *lua.LState) int {
	base := optInt(l, 2, 10)
	if base == 10 {
		if l.GetTop() == 0 {
			argError(l, 1, "value expected")
		}
		if f, ok := numberOf(l.Get(1)); ok {
			l.Push(lua.LNumber(f))
			return 1
		}
		l.Push(lua.LNil)
		return 1
	}
	s := strings.Trim(checkText(l, 1), " \t\n\v\f\r")
	if base < 2 || base > 36 {
		argError(l, 2, "base out of range")
	}
	neg := strings.HasPrefix(s, "-")
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if base == 16 && len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	n, err := strconv.ParseUint(digits, base, 64)
	switch {
	case err != nil:
		l.Push(lua.LNil)
	case neg:
		l.Push(lua.LNumber(float64(-n)))
	default:
		l.Push(lua.LNumber(float64(n)))
	}
	return 1
}

func baseToString(l *lua.LState) int {
	if l.GetTop() == 0 {
		argError(l, 1, "value expected")
	}
	l.Push(toString(l, l.Get(1)))
	return 1
}

func toString(l *lua.LState, v lua.LValue) lua.LValue {
	if isText(v) {
		return lua.LString(text(v))
	}
	if op := l.GetMetaField(v, "__tostring"); op != lua.LNil {
		l.Push(op)
		l.Push(v)
		l.Call(1, 1)
		v = l.Get(-1)
		l.Pop(1)
		return v
	}
	return lua.LString(v.String())
}

func (st *state) unpack(l *lua.LState) int {
	t := st.thaw(checkTable(l, 1))
	from, to := optInt(l, 2, 1), t.Len()
	if l.Get(3) != lua.LNil {
		to = checkInt(l, 3)
	}
	if from > to {
		return 0
	}
	if n := uint(to) - uint(from); n >= maxResults {
		l.RaiseError("too many results to unpack")
	}
	for i := from; i <= to; i++ {
		l.Push(t.RawGet(lua.LNumber(i)))
	}
	return to - from + 1
}
