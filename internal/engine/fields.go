package engine

import (
	"slices"
	"time"

	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
)

// Fields of a hash expire like keys, lazily and actively.
//
// Lazily: Lookup removes the fields whose time has come before it shows a hash to
// anybody, so no command ever sees one. What that costs is O(log n) a field, which
// the command that gave the field its expiry may be thought to have paid.
//
// Actively: a shard has an index per database of the hashes in which some field
// expires, a table with a bare record of the hash's key, which itself expires when
// the first of the fields does, or earlier. So the cycle finds the hashes that are
// due by the TTL bits of the index's buckets, and hashes without such fields cost
// nothing.
//
// The index may lag: a field's expiry that is taken back leaves an entry too early,
// which the cycle puts right when it comes by. What it must not be is late, so
// whoever gives a field an expiry calls ExpectFields. flagIndexed says that a hash
// has an entry, which goes with the hash (see release).
const flagIndexed = table.FlagB

// fieldIndex is the indexes of a shard; the zero value has none.
type fieldIndex struct {
	dbs []table.Table // nil until a field of the shard first gets an expiry
	at  []uint64      // where the cycle goes on in each
}

// isIndexed tells whether a record is a hash with an entry in the index.
func isIndexed(e *table.Entry) bool { return e.Flag(flagIndexed) && Kind(e.Kind()) == Hash }

// fieldsDue tells whether a record is a hash with fields whose time has come.
func (tx *Tx) fieldsDue(e *table.Entry) bool {
	if !e.Flag(hash.FlagTimed) || Kind(e.Kind()) != Hash {
		return false
	}
	at := hash.NextExpiry(e)
	return at != 0 && tx.Now() > at
}

// FieldsExpire tells whether a field of some hash ever got an expiry.
func (e *Engine) FieldsExpire() bool { return e.fieldTTLs.Load() }

// ExpectFields must be called after fields of a hash got an expiry.
func (tx *Tx) ExpectFields(e *table.Entry, key []byte) {
	at := hash.NextExpiry(e)
	if at == 0 {
		return
	}
	h := tx.hash(key)
	s := tx.shard(h)
	var r table.Entry
	t := s.fields.table(tx.e, s, tx.db)
	switch {
	case !e.Flag(flagIndexed):
		t.Insert(h, key, 0, at, table.Bare, &r)
		e.SetFlag(flagIndexed, true)
		s.books.indexed(key, 1)
	case t.Find(h, key, &r) && at < r.Expiry():
		r.SetExpiry(at)
	}
}

// table is the index of a database, made if there is none.
func (f *fieldIndex) table(e *Engine, s *shard, db int) *table.Table {
	if f.dbs == nil {
		f.dbs, f.at = make([]table.Table, e.databases), make([]uint64, e.databases)
		for i := range f.dbs {
			f.dbs[i] = table.New(s.arena, table.Options{Seed: e.seed})
			f.dbs[i].Books = indexBooks{&s.books}
		}
		e.fieldTTLs.Store(true)
	}
	return &f.dbs[db]
}

// forget takes a hash's entry out of the index of a database.
func (f *fieldIndex) forget(e *Engine, db int, hash *table.Entry) {
	var r table.Entry
	if key := hash.Key(); f.dbs != nil && f.dbs[db].Find(e.Hash(key), key, &r) {
		r.Delete()
	}
	hash.SetFlag(flagIndexed, false)
	e.shardFor(hash.Key()).books.indexed(hash.Key(), -1)
}

// flush empties the index of a database.
func (f *fieldIndex) flush(db int) {
	if f.dbs != nil {
		f.dbs[db].Free()
		f.at[db] = 0
	}
}

// swap exchanges the indexes of two databases.
func (f *fieldIndex) swap(a, b int) {
	if f.dbs != nil {
		f.dbs[a], f.dbs[b] = f.dbs[b], f.dbs[a]
		f.at[a], f.at[b] = f.at[b], f.at[a]
	}
}

// effectFields is how many fields one HDEL of the journal names at the most.
const effectFields = 1000

