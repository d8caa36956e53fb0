package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/store"
)

// verdict says whether a failed attempt may be followed by another.
type verdict uint8

const (
	final     verdict = iota // an answer, or a failure that another attempt would not mend
	unsent                   // certainly not run: any command may be tried again
	ambiguous                // may have run: only what can be repeated
)

// backoff is the pause before the n-th repetition, n counted from 1: min(n * 50 ms, 2 s).
func backoff(n int) time.Duration {
	const step, most = 50 * time.Millisecond, 2 * time.Second
	return min(time.Duration(n)*step, most)
}

// patience is how long a request has been tried. The zero value is that of one which has not failed yet.
type patience struct {
	attempts int
	until    time.Time // no attempt begins later; set at the first failure
}

// left tells whether there is to be another attempt. One server is down or up again soon; where others can take its place
// that takes them a while, which a request waits out for as long as it would wait for an answer.
func (s *Store) left(p *patience) bool {
	p.attempts++
	if s.cfg.Target == store.Single || s.cfg.Retries == 0 {
		return p.attempts <= s.cfg.Retries
	}
	now := time.Now()
	if p.attempts == 1 {
		p.until = now.Add(s.cfg.Timeout)
	}
	return now.Before(p.until)
}

// pause waits before the next attempt. It is false when there is none: patience is at its end, the store is closed,
// or ctx ends first.
func (s *Store) pause(ctx context.Context, p *patience, cause error) bool {
	if !s.left(p) || s.cfg.Target == store.Single && s.gate.shut.Load() {
		s.giveUp(cause)
		return false
	}
	wait := backoff(p.attempts)
	if shut := (*gateShut)(nil); errors.As(cause, &shut) {
		wait = max(wait, shut.wait) // nobody is let through before
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		s.giveUp(cause) // callers with short deadlines, too, should not all try in vain
		return false
	}
	return s.sleep(ctx, wait)
}

// giveUp shuts the gate when a request ends for want of a connection. One unreachable node does not stand for its
// whole cluster.
func (s *Store) giveUp(cause error) {
	if s.cfg.Target != store.Cluster || s.client.Load() == nil {
		s.gate.exhausted(cause)
	}
}

// sleep waits, and is false when ctx ended or the store was closed before.
func (s *Store) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.life.Done():
	}
	return false
}

// refusal judges an error that the server answered.
func (s *Store) refusal(err error) verdict {
	var e store.ServerError
	if !errors.As(err, &e) {
		return final
	}
	switch e.Code() {
	case "LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN":
		return unsent
	case "READONLY": // a failover is under way: the client learns the new primary soon
		if s.cfg.Target != store.Single {
			return unsent
		}
	}
	return final
}

// gate keeps callers from queueing behind a server that cannot be reached. After a request has used up its attempts
// to connect, the gate is shut for a pause that grows with each further failure, as backoff does; then one caller is
// let through as a probe. A success opens it. It costs one atomic load while open.
type gate struct {
	shut atomic.Bool

	mu       sync.Mutex // guards the rest
	failures int        // in a row
	since    time.Time  // the first of them
	until    time.Time  // no probe before
	probing  bool       // a probe is on its way
	cause    error
}

// gateShut is what callers get while the gate is shut.
type gateShut struct {
	cause error
	shut  time.Duration // how long it has been
	wait  time.Duration // until the next probe
}

func (e *gateShut) Error() string   { return fmt.Sprintf("%v (not tried again yet)", e.cause) }
func (e *gateShut) Unwrap() []error { return []error{store.ErrUnavailable, e.cause} }

// pass lets a caller through, or says why not.
func (g *gate) pass() error {
	if !g.shut.Load() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.failures == 0 || now.After(g.until) {
		// This caller is the probe. Should it never come back, the next one goes after the same pause.
		g.probing, g.until = true, now.Add(backoff(g.failures))
		return nil
	}
	return &gateShut{g.cause, now.Sub(g.since), g.until.Sub(now)}
}

// exhausted shuts the gate if cause is a failure to connect.
func (g *gate) exhausted(cause error) {
	if !errors.As(cause, new(*dialFailure)) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures > 0 && !g.probing {
		return // one of many that failed together: counted once
	}
	now := time.Now()
	if g.failures == 0 {
		g.since = now
	}
	g.failures++
	g.probing = false
	g.until, g.cause = now.Add(backoff(g.failures)), cause
	g.shut.Store(true)
}

// answered opens the gate.
func (g *gate) answered() {
	if !g.shut.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures, g.probing, g.cause = 0, false, nil
	g.shut.Store(false)
}
