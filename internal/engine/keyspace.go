package engine

import (
	"math"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
)

// Lookup bends what Find does beside finding.
type Lookup uint8

const (
	NoTouch Lookup = 1 << iota // leave the access clock alone: TTL, TYPE, OBJECT
	NoStats                    // count neither a hit nor a miss
)

// Find returns the record of a key to read it, or nil where there is none or its
// time has come (then it is removed, as are fields of a hash whose time has come). Counts a hit or a miss and marks the access.
// The shard is locked. Cost: O(1), two cache lines.
func (tx *Tx) Find(key []byte) *table.Entry { return tx.Lookup(key, 0) }

// Lookup is Find with less on the side.
func (tx *Tx) Lookup(key []byte, how Lookup) *table.Entry {
	h := tx.hash(key)
	s := tx.shard(h)
	e := tx.entry()
	ok := s.dbs[tx.db].Find(h, key, e)
	if ok && e.Flag(table.FlagExpiry) && tx.Now() > e.Expiry() {
		if !tx.Reading || !tx.e.paused.Load() {
			tx.expire(s, e, key)
		}
		ok = false
	}
	if ok && e.Flag(hash.FlagTimed) && tx.fieldsDue(e) {
		_, ok = tx.expireFields(s, e, key, math.MaxInt)
	}
	if !ok {
		if how&NoStats == 0 {
			s.stats.Misses++
			s.books.miss(key, h)
			tx.hint(key, EventKeyMiss)
		}
		return nil
	}
	if how&NoStats == 0 {
		s.stats.Hits++
		s.books.hit(key)
	}
	if how&NoTouch == 0 {
		tx.touch(e)
	}
	return e
}

// FindKind is Find for a key that must hold the given type or nothing.
func (tx *Tx) FindKind(key []byte, k Kind) (*table.Entry, error) {
	e := tx.Find(key)
	if e != nil && Kind(e.Kind()) != k {
		return nil, ErrWrongType
	}
	return e, nil
}

// Edit returns the record of a key to change it, or nil. Every changed record
// must be told to Changed or Finish before End.
func (tx *Tx) Edit(key []byte) *table.Entry { return tx.Lookup(key, NoStats) }

// EditKind is Edit for a key that must hold the given type or nothing.
func (tx *Tx) EditKind(key []byte, k Kind) (*table.Entry, error) {
	e := tx.Edit(key)
	if e != nil && Kind(e.Kind()) != k {
		return nil, ErrWrongType
	}
	return e, nil
}

// Create adds a record for a key that has none: n bytes of value, undefined,
// for the caller to fill. expiry is Unix time in milliseconds, 0 for none.
func (tx *Tx) Create(key []byte, k Kind, n int, expiry int64) *table.Entry {
	h := tx.hash(key)
	s := tx.shard(h)
	e := tx.entry()
	s.dbs[tx.db].Insert(h, key, n, expiry, byte(k), e)
	tx.stamp(s, h, e)
	if k != String {
		s.books.Editing(key, e.Ref())
	}
	tx.hint(key, EventNew)
	return e
}

// KeepTTL tells Put to leave the expiry of the key as it is.
const KeepTTL int64 = -1

// Put makes the key a string of n bytes, for the caller to fill, whatever was
// there before. expiry is Unix time in milliseconds, 0 for none, or KeepTTL.
func (tx *Tx) Put(key []byte, n int, expiry int64) *table.Entry {
	e := tx.Edit(key)
	if e == nil {
		return tx.Create(key, String, n, max(expiry, 0))
	}
	tx.release(e)
	if expiry == KeepTTL {
		expiry = e.Expiry()
	}
	e.Replace(byte(String), n, expiry)
	return e
}

// Remove deletes a record found before. It tells the change as an event of the key.
func (tx *Tx) Remove(e *table.Entry, key []byte, ev Event) {
	tx.release(e)
	e.Delete()
	tx.Changed(key, ev)
}

// Delete removes a key; false where there was none. A large structure is
// unlinked at once and its memory given back in steps: O(1) here.
func (tx *Tx) Delete(key []byte) bool {
	e := tx.Lookup(key, NoStats|NoTouch)
	if e == nil {
		return false
	}
	tx.Remove(e, key, EventDel)
	return true
}

// Finish tells a change of a collection and removes the key when nothing is left in it.
func (tx *Tx) Finish(e *table.Entry, key []byte, ev Event) {
	tx.Changed(key, ev)
	if kinds[e.Kind()].len(e) == 0 {
		tx.release(e)
		e.Delete()
		tx.note(key, EventDel)
	}
}

