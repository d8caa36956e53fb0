package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// openTable is the interpreter's own table library, kept off frozen tables, with what it lacks.
func (st *state) openTable(lib *lua.LTable) *lua.LTable {
	for _, name := range []string{"insert", "remove", "sort"} {
		own, _ := lib.RawGetString(name).(*lua.LFunction)
		lib.RawSetString(name, st.L.NewFunction(nested(func(l *lua.LState) int {
			st.mustChange(l)
			return own.GFunction(l)
		})))
	}
	return st.L.SetFuncs(lib, map[string]lua.LGFunction{
		"concat": st.tableConcat, "foreach": nested(st.tableForeach), "foreachi": nested(st.tableForeachi),
		"setn": func(l *lua.LState) int { l.RaiseError("'setn' is obsolete"); return 0 },
	})
}

func (st *state) tableConcat(l *lua.LState) int {
	t := st.thaw(checkTable(l, 1))
	sep := ""
	if l.Get(2) != lua.LNil {
		sep = checkText(l, 2)
	}
	from, to := optInt(l, 3, 1), t.Len()
	if l.Get(4) != lua.LNil {
		to = checkInt(l, 4)
	}
	var out []byte
	for i := from; i <= to; i++ {
		v := t.RawGet(lua.LNumber(i))
		if !isText(v) {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", v.Type().String(), i)
		}
		if out = appendText(out, v); i < to {
			out = append(out, sep...)
		}
		checkSize(l, len(out))
	}
	l.Push(lua.LString(out))
	return 1
}

func (st *state) tableForeach(l *lua.LState) int {
	t, fn := st.thaw(checkTable(l, 1)), l.CheckFunction(2)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if done := callPair(l, fn, k, v); done {
			return 1
		}
	}
	return 0
}

func (st *state) tableForeachi(l *lua.LState) int {
	t, fn := st.thaw(checkTable(l, 1)), l.CheckFunction(2)
	for i, n := 1, t.Len(); i <= n; i++ {
		if done := callPair(l, fn, lua.LNumber(i), t.RawGetInt(i)); done {
			return 1
		}
	}
	return 0
}

// callPair calls a function, and leaves its result on the stack if there is one.
func callPair(l *lua.LState, fn *lua.LFunction, k, v lua.LValue) bool {
	l.Push(fn)
	l.Push(k)
	l.Push(v)
	l.Call(2, 1)
	if l.Get(-1) != lua.LNil {
		return true
	}
	l.Pop(1)
	return false
}

// openMath is the interpreter's own library with Redis's random numbers.
func (st *state) openMath(lib *lua.LTable) *lua.LTable {
	lib.RawSetString("huge", lua.LNumber(math.Inf(1)))
	return st.L.SetFuncs(lib, map[string]lua.LGFunction{
		"random": st.mathRandom,
		"randomseed": func(l *lua.LState) int {
			runOf(l).rand.seed(int32(checkInt(l, 1)))
			return 0
		},
	})
}

func (st *state) mathRandom(l *lua.LState) int {
	g := &runOf(l).rand
	if !g.seeded {
		g.seed(int32(st.rt.o.Random()))
	}
	r := float64(g.next()%math.MaxInt32) / math.MaxInt32
	from, to := 1, 0
	switch l.GetTop() {
	case 0:
		l.Push(lua.LNumber(r))
		return 1
	case 1:
		if to = checkInt(l, 1); to < 1 {
			argError(l, 1, "interval is empty")
		}
	case 2:
		if from, to = checkInt(l, 1), checkInt(l, 2); from > to {
			argError(l, 2, "interval is empty")
		}
	default:
		l.RaiseError("wrong number of arguments")
	}
	l.Push(lua.LNumber(math.Floor(r*(float64(to)-float64(from)+1)) + float64(from)))
	return 1
}

func (st *state) openOS() *lua.LTable {
	return st.L.SetFuncs(st.L.NewTable(), map[string]lua.LGFunction{"clock": func(l *lua.LState) int {
		l.Push(lua.LNumber(st.rt.o.Clock().Seconds()))
		return 1
	}})
}

