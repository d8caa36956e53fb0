package script

import (
	"crypto/rand"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Options configure a Runtime.
type Options struct {
	Clock  func() time.Duration // what os.clock tells; must never go back
	Random func() uint64        // seeds math.random of a run that does not seed it itself

	Version, ValkeyVersion       string // redis.REDIS_VERSION, redis.VALKEY_VERSION
	VersionNum, ValkeyVersionNum int    // 0x00MMmmpp
	ServerName                   string
}

// Runtime compiles and runs scripts. Its methods are safe for concurrent use; scripts run side by side, each in an
// interpreter of its own.
type Runtime struct {
	o      Options
	marker string         // stands for concat until a chunk is linked; no script can write it
	concat *lua.LFunction // the operator ".."

	mu   sync.Mutex
	idle []*state
}

// maxIdle is how many interpreters are kept for later scripts: some 50 KiB each.
const maxIdle = 16

// New returns a Runtime without any interpreter yet.
func New(o Options) *Runtime {
	rt := &Runtime{o: o, marker: "\x00" + rand.Text()}
	rt.concat = &lua.LFunction{IsG: true, GFunction: concat}
	return rt
}

// take returns an idle interpreter, or a new one.
func (rt *Runtime) take() *state {
	rt.mu.Lock()
	if n := len(rt.idle); n > 0 {
		st := rt.idle[n-1]
		rt.idle = rt.idle[:n-1]
		rt.mu.Unlock()
		return st
	}
	rt.mu.Unlock()
	return newState(rt)
}

// give keeps an interpreter for the next script, unless it has grown.
func (rt *Runtime) give(st *state) {
	if !st.reset() {
		st.L.Close()
		return
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if len(rt.idle) < maxIdle {
		rt.idle = append(rt.idle, st)
		return
	}
	st.L.Close()
}

// Flush forgets the idle interpreters.
func (rt *Runtime) Flush() {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, st := range rt.idle {
		st.L.Close()
	}
	rt.idle = nil
}

// Idle is the number of interpreters that wait for a script.
func (rt *Runtime) Idle() int {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return len(rt.idle)
}

// StateSize is about what an interpreter takes, in bytes.
const StateSize = 64 << 10

// Eval runs a chunk with KEYS and ARGV as globals. The bytes of keys and args are copied.
func (rt *Runtime) Eval(r *Run, c *Chunk, keys, args [][]byte) Result {
	st := rt.take()
	st.globals.RawSetString("KEYS", stringList(st.L, keys))
	st.globals.RawSetString("ARGV", stringList(st.L, args))
	res := st.run(r, st.function(c))
	rt.give(st)
	return res
}

func stringList(l *lua.LState, list [][]byte) *lua.LTable {
	t := l.CreateTable(len(list), 0)
	for i, b := range list {
		t.RawSetInt(i+1, lua.LString(b))
	}
	return t
}
