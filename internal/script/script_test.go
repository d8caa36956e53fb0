package script_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/script"
)

// host answers commands from a table.
type host struct {
	run    *script.Run
	breath func()
	calls  [][]string
	logs   []string
}

func (h *host) Call(args [][]byte, out *script.Reply) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = string(a)
	}
	h.calls = append(h.calls, words)
	switch words[0] {
	case "echo":
		out.BulkString(words[1])
	case "int":
		out.Int(42)
	case "nil":
		out.Null()
	case "status":
		out.Simple("FINE")
	case "fail":
		out.Error("WRONGTYPE not that")
	case "map":
		out.Map(1)
		out.BulkString("k")
		out.BulkString("v")
	case "set":
		out.Set(2)
		out.BulkString("a")
		out.BulkString("b")
	case "double":
		out.Double(1.5)
	case "nested":
		out.Array(3)
		out.Int(1)
		out.Array(2)
		out.Null()
		out.BulkString("x")
		out.Array(0)
	case "bool":
		out.Bool(true)
	case "refuse":
		return "-OOM no"
	default:
		return "Unknown command called from script"
	}
	return ""
}

func (h *host) Check(args [][]byte) (allowed, exists bool) {
	return string(args[0]) != "secret", string(args[0]) != "none"
}
func (h *host) Replicate(journal, replicas bool) {}
func (h *host) Log(level int, text string)       { h.logs = append(h.logs, fmt.Sprint(level, " ", text)) }
func (h *host) Breathe() {
	if h.breath != nil {
		h.breath()
	}
}

// sink writes a reply as text.
type sink struct {
	strings.Builder
}

func (s *sink) put(format string, args ...any) { fmt.Fprintf(s, format+" ", args...) }
func (s *sink) Simple(v string)                { s.put("+%s", v) }
func (s *sink) Error(v string)                 { s.put("-%s", v) }
func (s *sink) Int(n int64)                    { s.put(":%d", n) }
func (s *sink) BulkString(v string)            { s.put("%q", v) }
func (s *sink) Null()                          { s.put("_") }
func (s *sink) Array(n int)                    { s.put("*%d", n) }
func (s *sink) Map(n int)                      { s.put("%%%d", n) }
func (s *sink) Set(n int)                      { s.put("~%d", n) }
func (s *sink) Double(f float64)               { s.put(",%v", f) }
func (s *sink) Bool(b bool)                    { s.put("#%v", b) }
func (s *sink) BigNumber(v string)             { s.put("(%s", v) }
func (s *sink) Verbatim(f, v string)           { s.put("=%s:%s", f, v) }

func newRuntime() *script.Runtime {
	n := uint64(0)
	return script.New(script.Options{Version: "7.2.4", VersionNum: 0x070204, ServerName: "larder",
		Clock: func() time.Duration { return 1500 * time.Millisecond }, Random: func() uint64 { n++; return n }})
}

// eval runs a script and writes what it gave.
func eval(rt *script.Runtime, h *host, text string, keys, args []string) string {
	c, err := rt.Compile(text, "user_script")
	if err != nil {
		return "compile: " + err.Error()
	}
	h.run = script.NewRun(h)
	res := rt.Eval(h.run, c, bytesOf(keys), bytesOf(args))
	return show(&res)
}

func show(res *script.Result) string {
	if res.Failed() {
		text, _ := res.Error("SHA")
		return "error: " + text
	}
	var s sink
	res.Write(&s)
	return strings.TrimSpace(s.String())
}

func bytesOf(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

const at1 = " script: SHA, on @user_script:1."

func TestEval(t *testing.T) {
	rt := newRuntime()
	for _, test := range []struct{ script, want string }{
		{"return 1", ":1"}, {"return 3.99", ":3"}, {"return -3.99", ":-3"}, {"return 'a'", `"a"`}, {"return true", ":1"},
		{"return false", "_"}, {"return nil", "_"}, {"return", "_"}, {"", "_"}, {"return {1,2,nil,4}", "*2 :1 :2"},
		{"return {1,{2,'x'},{}}", `*3 :1 *2 :2 "x" *0`}, {"return {ok='yes'}", "+yes"}, {"return {err='ERR no'}", "-ERR no"},
		{"return {double=3.5}", ",3.5"}, {"return {map={a=1}}", `%1 "a" :1`}, {"return {set={a=true}}", `~1 "a"`},
		{"return {big_number='12\\n3'}", "(12 3"}, {"return {verbatim_string={string='s',format='txt'}}", "=txt:s"},
		{"redis.setresp(3) return true", "#true"}, {"return {1, {err='X y'}}", "*2 :1 -X y"},
		{"return redis.call('echo', 3.3)", `"3.3"`}, {"return redis.call('echo', 1e15)", `"1000000000000000"`},
		{"return redis.call('echo', 1e100)", `"1e+100"`}, {"return redis.call('nil')", "_"},
		{"return type(redis.call('nil'))", `"boolean"`}, {"redis.setresp(3) return type(redis.call('nil'))", `"nil"`},
		{"return redis.call('status').ok", `"FINE"`}, {"return redis.call('status')", "+FINE"},
		{"return redis.call('nested')", `*3 :1 *2 _ "x" *0`}, {"return redis.call('map')", `*2 "k" "v"`},
		{"redis.setresp(3) return redis.call('map').map.k", `"v"`}, {"redis.setresp(3) return redis.call('map')", `%1 "k" "v"`},
		{"redis.setresp(3) return redis.call('set').set.b", "#true"}, {"redis.setresp(3) return redis.call('double')", ",1.5"},
		{"return redis.call('double')", `"1.5"`}, {"return redis.call('bool')", ":1"},
		{"return redis.call('fail')", "error: WRONGTYPE not that" + at1}, {"return redis.pcall('fail')", "-WRONGTYPE not that"},
		{"return redis.pcall('fail').err", `"WRONGTYPE not that"`}, {"return redis.call('refuse')", "error: OOM no" + at1},
		{"return redis.call()", "error: ERR Please specify at least one argument for this call" + at1},
		{"return redis.call('echo', {})", "error: ERR Command arguments must be strings or integers" + at1},
		{"return redis.call('nope')", "error: ERR Unknown command called from script" + at1},
		{"return redis.sha1hex('')", `"da39a3ee5e6b4b0d3255bfef95601890afd80709"`}, {"return redis.error_reply('x y')", "-x y"},
		{"return redis.error_reply('My Err')", "-My Err"}, {"return redis.error_reply('')", "-ERR"}, {"return redis.status_reply('OK')", "+OK"},
		{"return redis.error_reply(1)", "-ERR wrong number or type of arguments"},
		{"return redis.acl_check_cmd('secret')", "_"}, {"return redis.acl_check_cmd('x')", ":1"},
		{"return redis.acl_check_cmd('none')", "error: ERR Invalid command passed to server.acl_check_cmd()" + at1},
		{"return redis.REDIS_VERSION", `"7.2.4"`}, {"return server == redis", ":1"},
		{"return KEYS[1]..ARGV[1]", `"k1a1"`}, {"return #KEYS", ":2"},
		{"error('boom')", "error: ERR user_script:1: boom" + at1}, {"error({err='My boom'})", "error: My boom" + at1},
		{"return pcall(error, {err='x'})", "_"}, {"return {pcall(function() error({err='x'}) end)}", `*2 _ "x"`},
		{"return os.clock()", ":1"},
	} {
		if got := eval(rt, &host{}, test.script, []string{"k1", "k2"}, []string{"a1"}); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.script, got, test.want)
		}
	}
}

