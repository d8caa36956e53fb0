package command

import (
	"iter"
	"sync"
)

// coroutine runs commands, one after the other, that may have to leave their event loop. It is kept for the next: a
// new one begins with a small stack, and growing that under an interpreter takes longer than most scripts.
type coroutine struct {
	next  func() (done, alive bool)
	stop  func()
	yield func(done bool) bool
	s     *Session // what runs now
	c     *Ctx
}

// coroutines are those that nobody uses.
type coroutines struct {
	mu     sync.Mutex
	idle   []*coroutine
	closed bool
}

// maxCoroutines is how many are kept. Only event loops need them, and what is slow has one for itself.
const maxCoroutines = 16

func newCoroutine() *coroutine {
	co := new(coroutine)
	co.next, co.stop = iter.Pull(func(yield func(done bool) bool) {
		co.yield = yield
		for {
			co.s.run(co.c)
			co.s, co.c = nil, nil
			if !yield(true) {
				return
			}
		}
	})
	return co
}

// start runs a command until it is done, or steps aside; resume goes on with it then. They answer whether it is done.
// If the command panics, so do they, and the coroutine is over.
func (co *coroutine) start(s *Session, c *Ctx) (done bool) {
	co.s, co.c = s, c
	return co.resume()
}

func (co *coroutine) resume() (done bool) {
	done, _ = co.next()
	return done
}

// stepAside returns from start or resume, and then from itself with the next resume.
func (co *coroutine) stepAside() { co.yield(false) }

func (cs *coroutines) take() *coroutine {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if n := len(cs.idle); n > 0 {
		co := cs.idle[n-1]
		cs.idle = cs.idle[:n-1]
		return co
	}
	return newCoroutine()
}

// give keeps a coroutine that is done for another command, or ends it.
func (cs *coroutines) give(co *coroutine) {
	cs.mu.Lock()
	keep := !cs.closed && len(cs.idle) < maxCoroutines
	if keep {
		cs.idle = append(cs.idle, co)
	}
	cs.mu.Unlock()
	if !keep {
		co.stop()
	}
}

// close ends those that are idle, and later those that come back.
func (cs *coroutines) close() {
	cs.mu.Lock()
	idle := cs.idle
	cs.idle, cs.closed = nil, true
	cs.mu.Unlock()
	for _, co := range idle {
		co.stop()
	}
}
