package engine

import (
	"math"
	"slices"
	"time"

	"github.com/larderdb/larder/internal/mem/table"
)

// Expiry is lazy and active. Lazy: Find removes what it meets past its time.
// Active: expireCycle walks the records that have a TTL, by the TTL bitmap of
// each bucket, so that records without one cost nothing and there is no second
// dictionary. A walk holds a shard for expireBatch records at a time (some 20
// microseconds). One tick goes once round all shards, a few batches each; where
// a batch found a good part expired it stays for another. Keys whose time
// came are so removed within moments when they are many, and within a sweep
// (a second or so for a million TTLs) when they are few.
const (
	expireBatch  = 128 // records looked at under one lock
	expireRounds = 8   // batches a tick spends on a shard where few are expired
)

// SetActiveExpire turns the active cycle on or off: DEBUG SET-ACTIVE-EXPIRE.
// Lazy expiry stays.
func (e *Engine) SetActiveExpire(on bool) { e.expireStop.Store(!on) }

// SetPaused stops or starts all that removes keys without being asked: the active cycle, eviction, and the removal of
// expired keys by those who only read (which do not find them either way).
func (e *Engine) SetPaused(on bool) { e.paused.Store(on) }

// expireCycle removes expired keys until the deadline at the latest.
func (e *Engine) expireCycle(deadline time.Time) {
	tx := e.NewTx()
	start := int(e.Random() % Shards) // so that a short deadline starves no shard
	var met expiryStats
	defer func() { e.noteStale(met) }()
	for i := range Shards {
		shard := (start + i) % Shards
		for db := range e.databases {
			e.expireShard(tx, shard, db, deadline, &met)
		}
		if !e.clock.Now().Before(deadline) {
			e.expireCaps.Add(1)
			return
		}
	}
}

// expiryStats is how many keys with a TTL the cycle has met, and how many of them were past it.
type expiryStats struct{ looked, removed int }

// staleWeight is what a cycle weighs in the average, as in Redis.
const staleWeight = 0.05

// noteStale brings the average share of keys that were past their time up to date.
func (e *Engine) noteStale(met expiryStats) {
	share := 0.0
	if met.looked > 0 {
		share = float64(met.removed) / float64(met.looked)
	}
	old := math.Float64frombits(e.stale.Load())
	e.stale.Store(math.Float64bits(share*staleWeight + old*(1-staleWeight)))
}

// Stale is the share of keys with a TTL that the cycle finds past it, 0 to 1, on the average of late: about what part
// of them is still to be removed.
func (e *Engine) Stale() float64 { return math.Float64frombits(e.stale.Load()) }

// ExpireCaps is how often the cycle ran out of time before it had been through all shards.
func (e *Engine) ExpireCaps() int64 { return e.expireCaps.Load() }

func (e *Engine) expireShard(tx *Tx, shard, db int, deadline time.Time, met *expiryStats) {
	for round := 0; round < expireRounds; {
		looked, removed, more := e.expireSome(tx, shard, db)
		met.looked, met.removed = met.looked+looked, met.removed+removed
		if !more || !e.clock.Now().Before(deadline) {
			return
		}
		if removed*8 < looked { // stay where an eighth or more was due
			round++
		}
	}
}

// expireSome looks at one batch of a shard; more is false at the end of its walk, and while the shard is enclosed: the
// periodic work waits for no script.
func (e *Engine) expireSome(tx *Tx, i, db int) (looked, removed int, more bool) {
	tx.Begin(db)
	if !tx.tryLock(i) {
		return 0, 0, false
	}
	defer tx.End()
	s := &e.shards[i]
	t := &s.dbs[db]
	if t.Expiring() == 0 {
		s.expireAt[db] = 0
		return 0, 0, false
	}
	now := tx.Now()
	s.expireAt[db] = t.ScanExpiring(s.expireAt[db], expireBatch, func(r *table.Entry) bool {
		looked++
		if now <= r.Expiry() {
			return false
		}
		removed++
		tx.expire(s, r, slices.Clone(r.Key()))
		return true
	})
	return looked, removed, s.expireAt[db] != 0
}
