package engine

import (
	"math/bits"
	"sync"
)

// Gates
//
// A shard's mutex is held for microseconds, so whoever waits for it may stand still. A script can run for ever. Before it
// becomes a nuisance it gives its mutexes up and leaves its shards enclosed instead: still its own, but whoever finds
// them so waits for a channel, holding no other shard meanwhile, and can be told that the wait will be long. That costs
// everybody else one load behind a lock, next to the mutex.

// gate is a mutex that its holder can trade for an enclosure.
type gate struct {
	mu     sync.Mutex
	fenced *Enclosure // guarded by mu
}

// Enclosure is a set of shards whose transaction takes long.
type Enclosure struct {
	done chan struct{} // closed when the shards are free again
	long chan struct{} // closed when the impatient should wait no longer
	once sync.Once
}

// Long tells the impatient, now and later, not to wait.
func (c *Enclosure) Long() { c.once.Do(func() { close(c.long) }) }

// enter locks the gate, or returns who has enclosed it.
func (g *gate) enter() *Enclosure {
	g.mu.Lock()
	if g.fenced == nil {
		return nil
	}
	c := g.fenced
	g.mu.Unlock()
	return c
}

// Lock waits for as long as it takes.
func (g *gate) Lock() {
	for c := g.enter(); c != nil; c = g.enter() {
		<-c.done
	}
}

// Unlock lets the next one in.
func (g *gate) Unlock() { g.mu.Unlock() }

// whenFree runs fn with the shard locked: now, or where that is enclosed on a goroutine of its own, for which nobody
// waits. It reports which.
func (s *shard) whenFree(fn func()) (now bool) {
	if s.mu.enter() == nil {
		defer s.mu.Unlock()
		fn()
		return true
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		fn()
	}()
	return false
}

// enterAll locks the gates of a set of shards in ascending order, or none, and then returns who has enclosed one.
func (e *Engine) enterAll(mask uint64) *Enclosure {
	for m := mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		if c := e.shards[i].mu.enter(); c != nil {
			for below := mask & (1<<i - 1); below != 0; below &= below - 1 {
				e.shards[bits.TrailingZeros64(below)].mu.Unlock()
			}
			return c
		}
	}
	return nil
}

// wait locks a set of shards, of which one was enclosed. An impatient transaction locks nothing if that takes long.
func (tx *Tx) wait(mask uint64, c *Enclosure) bool {
	for ; c != nil; c = tx.e.enterAll(mask) {
		if !tx.Impatient {
			<-c.done
			continue
		}
		select {
		case <-c.done:
		case <-c.long:
			tx.refused = true
			return false
		}
	}
	return true
}

// Enclose gives up the mutexes of the shards that the transaction holds. It goes on as before; others find the shards
// enclosed until End. Called again it returns the same enclosure.
func (tx *Tx) Enclose() *Enclosure {
	if tx.fence != nil {
		return tx.fence
	}
	tx.fence = &Enclosure{done: make(chan struct{}), long: make(chan struct{})}
	for m := tx.held; m != 0; m &= m - 1 {
		g := &tx.e.shards[bits.TrailingZeros64(m)].mu
		g.fenced = tx.fence
		g.Unlock()
	}
	return tx.fence
}

// open takes the mutexes back.
func (tx *Tx) open() {
	for m := tx.held; m != 0; m &= m - 1 {
		g := &tx.e.shards[bits.TrailingZeros64(m)].mu
		g.mu.Lock()
		g.fenced = nil
	}
	close(tx.fence.done)
	tx.fence = nil
}
