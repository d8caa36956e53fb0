package script

import (
	lua "github.com/yuin/gopher-lua"
)

const (
	maxCalls    = 5000    // nested calls of Lua functions: the interpreter takes the square of that to describe an overflow
	maxRegistry = 1 << 20 // values on the stack
	keptStack   = 1 << 14 // of an interpreter that is kept
)

// state is an interpreter with its sandbox.
type state struct {
	L          *lua.LState
	rt         *Runtime
	globals    *lua.LTable // what scripts reach through env
	env        *lua.LTable // the stand-in that is every script's environment
	envMeta    *lua.LTable
	frozen     map[*lua.LTable]frozen // by stand-in
	handler    *lua.LFunction
	stringMeta lua.LValue // what getmetatable shows for strings
	spoilt     bool       // something went wrong that must not meet another script
}

// frozen is a table that scripts cannot change.
type frozen struct {
	table *lua.LTable // what the stand-in stands for
	meta  lua.LValue  // what getmetatable shows
}

func newState(rt *Runtime) *state {
	l := lua.NewState(lua.Options{
		CallStackSize: maxCalls, RegistrySize: 1024, RegistryMaxSize: maxRegistry, RegistryGrowStep: 1024,
		SkipOpenLibs: true, MinimizeStackMemory: true,
	})
	st := &state{L: l, rt: rt, frozen: make(map[*lua.LTable]frozen), globals: l.NewTable()}
	st.handler = l.NewFunction(st.onError)
	given := st.library(lua.OpenBase)
	st.openBase(given)
	st.globals.RawSetString("coroutine", st.freeze(st.openCoroutine(st.library(lua.OpenCoroutine)), lua.LNil))
	st.globals.RawSetString("math", st.freeze(st.openMath(st.library(lua.OpenMath)), lua.LNil))
	st.globals.RawSetString("table", st.freeze(st.openTable(st.library(lua.OpenTable)), lua.LNil))
	st.openString()
	for name, open := range map[string]func() *lua.LTable{
		"os": st.openOS, "bit": st.openBit, "struct": st.openStruct, "cmsgpack": st.openMsgpack, "cjson": st.openJSON,
	} {
		st.globals.RawSetString(name, st.freeze(open(), lua.LNil))
	}
	api := st.freeze(st.openAPI(), lua.LNil)
	st.globals.RawSetString("redis", api)
	st.globals.RawSetString("server", api)
	st.protectGlobals()
	return st
}

// library opens one of the interpreter's own libraries and returns its functions. Nothing is global yet.
func (st *state) library(open lua.LGFunction) *lua.LTable {
	l := st.L
	l.Push(l.NewFunction(open))
	l.Call(0, 1)
	t, _ := l.Get(-1).(*lua.LTable)
	l.Pop(1)
	if t == nil {
		t = l.G.Global
	}
	return t
}

// freeze returns the stand-in of a table: it reads as the table does and refuses to be changed.
func (st *state) freeze(t *lua.LTable, shown lua.LValue) *lua.LTable {
	l := st.L
	standIn, meta := l.NewTable(), l.NewTable()
	meta.RawSetString("__index", t)
	meta.RawSetString("__newindex", l.NewFunction(refuseChange))
	standIn.Metatable = meta
	st.frozen[standIn] = frozen{t, shown}
	return standIn
}

const errReadonly = "Attempt to modify a readonly table"

func refuseChange(l *lua.LState) int {
	l.RaiseError(errReadonly)
	return 0
}

// strict makes reads of fields that a table has not errors, and returns a frozen metatable to show for it.
func (st *state) strict(t *lua.LTable) lua.LValue {
	l := st.L
	meta := l.NewTable()
	meta.RawSetString("__index", l.NewFunction(missingGlobal))
	t.Metatable = meta
	return st.freeze(meta, lua.LNil)
}

func missingGlobal(l *lua.LState) int {
	l.RaiseError("Script attempted to access nonexistent global variable '%s'", text(l.Get(2)))
	return 0
}

func (st *state) protectGlobals() {
	shown := st.strict(st.globals)
	st.env = st.freeze(st.globals, shown)
	st.envMeta = st.env.Metatable.(*lua.LTable)
	st.globals.RawSetString("_G", st.env)
	st.L.G.Global, st.L.Env = st.env, st.env
}

// thaw is the table that scripts mean: of a stand-in the table behind it.
func (st *state) thaw(t *lua.LTable) *lua.LTable {
	if f, ok := st.frozen[t]; ok {
		return f.table
	}
	return t
}

// mustChange raises an error if the first argument is a frozen table.
func (st *state) mustChange(l *lua.LState) {
	if t, ok := l.Get(1).(*lua.LTable); ok {
		if _, is := st.frozen[t]; is {
			refuse(l)
		}
	}
}

// refuse raises the error of a change from within a function, where errors say no place.
func refuse(l *lua.LState) { l.Error(lua.LString(errReadonly), 0) }

// function is a new instance of a chunk.
func (st *state) function(c *Chunk) *lua.LFunction {
	fn := st.L.NewFunctionFromProto(c.proto)
	fn.Env = st.env
	return fn
}

// run calls a function with arguments.
func (st *state) run(r *Run, fn *lua.LFunction, args ...lua.LValue) (res Result) {
	l := st.L
	l.SetContext(r)
	l.Push(fn)
	for _, a := range args {
		l.Push(a)
	}
	defer func() { // the interpreter itself recovers; this is for what it does not
		if p := recover(); p != nil {
			st.spoilt = true
			res = failure("ERR script failed")
		}
	}()
	if err := l.PCall(len(args), 1, st.handler); err != nil {
		st.spoilt = st.spoilt || isPanic(err)
		return failed(err)
	}
	res.value, res.proto = l.Get(-1), r.proto
	l.Pop(1)
	return res
}

// reset makes the state fit for another script, and reports whether it is.
func (st *state) reset() bool {
	l := st.L
	if st.spoilt || l.GetTop() != 0 {
		return false
	}
	l.Env = st.env
	l.RemoveContext()
	return true
}
