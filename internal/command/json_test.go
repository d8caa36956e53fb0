package command_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/engine"
)

// script runs lines of words and replies: words are parted by blanks, the reply by =>.
func (c *client) script(lines string) {
	c.t.Helper()
	for line := range strings.Lines(lines) {
		words, want, ok := strings.Cut(strings.TrimSpace(line), "  =>  ")
		if words == "" {
			continue
		}
		if got := c.do(strings.Split(words, " ")...); ok && got != want {
			c.t.Errorf("%s answered\n%s, want\n%s", words, got, want)
		}
	}
}

// TestJSONReplies goes through the commands with both dialects, as RedisJSON documents them.
func TestJSONReplies(t *testing.T) {
	newRig(t).main.script(`
		JSON.SET k $ {"a":2}  =>  OK
		JSON.SET k $.a 3  =>  OK
		JSON.GET k  =>  {"a":3}
		JSON.SET k $.b 8  =>  OK
		JSON.GET k $  =>  [{"a":3,"b":8}]
		JSON.SET k $.b 9 NX  =>  (nil)
		JSON.SET k $.c 9 XX  =>  (nil)
		JSON.SET k $.c.d 9  =>  (nil)
		JSON.SET k $ 1 NX  =>  (nil)
		JSON.SET none $ 1 XX  =>  (nil)
		JSON.SET none $.a 1  =>  ERR new objects must be created at the root
		JSON.SET k $..x 1  =>  Err wrong static path
		JSON.SET k $.a[0] 1  =>  ERR array index out of range
		JSON.SET k $ 1 NN  =>  ERR syntax error
		JSON.SET k $ 1 NX XX  =>  ERR syntax error
		JSON.SET k $ 1 FORMAT  =>  ERR wrong number of arguments for 'json.set' command
		JSON.SET k $ 1 FORMAT x  =>  ERR wrong format
		JSON.SET k $ {"a":1,}  =>  trailing comma at line 1 column 8
		JSON.SET f $ {"f1":{"a":1},"f2":{"a":2}}  =>  OK
		JSON.SET f $..a 3  =>  OK
		JSON.GET f $..a  =>  [3,3]
		JSON.GET f f1  =>  {"a":3}
		JSON.GET f .none  =>  ERR Path does not exist
		JSON.GET f $.none  =>  []
		JSON.GET f $..a .f2  =>  {"$..a":[3,3],".f2":[{"a":3}]}
		JSON.GET f f1 .f2.a  =>  {"f1":{"a":3},".f2.a":3}
		JSON.GET f f1 none  =>  ERR Path does not exist
		JSON.GET f INDENT ~ NEWLINE + SPACE - $  =>  [+~{+~~"f1":-{+~~~"a":-3+~~},+~~"f2":-{+~~~"a":-3+~~}+~}+]
		JSON.GET f INDENT  =>  ERR wrong number of arguments for 'json.get' command
		JSON.GET f FORMAT EXPAND $  =>  ERR FORMAT argument is not supported on RESP2
		JSON.GET none  =>  (nil)
		JSON.MGET k none f $..a  =>  [[3] (nil) [3,3]]
		JSON.MGET k f .b  =>  [8 (nil)]
		JSON.MGET k $$$[  =>  [(nil)]
		JSON.MSET k $.a 4 f $.f1 5  =>  OK
		JSON.MGET k f $  =>  [[{"a":4,"b":8}] [{"f1":5,"f2":{"a":3}}]]
		JSON.MSET k $.a 0 none $.f1 5  =>  ERR new objects must be created at the root
		JSON.MSET k $.a 0 f $ x  =>  expected value at line 1 column 1
		JSON.MSET k $.a  =>  ERR wrong number of arguments for 'json.mset' command
		JSON.GET k  =>  {"a":4,"b":8}
		JSON.MERGE k $ {"b":null,"c":{"d":1}}  =>  OK
		JSON.MERGE k $.c {"e":[1]}  =>  OK
		JSON.MERGE k $.new {"x":null}  =>  OK
		JSON.GET k  =>  {"a":4,"c":{"d":1,"e":[1]},"new":{"x":null}}
		JSON.DEL k $.new  =>  (1)
		JSON.FORGET k $..none  =>  (0)
		JSON.DEL k $..*  =>  (2)
		JSON.GET k  =>  {}
		JSON.DEL k  =>  (1)
		EXISTS k  =>  (0)
		JSON.DEL k  =>  (0)
		JSON.SET t $ {"n":null,"b":true,"i":1,"u":18446744073709551615,"f":1.5,"s":"x","a":[1,2,3],"o":{"k":1}}
		JSON.TYPE t $.*  =>  [null boolean integer integer number string array object]
		JSON.TYPE t .a  =>  array
		JSON.TYPE t .none  =>  (nil)
		JSON.TYPE none $  =>  (nil)
		JSON.TOGGLE t $.*  =>  [(nil) (0) (nil) (nil) (nil) (nil) (nil) (nil)]
		JSON.TOGGLE t .b  =>  true
		JSON.TOGGLE t .i  =>  ERR Path does not exist or not a bool
		JSON.TOGGLE none .i  =>  ERR could not perform this operation on a key that doesn't exist
		JSON.NUMINCRBY t $.* 1  =>  [null,null,2,1.8446744073709552e19,2.5,null,null,null]
		JSON.NUMINCRBY t .i 1.5  =>  3.5
		JSON.NUMMULTBY t .i 2  =>  7.0
		JSON.NUMPOWBY t $.f 2  =>  [6.25]
		JSON.NUMINCRBY t .s 1  =>  ERR Path does not exist or does not contains a number
		JSON.NUMINCRBY t .i x  =>  expected value at line 1 column 1
		JSON.NUMINCRBY t .i "1"  =>  bad input number
		JSON.SET big $ [1,1e308]
		JSON.NUMMULTBY big $[*] 10  =>  result is not a number
		JSON.GET big  =>  [1,1e308]
		JSON.SET dup $ [1]
		JSON.NUMINCRBY dup $[0,0] 1  =>  [2,2]
		JSON.STRAPPEND t $.* "yz"  =>  [(nil) (nil) (nil) (nil) (nil) (3) (nil) (nil)]
		JSON.STRAPPEND t .s 1  =>  WRONGTYPE wrong type of path value - expected string
		JSON.STRAPPEND t .i "x"  =>  ERR Path does not exist or not a string
		JSON.STRLEN t $.*  =>  [(nil) (nil) (nil) (nil) (nil) (3) (nil) (nil)]
		JSON.STRLEN t .s  =>  (3)
		JSON.STRLEN t .i  =>  WRONGTYPE wrong type of path value - expected string
		JSON.STRLEN none .i  =>  (nil)
		JSON.STRLEN none $.i  =>  ERR could not perform this operation on a key that doesn't exist
		JSON.SET s $ "a"
		JSON.STRAPPEND s "b"  =>  (2)
		JSON.GET s  =>  "ab"
		JSON.OBJKEYS t $.*  =>  [(nil) (nil) (nil) (nil) (nil) (nil) (nil) [k]]
		JSON.OBJKEYS t .o  =>  [k]
		JSON.OBJKEYS t .a  =>  ERR Path does not exist or not an object
		JSON.OBJLEN t $.o  =>  [(1)]
		JSON.OBJLEN t .a  =>  WRONGTYPE wrong type of path value - expected object
		JSON.OBJLEN none $  =>  ERR Path does not exist or not an object
		JSON.OBJLEN t .none  =>  (nil)
		JSON.CLEAR t $.*  =>  (5)
		JSON.GET t  =>  {"n":null,"b":true,"i":0,"u":0,"f":0,"s":"xyz","a":[],"o":{}}
		JSON.CLEAR t  =>  (1)
		JSON.CLEAR none  =>  ERR could not perform this operation on a key that doesn't exist
		JSON.RESP f  =>  [{ f1 (5) f2 [{ a (3)]]
		JSON.RESP f $.f2.a  =>  [(3)]
		JSON.DEBUG HELP  =>  [MEMORY <key> [path] - reports memory usage HELP                - this message]
		JSON.DEBUG NO  =>  ERR unknown subcommand - try ` + "`JSON.DEBUG HELP`" + `
		JSON.DEBUG MEMORY none  =>  (0)
	`)
}

