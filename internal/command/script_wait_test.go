package command_test

import (
	"strings"
	"testing"
	"time"
)

// spin keeps the shard of its key for ever.
const spin = "#!lua flags=allow-key-locking,no-writes\nredis.call('get', KEYS[1]) while true do end"

// TestSlowScriptHoldsNobodyUp: whatever runs on a connection's loop comes back from a shard that a script keeps, or
// the command that ends the script could not come in.
func TestSlowScriptHoldsNobodyUp(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	b.want("OK", "SET other v")
	r.slowly(a, "EVAL", spin, "1", "k")
	b.s.Prefetch([][][]byte{{[]byte("GET"), []byte("k")}, {[]byte("GET"), []byte("other")}})
	r.clock.Advance(5 * time.Second)
	for _, walk := range []string{"DBSIZE", "KEYS *", "SCAN 0", "RANDOMKEY", "INFO keyspace", "CONFIG RESETSTAT"} {
		b.want(busy, walk)
	}
	b.want(busy, "PSYNC ? -1")
	b.want("OK", "MEMORY PURGE")
	b.want("OK", "SCRIPT KILL")
	a.late()
	b.want("(1)", "DBSIZE")
}

// wait begins a command that blocks.
func (l *link) wait(line string) {
	var args [][]byte
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	l.w.Truncate(0)
	l.s.Exec(args, l.w)
	if l.w.Len() != 0 {
		l.t.Fatalf("%s does not wait: %q", line, l.w.Bytes())
	}
}

// TestSlowScriptAndWaiters: a write that would serve a waiter is refused where that needs a script's shard.
func TestSlowScriptAndWaiters(t *testing.T) {
	r := newRig(t)
	a, b, waiter := r.dial(1), r.dial(2), r.dial(3)
	waiter.wait("BLMOVE from to LEFT RIGHT 0")
	r.slowly(a, "EVAL", spin, "1", "to")
	r.clock.Advance(5 * time.Second)
	b.want(busy, "RPUSH from x")
	b.want("OK", "MULTI")
	b.want("QUEUED", "RPUSH from x")
	b.want("EXECABORT Transaction discarded because of: "+busy, "EXEC")
	b.want("OK", "SCRIPT KILL")
	a.late()
	b.want("(1)", "RPUSH from x")
	b.want("[x]", "LRANGE to 0 -1")
}

// TestSlowScriptAndEviction: making room passes over what a script keeps, and SCRIPT KILL needs no room.
func TestSlowScriptAndEviction(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-random", "volatile-ttl"} {
		r := newRig(t, "maxmemory-policy", policy)
		a, b := r.dial(1), r.dial(2)
		for _, key := range []string{"k", "l", "m", "n"} {
			b.want("OK", "SET", key, strings.Repeat("x", 1000), "EX", "1000")
		}
		r.slowly(a, "EVAL", spin, "1", "k")
		r.clock.Advance(5 * time.Second)
		r.bound(3000)
		b.want("OK", "SET", "o", "v", "EX", "1000")
		b.want("OK", "SCRIPT KILL")
		a.late()

		r.bound(1)
		r.slowly(a, "EVAL", "#!lua flags=no-writes\nwhile true do end", "0")
		r.clock.Advance(5 * time.Second)
		b.want(busy, "SET", "o", "v")
		b.want("OK", "SCRIPT KILL")
		a.late()
	}
}
