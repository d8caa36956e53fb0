package engine

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
)

// Shards is the number of parts the keyspace is cut in. Sixty-four cost least
// memory at 100,000 keys of all the numbers tried, leave two goroutines next to
// no contention, and let a set of shards be one machine word.
const Shards = 64

// DefaultDatabases is what Redis calls `databases` unless told otherwise.
const DefaultDatabases = 16

// Options configure an Engine. The zero value is usable.
type Options struct {
	Clock     clock.Clock // nil: the system's
	Databases int         // 0: DefaultDatabases
	Seed      uint64      // of the key hash and of random choices; 0: random
	Limits    *Limits     // nil: DefaultLimits

	// Reserve is what of a shard's 16 GiB of addresses must be left for a write to
	// begin, in bytes: no single command may need more. 0: DefaultReserve.
	Reserve int64
}

// DefaultReserve is more than twice what one request may bring.
const DefaultReserve = 3 << 30

// Engine is the keyspace. All methods are safe for concurrent use, except those
// of a Tx, which belongs to one goroutine at a time.
type Engine struct {
	// Immutable after New.
	clock     clock.Clock
	databases int
	seed      uint64
	fixed     int64 // bytes that the engine takes without any key
	reserve   int64 // see Options
	Hub       Hub

	// Changed atomically.
	journal    atomic.Pointer[journalBox]
	limits     atomic.Pointer[Limits]
	seconds    atomic.Uint32 // coarse Unix time that accesses are stamped with; see access.go
	dirty      atomic.Int64  // changes since the start
	used       atomic.Int64  // bytes in live cells, all shards, within usedSlack each
	tight      atomic.Bool   // used is exact: maxmemory is near
	expireStop atomic.Bool   // DEBUG SET-ACTIVE-EXPIRE 0
	paused     atomic.Bool   // see SetPaused
	random     atomic.Uint64
	observers  atomic.Int32  // how many want to hear of changes: journal, watches, waiters
	graves     atomic.Int64  // structures of deleted records that still hold memory
	freed      atomic.Int64  // such structures that hold none any more
	expireTime atomic.Int64  // nanoseconds spent on active expiry
	expireCaps atomic.Int64  // see ExpireCaps
	stale      atomic.Uint64 // see Stale: the bits of a float64
	fieldTTLs  atomic.Bool   // some field of some hash ever got an expiry
	overhead   atomic.Int64  // bytes outside the arenas that maxmemory counts

	waiting atomic.Int64 // waiters, once for each of their keys

	naming  atomic.Pointer[names] // how keys fall into namespaces; nil: there are none
	renamed atomic.Pointer[names] // by which all shards count

	evict    evictor
	queues   queues
	tracking tracking

	shards [Shards]shard
}

// shard is one part of the keyspace. Everything in it is guarded by mu.
type shard struct {
	mu       gate
	arena    *arena.Arena
	dbs      []table.Table
	watchers map[watchKey][]*Watch
	waiters  map[watchKey][]*Waiter // in the order they came
	wide     uint64                 // shards that they need, and perhaps a few more
	graves   []grave
	tracked  *tracked // what clients keep copies of; nil: nothing yet
	stats    ShardStats
	books    books
	recall   recall // of the policies that queue
	reported int64  // arena bytes already added to Engine.used
	expireAt []uint64
	fields   fieldIndex // of hashes in which fields expire
	sweep    sweep      // where compaction goes on
	_        [64]byte
}

// ShardStats are counters a shard keeps under its own lock.
type ShardStats struct {
	Hits, Misses int64
	Expired      int64 // keys removed because their time had come
	Evicted      int64 // keys removed to make room

	ExpiredFields int64 // fields of hashes removed because their time had come
}