func TestJSONArrays(t *testing.T) {
	newRig(t).main.script(`
		JSON.SET k $ {"a":[1,2,3],"b":{"a":[],"c":7}}
		JSON.ARRAPPEND k $..a 4 {"x":5}  =>  [(5) (2)]
		JSON.ARRAPPEND k .b.a "s"  =>  (3)
		JSON.ARRAPPEND k .b.c 1  =>  ERR Path does not exist or not an array
		JSON.ARRAPPEND k $.a [  =>  EOF while parsing a list at line 1 column 1
		JSON.GET k  =>  {"a":[1,2,3,4,{"x":5}],"b":{"a":[4,{"x":5},"s"],"c":7}}
		JSON.ARRINDEX k $..a {"x":5}  =>  [(4) (1)]
		JSON.ARRINDEX k $.a 4 0 3  =>  [(-1)]
		JSON.ARRINDEX k $.a 4 -3  =>  [(3)]
		JSON.ARRINDEX k $.* 4  =>  [(3) (nil)]
		JSON.ARRINDEX k .b 4  =>  WRONGTYPE wrong type of path value - expected array
		JSON.ARRINDEX k .a 4 x  =>  Couldn't parse as integer
		JSON.ARRINDEX none .a 4  =>  ERR Path does not exist
		JSON.ARRINSERT k $..a 1 true null  =>  [(7) (5)]
		JSON.ARRINSERT k $..a 6 9  =>  ERR index out of bounds
		JSON.ARRINSERT k $..a -1 9  =>  [(8) (6)]
		JSON.GET k  =>  {"a":[1,true,null,2,3,4,9,{"x":5}],"b":{"a":[4,true,null,{"x":5},9,"s"],"c":7}}
		JSON.ARRLEN k $..*  =>  [(8) (nil) (nil) (nil) (nil) (nil) (nil) (nil) (nil) (nil) (nil) (6) (nil) (nil) (nil) (nil) (nil) (nil) (nil) (nil)]
		JSON.ARRLEN k .a  =>  (8)
		JSON.ARRLEN k .b  =>  ERR Path does not exist or not an array
		JSON.ARRLEN none .b  =>  (nil)
		JSON.ARRPOP k $..a  =>  [{"x":5} "s"]
		JSON.ARRPOP k .a 0  =>  1
		JSON.ARRPOP k $..a -99  =>  [true 4]
		JSON.ARRPOP k $.none  =>  []
		JSON.ARRPOP k .none  =>  ERR Path does not exist or not an array
		JSON.ARRTRIM k $..a 1 2  =>  [(2) (2)]
		JSON.GET k  =>  {"a":[2,3],"b":{"a":[null,{"x":5}],"c":7}}
		JSON.ARRTRIM k .a 5 9  =>  (0)
		JSON.ARRPOP k .a  =>  (nil)
		JSON.ARRPOP k $.a  =>  [(nil)]
	`)
	c := newRig(t).main
	c.do("JSON.SET", "n", "$", "[[1,2],[3,[4,5]]]")
	c.want("[2 [4] (nil) (nil) (nil) 5 (nil) (nil)]", "JSON.ARRPOP", "n", "$..*")
	c.want("[[1],[3]]", "JSON.GET", "n")
}

