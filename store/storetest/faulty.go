package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// ErrDown is the cause of the failures that Faulty makes up; they are store.ErrUnavailable too.
var ErrDown = errors.New("down by order of the test")

// Faulty is a Store that misbehaves on order and counts its calls. All its methods are safe for concurrent use.
type Faulty struct {
	store.Store

	mu    sync.Mutex // guards the rest
	mode  mode
	left  int // calls that mode is for; negative means all
	calls int
	freed chan struct{} // closed to let hanging calls go
}

type mode uint8

const (
	healthy    mode = iota
	failing         // the call fails and was not run
	hanging         // the call waits for its ctx or for Heal
	forgetting      // the call was run but its answer is lost
)

// NewFaulty wraps a Store, healthy at first.
func NewFaulty(inner store.Store) *Faulty {
	return &Faulty{Store: inner, freed: make(chan struct{})}
}

// Fail makes the next n calls fail without effect; n < 0 means all until Heal.
func (f *Faulty) Fail(n int) { f.set(failing, n) }

// Hang makes the next n calls wait until their ctx ends or Heal is called.
func (f *Faulty) Hang(n int) { f.set(hanging, n) }

// Forget makes the next n calls take effect and then fail, as when a connection breaks before the answer.
func (f *Faulty) Forget(n int) { f.set(forgetting, n) }

// Heal ends every fault. Calls that hang go on to the inner Store.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = healthy
	close(f.freed)
	f.freed = make(chan struct{})
}

// Calls is the number of calls so far, of any kind. A Pipe is one.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *Faulty) set(m mode, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode, f.left = m, n
}

// enter counts a call and applies what comes before it. run says whether the inner Store is to be called.
func (f *Faulty) enter(ctx context.Context) (run, forget bool, err error) {
	f.mu.Lock()
	f.calls++
	m, freed := f.mode, f.freed
	if m != healthy {
		if f.left == 0 {
			m = healthy
		} else if f.left > 0 {
			f.left--
		}
	}
	f.mu.Unlock()
	switch m {
	case failing:
		return false, false, store.Unavailable(ErrDown)
	case forgetting:
		return true, true, store.Unavailable(ErrDown)
	case hanging:
		select {
		case <-ctx.Done():
			return false, false, store.Unavailable(ctx.Err())
		case <-freed:
		}
	}
	return true, false, nil
}

// around runs call between the faults.
func (f *Faulty) around(ctx context.Context, call func() store.Reply) store.Reply {
	run, forget, err := f.enter(ctx)
	if !run {
		return store.Fail(err)
	}
	r := call()
	if forget {
		return store.Fail(err)
	}
	return r
}

// Do is the inner Store's, with faults.
func (f *Faulty) Do(ctx context.Context, args ...string) store.Reply {
	return f.around(ctx, func() store.Reply { return f.Store.Do(ctx, args...) })
}

// Run is the inner Store's, with faults.
func (f *Faulty) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	return f.around(ctx, func() store.Reply { return f.Store.Run(ctx, s, keys, args...) })
}

// Pipe is the inner Store's, with faults that hit all of its commands.
func (f *Faulty) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	var out []store.Reply
	r := f.around(ctx, func() store.Reply {
		out = f.Store.Pipe(ctx, cmds...)
		return store.Nil()
	})
	if err := r.Err(); err != nil {
		out = make([]store.Reply, len(cmds))
		for i := range out {
			out[i] = store.Fail(err)
		}
	}
	return out
}

// GetBytes is the inner Store's, with faults.
func (f *Faulty) GetBytes(ctx context.Context, key string, dst []byte) (value []byte, found bool, err error) {
	value = dst
	r := f.around(ctx, func() store.Reply {
		value, found, err = store.GetterOf(f.Store).GetBytes(ctx, key, dst)
		return store.Nil()
	})
	if fault := r.Err(); fault != nil {
		return dst, false, fault
	}
	return value, found, err
}

// SetBytes is the inner Store's, with faults.
func (f *Faulty) SetBytes(ctx context.Context, key string, value []byte, ttl time.Duration) (err error) {
	r := f.around(ctx, func() store.Reply {
		err = store.SetterOf(f.Store).SetBytes(ctx, key, value, ttl)
		return store.Nil()
	})
	if fault := r.Err(); fault != nil {
		return fault
	}
	return err
}