// openCoroutine is the interpreter's own library, with threads that notice when the run is stopped.
func (st *state) openCoroutine(lib *lua.LTable) *lua.LTable {
	own := func(name string) lua.LGFunction {
		fn, _ := lib.RawGetString(name).(*lua.LFunction)
		return fn.GFunction
	}
	create, wrap, resume := own("create"), own("wrap"), own("resume")
	return st.L.SetFuncs(lib, map[string]lua.LGFunction{
		"create": func(l *lua.LState) int {
			n := create(l)
			if th, ok := l.Get(-1).(*lua.LState); ok {
				th.SetContext(l.Context())
			}
			return n
		},
		"resume": nested(resume),
		"wrap": func(l *lua.LState) int {
			n := wrap(l)
			fn, _ := l.Get(-1).(*lua.LFunction)
			th, _ := fn.Upvalues[0].Value().(*lua.LState)
			th.SetContext(l.Context())
			l.Pop(1)
			l.Push(l.NewClosure(nested(fn.GFunction), th)) // it finds the thread as its upvalue, as before
			return n
		},
	})
}

// openBit makes the library of 32-bit operations.
func (st *state) openBit() *lua.LTable {
	return st.L.SetFuncs(st.L.NewTable(), map[string]lua.LGFunction{
		"tobit":   func(l *lua.LState) int { return pushBits(l, bitArg(l, 1)) },
		"bnot":    func(l *lua.LState) int { return pushBits(l, ^bitArg(l, 1)) },
		"band":    foldBits(func(a, b uint32) uint32 { return a & b }),
		"bor":     foldBits(func(a, b uint32) uint32 { return a | b }),
		"bxor":    foldBits(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shiftBits(func(a uint32, n uint) uint32 { return a << n }),
		"rshift":  shiftBits(func(a uint32, n uint) uint32 { return a >> n }),
		"arshift": shiftBits(func(a uint32, n uint) uint32 { return uint32(int32(a) >> n) }),
		"rol":     shiftBits(func(a uint32, n uint) uint32 { return a<<n | a>>(32-n) }),
		"ror":     shiftBits(func(a uint32, n uint) uint32 { return a>>n | a<<(32-n) }),
		"bswap": func(l *lua.LState) int {
			a := bitArg(l, 1)
			return pushBits(l, a>>24|a>>8&0xff00|a<<8&0xff0000|a<<24)
		},
		"tohex": bitToHex,
	})
}

// bitArg is a number modulo 2^32, rounded to the nearest integer, to even between two.
func bitArg(l *lua.LState, n int) uint32 {
	f := math.RoundToEven(checkNumber(l, n))
	if math.Abs(f) < 1<<53 {
		return uint32(int64(f))
	}
	if f = math.Mod(f, 1<<32); f != f {
		return 0
	}
	return uint32(int64(f))
}

func pushBits(l *lua.LState, b uint32) int {
	l.Push(lua.LNumber(int32(b)))
	return 1
}

func foldBits(op func(a, b uint32) uint32) lua.LGFunction {
	return func(l *lua.LState) int {
		b := bitArg(l, 1)
		for i := 2; i <= l.GetTop(); i++ {
			b = op(b, bitArg(l, i))
		}
		return pushBits(l, b)
	}
}

func shiftBits(op func(a uint32, n uint) uint32) lua.LGFunction {
	return func(l *lua.LState) int { return pushBits(l, op(bitArg(l, 1), uint(bitArg(l, 2)&31))) }
}

func bitToHex(l *lua.LState) int {
	b, n := bitArg(l, 1), int32(8)
	if l.Get(2) != lua.LNil {
		n = int32(bitArg(l, 2))
	}
	digits := "0123456789abcdef"
	if n < 0 {
		digits = "0123456789ABCDEF"
		n = -n
	}
	if n < 0 || n > 8 { // the smallest integer has no opposite
		n = 8
	}
	out := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		out[i] = digits[b&15]
		b >>= 4
	}
	l.Push(lua.LString(out))
	return 1
}
