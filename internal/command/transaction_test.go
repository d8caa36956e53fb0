package command_test

import (
	"strings"
	"testing"
	"time"
)

func TestMulti(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.want("OK", "MULTI")
	c.want("QUEUED", "SET a 1")
	c.want("QUEUED", "INCR b")
	c.want("QUEUED", "GET a")
	c.want("QUEUED", "LPUSH a x")
	c.want("[OK (1) 1 WRONGTYPE Operation against a key holding the wrong kind of value]", "EXEC")
	c.want("ERR EXEC without MULTI", "EXEC")
	c.want("ERR DISCARD without MULTI", "DISCARD")
}

func TestMultiCountsMemory(t *testing.T) {
	c := newRig(t).main
	c.do("MULTI")
	c.do("SET", "k", strings.Repeat("x", 10_000))
	c.do("SET", "k", strings.Repeat("x", 10_000))
	if n := c.s.Queued(); n < 20_000 || n > 21_000 {
		t.Errorf("%d bytes are queued", n)
	}
	c.do("EXEC")
	if n := c.s.Queued(); n != 0 {
		t.Errorf("%d bytes are queued after EXEC", n)
	}
}

func TestMultiRefuses(t *testing.T) {
	for line, reply := range map[string]string{
		"MULTI":   "ERR Command not allowed inside a transaction",
		"WATCH k": "ERR Command not allowed inside a transaction",
		"NOSUCH":  "ERR unknown command 'NOSUCH', with args beginning with: ",
	} {
		c := newRig(t).main
		c.do("MULTI")
		c.want(reply, line)
		c.want("EXECABORT Transaction discarded because of previous errors.", "EXEC")
		c.want("ERR EXEC without MULTI", "EXEC")
	}
	c := newRig(t).main
	c.do("MULTI")
	c.want("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command", "EXEC x")
	c.want("ERR EXEC without MULTI", "EXEC")
}

func TestMultiAborts(t *testing.T) {
	c := newRig(t).main
	c.do("MULTI")
	c.want("ERR wrong number of arguments for 'get' command", "GET")
	c.want("QUEUED", "SET a 1")
	c.want("EXECABORT Transaction discarded because of previous errors.", "EXEC")
	c.want("(nil)", "GET a")
}

func TestMultiSelect(t *testing.T) {
	c := newRig(t).main
	c.do("MULTI")
	c.do("SELECT 1")
	c.do("SET a one")
	c.do("SELECT 0")
	c.do("SET a zero")
	c.want("[OK OK OK OK]", "EXEC")
	c.want("zero", "GET a")
	c.do("SELECT 1")
	c.want("one", "GET a")
}

func TestWatch(t *testing.T) {
	cases := []struct {
		name   string
		before string // run before WATCH
		change string // run by another client
		lapse  time.Duration
		reply  string
	}{
		{"nothing", "SET k 1", "SET other 1", 0, "[OK]"},
		{"changed", "SET k 1", "SET k 1", 0, "(nil)"},
		{"created", "", "SET k 1", 0, "(nil)"},
		{"deleted", "SET k 1", "DEL k", 0, "(nil)"},
		{"refused write", "SET k 1", "LPUSH k x", 0, "[OK]"},
		{"delete of nothing", "", "DEL k", 0, "[OK]"},
		{"ttl", "SET k 1", "EXPIRE k 100", 0, "(nil)"},
		{"flushed", "SET k 1", "FLUSHALL", 0, "(nil)"},
		{"flushed without it", "", "FLUSHALL", 0, "[OK]"},
		{"renamed away", "SET k 1", "RENAME k j", 0, "(nil)"},
		{"swapped", "SET k 1", "SWAPDB 0 1", 0, "(nil)"},
		{"swapped with itself", "SET k 1", "SWAPDB 0 0", 0, "[OK]"},
		{"expired", "SET k 1 PX 10", "PING", time.Second, "(nil)"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			c, other := r.main, r.connect()
			if tc.before != "" {
				c.do(tc.before)
			}
			c.want("OK", "WATCH k k")
			c.do("MULTI")
			c.do("SET done 1")
			other.do(tc.change)
			r.clock.Advance(tc.lapse)
			c.want(tc.reply, "EXEC")
			other.do("SET k 2") // the watch is over
			c.do("MULTI")
			c.do("SET done 2")
			c.want("[OK]", "EXEC")
		})
	}
}

// TestWatchExpired watches a key that is there but past its time: it is missing from the first, and its removal is
// no change, but its return is one.
func TestWatchExpired(t *testing.T) {
	for change, reply := range map[string]string{"GET k": "[PONG]", "DEL k": "[PONG]", "SET k 2": "(nil)"} {
		r := newRig(t)
		c, before, other := r.main, r.connect(), r.connect()
		c.do("SET k 1 PX 10")
		before.do("WATCH k")
		r.clock.Advance(time.Second)
		c.do("WATCH k")
		c.do("MULTI")
		c.do("PING")
		other.do(change)
		c.want(reply, "EXEC")
		before.do("MULTI")
		before.do("PING")
		before.want("(nil)", "EXEC")
	}
}

func TestUnwatchAndDiscard(t *testing.T) {
	for _, end := range []string{"UNWATCH", "DISCARD", "RESET"} {
		t.Run(end, func(t *testing.T) {
			r := newRig(t)
			c, other := r.main, r.connect()
			c.do("WATCH k")
			if end != "UNWATCH" {
				c.do("MULTI")
			}
			c.do(end)
			other.do("SET k 1")
			c.do("MULTI")
			c.do("PING")
			c.want("[PONG]", "EXEC")
		})
	}
}

// TestMultiOfEverything runs commands that look at all shards inside a
// transaction that holds some of them: none may lock a shard twice.
func TestMultiOfEverything(t *testing.T) {
	for _, line := range []string{
		"INFO everything", "CONFIG RESETSTAT", "DBSIZE", "KEYS *", "SCAN 0", "RANDOMKEY", "MEMORY USAGE a", "DEBUG OBJECT a",
		"FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "UNWATCH", "CLIENT LIST", "PUBSUB CHANNELS", "COMMAND", "CONFIG GET *",
	} {
		c := newRig(t).main
		c.do("WATCH w")
		c.do("MULTI")
		c.do("SET a 1")
		c.want("QUEUED", line)
		c.do("SET b 1")
		if got := c.do("EXEC"); !strings.HasPrefix(got, "[OK ") || !strings.HasSuffix(got, " OK]") {
			t.Errorf("%s in a transaction: %s", line, got)
		}
	}
}
