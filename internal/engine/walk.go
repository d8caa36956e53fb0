package engine

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
)

// A scan cursor of the keyspace is the shard above the table's cursor. It stays
// below 2^50, so that clients which keep it in a double do not lose it.
const shardShift = 44

// Scan visits some keys of the database and returns where to go on; 0 is the end.
// A key that is there from the first call to the last is visited at least
// once, one that comes or goes meanwhile may be, some may be twice. It stops
// soon after count keys. Keys past their time are removed, not visited.
func (tx *Tx) Scan(cursor uint64, count int, fn func(key []byte, r *table.Entry)) uint64 {
	return tx.ScanFor(cursor, count, func([]byte, *table.Entry) bool { return true }, fn)
}

// ScanFor is Scan for the keys that are wanted. The others are left alone, past their time or not.
func (tx *Tx) ScanFor(cursor uint64, count int, wanted func(key []byte, r *table.Entry) bool, fn func(key []byte, r *table.Entry)) uint64 {
	i, at := int(cursor>>shardShift), cursor&(1<<shardShift-1)
	if i >= Shards {
		return 0
	}
	seen := 0
	for steps := 0; i < Shards; steps++ {
		more := tx.inShard(i, func(_ int, s *shard) bool {
			var past [][]byte
			at = s.dbs[tx.db].Scan(at, func(r *table.Entry) {
				seen++
				if !wanted(r.Key(), r) {
					return
				}
				if r.Flag(table.FlagExpiry) && tx.Now() > r.Expiry() || tx.fieldsDue(r) {
					past = append(past, slices.Clone(r.Key()))
					return
				}
				fn(r.Key(), r)
			})
			for _, key := range past {
				if r := tx.Lookup(key, NoStats|NoTouch); r != nil { // a hash that lost some fields
					fn(key, r)
				}
			}
			return at != 0
		})
		if !more {
			i, at = i+1, 0
		}
		if i < Shards && (seen >= count || steps >= 10*count) {
			return uint64(i)<<shardShift | at
		}
	}
	return 0
}

// Keys visits every key of the database, shard by shard. fn may not use the Tx.
func (tx *Tx) Keys(fn func(key []byte, r *table.Entry)) {
	tx.eachShard(func(_ int, s *shard) bool {
		s.dbs[tx.db].Each(func(r *table.Entry) bool {
			if r.Flag(table.FlagExpiry) && tx.Now() > r.Expiry() || tx.fieldsDue(r) && hash.Vanished(r, tx.Now()) {
				return true
			}
			fn(r.Key(), r)
			return true
		})
		return true
	})
}

// RandomKey returns a copy of some key of the database, nil where there is
// none: nearly each key with the same chance. Cost: O(shards).
func (tx *Tx) RandomKey() []byte {
	for range 100 { // the records met may be past their time
		sizes, total := tx.sizes()
		if total == 0 {
			return nil
		}
		pick := int(tx.e.Random() % uint64(total))
		i := 0
		for pick >= sizes[i] {
			pick -= sizes[i]
			i++
		}
		var key []byte
		tx.inShard(i, func(_ int, s *shard) bool {
			var r table.Entry
			if !s.dbs[tx.db].Random(tx.e.Random(), &r) {
				return false
			}
			k := slices.Clone(r.Key())
			if tx.Lookup(k, NoStats|NoTouch) != nil {
				key = k
			}
			return true
		})
		if key != nil {
			return key
		}
	}
	return nil
}

func (tx *Tx) sizes() (sizes [Shards]int, total int) {
	tx.eachShard(func(i int, s *shard) bool {
		sizes[i] = s.dbs[tx.db].Len()
		total += sizes[i]
		return true
	})
	return sizes, total
}

// Flush empties one database, or all with db < 0. The whole keyspace is locked.
// Cost: O(chunks of memory) for all databases, O(keys) for one of several in use.
func (tx *Tx) Flush(db int) (removed int) {
	e := tx.e
	tx.dirty++
	for i := range e.shards {
		s := &e.shards[i]
		others := 0
		for d := range s.dbs {
			if db >= 0 && d != db {
				others += s.dbs[d].Len()
				continue
			}
			removed += s.dbs[d].Len()
			e.touchWatchesOf(s, d, func(key string) bool { return tx.there(d, key) })
		}
		if others == 0 {
			e.resetShard(i)
			continue
		}
		tx.flushTable(s, db)
	}
	e.forgetAll()
	tx.noteDatabase(db, EventFlush)
	return removed
}

func (tx *Tx) flushTable(s *shard, db int) {
	here := tx.db
	tx.db = db
	defer func() { tx.db = here }()
	s.fields.flush(db)
	t := &s.dbs[db]
	t.Each(func(r *table.Entry) bool { tx.release(r); return true })
	t.Free()
}

func (tx *Tx) there(db int, key string) bool {
	var r table.Entry
	h := tx.e.Hash([]byte(key))
	return tx.e.shards[shardOf(h)].dbs[db].Find(h, []byte(key), &r)
}

// lives tells whether a key is there and its time has not come; if it has, the key is removed.
func (tx *Tx) lives(db int, key string) bool {
	here := tx.db
	tx.db = db
	defer func() { tx.db = here }()
	return tx.Lookup([]byte(key), NoStats|NoTouch) != nil
}

// Swap exchanges two databases. The whole keyspace is locked. Cost: O(shards + watched keys).
func (tx *Tx) Swap(a, b int) {
	tx.dirty++
	if a == b {
		return // to those who watch keys nothing has happened
	}
	for i := range tx.e.shards {
		s := &tx.e.shards[i]
		for _, d := range [...]int{a, b} {
			other := a + b - d
			tx.e.touchWatchesOf(s, d, func(key string) bool { return tx.there(d, key) || tx.lives(other, key) })
		}
		s.dbs[a], s.dbs[b] = s.dbs[b], s.dbs[a]
		s.fields.swap(a, b)
	}
	tx.noteDatabase(a, EventSwap)
	tx.noteDatabase(b, EventSwap)
}

// KeyspaceStats are the figures of one database for INFO.
type KeyspaceStats struct {
	Keys, Expiring int
	AverageTTL     int64 // milliseconds, estimated from a sample
}

// Keyspace gives the figures of the transaction's database.
func (tx *Tx) Keyspace() (k KeyspaceStats) {
	var sum, n int64
	tx.eachShard(func(_ int, s *shard) bool {
		t := &s.dbs[tx.db]
		k.Keys += t.Len()
		k.Expiring += t.Expiring()
		if t.Expiring() > 0 {
			t.ScanExpiring(0, 4, func(r *table.Entry) bool {
				if left := r.Expiry() - tx.Now(); left > 0 {
					sum += left
					n++
				}
				return false
			})
		}
		return true
	})
	if n > 0 {
		k.AverageTTL = sum / n
	}
	return k
}
