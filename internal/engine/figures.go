package engine

import "time"

// Figures of all shards, for commands that may run inside a transaction: the
// shards that the transaction holds already are not locked again.

// Freed is the number of deleted structures that were too large to be freed in one step and are freed now.
func (e *Engine) Freed() int64 { return e.freed.Load() }

// ExpireTime is how long active expiry has run.
func (e *Engine) ExpireTime() time.Duration { return time.Duration(e.expireTime.Load()) }

// Startup is the bytes that the engine takes without any key.
func (e *Engine) Startup() int64 { return e.fixed }

// Memories sums the arenas' figures. Cost: 64 locks.
func (tx *Tx) Memories() (sum MemoryStats) {
	tx.eachShard(func(_ int, s *shard) bool {
		sum.add(s.arena.Stats(), &s.books)
		return true
	})
	return sum
}

// TableBytes is about what a database with so many keys takes besides their records.
func TableBytes(keys int) int64 { return int64(keys) * tableShare }

// Watched is the number of keys that clients watch. Cost: 64 locks.
func (tx *Tx) Watched() (n int) {
	tx.eachShard(func(_ int, s *shard) bool {
		n += len(s.watchers)
		return true
	})
	return n
}

// Stats sums the shards' counters. Cost: 64 locks.
func (tx *Tx) Stats() (sum ShardStats) {
	tx.eachShard(func(_ int, s *shard) bool {
		sum.Hits += s.stats.Hits
		sum.Misses += s.stats.Misses
		sum.Expired += s.stats.Expired
		sum.Evicted += s.stats.Evicted
		sum.ExpiredFields += s.stats.ExpiredFields
		return true
	})
	return sum
}

// ResetStats sets the shards' counters to zero: CONFIG RESETSTAT.
func (tx *Tx) ResetStats() {
	tx.eachShard(func(_ int, s *shard) bool {
		s.stats = ShardStats{}
		s.books.resetStats()
		return true
	})
	tx.e.freed.Store(0)
	tx.e.expireCaps.Store(0)
	tx.e.stale.Store(0)
}
