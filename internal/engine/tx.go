package engine

import (
	"math/bits"
	"unsafe"

	"github.com/larderdb/larder/internal/invariant"
	"github.com/larderdb/larder/internal/mem/table"
)

const allShards = ^uint64(0)

// Tx is one command, or one transaction of several, on the keyspace. It is
// reused: a session keeps one for its whole life.
//
//	tx.Begin(db)
//	tx.LockKey(key)
//	… Find, Edit, Create, Changed …
//	tx.End()
//
// Slices that a Tx returns point into the arena: they are valid until the next
// change of the same shard and never after End.
type Tx struct {
	e    *Engine
	db   int
	held uint64 // shards locked
	now  int64  // Unix milliseconds; 0: the clock was not read yet

	// Reading tells that the running command changes nothing: while the engine is paused, it leaves expired keys.
	Reading bool

	// By is who is not told of its own changes, if it tracks without loop.
	By *Tracker

	// Impatient does not wait for shards that another transaction keeps for long: LockKey and LockMask fail, and a walk
	// of the keyspace ends early. Refused tells.
	Impatient bool
	refused   bool

	fence *Enclosure // instead of the mutexes of the shards held: see Enclose

	// Mute keeps effects from the journal.
	Mute bool

	// NoTouch leaves the access clocks of records alone (CLIENT NO-TOUCH).
	NoTouch bool

	lastKey  unsafe.Pointer // the key hashed last and its hash: a command
	lastLen  int            // looks its key up right after locking it
	lastHash uint64

	entries [4]table.Entry // handed out by Find before any is allocated
	used    int

	commit
}

// NewTx returns a transaction for the exclusive use of its caller.
func (e *Engine) NewTx() *Tx { return &Tx{e: e} }

// Engine is the keyspace the transaction works on.
func (tx *Tx) Engine() *Engine { return tx.e }

// Begin opens the transaction on a database. Nothing is locked yet.
func (tx *Tx) Begin(db int) {
	invariant.Assert(tx.held == 0, "Begin inside a transaction")
	tx.db, tx.now, tx.used, tx.Reading, tx.refused = db, 0, 0, false, false
	tx.lastKey = nil
	tx.commit.reset()
}

// DB is the database that keys are looked up in.
func (tx *Tx) DB() int { return tx.db }

// Use changes the database that the next keys are looked up in.
func (tx *Tx) Use(db int) { tx.db = db }

// Now is the instant of the transaction, Unix time in milliseconds.
func (tx *Tx) Now() int64 {
	if tx.now == 0 {
		tx.now = tx.e.NowMillis()
	}
	return tx.now
}

// LockKey locks the shard of one key. false: the transaction is Impatient, the shard is enclosed and will be for long,
// and nothing is locked.
func (tx *Tx) LockKey(key []byte) bool {
	h := tx.hash(key)
	s := shardOf(h)
	if tx.held&(1<<s) != 0 {
		return true
	}
	invariant.Assert(tx.held == 0, "LockKey while other shards are held")
	if c := tx.e.shards[s].mu.enter(); c != nil && !tx.wait(1<<s, c) {
		return false
	}
	tx.held = 1 << s
	return true
}

// LockMask locks a set of shards, as Mask gives it. What is held already must
// cover the set, or be nothing. false: as LockKey.
func (tx *Tx) LockMask(mask uint64) bool {
	mask &^= tx.held
	if mask == 0 {
		return true
	}
	invariant.Assert(tx.held == 0, "LockMask while other shards are held")
	if c := tx.e.enterAll(mask); c != nil && !tx.wait(mask, c) {
		return false
	}
	tx.held |= mask
	return true
}

// tryLock locks a shard, unless that is enclosed. None is locked.
func (tx *Tx) tryLock(i int) bool {
	if tx.e.shards[i].mu.enter() != nil {
		return false
	}
	tx.held = 1 << i
	return true
}

// LockAll locks the whole keyspace.
func (tx *Tx) LockAll() bool { return tx.LockMask(allShards) }

// Mask is the set with the shard of one key.
func (tx *Tx) Mask(key []byte) uint64 { return 1 << shardOf(tx.hash(key)) }

// Holds tells whether the transaction has locked all shards of a set.
func (tx *Tx) Holds(mask uint64) bool { return tx.held&mask == mask }

// Locked tells whether the transaction holds any lock: false for the commands
// that lock shard by shard while they walk the keyspace.
func (tx *Tx) Locked() bool { return tx.held != 0 }

// Full tells whether a shard that the transaction holds is too near the end of
// its address space for a write that may need memory.
func (tx *Tx) Full() bool { return tx.FullAmong(^uint64(0)) }

// FullAmong is Full for those shards of the set that the transaction holds.
func (tx *Tx) FullAmong(set uint64) bool {
	for m := tx.held & set; m != 0; m &= m - 1 {
		if tx.e.shards[bits.TrailingZeros64(m)].arena.Room() < tx.e.reserve {
			return true
		}
	}
	return false
}

// End tells the listeners what changed and unlocks.
func (tx *Tx) End() {
	if tx.fence != nil {
		tx.open()
	}
	if tx.pending() || len(tx.ready) != 0 {
		tx.publishAll()
	}
	held := tx.held
	tx.held = 0
	if held&(held-1) == 0 && held != 0 { // one shard: the common case
		s := &tx.e.shards[bits.TrailingZeros64(held)]
		tx.e.settle(s)
		s.mu.Unlock()
		return
	}
	tx.e.unlock(held)
}

// Refused tells whether an impatient transaction has not got a shard that it wanted: what it has found is not all.
func (tx *Tx) Refused() bool { return tx.refused }

// Step ends one command inside a longer transaction: entries handed out before
// are dead, what was changed and the locks stay.
func (tx *Tx) Step() { tx.used, tx.lastKey = 0, nil }

// hash remembers the last key, because a command locks by it and then finds it.
func (tx *Tx) hash(key []byte) uint64 {
	p := unsafe.Pointer(unsafe.SliceData(key))
	if p == tx.lastKey && len(key) == tx.lastLen && p != nil {
		return tx.lastHash
	}
	h := tx.e.Hash(key)
	tx.lastKey, tx.lastLen, tx.lastHash = p, len(key), h
	return h
}

func (tx *Tx) entry() *table.Entry {
	if tx.used < len(tx.entries) {
		tx.used++
		return &tx.entries[tx.used-1]
	}
	return new(table.Entry)
}

func (tx *Tx) shard(h uint64) *shard {
	invariant.Assert(tx.held&(1<<shardOf(h)) != 0, "key of a shard that is not locked")
	return &tx.e.shards[shardOf(h)]
}

// eachShard runs fn on every shard, locking those that are not held one after
// the other: a walk of the whole keyspace that stops nobody for long. It ends where fn is false, and where the
// transaction is refused a shard.
func (tx *Tx) eachShard(fn func(i int, s *shard) bool) {
	for i := range tx.e.shards {
		if !tx.inShard(i, fn) {
			return
		}
	}
}

func (tx *Tx) inShard(i int, fn func(i int, s *shard) bool) bool {
	s := &tx.e.shards[i]
	if tx.held&(1<<i) != 0 {
		return fn(i, s)
	}
	invariant.Assert(tx.held == 0, "walk while some shards are held: others may be locked in the wrong order")
	if tx.refused || !tx.LockMask(1<<i) {
		return false
	}
	defer func() {
		tx.publishAll()
		tx.held &^= 1 << i
		tx.e.settle(s)
		s.mu.Unlock()
	}()
	return fn(i, s)
}
