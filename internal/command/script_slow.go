package command

import (
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/engine"
)

// Slow scripts
//
// Most scripts end within microseconds. They run where their command came in, on the goroutine of an event loop, with
// mutexes held. After slowAfter a script has to give both up: it encloses its shards (engine.Tx.Enclose) and moves to a
// goroutine of its own (see aside), so that the loop serves its other connections. Those wait where they need one of the
// shards, as they would for Redis's only thread. After busy-reply-threshold they are turned away instead, with BUSY; and
// if the script has the whole keyspace every command is, as in Redis, but for those that can end it.

// slowAfter is when a script stops being brief.
const slowAfter = 5 * time.Millisecond

// Memory that one script may take: the whole process's heap is watched, as nothing tells whose the memory is.
const (
	maxScriptHeap = 1 << 30
	watchHeap     = 10 * time.Millisecond
)

// slowScripts are the scripts that are not brief.
type slowScripts struct {
	busy atomic.Pointer[slowScript] // one that has everything and is over the threshold

	mu      sync.Mutex
	running []*slowScript // the oldest first
	stopped bool
}

// slowScript is a script that is not brief any more.
type slowScript struct {
	of     *slowScripts
	host   *luaHost
	name   string
	eval   bool
	fence  *engine.Enclosure
	since  time.Duration // on the monotonic clock
	args   [][]byte      // the command that runs it
	timer  clock.Timer   // until it is busy; nil: never
	done   chan struct{}
	hasAll bool
}

const (
	errBusyEval     = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	errBusyFunction = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."

	errNoMemory = "not enough memory"
)

// begin notes that a script is slow. It is called on the script's goroutine.
func (ss *slowScripts) begin(h *luaHost) *slowScript {
	p := h.s.p
	now := p.clock.Monotonic()
	x := &slowScript{of: ss, host: h, name: h.name, eval: h.eval, fence: h.s.tx.Enclose(), since: now - slowAfter, args: h.args,
		done: make(chan struct{}), hasAll: h.s.tx.Holds(^uint64(0))}
	ss.mu.Lock()
	ss.running = append(ss.running, x)
	stopped := ss.stopped
	ss.mu.Unlock()
	if stopped {
		h.run.Stop("the server is shutting down")
	}
	if limit := p.busyAfter(); limit > 0 {
		x.timer = p.clock.AfterFunc(max(limit-slowAfter, 0), x.becomeBusy)
	}
	go x.watchMemory(p.clock.NewTicker(watchHeap))
	return x
}

// becomeBusy makes others turn away.
func (x *slowScript) becomeBusy() {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	if !slices.Contains(x.of.running, x) {
		return // it has just ended
	}
	if x.hasAll {
		x.of.busy.Store(x)
	}
	x.fence.Long()
}

func (x *slowScript) end() {
	if x.timer != nil {
		x.timer.Stop()
	}
	close(x.done)
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	x.of.running = slices.DeleteFunc(x.of.running, func(o *slowScript) bool { return o == x })
	x.of.busy.CompareAndSwap(x, nil)
}

// watchMemory stops the script when the heap grows too much while it runs.
func (x *slowScript) watchMemory(ticker clock.Ticker) {
	defer ticker.Stop()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	for base := heap(); ; {
		select {
		case <-x.done:
			return
		case <-ticker.C():
		}
		now := heap()
		if base = min(base, now); now-base > maxScriptHeap {
			x.host.run.Stop(errNoMemory)
		}
	}
}

// refusal is what the impatient are told.
func (ss *slowScripts) refusal() string {
	if x := ss.oldest(); x != nil && !x.eval {
		return errBusyFunction
	}
	return errBusyEval
}

func (ss *slowScripts) oldest() *slowScript {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.running) == 0 {
		return nil
	}
	return ss.running[0]
}

// kill stops the script that runs for longest, and says why it does not, or nothing.
func (ss *slowScripts) kill(eval bool) string {
	x := ss.oldest()
	switch {
	case x == nil:
		return "NOTBUSY No scripts in execution right now."
	case x.host.wrote.Load():
		return "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the " +
			"script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
	case eval && !x.eval:
		return errBusyFunction
	case !eval && x.eval:
		return errBusyEval
	}
	x.host.run.Stop("Script killed by user with SCRIPT KILL...")
	return ""
}

// StopScripts ends all scripts, whatever they have done, now and later: the keyspace is about to go.
func (p *Processor) StopScripts() {
	p.coroutines.close()
	ss := &p.scripts.slow
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.stopped = true
	for _, x := range ss.running {
		x.host.run.Stop("the server is shutting down")
	}
}
