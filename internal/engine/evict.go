package engine

import (
	"sync"
	"unsafe"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/mem/table"
)

// Eviction is sampled, as in Redis: a few records of a random shard are looked
// at, the coldest met so far are kept in a small pool across rounds, and the
// coldest of the pool goes. With five samples and a pool of sixteen that comes
// close to true LRU without a list through all records.
//
// The bound is on bytes in live cells, which the arenas count exactly, so a key
// that goes makes room at once, whatever its neighbours in the slab do.
const poolSize = 16

// evictor is guarded by its mutex: one goroutine evicts, others that need
// room wait for it.
type evictor struct {
	mu   sync.Mutex
	tx   *Tx
	pool []candidate // ascending by coldness
	plan plan        // of the policies that queue
}

type candidate struct {
	coldness int64
	shard    int
	db       int
	key      []byte
}

// fixedBytes is what an engine takes before it holds any key.
func fixedBytes(databases int) int64 {
	return int64(unsafe.Sizeof(Engine{})) + Shards*int64(databases)*int64(unsafe.Sizeof(table.Table{})+unsafe.Sizeof(uint64(0)))
}

// SetOverhead tells the bytes outside the engine that maxmemory is to count:
// connections' buffers, scripts.
func (e *Engine) SetOverhead(n int64) { e.overhead.Store(e.fixed + n + e.tracking.bytes.Load()) }

// Overhead is the bytes outside the arenas that maxmemory counts: what
// SetOverhead was told, what the engine itself takes, and what the policy remembers.
func (e *Engine) Overhead() int64 { return e.overhead.Load() + e.queues.bytes.Load() }

// OverLimit tells, to the byte, whether more memory is used than maxmemory
// allows. It is one atomic load where the bound is far, two where it is near: then
// every shard reports each change at once, which costs writers an atomic addition.
func (e *Engine) OverLimit() bool {
	bound := e.Limits().MaxMemory
	if bound == 0 {
		return false
	}
	const slack = Shards * usedSlack
	about := e.used.Load() + e.Overhead()
	switch tight := e.tight.Load(); {
	case about+2*slack < bound: // far: twice, so that hovering at the edge does not settle again and again
		if tight {
			e.tight.Store(false)
		}
		return false
	case !tight && about+slack < bound:
		return false
	case !tight:
		e.tight.Store(true)
		e.settleAll()
		about = e.used.Load() + e.Overhead()
	}
	return about > bound
}

// MakeRoom evicts until memory is within maxmemory. It reports false where it
// cannot: the policy is noeviction, or nothing may go. No shard may be locked by the caller.
func (e *Engine) MakeRoom() bool {
	return e.makeRoom(func() bool { return true })
}

// makeRoom is MakeRoom, for as long as more says.
func (e *Engine) makeRoom(more func() bool) bool {
	if e.paused.Load() || !e.OverLimit() {
		return true
	}
	if e.Limits().Policy == config.NoEviction {
		return false
	}
	e.evict.mu.Lock()
	defer e.evict.mu.Unlock()
	if e.evict.tx == nil {
		e.evict.tx = e.NewTx()
	}
	for e.OverLimit() && more() {
		if !e.buryStep() && !e.evictOne() {
			return false
		}
	}
	return true
}

// evictOne removes the coldest record of the pool, after adding to the pool.
func (e *Engine) evictOne() bool {
	l := e.Limits()
	if l.Policy.Queued() {
		return e.evictQueued(l)
	}
	if l.Policy.Random() {
		return e.evictRandom(l)
	}
	for range Shards {
		e.sample(int(e.Random()%Shards), l)
		if e.evictPooled(l) {
			return true
		}
	}
	return e.anyShard(func(i int) bool { e.sample(i, l); return e.evictPooled(l) })
}

// evictPooled removes the coldest record of the pool that is still there.
func (e *Engine) evictPooled(l *Limits) bool {
	for len(e.evict.pool) > 0 {
		last := len(e.evict.pool) - 1
		c := e.evict.pool[last]
		e.evict.pool = e.evict.pool[:last]
		if e.remove(&c, l) {
			return true
		}
	}
	return false
}

// evictRandom removes a record of a random shard, from any database that has
// one there with the same chance.
func (e *Engine) evictRandom(l *Limits) bool {
	return e.anyShard(func(i int) bool {
		var c candidate
		met := uint64(0)
		e.visit(i, 1, l, func(db int, r *table.Entry) {
			if met++; e.Random()%met == 0 {
				c = candidate{shard: i, db: db, key: append([]byte(nil), r.Key()...)}
			}
		})
		return met > 0 && e.remove(&c, l)
	})
}

// anyShard tries the shards once round from a random one until fn succeeds.
func (e *Engine) anyShard(fn func(i int) bool) bool {
	start := int(e.Random() % Shards)
	for i := range Shards {
		if fn((start + i) % Shards) {
			return true
		}
	}
	return false
}

// sample offers some records of a shard to the pool.
func (e *Engine) sample(i int, l *Limits) {
	e.visit(i, l.Samples, l, func(db int, r *table.Entry) {
		e.offer(e.coldness(r, l), i, db, r.Key())
	})
}

// visit shows some records of a shard that the policy may evict: none while it is enclosed, as who makes room holds up
// everybody else who needs some, those that could end the script among them.
func (e *Engine) visit(i, n int, l *Limits, fn func(db int, r *table.Entry)) {
	s := &e.shards[i]
	if s.mu.enter() != nil {
		return
	}
	defer s.mu.Unlock()
	for db := range s.dbs {
		t := &s.dbs[db]
		if !l.Policy.Volatile() {
			t.Sample(e.Random(), n, func(r *table.Entry) { fn(db, r) })
		} else if t.Expiring() > 0 {
			t.SampleExpiring(e.Random(), n, func(r *table.Entry) { fn(db, r) })
		}
	}
}

// offer puts a record in the pool if it is colder than the warmest there or the
// pool has a place.
func (e *Engine) offer(coldness int64, shard, db int, key []byte) {
	p := e.evict.pool
	for i := range p {
		if p[i].db == db && string(p[i].key) == string(key) {
			return
		}
	}
	if len(p) == poolSize {
		if coldness <= p[0].coldness {
			return
		}
		copy(p, p[1:])
		p = p[:poolSize-1]
	}
	at := len(p)
	for at > 0 && p[at-1].coldness > coldness {
		at--
	}
	p = append(p, candidate{})
	copy(p[at+1:], p[at:])
	p[at] = candidate{coldness, shard, db, append([]byte(nil), key...)}
	e.evict.pool = p
}

// remove evicts a candidate that is still there, in a shard that is not enclosed, and still may go.
func (e *Engine) remove(c *candidate, l *Limits) bool {
	tx := e.evict.tx
	tx.Begin(c.db)
	if !tx.tryLock(c.shard) {
		return false
	}
	defer tx.End()
	r := tx.Lookup(c.key, NoStats|NoTouch)
	if r == nil || l.Policy.Volatile() && !r.Flag(table.FlagExpiry) {
		return false
	}
	e.evictKey(tx, c.shard, r, c.key)
	return true
}

// evictKey removes, for want of memory, a record that the transaction has found in a shard that it holds.
func (e *Engine) evictKey(tx *Tx, shard int, r *table.Entry, key []byte) {
	tx.release(r)
	r.Delete()
	e.shards[shard].stats.Evicted++
	e.shards[shard].books.evicted(key, tx.hash(key))
	tx.vanish(key, EventEvicted)
}
