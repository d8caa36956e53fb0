package script

import (
	"encoding/binary"
	"math"

	lua "github.com/yuin/gopher-lua"
)

const (
	msgpackNesting = 16   // tables deeper than this are packed as nil
	msgpackDepth   = 1000 // what is unpacked may nest
)

func (st *state) openMsgpack() *lua.LTable {
	t := st.L.SetFuncs(st.L.NewTable(), map[string]lua.LGFunction{
		"pack":         st.msgpackPack,
		"unpack":       func(l *lua.LState) int { return msgpackUnpack(l, 0, 0) },
		"unpack_one":   func(l *lua.LState) int { return msgpackUnpack(l, 1, optInt(l, 2, 0)) },
		"unpack_limit": func(l *lua.LState) int { return msgpackUnpack(l, checkInt(l, 2), optInt(l, 3, 0)) },
	})
	t.RawSetString("_NAME", lua.LString("cmsgpack"))
	t.RawSetString("_VERSION", lua.LString("lua-cmsgpack 0.4.0"))
	t.RawSetString("_COPYRIGHT", lua.LString("Copyright (C) 2012, Redis Ltd."))
	t.RawSetString("_DESCRIPTION", lua.LString("MessagePack C implementation for Lua"))
	return t
}

func (st *state) msgpackPack(l *lua.LState) int {
	if l.GetTop() == 0 {
		argError(l, 0, "MessagePack pack needs input.")
	}
	var out []byte
	for i := 1; i <= l.GetTop(); i++ {
		out = st.packValue(l, out, l.Get(i), 0)
	}
	l.Push(lua.LString(out))
	return 1
}

func (st *state) packValue(l *lua.LState, out []byte, v lua.LValue, level int) []byte {
	checkSize(l, len(out))
	switch v := v.(type) {
	case lua.LString:
		return append(packHead(out, len(v), 0xa0, 31, 0xd9), v...)
	case lua.LBool:
		if v {
			return append(out, 0xc3)
		}
		return append(out, 0xc2)
	case lua.LNumber:
		return packNumber(out, float64(v))
	case *lua.LTable:
		if level < msgpackNesting {
			return st.packTable(l, out, st.thaw(v), level+1)
		}
	}
	return append(out, 0xc0)
}

func (st *state) packTable(l *lua.LState, out []byte, t *lua.LTable, level int) []byte {
	count, most, array := 0, 0.0, true
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		f, ok := k.(lua.LNumber)
		array = array && ok && f > 0 && float64(f) == math.Floor(float64(f))
		most = max(most, float64(f))
		count++
	}
	if array && most == float64(count) {
		out = packHead(out, count, 0x90, 15, 0xdb)
		for i := 1; i <= count; i++ {
			out = st.packValue(l, out, t.RawGet(lua.LNumber(i)), level)
		}
		return out
	}
	out = packHead(out, count, 0x80, 15, 0xdd)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		out = st.packValue(l, st.packValue(l, out, k, level), v, level)
	}
	return out
}

