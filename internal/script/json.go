package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// jsonConfig is what cjson's functions of that name set, for the run (or for the copy that cjson.new made).
type jsonConfig struct {
	sparseConvert             bool
	sparseRatio, sparseSafe   int
	encodeDepth, decodeDepth  int
	precision                 int
	encodeInvalid             string // "off", "on" or "null"
	decodeInvalid, keepBuffer bool
}

func newJSONConfig() *jsonConfig {
	return &jsonConfig{sparseRatio: 2, sparseSafe: 10, encodeDepth: 1000, decodeDepth: 1000, precision: 14,
		encodeInvalid: "off", decodeInvalid: true, keepBuffer: true}
}

// maxJSONDepth bounds what scripts may set the depths to: both directions recurse.
const maxJSONDepth = 10000

func (st *state) openJSON() *lua.LTable {
	null := st.L.NewUserData() // one for the state: decoded nulls equal cjson.null
	return st.jsonLibrary(null, func(l *lua.LState) *jsonConfig {
		r := runOf(l)
		if r.json == nil {
			r.json = newJSONConfig()
		}
		return r.json
	})
}

func (st *state) jsonLibrary(null *lua.LUserData, config func(l *lua.LState) *jsonConfig) *lua.LTable {
	t := st.L.SetFuncs(st.L.NewTable(), map[string]lua.LGFunction{
		"encode": func(l *lua.LState) int {
			if l.GetTop() != 1 {
				argError(l, 1, "expected 1 argument")
			}
			e := jsonEncoder{l: l, st: st, cfg: config(l), null: null}
			e.value(l.Get(1), 0)
			l.Push(lua.LString(e.out))
			return 1
		},
		"decode": func(l *lua.LState) int {
			if l.GetTop() != 1 {
				argError(l, 1, "expected 1 argument")
			}
			d := jsonDecoder{l: l, cfg: config(l), null: null, src: checkText(l, 1)}
			l.Push(d.document())
			return 1
		},
		"encode_sparse_array": func(l *lua.LState) int {
			c := config(l)
			return boolOption(l, 1, &c.sparseConvert) + intOption(l, 2, &c.sparseRatio, 0, math.MaxInt32) +
				intOption(l, 3, &c.sparseSafe, 0, math.MaxInt32)
		},
		"encode_max_depth":        func(l *lua.LState) int { return intOption(l, 1, &config(l).encodeDepth, 1, maxJSONDepth) },
		"decode_max_depth":        func(l *lua.LState) int { return intOption(l, 1, &config(l).decodeDepth, 1, maxJSONDepth) },
		"encode_number_precision": func(l *lua.LState) int { return intOption(l, 1, &config(l).precision, 1, 17) },
		"encode_keep_buffer":      func(l *lua.LState) int { return boolOption(l, 1, &config(l).keepBuffer) },
		"decode_invalid_numbers":  func(l *lua.LState) int { return boolOption(l, 1, &config(l).decodeInvalid) },
		"encode_invalid_numbers":  func(l *lua.LState) int { return invalidOption(l, &config(l).encodeInvalid) },
		"new": func(l *lua.LState) int {
			own := newJSONConfig()
			l.Push(st.jsonLibrary(null, func(*lua.LState) *jsonConfig { return own }))
			return 1
		},
	})
	t.RawSetString("null", null)
	t.RawSetString("_NAME", lua.LString("cjson"))
	t.RawSetString("_VERSION", lua.LString("2.1.0"))
	return t
}

func intOption(l *lua.LState, n int, at *int, from, to int) int {
	if v := l.Get(n); v != lua.LNil {
		i := checkInt(l, n)
		if i < from || i > to {
			l.ArgError(1, "expected integer between "+text(lua.LNumber(from))+" and "+text(lua.LNumber(to)))
		}
		*at = i
	}
	l.Push(lua.LNumber(*at))
	return 1
}

func boolOption(l *lua.LState, n int, at *bool) int {
	switch v := l.Get(n).(type) {
	case lua.LBool:
		*at = bool(v)
	case lua.LString:
		if v != "on" && v != "off" {
			argError(l, n, "invalid option '"+string(v)+"'")
		}
		*at = v == "on"
	case *lua.LNilType:
	default:
		typeError(l, n, "string")
	}
	l.Push(lua.LBool(*at))
	return 1
}