func TestJSONIsATypeLikeOthers(t *testing.T) {
	r := newRig(t, "notify-keyspace-events", "KEA")
	c, other := r.main, r.connect()
	c.script(`
		JSON.SET k $ {"a":[1,2.5,"x"]}  =>  OK
		TYPE k  =>  ReJSON-RL
		OBJECT ENCODING k  =>  raw
		GET k  =>  WRONGTYPE Operation against a key holding the wrong kind of value
		SET s x  =>  OK
		JSON.GET s  =>  Existing key has wrong Redis type
		JSON.SET s $ 1  =>  Existing key has wrong Redis type
		JSON.SET s $.a 1  =>  Existing key has wrong Redis type
		JSON.DEL s  =>  Existing key has wrong Redis type
		JSON.MGET s k $.a[0]  =>  [(nil) [1]]
		EXPIRE k 100  =>  (1)
		JSON.SET k $ {"b":1}  =>  OK
		TTL k  =>  (100)
		JSON.NUMINCRBY k $.b 1  =>  [2]
		TTL k  =>  (100)
		COPY k copy  =>  (1)
		RENAME copy renamed  =>  OK
		JSON.GET renamed  =>  {"b":2}
		MOVE renamed 1  =>  (1)
		SELECT 1  =>  OK
		JSON.GET renamed $.b  =>  [2]
		SELECT 0  =>  OK
		COMMAND GETKEYS JSON.MSET a $ 1 b $ 2  =>  [a b]
		COMMAND GETKEYS JSON.MGET a b $  =>  [a b]
		COMMAND GETKEYS JSON.DEBUG MEMORY a  =>  [a]
		UNLINK k  =>  (1)
	`)
	c.want("[OK [3] [3]]", "EVAL", "return{redis.call('JSON.SET',KEYS[1],'$','[1]'),redis.call('JSON.NUMINCRBY',KEYS[1],'$[0]',2),redis.call('JSON.GET',KEYS[1])}", "1", "l")
	c.want("[0 [l]]", "SCAN 0 TYPE rejson-rl COUNT 1000")
	payload := c.do("DUMP", "l")
	c.want("OK", "RESTORE", "back", "0", payload)
	c.want("[3]", "JSON.GET", "back")
	c.want("OK", "WATCH", "l")
	other.want("4", "JSON.NUMINCRBY", "l", ".[0]", "1")
	c.do("MULTI")
	c.do("JSON.GET", "l")
	c.want("(nil)", "EXEC")
	c.want("OK", "ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@json", "-@write")
	other.want("OK", "AUTH", "reader", "x")
	other.want("[4]", "JSON.GET", "l")
	if got := other.do("JSON.DEL", "l"); !strings.HasPrefix(got, "NOPERM") {
		t.Error(got)
	}
	if n := c.do("MEMORY", "USAGE", "l"); n == "(nil)" {
		t.Error(n)
	}
}

