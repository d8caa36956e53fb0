package script

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"unsafe"

	"github.com/larderdb/larder/internal/types/number"
	lua "github.com/yuin/gopher-lua"
)

// openAPI is the table that scripts know as redis and as server.
func (st *state) openAPI() *lua.LTable {
	t := st.L.SetFuncs(st.L.NewTable(), map[string]lua.LGFunction{
		"call": apiCall, "pcall": apiPcall, "sha1hex": apiSHA1, "error_reply": apiErrorReply, "status_reply": apiStatusReply,
		"setresp": apiSetResp, "set_repl": apiSetRepl, "acl_check_cmd": apiCheck,
		"replicate_commands": func(l *lua.LState) int { l.Push(lua.LTrue); return 1 },
		"breakpoint":         func(l *lua.LState) int { l.Push(lua.LFalse); return 1 },
		"debug":              func(*lua.LState) int { return 0 },
	})
	for name, n := range map[string]int{"REPL_NONE": 0, "REPL_AOF": 1, "REPL_SLAVE": 2, "REPL_REPLICA": 2, "REPL_ALL": 3} {
		t.RawSetString(name, lua.LNumber(n))
	}
	st.addBasics(t)
	return t
}

// addBasics adds what libraries may use too while they are loaded.
func (st *state) addBasics(t *lua.LTable) {
	o := &st.rt.o
	t.RawSetString("log", st.L.NewFunction(apiLog))
	for level, name := range []string{"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"} {
		t.RawSetString(name, lua.LNumber(level))
	}
	t.RawSetString("REDIS_VERSION", lua.LString(o.Version))
	t.RawSetString("REDIS_VERSION_NUM", lua.LNumber(o.VersionNum))
	t.RawSetString("VALKEY_VERSION", lua.LString(o.ValkeyVersion))
	t.RawSetString("VALKEY_VERSION_NUM", lua.LNumber(o.ValkeyVersionNum))
	t.RawSetString("SERVER_NAME", lua.LString(o.ServerName))
}

// lend gives the bytes of a string, which nobody may change.
func lend(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func scoreText(f float64) string { return string(number.AppendFloat(nil, f)) }

// arguments are the words of a command: strings, and numbers in full precision. They are lent, not copied.
func arguments(l *lua.LState, r *Run) (words [][]byte, refusal string) {
	n := l.GetTop()
	if n == 0 {
		return nil, "Please specify at least one argument for this call"
	}
	r.words = r.words[:0]
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			r.words = append(r.words, lend(string(v)))
		case lua.LNumber:
			r.words = append(r.words, number.AppendFloat(nil, float64(v)+0)) // minus zero is zero
		default:
			return nil, "Command arguments must be strings or integers"
		}
	}
	return r.words, ""
}

func apiCall(l *lua.LState) int  { return call(l, true) }
func apiPcall(l *lua.LState) int { return call(l, false) }

// call runs a command. An error is raised, or returned.
func call(l *lua.LState, raises bool) int {
	r := runOf(l)
	if r.load != nil {
		return raise(l, "redis.call can not be called while a library is loaded")
	}
	words, refusal := arguments(l, r)
	if refusal != "" {
		return fails(l, errorTable(l, refusal), raises)
	}
	out := &r.reply
	out.begin(l, r)
	refusal = r.host.Call(words, out)
	if refusal != "" {
		t := errorTable(l, refusal)
		t.RawSetString("ignore_error_stats_update", lua.LTrue)
		return fails(l, t, raises)
	}
	if out.failed {
		return fails(l, out.value, raises)
	}
	l.Push(out.value)
	out.value = nil
	return 1
}

func fails(l *lua.LState, v lua.LValue, raises bool) int {
	if raises {
		l.Error(v, 1)
	}
	l.Push(v)
	return 1
}

func apiSHA1(l *lua.LState) int {
	if l.GetTop() != 1 {
		return raise(l, "wrong number of arguments")
	}
	s := ""
	if v := l.Get(1); isText(v) {
		s = text(v)
	}
	sum := sha1.Sum(lend(s))
	l.Push(lua.LString(hex.EncodeToString(sum[:])))
	return 1
}

// oneString is the argument of the functions that make replies, or false and an error on the stack.
func oneString(l *lua.LState) (string, bool) {
	s, ok := l.Get(1).(lua.LString)
	if l.GetTop() != 1 || !ok {
		l.Push(errorTable(l, "wrong number or type of arguments"))
		return "", false
	}
	return string(s), true
}

func apiErrorReply(l *lua.LState) int {
	if s, ok := oneString(l); ok {
		l.Push(errorTable(l, "-"+strings.TrimPrefix(s, "-")))
	}
	return 1
}

func apiStatusReply(l *lua.LState) int {
	if s, ok := oneString(l); ok {
		t := l.NewTable()
		t.RawSetString("ok", lua.LString(s))
		l.Push(t)
	}
	return 1
}

func apiSetResp(l *lua.LState) int {
	if l.GetTop() != 1 {
		return raise(l, "server.setresp() requires one argument.")
	}
	f, _ := number64(l.Get(1))
	if f != 2 && f != 3 {
		return raise(l, "RESP version must be 2 or 3.")
	}
	runOf(l).proto = f
	return 0
}

// number64 is a number cut to an integer, 0 for what is none.
func number64(v lua.LValue) (int, bool) {
	f, ok := numberOf(v)
	return toInt(f), ok
}

func apiSetRepl(l *lua.LState) int {
	if l.GetTop() != 1 {
		return raise(l, "server.set_repl() requires one argument.")
	}
	flags, _ := number64(l.Get(1))
	if flags&^3 != 0 {
		return raise(l, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	runOf(l).host.Replicate(flags&1 != 0, flags&2 != 0)
	return 0
}

func apiCheck(l *lua.LState) int {
	r := runOf(l)
	words, refusal := arguments(l, r)
	if refusal != "" {
		return raise(l, refusal)
	}
	allowed, exists := r.host.Check(words)
	if !exists {
		return raise(l, "Invalid command passed to server.acl_check_cmd()")
	}
	l.Push(lua.LBool(allowed))
	return 1
}

func apiLog(l *lua.LState) int {
	n := l.GetTop()
	if n < 2 {
		return raise(l, "server.log() requires two arguments or more.")
	}
	level, ok := number64(l.Get(1))
	if !ok {
		return raise(l, "First argument must be a number (log level).")
	}
	if level < 0 || level > 3 {
		return raise(l, "Invalid log level.")
	}
	var parts []string
	for i := 2; i <= n; i++ {
		if v := l.Get(i); isText(v) {
			parts = append(parts, text(v))
		}
	}
	runOf(l).host.Log(level, strings.Join(parts, " "))
	return 0
}