// packHead writes a length: in the byte fix up to most, else behind a code: base for 8 bits (strings alone have it),
// the next ones for 16 and 32.
func packHead(out []byte, n int, fix byte, most int, base byte) []byte {
	switch {
	case n <= most:
		return append(out, fix|byte(n))
	case n <= 0xff && base == 0xd9:
		return append(out, base, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(out, base+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(out, base+2), uint32(n))
}

func packNumber(out []byte, f float64) []byte {
	if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
		if float64(float32(f)) == f {
			return binary.BigEndian.AppendUint32(append(out, 0xca), math.Float32bits(float32(f)))
		}
		return binary.BigEndian.AppendUint64(append(out, 0xcb), math.Float64bits(f))
	}
	n := int64(f)
	switch {
	case n >= 0 && n <= 127, n < 0 && n >= -32:
		return append(out, byte(n))
	case n >= 0 && n <= 0xff:
		return append(out, 0xcc, byte(n))
	case n >= 0 && n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(out, 0xcd), uint16(n))
	case n >= 0 && n <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(out, 0xce), uint32(n))
	case n >= 0:
		return binary.BigEndian.AppendUint64(append(out, 0xcf), uint64(n))
	case n >= -128:
		return append(out, 0xd0, byte(n))
	case n >= -32768:
		return binary.BigEndian.AppendUint16(append(out, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(out, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(out, 0xd3), uint64(n))
}

// msgpackUnpack pushes the values of a string: all without limit and offset, else at most as many as the limit says,
// behind the place to go on at.
func msgpackUnpack(l *lua.LState, limit, offset int) int {
	s := checkText(l, 1)
	switch {
	case offset < 0 || limit < 0:
		l.RaiseError("Invalid request to unpack with offset of %d and limit of %d.", offset, len(s))
	case offset > len(s):
		l.RaiseError("Start offset %d greater than input length %d.", offset, len(s))
	}
	u := unpacker{l: l, left: s[offset:]}
	all := limit == 0 && offset == 0
	var values []lua.LValue
	for u.left != "" && (all || len(values) < limit) {
		if len(values) >= maxResults {
			l.RaiseError("stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
		}
		v := u.value(0)
		switch u.failed {
		case unpackShort:
			l.RaiseError("Missing bytes in input.")
		case unpackBad:
			l.RaiseError("Bad data format in input.")
		}
		values = append(values, v)
	}
	n := len(values)
	if !all {
		next := lua.LNumber(-1)
		if u.left != "" {
			next = lua.LNumber(len(s) - len(u.left))
		}
		l.Push(next)
		n++
	}
	for _, v := range values {
		l.Push(v)
	}
	return n
}

const (
	unpackShort = 1 + iota
	unpackBad
)

type unpacker struct {
	l      *lua.LState
	left   string
	failed int
}

func (u *unpacker) take(n int) string {
	if n > len(u.left) {
		u.failed, n = unpackShort, len(u.left)
	}
	s := u.left[:n]
	u.left = u.left[n:]
	return s
}

// uint reads a big-endian number of n bytes.
func (u *unpacker) uint(n int) (x uint64) {
	for _, c := range []byte(u.take(n)) {
		x = x<<8 | uint64(c)
	}
	return x
}

func (u *unpacker) value(depth int) lua.LValue {
	if depth > msgpackDepth {
		u.failed = unpackBad
		return lua.LNil
	}
	c := byte(u.uint(1))
	switch {
	case u.failed != 0:
		return lua.LNil
	case c < 0x80 || c >= 0xe0:
		return lua.LNumber(int8(c))
	case c < 0x90:
		return u.table(int(c&15), depth)
	case c < 0xa0:
		return u.array(int(c&15), depth)
	case c < 0xc0:
		return lua.LString(u.take(int(c & 31)))
	}
	switch c {
	case 0xc0:
		return lua.LNil
	case 0xc2, 0xc3:
		return lua.LBool(c == 0xc3)
	case 0xca:
		return lua.LNumber(math.Float32frombits(uint32(u.uint(4))))
	case 0xcb:
		return lua.LNumber(math.Float64frombits(u.uint(8)))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return lua.LNumber(u.uint(1 << (c - 0xcc)))
	case 0xd0:
		return lua.LNumber(int8(u.uint(1)))
	case 0xd1:
		return lua.LNumber(int16(u.uint(2)))
	case 0xd2:
		return lua.LNumber(int32(u.uint(4)))
	case 0xd3:
		return lua.LNumber(int64(u.uint(8)))
	case 0xc4, 0xd9:
		return lua.LString(u.take(int(u.uint(1))))
	case 0xc5, 0xda:
		return lua.LString(u.take(int(u.uint(2))))
	case 0xc6, 0xdb:
		return lua.LString(u.take(int(u.uint(4))))
	case 0xdc, 0xdd:
		return u.array(int(u.uint(2<<(c-0xdc))), depth)
	case 0xde, 0xdf:
		return u.table(int(u.uint(2<<(c-0xde))), depth)
	}
	u.failed = unpackBad
	return lua.LNil
}

func (u *unpacker) array(n, depth int) lua.LValue {
	t := u.l.NewTable()
	for i := 1; i <= n && u.failed == 0; i++ {
		t.RawSetInt(i, u.value(depth+1))
	}
	return t
}

func (u *unpacker) table(n, depth int) lua.LValue {
	t := u.l.NewTable()
	for i := 0; i < n && u.failed == 0; i++ {
		k := u.value(depth + 1)
		v := u.value(depth + 1)
		if u.failed == 0 {
			u.l.RawSet(t, k, v) // nil and NaN are refused as keys
		}
	}
	return t
}