// A command that fails has changed nothing, whatever it had to change before.
func TestJSONDoesAllOrNothing(t *testing.T) {
	r := newRig(t)
	c, watcher := r.main, r.connect()
	c.do("JSON.SET", "k", "$", `[[1],[1,2,3],"s",1,1e308]`)
	watcher.do("WATCH", "k")
	before := c.do("JSON.GET", "k")
	for _, line := range []string{
		"JSON.ARRINSERT k $[*] 2 9", "JSON.NUMMULTBY k $[*] 1e10", "JSON.STRAPPEND k $[*] 1", "JSON.SET k $[0,1] [", "JSON.MERGE k $[*] {",
		"JSON.MSET k $[0] 1 k $ [", "JSON.MSET k $[0] 1 k $[9] 1", "JSON.DEL k $[", "JSON.CLEAR k $[", "JSON.ARRTRIM k $[0] x 1",
	} {
		reply := c.do(line)
		if after := c.do("JSON.GET", "k"); after != before {
			t.Fatalf("%s answered %s and left %s", line, reply, after)
		}
	}
	watcher.do("MULTI")
	watcher.want("[]", "EXEC") // nothing was told to have changed
}

// What the journal holds leads another keyspace to the same documents.
func TestJSONJournal(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	r, copied := newRig(t), newRig(t)
	r.Engine.SetJournal(journalTo(func(e engine.Effect) {
		words := make([]string, len(e.Args))
		for i, a := range e.Args {
			words[i] = string(a)
		}
		copied.main.do(words...)
	}))
	paths := []string{"$", ".", "$.a", "$..a", "$.*", ".b", "$.b[0]", "$..*", "$.c", "$[?(@>1)]"}
	values := []string{"1", `"s"`, "2.5", "[1,2,[3]]", `{"a":{"b":[1]},"b":[true]}`, "null", "true", "[]", "{}"}
	for range 1500 {
		key, path, value := fmt.Sprint("k", rng.IntN(4)), paths[rng.IntN(len(paths))], values[rng.IntN(len(values))]
		switch rng.IntN(13) {
		case 0:
			r.main.do("JSON.SET", key, "$", values[4])
		case 1:
			r.main.do("JSON.SET", key, path, value)
		case 2:
			r.main.do("JSON.MERGE", key, path, value)
		case 3:
			r.main.do("JSON.DEL", key, path)
		case 4:
			r.main.do("JSON.NUMINCRBY", key, path, "0.5")
		case 5:
			r.main.do("JSON.ARRAPPEND", key, path, value)
		case 6:
			r.main.do("JSON.ARRPOP", key, path, "0")
		case 7:
			r.main.do("JSON.ARRINSERT", key, path, "0", value)
		case 8:
			r.main.do("JSON.MSET", key, "$", value, fmt.Sprint("k", rng.IntN(4)), path, value)
		case 9:
			r.main.do("JSON.CLEAR", key, path)
		case 10:
			r.main.do("JSON.STRAPPEND", key, path, `"more"`)
		case 11:
			r.main.do("JSON.TOGGLE", key, path)
		default:
			r.main.do("PEXPIRE", key, "5")
			r.clock.Advance(time.Millisecond)
		}
	}
	r.clock.Advance(time.Second)
	copied.clock.Advance(time.Hour)
	for i := range 4 {
		key := fmt.Sprint("k", i)
		if got, want := copied.main.do("JSON.GET", key), r.main.do("JSON.GET", key); got != want {
			t.Errorf("seed %d: %s is %s there and %s here", seed, key, got, want)
		}
	}
}

