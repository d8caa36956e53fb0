package command_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larderdb/larder/store"
)

// TestLuaJournal: what a script does is one group of effects that gives the same keyspace elsewhere.
func TestLuaJournal(t *testing.T) {
	a, b := newRig(t), newRig(t)
	var j recorder
	a.Engine.SetJournal(&j)
	a.main.want("(3)", "EVAL", `redis.call('set', KEYS[1], ARGV[1], 'EX', 100)
redis.call('sadd', 's', 'a', 'b', 'c')
redis.call('spop', 's')
redis.set_repl(redis.REPL_NONE)
redis.call('set', 'untold', 'x')
redis.set_repl(redis.REPL_ALL)
redis.call('select', 1)
return redis.call('rpush', 'l', 1, 2, 3)`, "1", "k", "v")
	a.main.want("(1)", "DEL", "untold")
	a.main.want("(nil)", "GET", "l") // the script's SELECT was its own
	j.replay(t, b)
	if got, want := b.dump(), a.dump(); got != want {
		t.Errorf("the journal gives\n%s\nwant\n%s", got, want)
	}
}

// TestLuaInTransaction: EXEC runs scripts among other commands, and a script that fails leaves what it has done.
func TestLuaInTransaction(t *testing.T) {
	c := newRig(t).main
	c.want("OK", "MULTI")
	c.want("QUEUED", "SET k 1")
	c.want("QUEUED", "EVAL", "return redis.call('incr', KEYS[1]) + ARGV[1]", "1", "k", "40")
	c.want("QUEUED", "EVAL", "redis.call('incr', 'k') error('stop')", "0")
	c.want("QUEUED", "GET k")
	got := c.do("EXEC")
	if !strings.HasPrefix(got, "[OK (42) ERR user_script:1: stop script: ") || !strings.HasSuffix(got, " 3]") {
		t.Errorf("EXEC: %s", got)
	}
}

// TestScriptsAreEvicted: of the scripts that only EVAL has brought the 500 used last are kept, of others all.
func TestScriptsAreEvicted(t *testing.T) {
	r := newRig(t)
	c := r.main
	text := func(i int) string { return fmt.Sprintf("return %d", i) }
	kept := c.do("SCRIPT", "LOAD", "return 'kept'")
	native := r.script("return 'go'", func(store.Tx, []string, []string) store.Reply { return store.Bulk("go") })
	c.want("go", "EVAL", native.Lua, "0")
	for i := range 500 {
		c.want(fmt.Sprintf("(%d)", i), "EVAL", text(i), "0")
	}
	c.want("(0)", "EVAL", text(0), "0") // used again: the second is the oldest now
	c.want("(500)", "EVAL", text(500), "0")
	sha := func(i int) string { return (&store.Script{Lua: text(i)}).SHA() }
	c.want("[(1) (0) (1) (1) (1) (1)]", "SCRIPT", "EXISTS", sha(0), sha(1), sha(2), sha(500), kept, native.SHA())
	c.want(sha(2), "SCRIPT", "LOAD", text(2))
	for i := range 600 {
		c.do("EVAL", text(1000+i), "0")
	}
	c.want("[(1) (0) (1)]", "SCRIPT", "EXISTS", sha(2), sha(500), kept)
	c.want(text(2), "SCRIPT", "SHOW", strings.ToUpper(sha(2)))
	c.want("NOSCRIPT No matching script. Please use EVAL.", "SCRIPT", "SHOW", sha(1))
	c.want("OK", "SCRIPT FLUSH")
	c.want("[(0) (0)]", "SCRIPT", "EXISTS", kept, native.SHA())
	if info := c.do("INFO", "memory"); !strings.Contains(info, "number_of_cached_scripts:0\r\n") {
		t.Error("scripts are left after a flush")
	}
}

// TestGoBodyWins: a script that was loaded as Lua runs its Go body once that is known.
func TestGoBodyWins(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.want("lua", "EVAL", "return 'lua'", "0")
	sc := r.script("return 'lua'", func(store.Tx, []string, []string) store.Reply { return store.Bulk("go") })
	c.want("go", "EVALSHA", sc.SHA(), "0")
	c.want("go", "EVAL", sc.Lua, "0")
}

