package script

import (
	"reflect"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The interpreter words some errors in its own way and does not say which variable was at fault. Where it raises them
// the instruction is at hand, so the words that Lua uses can be found: "attempt to call field 'x' (a nil value)".

// Operations of the interpreter's virtual machine that errors are looked up in.
const (
	opMove      = lua.OP_MOVE
	opMoveN     = lua.OP_MOVEN
	opUpvalue   = lua.OP_GETUPVAL
	opGlobal    = lua.OP_GETGLOBAL
	opTable     = lua.OP_GETTABLE
	opTableText = lua.OP_GETTABLEKS
	opSetTable  = lua.OP_SETTABLE
	opSetText   = lua.OP_SETTABLEKS
	opSelf      = lua.OP_SELF
	opCall      = lua.OP_CALL
	opTailCall  = lua.OP_TAILCALL
)

// instruction is one, taken apart.
type instruction struct{ op, a, b, c, bx int }

func decode(i uint32) instruction {
	return instruction{op: int(i >> 26), a: int(i>>18) & 0xff, b: int(i & 0x1ff), c: int(i>>9) & 0x1ff, bx: int(i & 0x3ffff)}
}

// site is where a function of Lua stands: the instruction that it executes.
type site struct {
	proto *lua.FunctionProto
	pc    int
}

// siteOf finds the instruction of a level of the stack. The counter is private to the interpreter but can be read.
func siteOf(l *lua.LState, level int) (s site, ok bool) {
	d, ok := l.GetStack(level)
	if !ok {
		return s, false
	}
	fn, err := l.GetInfo("f", d, nil)
	f, isFn := fn.(*lua.LFunction)
	if err != nil || !isFn || f.IsG {
		return s, false
	}
	frame := reflect.ValueOf(d).Elem().FieldByName("frame")
	if !frame.IsValid() || frame.Kind() != reflect.Pointer || frame.IsNil() {
		return s, false
	}
	pc := frame.Elem().FieldByName("Pc")
	if !pc.IsValid() || !pc.CanInt() {
		return s, false
	}
	s = site{f.Proto, int(pc.Int()) - 1}
	return s, s.pc >= 0 && s.pc < len(s.proto.Code)
}

// name says what the value in a register is called: "local 'x'", or nothing.
func (s site) name(reg int) string {
	if n := s.local(reg); n != "" {
		return "local '" + n + "'"
	}
	for pc := s.pc - 1; pc >= 0; pc-- {
		in := decode(s.proto.Code[pc])
		if in.a != reg || in.op == opSetTable || in.op == opSetText {
			continue
		}
		switch in.op {
		case opMove, opMoveN:
			if in.b < in.a {
				return site{s.proto, pc}.name(in.b)
			}
		case opGlobal:
			return "global '" + s.constant(in.bx) + "'"
		case opUpvalue:
			if in.b < len(s.proto.DbgUpvalues) {
				return "upvalue '" + s.proto.DbgUpvalues[in.b] + "'"
			}
		case opTable, opTableText:
			if in.c >= 0x100 && s.isText(in.c&0xff) {
				return "field '" + s.constant(in.c&0xff) + "'"
			}
			return "field '?'"
		case opSelf:
			return "method '" + s.constant(in.c&0xff) + "'"
		}
		return ""
	}
	return ""
}

func (s site) constant(i int) string {
	if i < len(s.proto.Constants) {
		return text(s.proto.Constants[i])
	}
	return "?"
}

func (s site) isText(i int) bool {
	if i >= len(s.proto.Constants) {
		return false
	}
	_, ok := s.proto.Constants[i].(lua.LString)
	return ok
}

// local is the name of the local variable in a register: the one that many variables in scope come before.
func (s site) local(reg int) string {
	for _, v := range s.proto.DbgLocals {
		if v.StartPc > s.pc {
			break
		}
		if s.pc < v.EndPc {
			if reg == 0 {
				return v.Name
			}
			reg--
		}
	}
	return ""
}

// describe is "global 'x' (a nil value)", or "a nil value".
func describe(name, kind string) string {
	if name == "" {
		return "a " + kind + " value"
	}
	return name + " (a " + kind + " value)"
}

// describeArgument describes an argument of the function that runs, which code of Lua has called.
func describeArgument(l *lua.LState, n int, v lua.LValue) string {
	name := ""
	if s, ok := siteOf(l, 1); ok {
		if in := decode(s.proto.Code[s.pc]); in.op == opCall {
			name = s.name(in.a + n)
		}
	}
	return describe(name, v.Type().String())
}

// translate words the interpreter's errors as Lua does; other values stay as they are.
func (st *state) translate(l *lua.LState, v lua.LValue) lua.LValue {
	s, ok := v.(lua.LString)
	if !ok {
		return v
	}
	where, msg := splitPlace(string(s))
	switch {
	case msg == "attempt to call a non-function object":
		msg = st.badCall(l)
	case msg == "__unm undefined":
		msg = "attempt to perform arithmetic on " + st.operand(l)
	case msg == "__len undefined":
		msg = "attempt to get length of " + st.operand(l)
	case strings.HasPrefix(msg, "for statement "):
		part, _, _ := strings.Cut(strings.TrimPrefix(msg, "for statement "), " must")
		msg = "'for' " + strings.Replace(part, "init", "initial value", 1) + " must be a number"
	case strings.HasPrefix(msg, "attempt to index a non-table object("):
		kind, _, _ := strings.Cut(strings.TrimPrefix(msg, "attempt to index a non-table object("), ")")
		msg = badIndex(l, kind)
	case strings.HasPrefix(msg, "cannot perform "):
		msg = badOperation(l, msg)
	case strings.HasPrefix(msg, "attempt to compare "):
		if a, b, ok := strings.Cut(strings.TrimPrefix(msg, "attempt to compare "), " with "); ok && a == b {
			msg = "attempt to compare two " + a + " values"
		}
		if _, ok := siteOf(l, 1); !ok {
			where = "" // in a function that is not Lua's, as table.sort
		}
	case msg == "registry overflow", strings.HasSuffix(msg, "callstack overflow"):
		msg = "stack overflow"
	case strings.HasPrefix(msg, "bad argument #"):
		msg = badArgument(l, msg)
	default:
		return v
	}
	return lua.LString(where + msg)
}

// splitPlace takes the place off the front of a message: "user_script:1: ".
func splitPlace(s string) (where, msg string) {
	i := strings.Index(s, ": ")
	if i < 0 {
		return "", s
	}
	at := strings.LastIndexByte(s[:i], ':')
	if _, err := strconv.Atoi(s[at+1 : i]); at < 0 || err != nil {
		return "", s
	}
	return s[:i+2], s[i+2:]
}

func (st *state) badCall(l *lua.LState) string {
	for level := 1; level < 3; level++ {
		s, ok := siteOf(l, level)
		if !ok {
			continue
		}
		in := decode(s.proto.Code[s.pc])
		if in.op == opCall || in.op == opTailCall {
			return "attempt to call " + describe(s.name(in.a), st.kind(l, level, s, in.a))
		}
	}
	return "attempt to call a nil value"
}

// operand describes the only operand of the instruction that failed.
func (st *state) operand(l *lua.LState) string {
	s, ok := siteOf(l, 1)
	if !ok {
		return "a nil value"
	}
	in := decode(s.proto.Code[s.pc])
	return describe(s.name(in.b), st.kind(l, 1, s, in.b))
}

// kind is the type of what is in a register, as far as that can be told: of variables, and of what the instruction
// before has put there. Else it is taken for nil, which it mostly is where an error tells of it.
func (st *state) kind(l *lua.LState, level int, s site, reg int) string {
	if s.local(reg) != "" {
		if d, ok := l.GetStack(level); ok {
			if _, v := l.GetLocal(d, reg+1); v != nil {
				return v.Type().String()
			}
		}
	}
	for pc := s.pc - 1; pc >= 0; pc-- {
		in := decode(s.proto.Code[pc])
		if in.a != reg || in.op == opSetTable || in.op == opSetText {
			continue
		}
		switch in.op {
		case lua.OP_LOADK:
			if in.bx < len(s.proto.Constants) {
				return s.proto.Constants[in.bx].Type().String()
			}
		case lua.OP_NEWTABLE:
			return "table"
		case lua.OP_LOADBOOL:
			return "boolean"
		case opGlobal:
			return st.globals.RawGetString(s.constant(in.bx)).Type().String()
		case opMove, opMoveN:
			if in.b < in.a {
				return st.kind(l, level, site{s.proto, pc}, in.b)
			}
		}
		break
	}
	return "nil"
}

func badIndex(l *lua.LState, kind string) string {
	name := ""
	if s, ok := siteOf(l, 1); ok {
		switch in := decode(s.proto.Code[s.pc]); in.op {
		case opTable, opTableText, opSelf:
			name = s.name(in.b)
		case opSetTable, opSetText:
			name = s.name(in.a)
		}
	}
	return "attempt to index " + describe(name, kind)
}

// badOperation words an error of arithmetic: the operand at fault is the first that is no number.
func badOperation(l *lua.LState, msg string) string {
	_, kinds, _ := strings.Cut(msg, " between ")
	left, right, _ := strings.Cut(kinds, " and ")
	s, ok := siteOf(l, 1)
	in := instruction{}
	if ok {
		in = decode(s.proto.Code[s.pc])
	}
	reg, kind := in.c, right
	if left != "number" && left != "string" || right == "number" {
		reg, kind = in.b, left
	}
	name := ""
	if ok && reg < 0x100 {
		name = s.name(reg)
	}
	return "attempt to perform arithmetic on " + describe(name, kind)
}

// badArgument puts the quotes that Lua has around the function's name, and does not count the value that a method is
// called of.
func badArgument(l *lua.LState, msg string) string {
	n, rest, _ := strings.Cut(strings.TrimPrefix(msg, "bad argument #"), " to ")
	fn, why, found := strings.Cut(rest, " (")
	if !found || strings.HasPrefix(fn, "'") {
		return msg
	}
	if s, ok := siteOf(l, 2); ok {
		in := decode(s.proto.Code[s.pc])
		if i, err := strconv.Atoi(n); err == nil && (in.op == opCall || in.op == opTailCall) && strings.HasPrefix(s.name(in.a), "method ") {
			if i == 1 {
				return "calling '" + fn + "' on bad self (" + why
			}
			n = strconv.Itoa(i - 1)
		}
	}
	return "bad argument #" + n + " to '" + fn + "' (" + why
}