// Sessions that change the same documents at once do so one after the other.
func TestJSONConcurrently(t *testing.T) {
	r := newRig(t)
	r.main.do("JSON.SET", "shared", "$", `{"n":0,"list":[]}`)
	const sessions, rounds = 4, 200
	var wg sync.WaitGroup
	for i := range sessions {
		c := r.connect()
		wg.Go(func() {
			for j := range rounds {
				c.do("JSON.NUMINCRBY", "shared", "$.n", "1")
				c.do("JSON.ARRAPPEND", "shared", "$.list", fmt.Sprintf("[%d,%d]", i, j))
				c.do("JSON.GET", "shared", fmt.Sprintf("$.list[?(@[0]==%d)]", i))
				c.do("JSON.MSET", fmt.Sprint("own", i), "$", "{}", "shared", fmt.Sprintf("$.own%d", i), "1")
			}
		})
	}
	wg.Wait()
	r.main.want(fmt.Sprintf("[%d]", sessions*rounds), "JSON.GET", "shared", "$.n")
	r.main.want(fmt.Sprintf("[(%d)]", sessions*rounds), "JSON.ARRLEN", "shared", "$.list")
	r.main.want(fmt.Sprintf("[(%d)]", sessions+2), "JSON.OBJLEN", "shared", "$")
}

// A few bytes may ask for a reply of gigabytes: each of many arrays within each other, with a large value in the innermost.
func TestJSONRepliesAreBounded(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.want("OK", "JSON.SET", "k", "$", strings.Repeat("[", 120)+`"`+strings.Repeat("x", 8<<20)+`"`+strings.Repeat("]", 120))
	for _, words := range [][]string{{"JSON.GET", "k", "$..*"}, {"JSON.GET", "k", "$", "$..*"}, {"JSON.RESP", "k", "$..*"}} {
		c.want("ERR path matches too many values", words...)
	}
}

// journalTo hands each effect on.
type journalTo func(e engine.Effect)

func (j journalTo) Append(effects []engine.Effect) {
	for _, e := range effects {
		j(e)
	}
}

// TestJSONAnswersAreBounded: what is short to ask for is not let grow without bound, by layout, by a path that leads to one
// value many times, or by a patch that leaves nothing to count.
func TestJSONAnswersAreBounded(t *testing.T) {
	const costly = "ERR path matches too many values"
	c := newRig(t).main
	times := func(n int, s string) string { return strings.Repeat(s+",", n) + s }
	c.do("JSON.SET", "k", "$", "["+times(20_000, "1")+"]")
	wide := strings.Repeat(" ", 100_000)
	for _, words := range [][]string{
		{"JSON.GET", "k", "INDENT", wide}, {"JSON.GET", "k", "INDENT", wide, "$[*]"}, {"JSON.GET", "k", "NEWLINE", wide, "$", "."},
	} {
		c.want(costly, words...)
	}
	c.w.SetProto(3)
	c.want(costly, "JSON.GET", "k", "INDENT", wide, "FORMAT", "EXPAND1", "$")
	c.w.SetProto(2)
	c.want("[\n1,\n1\n]", "JSON.GET", "k", "NEWLINE", "\n", "$[0:2]")

	c.do("JSON.SET", "o", "$", `[{"`+strings.Repeat("n", 500_000)+`":1}]`)
	c.want(costly, "JSON.OBJKEYS", "o", "$["+times(3000, "0")+"]")

	c.want("OK", "JSON.SET", "e", "$", "["+times(20_000, "{}")+"]")
	var patch strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&patch, `,"k%d":null`, i)
	}
	c.want(costly, "JSON.MERGE", "e", "$.*", "{"+patch.String()[1:]+"}")
	c.want("OK", "JSON.MERGE", "e", "$", "{"+patch.String()[1:]+"}")
}

// TestJSONPopsOnce: an element that was taken out once is told once.
func TestJSONPopsOnce(t *testing.T) {
	newRig(t).main.script(`
		JSON.SET k $ [[1,2],[3],[]]  =>  OK
		JSON.ARRPOP k $[0,0,1,2,0]  =>  [2 (nil) 3 (nil) (nil)]
		JSON.GET k  =>  [[1],[],[]]`)
}