func TestFunctions(t *testing.T) {
	c := newRig(t).main
	const code = `#!lua name=lib
local calls = 0
local function count(keys, args) calls = calls + 1 return {calls, #keys, args[1]} end
redis.register_function('count', count)
redis.register_function{function_name='get', callback=function(keys) return redis.call('get', keys[1]) end,
	flags={'no-writes', 'allow-key-locking'}, description='reads'}
redis.register_function{function_name='bad', callback=function(keys) return redis.call('set', keys[1], 1) end, flags={'no-writes'}}`
	c.want("lib", "FUNCTION", "LOAD", code)
	c.want("ERR Library 'lib' already exists", "FUNCTION", "LOAD", code)
	c.want("[(1) (1) x]", "FCALL", "count", "1", "k", "x")
	c.want("[(2) (0)]", "FCALL", "COUNT", "0") // what a library keeps stays
	c.want("ERR Can not execute a script with write flag using *_ro command.", "FCALL_RO", "count", "0")
	c.want("(nil)", "FCALL_RO", "get", "1", "k")
	c.want("ERR Write commands are not allowed from read-only scripts. script: bad, on @user_function:7.", "FCALL", "bad", "1", "k")
	payload := c.do("FUNCTION", "DUMP")
	c.want("OK", "FUNCTION FLUSH")
	c.want("ERR Function not found", "FCALL", "count", "0")
	c.want("OK", "FUNCTION", "RESTORE", payload)
	c.want("ERR Library lib already exists", "FUNCTION", "RESTORE", payload)
	c.want("OK", "FUNCTION", "RESTORE", payload, "REPLACE")
	c.want("[(1) (0)]", "FCALL", "count", "0")
	c.want("ERR Function count already exists", "FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('count', function() end)")
	for i := range len(payload) {
		broken := []byte(payload)
		broken[i] ^= 1
		c.want("ERR DUMP payload version or checksum are wrong", "FUNCTION", "RESTORE", string(broken), "FLUSH")
	}
	c.want("OK", "FUNCTION", "DELETE", "lib")
	c.want("ERR Library not found", "FUNCTION", "DELETE", "lib")
	for text, want := range map[string]string{
		"":                         "ERR Missing library metadata",
		"#!lua name=x":             "ERR Invalid library metadata",
		"#!lua\n":                  "ERR Library name was not given",
		"#!lua name=a name=b\n":    "ERR Invalid metadata value, name argument was given multiple times",
		"#!lua name=a x=b\n":       "ERR Invalid metadata value given: x=b",
		"#!js name=a\n":            "ERR Engine 'js' not found",
		"#!lua name=a-b\n":         "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
		"#!lua name=a\nreturn 1":   "ERR No functions registered",
		"#!lua name=a\nmath.abs()": "ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'math'",
		"#!lua name=a\nredis.x()":  "ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'x'",
		"#!lua name=a\nredis.register_function('f', 1)": "ERR Error registering functions: ERR second argument to " +
			"server.register_function must be a function",
	} {
		c.want(want, "FUNCTION", "LOAD", text)
	}
	c.want("[]", "FUNCTION LIST")
}

// TestShebang: what a script does not declare it may not do.
func TestShebang(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.want("(1)", "EVAL", "#!lua\nreturn 1", "0")
	c.want("ERR Unexpected engine in script shebang: #!js", "EVAL", "#!js\nreturn 1", "0")
	c.want("ERR Unknown lua shebang option: x", "EVAL", "#!lua x\nreturn 1", "0")
	c.want("ERR Unexpected flag in script shebang: no", "EVAL", "#!lua flags=no-writes,no\nreturn 1", "0")
	c.want("ERR Invalid script shebang", "EVAL", "#!lua", "0")
	c.want("ERR Can not execute a script with write flag using *_ro command.", "EVAL_RO", "#!lua\nreturn 1", "0")
	c.want("(1)", "EVAL_RO", "#!lua flags=no-writes\nreturn 1", "0")
	c.do("SET k much")
	r.bound(-1)
	c.want(oom, "EVAL", "#!lua\nreturn 1", "0")
	c.want("(1)", "EVAL", "#!lua flags=no-writes\nreturn 1", "0")
	c.want("OK", "EVAL", "#!lua flags=allow-oom\nreturn redis.call('set', 'a', 1)", "0")
	c.want("(1)", "EVAL", "return 1", "0")
}
