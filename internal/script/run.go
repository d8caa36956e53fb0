package script

import (
	"errors"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Host is what a running script asks of the server. Its methods are called on the goroutine that runs the script.
type Host interface {
	// Call runs one command and tells its reply to out. If the command was refused before it ran, it tells nothing
	// and returns the error instead: its text, with a code after a '-', or without any. The bytes of args may be kept,
	// and never change; the slice itself is used again.
	Call(args [][]byte, out *Reply) (refusal string)
	// Check tells whether the user may run a command, and whether there is such a command.
	Check(args [][]byte) (allowed, exists bool)
	// Replicate says which effects are to be told of from now on: to the journal, to replicas.
	Replicate(journal, replicas bool)
	// Log writes a line at a level from 0 (debug) to 3 (warning).
	Log(level int, text string)
	// Breathe is called soon after Run.Signal was, between two instructions.
	Breathe()
}

// Run is one run of a script. To the interpreter it is a context.Context.
type Run struct {
	host  Host
	proto int // of the replies that the script gets
	words [][]byte
	reply Reply
	rand  random
	json  *jsonConfig
	load  *loading // while a library is loaded

	depth int // functions of Go that call Lua, inside each other

	signal atomic.Uint32 // what there is to do before the next instruction
	stop   atomic.Pointer[stopped]
}

// stopped is why a run was ended, and the closed channel that tells the interpreter.
type stopped struct {
	why  string
	done chan struct{}
}

// NewRun prepares the run of a script.
func NewRun(h Host) *Run { return &Run{host: h, proto: 2} }

// Reset prepares another run. Nobody may hold on to the last one.
func (r *Run) Reset(h Host) {
	clear(r.words)
	r.host, r.proto, r.load, r.json, r.rand, r.words, r.depth = h, 2, nil, nil, random{}, r.words[:0], 0
	r.signal.Store(0)
	r.stop.Store(nil)
}

// Stop ends the run with an error, as soon as the script executes its next instruction. It cannot catch it. Any
// goroutine may call it.
func (r *Run) Stop(text string) {
	s := &stopped{text, make(chan struct{})}
	close(s.done)
	if r.stop.CompareAndSwap(nil, s) {
		r.signal.Or(signalStopped)
	}
}

// Stopped tells whether Stop was called.
func (r *Run) Stopped() bool { return r.stop.Load() != nil }

// Signal makes the run call Host.Breathe before its next instruction. Any goroutine may call it.
func (r *Run) Signal() { r.signal.Or(signalBreathe) }

// What signal says.
const (
	signalBreathe = 1 << iota
	signalStopped
)

// Done is called before every instruction; a closed channel makes the interpreter raise Err.
func (r *Run) Done() <-chan struct{} {
	if r.signal.Load() == 0 {
		return nil
	}
	return r.attend()
}

func (r *Run) attend() <-chan struct{} {
	if r.signal.And(^uint32(signalBreathe))&signalBreathe != 0 {
		r.host.Breathe()
	}
	if s := r.stop.Load(); s != nil {
		return s.done
	}
	return nil
}

// breathe is for loops of this package, which can run long between two instructions.
func (r *Run) breathe(l *lua.LState) {
	if r.Done() != nil {
		l.RaiseError("%s", r.Err())
	}
}

// maxDepth is how deep functions of Go may call functions of Lua that call such again: each takes a part of the
// goroutine's stack, and a handler of errors runs on top of what has failed. It is Lua's own limit, too.
const maxDepth = 200

// nested makes a function of one that calls functions of Lua.
func nested(fn lua.LGFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		r := runOf(l)
		if r.depth >= maxDepth {
			l.RaiseError("C stack overflow")
		}
		r.depth++
		defer func() { r.depth-- }()
		return fn(l)
	}
}

// Err is why the run was stopped.
func (r *Run) Err() error {
	if s := r.stop.Load(); s != nil {
		return errors.New(s.why)
	}
	return nil
}

// Deadline and Value make a Run a context.Context.
func (r *Run) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context; there are none.
func (r *Run) Value(any) any { return nil }

// runOf is the run that a function is called in.
func runOf(l *lua.LState) *Run { return l.Context().(*Run) }

// random is the generator of 48 bits that C's lrand48 is, so that a seed gives the sequence it gives in Redis.
type random struct {
	x      uint64
	seeded bool
}

func (g *random) seed(n int32) { g.x, g.seeded = uint64(uint32(n))<<16|0x330E, true }

// next is a number from 0 to 2^31-1.
func (g *random) next() int32 {
	g.x = (g.x*0x5DEECE66D + 0xB) & (1<<48 - 1)
	return int32(g.x >> 17)
}
