package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Reply takes one reply, told piece by piece, and makes a Lua value of it, as redis.call gives it to a script.
type Reply struct {
	l      *lua.LState
	run    *Run
	value  lua.LValue
	failed bool
	stack  []aggregate
}

// aggregate is one whose elements are still to come.
type aggregate struct {
	table *lua.LTable // that they go to
	outer *lua.LTable // that stands for it, around table
	left  int
	next  int        // index of the next element
	key   lua.LValue // of a map: told, its value is to come
	kind  byte       // '*', '%' or '~'
}

func (r *Reply) begin(l *lua.LState, run *Run) {
	r.l, r.run, r.value, r.failed, r.stack = l, run, lua.LNil, false, r.stack[:0]
}

// put places a complete element and closes the aggregates that it completes.
func (r *Reply) put(v lua.LValue) {
	for len(r.stack) > 0 {
		a := &r.stack[len(r.stack)-1]
		a.add(v)
		if a.left--; a.left > 0 {
			return
		}
		v = a.outer
		r.stack = r.stack[:len(r.stack)-1]
	}
	r.value = v
}

func (a *aggregate) add(v lua.LValue) {
	switch {
	case a.kind == '*':
		a.next++
		a.table.RawSetInt(a.next, v)
	case a.kind == '~' && v != lua.LNil:
		a.table.RawSet(v, lua.LTrue)
	case a.kind == '%' && a.key == nil:
		a.key = v
	case a.kind == '%':
		if a.key != lua.LNil {
			a.table.RawSet(a.key, v)
		}
		a.key = nil
	}
}

func (r *Reply) open(kind byte, n int) {
	a := aggregate{kind: kind, left: n}
	switch kind {
	case '*':
		a.table = r.l.CreateTable(n, 0)
		a.outer = a.table
	case '%':
		a.table = r.l.NewTable()
		a.outer = r.wrap("map", a.table)
		a.left *= 2
	default:
		a.table = r.l.NewTable()
		a.outer = r.wrap("set", a.table)
	}
	if n == 0 {
		r.put(a.outer)
		return
	}
	r.stack = append(r.stack, a)
}

// wrap is a table with one field.
func (r *Reply) wrap(field string, v lua.LValue) *lua.LTable {
	t := r.l.CreateTable(0, 1)
	t.RawSetString(field, v)
	return t
}

// Simple tells a status, and the methods below other pieces of the reply.
func (r *Reply) Simple(s string) { r.put(r.wrap("ok", lua.LString(s))) }

// Error tells an error.
func (r *Reply) Error(text string) {
	r.failed = len(r.stack) == 0
	t := errorTable(r.l, "-"+text)
	t.RawSetString("ignore_error_stats_update", lua.LTrue)
	r.put(t)
}

// Int tells a number.
func (r *Reply) Int(n int64) { r.put(lua.LNumber(n)) }

// Bulk tells a string, which is copied.
func (r *Reply) Bulk(b []byte) { r.put(lua.LString(b)) }

// BulkString tells a string.
func (r *Reply) BulkString(s string) { r.put(lua.LString(s)) }

// Null tells that there is nothing: false, as Lua tables hold no nil; to scripts that speak RESP3, nil.
func (r *Reply) Null() {
	if r.run.proto == 2 {
		r.put(lua.LFalse)
	} else {
		r.put(lua.LNil)
	}
}

// NullArray is Null.
func (r *Reply) NullArray() { r.Null() }

// Array begins an array of n elements.
func (r *Reply) Array(n int) { r.open('*', n) }

// Push begins a push of n elements: an array.
func (r *Reply) Push(n int) { r.open('*', n) }

// Map begins a map of n pairs.
func (r *Reply) Map(n int) {
	if r.run.proto == 2 {
		r.open('*', 2*n)
	} else {
		r.open('%', n)
	}
}

// Set begins a set of n members.
func (r *Reply) Set(n int) {
	if r.run.proto == 2 {
		r.open('*', n)
	} else {
		r.open('~', n)
	}
}

// Double tells a floating-point number.
func (r *Reply) Double(f float64) {
	if r.run.proto == 2 {
		r.put(lua.LString(scoreText(f)))
	} else {
		r.put(r.wrap("double", lua.LNumber(f)))
	}
}

// Bool tells a yes or no.
func (r *Reply) Bool(b bool) {
	switch {
	case r.run.proto != 2:
		r.put(lua.LBool(b))
	case b:
		r.put(lua.LNumber(1))
	default:
		r.put(lua.LNumber(0))
	}
}

