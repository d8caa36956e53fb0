package command_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestNothingLeaks runs a random mix of everything that allocates, also on
// large values, removes all keys, lets the periodic work be done, and looks at
// what is still allocated: nothing may be.
func TestNothingLeaks(t *testing.T) {
	for _, way := range []string{"DEL", "UNLINK", "FLUSHALL", "FLUSHDB", "EXPIRE", "elements"} {
		t.Run(way, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := newRig(t, "hash-max-listpack-entries", "8", "set-max-intset-entries", "8",
				"set-max-listpack-entries", "8", "zset-max-listpack-entries", "8", "list-max-listpack-size", "4")
			random := rand.New(rand.NewPCG(seed, 1))
			for step := range 8000 {
				words := randomCommand(random)
				if random.IntN(8) == 0 || step > 7700 { // so that much is there at the end
					words = largeCommand(random)
				}
				r.main.do(words...)
				if step%50 == 0 {
					r.clock.Advance(time.Duration(random.IntN(500)) * time.Millisecond)
					r.Tick(time.Second)
				}
			}
			r.main.do("SELECT", "0")
			if r.Engine.Used() < 20_000 {
				t.Fatal("the mix leaves next to nothing: the test tests too little")
			}
			r.empty(way)
			for range 100 { // its time is a fake clock's: each call does all it can
				r.Tick(time.Second)
			}
			if n := r.Engine.PendingFrees(); n != 0 {
				t.Errorf("%d structures are still to be freed", n)
			}
			if used := r.Engine.Used(); used != 0 {
				t.Errorf("%d bytes are left", used)
			}
		})
	}
}

// empty removes all keys in one of the ways there are.
func (r *rig) empty(way string) {
	if way == "FLUSHALL" {
		r.main.want("OK", "FLUSHALL")
		return
	}
	for db := range r.Engine.Databases() {
		r.main.do("SELECT", fmt.Sprint(db))
		if way == "FLUSHDB" {
			r.main.want("OK", way)
			continue
		}
		for _, key := range strings.Fields(strings.Trim(r.main.do("KEYS", "*"), "[]")) {
			switch way {
			case "EXPIRE":
				r.main.do("PEXPIRE", key, "1")
			case "elements":
				r.main.shrink(key)
			default:
				r.main.want("(1)", way, key)
			}
		}
	}
	r.clock.Advance(time.Second)
}

// shrink removes a key by removing what is in it, some at a time.
func (c *client) shrink(key string) {
	for c.do("EXISTS", key) == "(1)" {
		switch c.do("TYPE", key) {
		case "string":
			c.do("GETDEL", key)
		case "list":
			c.do("RPOP", key, "7")
		case "set":
			c.do("SPOP", key, "7")
		case "zset":
			c.do("ZPOPMAX", key, "7")
		case "hash":
			field := strings.Fields(strings.Trim(c.do("HRANDFIELD", key, "1"), "[]"))[0]
			c.do("HDEL", key, field)
		case "stream": // stays when it is empty
			c.do("XTRIM", key, "MAXLEN", "0")
			c.do("DEL", key)
		}
	}
}

// largeCommand is a command that makes, copies, moves or combines values of many elements, or fails on the way.
func largeCommand(r *rand.Rand) []string {
	key := func() string { return fmt.Sprintf("k%d", r.IntN(40)) }
	many := func(words ...string) []string {
		for range 20 + r.IntN(300) {
			words = append(words, fmt.Sprint(r.IntN(1000)))
		}
		return words[:len(words)-len(words)%2]
	}
	long := strings.Repeat("x", 1+r.IntN(9000))
	choices := []func() []string{
		func() []string { return many("RPUSH", key()) },
		func() []string { return many("LPUSH", key()) },
		func() []string { return many("SADD", key()) },
		func() []string { return append(many("SADD", key()), long) },
		func() []string { return append(many("HSET", key()), "field", long) },
		func() []string { return append(many("ZADD", key()), "1", "member"+long) },
		func() []string { return []string{"RPUSH", key(), long, long} },
		func() []string { return []string{"LSET", key(), "0", long} },
		func() []string { return []string{"LINSERT", key(), "BEFORE", "7", long} },
		func() []string { return []string{"SET", key(), long} },
		func() []string { return []string{"APPEND", key(), long} },
		func() []string { return []string{"SETRANGE", key(), "200000", "x"} },
		func() []string { return []string{"SUNIONSTORE", key(), key(), key()} },
		func() []string { return []string{"SINTERSTORE", key(), key(), key()} },
		func() []string { return []string{"SDIFFSTORE", key(), key(), key()} },
		func() []string { return []string{"ZUNIONSTORE", key(), "3", key(), key(), key(), "AGGREGATE", "MAX"} },
		func() []string { return []string{"ZINTERSTORE", key(), "2", key(), key()} },
		func() []string { return []string{"ZDIFFSTORE", key(), "2", key(), key()} },
		func() []string { return []string{"ZRANGESTORE", key(), key(), "0", "-2"} },
		func() []string { return []string{"ZRANGESTORE", key(), key(), "-inf", "(500", "BYSCORE"} },
		func() []string { return []string{"COPY", key(), key(), "REPLACE"} },
		func() []string { return []string{"COPY", key(), key(), "DB", "3", "REPLACE"} },
		func() []string { return []string{"RENAME", key(), key()} },
		func() []string { return []string{"RENAMENX", key(), key()} },
		func() []string { return []string{"MOVE", key(), "2"} },
		func() []string { return []string{"PEXPIRE", key(), fmt.Sprint(1 + r.IntN(2000))} },
		func() []string { return []string{"LTRIM", key(), "5", "40"} },
		func() []string { return []string{"ZREMRANGEBYSCORE", key(), "-inf", "300"} },
		func() []string { return []string{"ZRANGESTORE", key(), key(), "9", "3"} },
		func() []string { return []string{"SMOVE", key(), key(), "7"} },
		func() []string { return []string{"LMOVE", key(), key(), "LEFT", "RIGHT"} },
		func() []string { return []string{"SETBIT", key(), "90000", "1"} },
		func() []string { return []string{"BITOP", "XOR", key(), key(), key()} },
		func() []string { return append(many("PFADD", key()), long) },
		func() []string { return []string{"PFMERGE", key(), key(), key()} },
		func() []string { return []string{"SORT", key(), "ALPHA", "STORE", key()} },
		func() []string { return []string{"GEORADIUS", key(), "1", "1", "inf", "km", "STORE", key()} },
	}
	return choices[r.IntN(len(choices))]()
}