// New returns an empty keyspace. Its memory is mapped as it is needed.
func New(o Options) *Engine {
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Databases <= 0 {
		o.Databases = DefaultDatabases
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64() | 1
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits()
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	e := &Engine{clock: o.Clock, databases: o.Databases, seed: o.Seed}
	e.limits.Store(o.Limits)
	e.fixed, e.reserve = fixedBytes(o.Databases), o.Reserve
	e.SetOverhead(0)
	e.random.Store(o.Seed)
	e.Hub.init()
	e.queues.init()
	for i := range e.shards {
		s := &e.shards[i]
		s.arena = arena.New()
		s.books.arena = s.arena
		s.dbs = make([]table.Table, o.Databases)
		s.expireAt = make([]uint64, o.Databases)
		e.newTables(i)
	}
	e.tickLRU()
	return e
}

func (e *Engine) tableOptions(shard int) table.Options {
	return table.Options{Keyspace: true, Seed: e.seed, Stagger: shard}
}

// Limits are the thresholds in force. They are shared: read only.
func (e *Engine) Limits() *Limits { return e.limits.Load() }

// SetLimits replaces the thresholds. Later commands see them; nothing that is
// stored is converted. The engine keeps l: it must not change any more.
func (e *Engine) SetLimits(l *Limits) {
	old := e.limits.Swap(l)
	switch was, is := notifying(old.Notify), notifying(l.Notify); {
	case is && !was:
		e.observers.Add(1)
	case was && !is:
		e.observers.Add(-1)
	}
}

// Dirty is the number of changes since the start.
func (e *Engine) Dirty() int64 { return e.dirty.Load() }

// Databases is the number of databases.
func (e *Engine) Databases() int { return e.databases }

// Clock is the engine's source of time.
func (e *Engine) Clock() clock.Clock { return e.clock }

// Seed is the seed of the key hash.
func (e *Engine) Seed() uint64 { return e.seed }

// Hash is the hash that places a key: its low six bits are the shard.
func (e *Engine) Hash(key []byte) uint64 { return table.Hash(e.seed, key) }

func shardOf(h uint64) int { return int(h & (Shards - 1)) }

// shardFor is the shard of a key.
func (e *Engine) shardFor(key []byte) *shard { return &e.shards[shardOf(e.Hash(key))] }

// Random returns 64 pseudo-random bits: splitmix64 over a shared counter, so
// that a seed makes a run repeatable.
func (e *Engine) Random() uint64 {
	z := e.random.Add(0x9e3779b97f4a7c15)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// NowMillis reads the clock: Unix time in milliseconds.
func (e *Engine) NowMillis() int64 { return e.clock.Now().UnixMilli() }

// lock takes the mutexes of a set of shards in ascending order, which is what
// keeps any two lockers from waiting for each other.
func (e *Engine) lock(mask uint64) {
	for c := e.enterAll(mask); c != nil; c = e.enterAll(mask) {
		<-c.done
	}
}

func (e *Engine) unlock(mask uint64) {
	for m := mask; m != 0; m &= m - 1 {
		s := &e.shards[bits.TrailingZeros64(m)]
		e.settle(s)
		s.mu.Unlock()
	}
}

// usedSlack is how far a shard's bytes may run ahead of the shared counter:
// writing a shared cache line for each small change would cost more than the
// change. Near maxmemory the counter is kept to the byte instead: see OverLimit.
const usedSlack = 4 << 10 // bytes

// settle brings the shared byte counter up to date. The shard is locked.
func (e *Engine) settle(s *shard) {
	if s.books.window != 0 {
		s.books.open(0)
	}
	live := s.arena.Live()
	if d := live - s.reported; d > usedSlack || d < -usedSlack || d != 0 && e.tight.Load() {
		s.reported = live
		e.used.Add(d)
	}
}

// settleAll brings it up to date for all shards, but for those that are enclosed: they are when they are free again.
func (e *Engine) settleAll() {
	for i := range e.shards {
		if s := &e.shards[i]; s.mu.enter() == nil {
			e.settle(s)
			s.mu.Unlock()
		}
	}
}

// Used is the number of bytes in live cells of all shards. Cost: 64 locks.
func (e *Engine) Used() int64 {
	var n int64
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		n += s.arena.Live()
		s.mu.Unlock()
	}
	return n
}

// UsedAbout is Used within 64 x 4 KiB, for the price of one atomic load.
func (e *Engine) UsedAbout() int64 { return e.used.Load() }

// MemoryStats are the arenas' figures in bytes, summed. Live is Keys, Tables, and values with the heads of records.
type MemoryStats struct {
	Live     int64 // in cells
	Used     int64 // in slabs that hold them
	Resident int64 // written since the system gave them
	Mapped   int64 // of addresses

	Keys   int64 // the names of keys
	Tables int64 // the segments and directories of databases, and the indexes of fields that expire
}

func (m *MemoryStats) add(s arena.Stats, b *books) {
	m.Live += s.Live
	m.Used += s.Slabs
	m.Resident += s.Resident
	m.Mapped += s.Mapped
	m.Keys += b.names
	m.Tables += b.tables
}

// Memory sums the arenas' figures.
func (e *Engine) Memory() MemoryStats { return e.NewTx().Memories() }

// Stats sums the shards' counters.
func (e *Engine) Stats() ShardStats { return e.NewTx().Stats() }

// Close gives the memory back. No Tx may be open or opened later.
func (e *Engine) Close() {
	e.lock(allShards)
	defer e.unlock(allShards)
	e.forgetAll()
	for i := range e.shards {
		e.resetShard(i)
	}
}

// resetShard empties a shard at a cost of O(chunks). The shard is locked.
func (e *Engine) resetShard(i int) {
	s := &e.shards[i]
	s.arena.Reset()
	e.graves.Add(-int64(len(s.graves)))
	s.graves, s.sweep, s.fields = nil, sweep{}, fieldIndex{}
	s.books.emptied()
	e.forgetYoung(i)
	e.newTables(i)
}

func (e *Engine) newTables(shard int) {
	s := &e.shards[shard]
	for d := range s.dbs {
		s.dbs[d] = table.New(s.arena, e.tableOptions(shard))
		s.dbs[d].Books = &s.books
	}
}

// tickLRU brings the coarse clock that records are stamped with up to date.
func (e *Engine) tickLRU() {
	e.seconds.Store(uint32(e.clock.Now().Unix()))
}

// Tick does the periodic work of at most the given time: expired keys are removed, keys evicted where no
// command comes that would do it, what trackers remember kept in bounds, freed
// structures given back piece by piece, sparse slabs emptied. It is called some
// ten times a second by the owner of the engine.
func (e *Engine) Tick(budget time.Duration) {
	e.tickLRU()
	deadline := e.clock.Now().Add(budget)
	if !e.expireStop.Load() && !e.paused.Load() {
		start := e.clock.Monotonic()
		e.expireCycle(deadline)
		e.expireFieldsCycle(deadline)
		e.expireTime.Add(int64(e.clock.Monotonic() - start))
	}
	e.makeRoom(func() bool { return e.clock.Now().Before(deadline) }) // maxmemory may be lower than it was
	e.tickQueues()
	e.bury(deadline)
	e.renameCycle(deadline)
	e.TrimTracking(trimTick)
	e.compactCycle(deadline)
}