// BigNumber tells an integer of any size.
func (r *Reply) BigNumber(s string) {
	if r.run.proto == 2 {
		r.put(lua.LString(s))
	} else {
		r.put(r.wrap("big_number", lua.LString(s)))
	}
}

// Verbatim tells a text and its format.
func (r *Reply) Verbatim(format, s string) {
	if r.run.proto == 2 {
		r.put(lua.LString(s))
		return
	}
	t := r.wrap("string", lua.LString(s))
	t.RawSetString("format", lua.LString(format))
	r.put(r.wrap("verbatim_string", t))
}

// Proto is the version of the protocol that the script has chosen.
func (r *Reply) Proto() int { return r.run.proto }

// Sink is what the value of a script is written to.
type Sink interface {
	Simple(s string)
	Error(text string)
	Int(n int64)
	BulkString(s string)
	Null()
	Array(n int)
	Map(n int)
	Set(n int)
	Double(f float64)
	Bool(b bool)
	BigNumber(s string)
	Verbatim(format, s string)
}

// maxReplyDepth is how deep tables may nest in a reply.
const maxReplyDepth = 3998

// Returned tells whether the script returned an error as a value, and whether that was counted already.
func (r *Result) Returned() (text string, counted, is bool) {
	t, ok := r.value.(*lua.LTable)
	if !ok {
		return "", false, false
	}
	if _, ok := t.RawGetString("err").(lua.LString); !ok {
		return "", false, false
	}
	e := errorOf(t)
	return oneLine(e.err), e.silent, true
}

// Write tells the value that the script returned. Errors inside it are told as they are.
func (r *Result) Write(out Sink) { r.write(out, r.value, 0) }

func (r *Result) write(out Sink, v lua.LValue, depth int) {
	switch v := v.(type) {
	case lua.LString:
		out.BulkString(string(v))
	case lua.LNumber:
		out.Int(int64(toInt(float64(v))))
	case lua.LBool:
		switch {
		case r.proto != 2:
			out.Bool(bool(v))
		case bool(v):
			out.Int(1)
		default:
			out.Null()
		}
	case *lua.LTable:
		if depth >= maxReplyDepth {
			out.Error("ERR reached lua stack limit")
			return
		}
		r.writeTable(out, v, depth)
	default:
		out.Null()
	}
}

// writeTable writes what the fields of a table say that it is: an array, unless they say something.
func (r *Result) writeTable(out Sink, t *lua.LTable, depth int) {
	if _, ok := t.RawGetString("err").(lua.LString); ok {
		e := errorOf(t)
		out.Error(oneLine(e.err))
		return
	}
	if s, ok := t.RawGetString("ok").(lua.LString); ok {
		s, _, _ := strings.Cut(string(s), "\x00")
		out.Simple(oneLine(s))
		return
	}
	if f, ok := t.RawGetString("double").(lua.LNumber); ok {
		out.Double(float64(f))
		return
	}
	if s, ok := t.RawGetString("big_number").(lua.LString); ok {
		out.BigNumber(oneLine(string(s)))
		return
	}
	if v, ok := t.RawGetString("verbatim_string").(*lua.LTable); ok {
		format, ok1 := v.RawGetString("format").(lua.LString)
		s, ok2 := v.RawGetString("string").(lua.LString)
		if ok1 && ok2 {
			out.Verbatim((string(format) + "   ")[:3], string(s))
			return
		}
	}
	if m, ok := t.RawGetString("map").(*lua.LTable); ok {
		out.Map(length(m))
		m.ForEach(func(k, v lua.LValue) {
			r.write(out, k, depth+1)
			r.write(out, v, depth+1)
		})
		return
	}
	if s, ok := t.RawGetString("set").(*lua.LTable); ok {
		out.Set(length(s))
		s.ForEach(func(k, _ lua.LValue) { r.write(out, k, depth+1) })
		return
	}
	n := 0
	for t.RawGetInt(n+1) != lua.LNil {
		n++
	}
	out.Array(n)
	for i := 1; i <= n; i++ {
		r.write(out, t.RawGetInt(i), depth+1)
	}
}

// length is the number of entries of a table.
func length(t *lua.LTable) (n int) {
	t.ForEach(func(_, _ lua.LValue) { n++ })
	return n
}