func invalidOption(l *lua.LState, at *string) int {
	switch v := l.Get(1).(type) {
	case lua.LBool:
		*at = "off"
		if v {
			*at = "on"
		}
	case lua.LString:
		if v != "on" && v != "off" && v != "null" {
			argError(l, 1, "invalid option '"+string(v)+"'")
		}
		*at = string(v)
	case *lua.LNilType:
	default:
		typeError(l, 1, "string")
	}
	switch *at {
	case "null":
		l.Push(lua.LString("null"))
	default:
		l.Push(lua.LBool(*at == "on"))
	}
	return 1
}

// jsonEncoder writes a Lua value as JSON.
type jsonEncoder struct {
	l    *lua.LState
	st   *state
	cfg  *jsonConfig
	null *lua.LUserData
	out  []byte
}

func (e *jsonEncoder) refuse(v lua.LValue, why string) {
	e.l.RaiseError("Cannot serialise %s: %s", v.Type().String(), why)
}

func (e *jsonEncoder) value(v lua.LValue, depth int) {
	checkSize(e.l, len(e.out))
	switch v := v.(type) {
	case lua.LString:
		e.string(string(v))
	case lua.LNumber:
		e.number(float64(v))
	case lua.LBool:
		if v {
			e.out = append(e.out, "true"...)
		} else {
			e.out = append(e.out, "false"...)
		}
	case *lua.LNilType:
		e.out = append(e.out, "null"...)
	case *lua.LTable:
		e.table(e.st.thaw(v), depth+1)
	default:
		if v != lua.LValue(e.null) {
			e.refuse(v, "type not supported")
		}
		e.out = append(e.out, "null"...)
	}
}

func (e *jsonEncoder) table(t *lua.LTable, depth int) {
	if depth > e.cfg.encodeDepth {
		e.l.RaiseError("Cannot serialise, excessive nesting (%d)", depth)
	}
	if n := e.arrayLength(t); n > 0 {
		e.out = append(e.out, '[')
		for i := 1; i <= n; i++ {
			if i > 1 {
				e.out = append(e.out, ',')
			}
			e.value(t.RawGet(lua.LNumber(i)), depth)
		}
		e.out = append(e.out, ']')
		return
	}
	e.out = append(e.out, '{')
	first := true
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		switch k := k.(type) {
		case lua.LNumber:
			e.out = append(e.out, '"')
			e.number(float64(k))
			e.out = append(e.out, '"', ':')
		case lua.LString:
			e.string(string(k))
			e.out = append(e.out, ':')
		default:
			e.refuse(k, "table key must be a number or string")
		}
		e.value(v, depth)
	}
	e.out = append(e.out, '}')
}

// arrayLength is the number of elements of a table that is an array, holes included, or -1.
func (e *jsonEncoder) arrayLength(t *lua.LTable) int {
	most, items := 0.0, 0
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		n, ok := k.(lua.LNumber)
		if f := float64(n); !ok || f < 1 || f != math.Floor(f) || f > math.MaxInt32 {
			return -1
		}
		most = max(most, float64(n))
		items++
	}
	if c := e.cfg; c.sparseRatio > 0 && most > float64(items)*float64(c.sparseRatio) && most > float64(c.sparseSafe) {
		if !c.sparseConvert {
			e.refuse(t, "excessively sparse array")
		}
		return -1
	}
	return int(most)
}

func (e *jsonEncoder) number(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		switch {
		case e.cfg.encodeInvalid == "off":
			e.refuse(lua.LNumber(f), "must not be NaN or Inf")
		case e.cfg.encodeInvalid == "null":
			e.out = append(e.out, "null"...)
			return
		case math.IsNaN(f):
			e.out = append(e.out, "nan"...)
			return
		}
	}
	e.out = appendNumber(e.out, f, e.cfg.precision)
}

func (e *jsonEncoder) string(s string) {
	const hex = "0123456789abcdef"
	e.out = append(e.out, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\' || c == '/':
			e.out = append(e.out, '\\', c)
		case c == '\b':
			e.out = append(e.out, '\\', 'b')
		case c == '\t':
			e.out = append(e.out, '\\', 't')
		case c == '\n':
			e.out = append(e.out, '\\', 'n')
		case c == '\f':
			e.out = append(e.out, '\\', 'f')
		case c == '\r':
			e.out = append(e.out, '\\', 'r')
		case c < ' ' || c == 127:
			e.out = append(e.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			e.out = append(e.out, c)
		}
	}
	e.out = append(e.out, '"')
}
