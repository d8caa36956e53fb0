package command_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/resp"
)

const busy = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."

// slowly starts a command that does not end on its own, and returns when it has left the connection's loop.
func (r *rig) slowly(l *link, words ...string) {
	r.t.Helper()
	r.t.Cleanup(r.StopScripts) // or a test that fails would never end
	left := make(chan struct{})
	for r.clock.Waiters() > 0 { // a script that was slow before has replied: its timer goes next
		runtime.Gosched()
	}
	go func() {
		defer close(left)
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		l.w.Truncate(0)
		l.s.Exec(args, l.w)
		l.s.EndBatch()
	}()
	r.clock.BlockUntilWaiters(1) // the script has set its timer
	r.clock.Advance(5 * time.Millisecond)
	<-left
}

// late waits for the reply of a command that has left the loop.
func (l *link) late() string {
	l.t.Helper()
	for {
		l.mu.Lock()
		b := append([]byte(nil), l.inbox.Bytes()...)
		if len(b) > 0 {
			l.inbox.Reset(0)
		}
		l.mu.Unlock()
		if len(b) > 0 {
			v, _, err := resp.Decode(b)
			if err != nil {
				l.t.Fatal(err)
			}
			return show(v)
		}
		runtime.Gosched()
	}
}

const killed = "ERR Script killed by user with SCRIPT KILL..."

func TestSlowScript(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	b.want("NOTBUSY No scripts in execution right now.", "SCRIPT KILL")
	r.slowly(a, "EVAL", "redis.call('get', 'k') while true do pcall(function() while true do end end) end", "0")
	r.clock.Advance(5 * time.Second)
	b.want(busy, "PING")
	b.want(busy, "GET k")
	b.want("OK", "MULTI")
	b.want(busy, "GET k")
	b.want("EXECABORT Transaction discarded because of: "+strings.TrimPrefix(busy, "ERR "), "EXEC")
	b.want(busy, "FUNCTION KILL")
	b.want(busy, "FUNCTION STATS")
	b.want("OK", "SCRIPT KILL")
	if got := a.late(); !strings.HasPrefix(got, killed+" script: ") {
		t.Fatalf("the script answers %q", got)
	}
	b.want("PONG", "PING")
	b.want("(nil)", "GET k")
	a.want("PONG", "PING")
}

// TestSlowWriter: who has written cannot be killed, but for the end of everything.
func TestSlowWriter(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	listener := r.dial(3)
	listener.want("[subscribe c (1)]", "SUBSCRIBE c")
	r.slowly(a, "EVAL", "redis.call('set', 'k', 'v') redis.call('publish', 'c', 'written') while true do end", "0")
	if got := listener.late(); got != "[message c written]" {
		t.Fatal(got)
	}
	r.clock.Advance(5 * time.Second)
	if got := b.do("SCRIPT KILL"); !strings.HasPrefix(got, "UNKILLABLE ") {
		t.Errorf("SCRIPT KILL: %q", got)
	}
	b.want(busy, "PING")
	r.StopScripts()
	if got := a.late(); !strings.HasPrefix(got, "ERR the server is shutting down") {
		t.Errorf("the script answers %q", got)
	}
	b.want("v", "GET k")
}

// TestSlowTransaction: EXEC leaves its loop with the script that it runs, and its reply comes as a whole.
func TestSlowTransaction(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	a.want("OK", "MULTI")
	a.want("QUEUED", "SET k 1")
	a.want("QUEUED", "EVAL", "while redis.call('exists', 'stop') == 0 do end return 'never'", "0")
	a.want("QUEUED", "INCR k")
	r.slowly(a, "EXEC")
	r.clock.Advance(5 * time.Second)
	b.want(busy, "GET k")
	b.want("OK", "SCRIPT KILL")
	if got := a.late(); !strings.HasPrefix(got, "[OK "+killed) || !strings.HasSuffix(got, " (2)]") {
		t.Errorf("EXEC answers %q", got)
	}
	b.want("2", "GET k")
}

// TestSlowKeyLocking: a script that touches declared keys only is in the way of nobody else.
func TestSlowKeyLocking(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	r.slowly(a, "EVAL", "#!lua flags=allow-key-locking,no-writes\nredis.call('get', KEYS[1]) while true do end", "1", "k")
	r.clock.Advance(5 * time.Second)
	b.want("PONG", "PING")
	b.want("OK", "SET other v")
	b.want(busy, "GET k")
	b.want(busy, "MGET", "other", "k")
	b.want("OK", "WATCH", "other")
	b.want("OK", "MULTI")
	b.want("QUEUED", "GET k")
	b.want("EXECABORT Transaction discarded because of: "+busy, "EXEC")
	b.want("OK", "SCRIPT KILL")
	a.late()
	b.want("(nil)", "GET k")
	b.want("ERR Script attempted to access a key of a shard that none of its declared keys is in script: "+
		"c0e88d9471a8456457d4ab14603aa1368a5f0afa, on @user_script:2.",
		"EVAL", "#!lua flags=allow-key-locking\nreturn redis.call('get', 'other')", "1", "k")
}

// TestSlowScriptOutlivesItsConnection: the script goes on when its client has gone, and the session ends after it.
func TestSlowScriptOutlivesItsConnection(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	r.slowly(a, "EVAL", "local n = 0 while n < 1e5 do n = n + 1 end redis.call('set', 'k', n) while true do end", "0")
	a.s.Close()
	r.clock.Advance(5 * time.Second)
	r.StopScripts()
	for b.do("PING") != "PONG" {
		runtime.Gosched()
	}
}

// TestSlowFunction: the same for functions, with what FUNCTION STATS tells.
func TestSlowFunction(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(1), r.dial(2)
	b.want("lib", "FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('spin', function() while true do end end)")
	r.slowly(a, "FCALL", "spin", "0")
	r.clock.Advance(5 * time.Second)
	const busyFunction = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	b.want(busyFunction, "PING")
	b.want(busyFunction, "SCRIPT KILL")
	b.want("[running_script [name spin command [FCALL spin 0] duration_ms (5005)] engines [LUA [libraries_count (1) functions_count (1)]]]",
		"FUNCTION STATS")
	b.want("OK", "FUNCTION KILL")
	if got := a.late(); got != killed+" script: spin, on @user_function:2." {
		t.Errorf("the function answers %q", got)
	}
}