func TestSandbox(t *testing.T) {
	rt := newRuntime()
	const readonly = "error: ERR user_script:1: Attempt to modify a readonly table" + at1
	const within = "error: ERR Attempt to modify a readonly table" + at1 // in a function, which has no place
	missing := func(name string) string {
		return "error: ERR user_script:1: Script attempted to access nonexistent global variable '" + name + "'" + at1
	}
	for _, test := range []struct{ script, want string }{
		{"a = 1", readonly}, {"return a", missing("a")}, {"_G.a = 1", readonly}, {"rawset(_G, 'a', 1)", within},
		{"setmetatable(_G, {})", within}, {"getmetatable(_G).__index = {}", readonly}, {"redis = 1", readonly},
		{"_G = {}", readonly}, {"redis.call = 1", readonly}, {"cjson.encode = 1", readonly}, {"bit = {}", readonly},
		{"table.insert(redis, 1)", within}, {"getmetatable('').__index = 1", readonly}, {"string.x = 1", readonly},
		{"getmetatable('').__index.x = 1", readonly}, {"setfenv(0, {})", within}, {"KEYS = {}", readonly},
		{"KEYS[1] = 'x' return KEYS[1]", `"x"`}, {"return print", missing("print")}, {"return io", missing("io")},
		{"return dofile", missing("dofile")}, {"return loadfile", missing("loadfile")}, {"return require", missing("require")},
		{"return debug", missing("debug")}, {"return package", missing("package")}, {"return module", missing("module")},
		{"return rawget(_G, 'nothing')", "_"}, {"return type(rawget(_G, 'redis'))", `"table"`},
		{"local n = 0 for k in pairs(os) do n = n + 1 end return n", ":1"}, {"return _G", "*0"}, {"return next(os)", `"clock"`},
		{"os.execute()", "error: ERR user_script:1: attempt to call field 'execute' (a nil value)" + at1},
		{"return loadstring(string.dump(function() end))()", "error: ERR user_script:1: attempt to call a nil value" + at1},
		{"return loadstring('return 1+1')()", ":2"}, {"return (loadstring('return foo'))()",
			"error: ERR [string \"return foo\"]:1: Script attempted to access nonexistent global variable 'foo' script: SHA, on @[string \"return foo\"]:1."},
		{"local x x.y = 1", "error: ERR user_script:1: attempt to index local 'x' (a nil value)" + at1},
		{"local x = {} return x.y.z", "error: ERR user_script:1: attempt to index field 'y' (a nil value)" + at1},
		{"local x return x .. 'a'", "error: ERR user_script:1: attempt to concatenate local 'x' (a nil value)" + at1},
		{"local x return x + 1", "error: ERR user_script:1: attempt to perform arithmetic on local 'x' (a nil value)" + at1},
		{"local x = {} x.f()", "error: ERR user_script:1: attempt to call field 'f' (a nil value)" + at1},
		{"local x = 'a' x:f()", "error: ERR user_script:1: attempt to call method 'f' (a nil value)" + at1},
		{"return {} < {}", "error: ERR user_script:1: attempt to compare two table values" + at1},
		{"return 1 < 'x'", "error: ERR user_script:1: attempt to compare number with string" + at1},
		{"string.rep()", "error: ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value)" + at1},
		{"assert(false)", "error: ERR user_script:1: assertion failed!" + at1},
		{"return select('#', pcall(function() error('%d') end))", ":2"},
		{"local s, e = pcall(function() return foo end) return e", `"user_script:1: Script attempted to access nonexistent global variable 'foo'"`},
	} {
		for range 2 { // the second run meets what the first may have left
			if got := eval(rt, &host{}, test.script, []string{"k"}, nil); got != test.want {
				t.Errorf("%s\n got %s\nwant %s", test.script, got, test.want)
			}
		}
	}
}