// expire removes a record whose time has come, as an effect of its own.
func (tx *Tx) expire(s *shard, e *table.Entry, key []byte) {
	tx.release(e)
	e.Delete()
	s.stats.Expired++
	s.books.expired(key)
	tx.vanish(key, EventExpired)
}

// vanish journals and tells the removal of a key that no command asked for.
func (tx *Tx) vanish(key []byte, ev Event) {
	tx.note(key, ev)
	if tx.Journaling() {
		tx.effects = append(tx.effects, Effect{DB: tx.db, Args: [][]byte{[]byte("UNLINK"), key}, Alone: true})
	}
}

// isExpired tells whether a key, or some field of a hash, is there but past its time. It removes nothing.
func (tx *Tx) isExpired(key []byte) bool {
	h := tx.hash(key)
	var e table.Entry
	return tx.shard(h).dbs[tx.db].Find(h, key, &e) &&
		(e.Flag(table.FlagExpiry) && tx.Now() > e.Expiry() || tx.fieldsDue(&e))
}

// Exists tells whether a key is there, without a trace.
func (tx *Tx) Exists(key []byte) bool {
	return tx.Lookup(key, NoStats|NoTouch) != nil
}

// Len is the number of keys of the database, those past their time and not yet
// removed included. Cost: O(shards).
func (tx *Tx) Len() int {
	n := 0
	tx.eachShard(func(_ int, s *shard) bool {
		n += s.dbs[tx.db].Len()
		return true
	})
	return n
}

// TotalLen is Len of all databases together. Cost: O(shards * databases).
func (tx *Tx) TotalLen() int {
	n, here := 0, tx.db
	for tx.db = range tx.e.databases {
		n += tx.Len()
	}
	tx.db = here
	return n
}

// Expiring is the number of keys of the database that have a TTL.
func (tx *Tx) Expiring() int {
	n := 0
	tx.eachShard(func(_ int, s *shard) bool {
		n += s.dbs[tx.db].Expiring()
		return true
	})
	return n
}

// Transfer gives another key, perhaps of another database (to), the value and the
// expiry of src, which is there; what dst held is replaced. With move, src is
// gone afterwards. Both shards are locked. Cost: O(1) to move within a shard;
// else O(size of the value), since a shard owns its memory.
func (tx *Tx) Transfer(src, dst []byte, to int, move bool) {
	from := tx.db
	tx.db = to
	if old := tx.Lookup(dst, NoStats|NoTouch); old != nil {
		tx.release(old)
		old.Delete()
	}
	tx.db = from
	e := tx.Lookup(src, NoStats|NoTouch)
	kind, clock, expiry := Kind(e.Kind()), e.Clock(), e.Expiry()
	tx.db = to
	d := tx.Create(dst, kind, 0, expiry)
	tx.db = from
	e = tx.Lookup(src, NoStats|NoTouch) // Create may have moved it
	switch here := shardOf(tx.hash(src)) == shardOf(tx.e.Hash(dst)); {
	case move && here:
		if isIndexed(e) {
			tx.shard(tx.hash(src)).fields.forget(tx.e, from, e)
		}
		if e.Flag(table.FlagLarge) {
			tx.shard(tx.hash(src)).books.move(src, dst, func() int { return kinds[kind].bytes(e) })
		}
		takeOver(d, e)
		e.Delete()
	case move:
		kinds[kind].clone(e, d)
		tx.release(e)
		e.Delete()
	default:
		kinds[kind].clone(e, d)
	}
	tx.inherit(d, clock)
	if kind == Hash {
		tx.db = to
		tx.ExpectFields(d, dst)
		tx.db = from
	}
}

// Memory is the arena of a key's shard and the seed of its tables: where a value
// that is to become the key's is built. The shard is locked.
func (tx *Tx) Memory(key []byte) (a *arena.Arena, seed uint64) {
	s := tx.shard(tx.hash(key))
	s.books.enter(key)
	return s.arena, tx.e.seed
}

// Replace makes the key a value of n undefined bytes without an expiry, whatever was there before.
func (tx *Tx) Replace(key []byte, k Kind, n int) *table.Entry {
	e := tx.Edit(key)
	if e == nil {
		return tx.Create(key, k, n, 0)
	}
	tx.release(e)
	e.Replace(byte(k), n, 0)
	return e
}