// expireFields removes the fields of a hash whose time has come, at most max, as an
// effect of its own, and the key with the last of them. It reports how many they
// were and whether the key is still there.
func (tx *Tx) expireFields(s *shard, e *table.Entry, key []byte, max int) (n int, alive bool) {
	if hash.Vanished(e, tx.Now()) { // what it holds is given back in steps
		n = hash.Len(e)
		s.stats.ExpiredFields += int64(n)
		tx.release(e)
		e.Delete()
		tx.note(key, EventHExpired)
		tx.vanish(key, EventDel)
		return n, false
	}
	var gone func(field []byte)
	if tx.Journaling() {
		gone = func(field []byte) { tx.fieldGone(key, slices.Clone(field)) }
	}
	n = hash.Expire(e, tx.Now(), max, gone)
	s.stats.ExpiredFields += int64(n)
	tx.note(key, EventHExpired)
	return n, true
}

// fieldGone journals the removal of a field: in the last effect, if that is one of the same hash.
func (tx *Tx) fieldGone(key, field []byte) {
	if last := len(tx.effects) - 1; last >= 0 {
		if f := &tx.effects[last]; f.Alone && f.DB == tx.db && len(f.Args) < effectFields && isFieldsOf(f.Args, key) {
			f.Args = append(f.Args, field)
			return
		}
	}
	tx.effects = append(tx.effects, Effect{DB: tx.db, Args: [][]byte{[]byte("HDEL"), key, field}, Alone: true})
}

func isFieldsOf(args [][]byte, key []byte) bool {
	return len(args) > 2 && string(args[0]) == "HDEL" && string(args[1]) == string(key)
}

// expireFieldsCycle is expireCycle for the fields of hashes: it removes those that are due until the deadline.
func (e *Engine) expireFieldsCycle(deadline time.Time) {
	if !e.fieldTTLs.Load() {
		return
	}
	tx := e.NewTx()
	start := int(e.Random() % Shards)
	for i := range Shards {
		shard := (start + i) % Shards
		for _, db := range e.withFields(shard) {
			for e.expireFieldsSome(tx, shard, db, deadline) && e.clock.Now().Before(deadline) {
			}
		}
		if !e.clock.Now().Before(deadline) {
			return
		}
	}
}

// withFields lists the databases of a shard in which fields may expire; none while it is enclosed.
func (e *Engine) withFields(shard int) (dbs []int) {
	s := &e.shards[shard]
	if s.mu.enter() != nil {
		return nil
	}
	defer s.mu.Unlock()
	for db := range s.fields.dbs {
		if s.fields.dbs[db].Len() > 0 {
			dbs = append(dbs, db)
		}
	}
	return dbs
}

// expireFieldsSome looks at a batch of an index and at the hashes that are due by it. It is true where more of the same
// is likely: the walk is not at its end, and found some.
func (e *Engine) expireFieldsSome(tx *Tx, i, db int, deadline time.Time) bool {
	due, more := e.dueHashes(tx, i, db)
	for _, key := range due {
		for e.expireFieldsOf(tx, i, db, key) {
			if !e.clock.Now().Before(deadline) {
				return false
			}
		}
	}
	return more && len(due) > 0
}

// dueHashes lists the keys of a batch of an index whose time has come; more is false at the end of the walk.
func (e *Engine) dueHashes(tx *Tx, i, db int) (due [][]byte, more bool) {
	tx.Begin(db)
	if !tx.tryLock(i) {
		return nil, false
	}
	defer tx.End()
	f := &e.shards[i].fields
	if f.dbs == nil || f.dbs[db].Len() == 0 {
		return nil, false
	}
	now := tx.Now()
	f.at[db] = f.dbs[db].ScanExpiring(f.at[db], expireBatch, func(r *table.Entry) bool {
		if now > r.Expiry() {
			due = append(due, slices.Clone(r.Key()))
		}
		return false
	})
	return due, f.at[db] != 0
}

// expireFieldsOf removes some due fields of a hash and sets its entry right. It is true where more of them are due.
func (e *Engine) expireFieldsOf(tx *Tx, i, db int, key []byte) (more bool) {
	tx.Begin(db)
	if !tx.tryLock(i) {
		return false
	}
	defer tx.End()
	s := &e.shards[i]
	h := tx.hash(key)
	var r, entry table.Entry
	if !s.dbs[db].Find(h, key, &r) || !isIndexed(&r) || !s.fields.dbs[db].Find(h, key, &entry) {
		return false // it went meanwhile
	}
	if tx.fieldsDue(&r) {
		n, alive := tx.expireFields(s, &r, key, expireBatch)
		if !alive {
			return false
		}
		more = n == expireBatch
	}
	switch at := hash.NextExpiry(&r); {
	case at == 0:
		s.fields.forget(e, db, &r)
	case at != entry.Expiry():
		entry.SetExpiry(at)
	}
	return more
}
