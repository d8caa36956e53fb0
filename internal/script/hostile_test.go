package script_test

import (
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/script"
)

// TestHostile: what would exhaust a stack or the memory is an error of the script.
func TestHostile(t *testing.T) {
	rt := newRuntime()
	deep := func(open, inner, shut string, n int) string {
		return "return " + strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	const many = 20_000
	for name, text := range map[string]string{
		"recursion":            "local function f() return 1 + f() end return f()",
		"recursion in pcall":   "local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()",
		"index":                "local t = setmetatable({}, {__index=function(t, k) return t[k] end}) return t.x",
		"tostring":             "local t = setmetatable({}, {__tostring=function(t) return tostring(t) end}) return tostring(t)",
		"call":                 "local t = setmetatable({}, {}) getmetatable(t).__call = function(t) return 1 + t() end return t()",
		"concatenation":        "local t = setmetatable({}, {__concat=function(a, b) return a .. b end}) return t .. 'x'",
		"gsub":                 "local function f() return ('x'):gsub('x', f) end return f()",
		"sort":                 "local function f() local t = {3,2,1} table.sort(t, f) return true end f()",
		"coroutines":           "local function f() return 1 + coroutine.wrap(f)() end return f()",
		"resumed coroutines":   "local function f() assert(coroutine.resume(coroutine.create(f))) end f()",
		"load":                 "local function f() load(f) end f()",
		"rep":                  "return ('x'):rep(1e10)",
		"rep of long":          "return (('x'):rep(1e6)):rep(1e6)",
		"unpack":               "return {unpack({}, 1, 1e8)}",
		"unpack around zero":   "return {unpack({}, -2^62, 2^62)}",
		"byte":                 "return {(('x'):rep(1e6)):byte(1, -1)}",
		"pattern":              "return (('a'):rep(5000)):find(('a?'):rep(5000) .. ('a'):rep(5000))",
		"captures":             "return ('x'):find(('('):rep(100))",
		"nested captures":      "return (('a'):rep(100)):find(('(a'):rep(40) .. (')'):rep(40))",
		"json":                 "return cjson.decode(('['):rep(1e6))",
		"json of itself":       "local t = {} t[1] = t return cjson.encode(t)",
		"json depth":           "cjson.encode_max_depth(2^31 - 1)",
		"messages":             "return cmsgpack.unpack(('\\145'):rep(1e6))",
		"many messages":        "return cmsgpack.unpack(('\\1'):rep(1e6))",
		"struct":               "return struct.unpack(('b'):rep(1e5), ('x'):rep(1e5))",
		"struct size":          "return struct.pack('c2000000000', 'x')",
		"tables":               deep("{", "1", "}", many),
		"not":                  deep("not ", "1", "", many),
		"minus":                deep("- ", "1", "", many),
		"sum":                  deep("1+", "1", "", many),
		"power":                deep("1^", "1", "", many),
		"calls":                deep("tostring(", "1", ")", many),
		"functions":            deep("function() return ", "1", " end", many),
		"indices":              deep("_G[", "1", "]", many),
		"blocks":               strings.Repeat("do ", many) + strings.Repeat("end ", many) + "error()",
		"conditions":           strings.Repeat("if x then ", many) + strings.Repeat("end ", many),
		"alternatives":         "if x then " + strings.Repeat("elseif x then ", many) + "end",
		"locals":               strings.Repeat("local a ", 300) + "error()",
		"loaded":               "return assert(loadstring(('('):rep(1e5) .. '1' .. (')'):rep(1e5)))",
		"select":               "return select(-1e300, 1)",
		"error of an error":    "error(setmetatable({}, {__index=function() error('again') end}))",
		"error in the handler": "xpcall(error, function() error('x') end) error('end')",
		"invalid":              "return \x00\xff",
		"binary":               "\x1bLua",
	} {
		got := eval(rt, &host{}, text, nil, nil)
		if !strings.HasPrefix(got, "error: ") && !strings.HasPrefix(got, "compile: ") {
			t.Errorf("%s: %.200s", name, got)
		}
		if ok := eval(rt, &host{}, "return 'fine'", nil, nil); ok != `"fine"` {
			t.Fatalf("after %s: %s", name, ok)
		}
	}
	if got := eval(rt, &host{}, "return "+strings.Repeat("'x'..", many)+"'x'", nil, nil); !strings.HasPrefix(got, "compile: ") && len(got) != many+3 {
		t.Errorf("a long concatenation: %.100s", got)
	}
	self := eval(rt, &host{}, "local a = {} local b = {a} a[1] = b return a", nil, nil)
	if !strings.HasPrefix(self, "*1 *1 ") || !strings.HasSuffix(self, " -ERR reached lua stack limit") {
		t.Errorf("a table in itself: %.100s", self)
	}
}

// TestStop: no script survives it, whatever it catches and wherever it is.
func TestStop(t *testing.T) {
	rt := newRuntime()
	for _, text := range []string{
		"while true do end", "repeat until false", "local function f() return f() end f()", "while true do pcall(error) end",
		"local f = function() while true do end end while true do pcall(f) end",
		"while true do pcall(pcall, function() while true do end end) end",
		"while true do xpcall(function() while true do end end, function(e) return e end) end",
		"local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
		"coroutine.wrap(function() while true do end end)()",
		"local function f() while true do end end while true do coroutine.resume(coroutine.create(f)) end",
		"return (('a'):rep(40)):find(('.-'):rep(12) .. 'b')", // hours
		"return ('x'):gsub('x', function() while true do end end)",
		"local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() while true do end end)",
		"while true do redis.call('int') end",
		"local function f() xpcall(f, f) error('x') end f()", // twice as much at each of 200 levels
	} {
		c, err := rt.Compile(text, "user_script")
		if err != nil {
			t.Fatal(err)
		}
		h := &host{}
		r := script.NewRun(h)
		h.breath = func() { r.Stop("enough") }
		timer := time.AfterFunc(20*time.Millisecond, r.Signal)
		res := rt.Eval(r, c, nil, nil)
		timer.Stop()
		if got := show(&res); !strings.HasPrefix(got, "error: ERR enough script: ") {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// FuzzEval: no text takes the interpreter down, and none is felt by the next.
func FuzzEval(f *testing.F) {
	for _, text := range []string{
		"return redis.call('echo', KEYS[1])", "for k, v in pairs(_G) do if type(v) == 'table' then v.x = 1 end end",
		"return cjson.encode(cjson.decode(ARGV[1]))", "return {cmsgpack.unpack(ARGV[1])}", "return {struct.unpack(ARGV[1], ARGV[1])}",
		"return ARGV[1]:gsub(ARGV[1], ARGV[1])", "return string.format(ARGV[1], 1, 2, 3)", "return loadstring(ARGV[1])()",
		"redis.setresp(3) return {redis.call('map'), redis.call('set'), redis.call('double')}", "return setmetatable({}, {__index=_G}).redis",
		"local co = coroutine.wrap(function(...) return coroutine.yield(...) end) return co(1, 2)", "return {pcall(error, {err='x'})}",
	} {
		f.Add(text, "[1,{\"a\":null}]")
		f.Add(text, "%a+(%w-)")
	}
	rt := newRuntime()
	f.Fuzz(func(t *testing.T, text, arg string) {
		if strings.Contains(text, "rep") || len(text) > 4<<10 { // hundreds of megabytes are allowed
			t.Skip()
		}
		c, err := rt.Compile(text, "user_script")
		if err != nil {
			return
		}
		h := &host{}
		r := script.NewRun(h)
		timer := time.AfterFunc(50*time.Millisecond, func() { r.Stop("enough") })
		defer timer.Stop()
		res := rt.Eval(r, c, bytesOf([]string{"k"}), bytesOf([]string{arg}))
		show(&res)
		if got := eval(rt, &host{}, "return type(redis.call) .. #KEYS .. type(string.len)", []string{"k"}, nil); got != `"function1function"` {
			t.Fatalf("the next script sees %s", got)
		}
	})
}
