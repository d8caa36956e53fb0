// Package nested keeps a table inside a record: the large form of hashes and
// sets. The record's value is then the root of the table, a few bytes, and its
// FlagLarge is set; segments and records of the table are cells of the same arena.
//
// Functions take the record of the key. What they return aliases the arena and is
// valid until the shard's next change.
package nested

import (
	"sync"

	"github.com/larderdb/larder/internal/mem/table"
)

// RootLen is the length in bytes of the value of a record that holds a table.
const RootLen = table.RootSize

// Table is the table of a record, loaded. It is a loan: Close gives it back, and
// ends the entries that were positioned by it.
type Table struct {
	table.Table
	of   *table.Entry
	seed uint64
}

// pool spares an allocation per operation: entries point to their table, so the
// compiler cannot keep one on the stack. It holds no state.
var pool = sync.Pool{New: func() any { return new(Table) }}

func load(of *table.Entry, t table.Table, seed uint64) *Table {
	n := pool.Get().(*Table)
	n.Table, n.of, n.seed = t, of, seed
	return n
}

// Create makes e's value the root of a new, empty table and returns that. Cells
// that the old value referred to must have been freed.
func Create(e *table.Entry) *Table {
	o := options(e.Options().Seed)
	e.SetFlag(table.FlagLarge, true)
	t := load(e, table.New(e.Arena(), o), o.Seed)
	t.SaveTo(e.SetLen(RootLen))
	return t
}

// Open returns the table of e to read it.
func Open(e *table.Entry) *Table {
	o := options(e.Options().Seed)
	return load(e, table.LoadFrom(e.Arena(), e.Value(), o), o.Seed)
}

// Edit returns the table of e to change it. Save is due before Close if keys were
// added or removed.
func Edit(e *table.Entry) *Table {
	e.Change()
	return Open(e)
}

// options are those of all nested tables.
func options(seed uint64) table.Options { return table.Options{Seed: seed} }

// Save writes the root back to the record.
func (t *Table) Save() { t.SaveTo(t.of.Value()) }

// Close ends the use of the table.
func (t *Table) Close() {
	*t = Table{}
	pool.Put(t)
}

// Lookup positions r on the record of key; false if there is none.
func (t *Table) Lookup(key []byte, r *table.Entry) bool {
	return t.Find(table.Hash(t.seed, key), key, r)
}

// Add adds a record of a key that the table does not have.
func (t *Table) Add(key, value []byte) { t.AddUntil(key, value, 0) }

// AddUntil is Add of a record that expires, in Unix milliseconds, or does not if
// expiry is 0.
func (t *Table) AddUntil(key, value []byte, expiry int64) {
	var r table.Entry
	t.Insert(table.Hash(t.seed, key), key, len(value), expiry, 0, &r)
	copy(r.Value(), value)
}

// AddKey adds a record without a value, a byte smaller than one with an empty
// value, of a key that the table does not have.
func (t *Table) AddKey(key []byte) {
	var r table.Entry
	t.Insert(table.Hash(t.seed, key), key, 0, 0, table.Bare, &r)
}

// Put gives key its value, and reports whether the key is new.
func (t *Table) Put(key, value []byte) (added bool) {
	var r table.Entry
	h := table.Hash(t.seed, key)
	if t.Find(h, key, &r) {
		copy(r.SetLen(len(value)), value)
		return false
	}
	t.Insert(h, key, len(value), 0, 0, &r)
	copy(r.Value(), value)
	return true
}

// Remove removes a key; false if there is none.
func (t *Table) Remove(key []byte) bool {
	var r table.Entry
	if !t.Lookup(key, &r) {
		return false
	}
	r.Delete()
	return true
}

// Len returns the number of records of e's table. O(1).
func Len(e *table.Entry) int {
	t := Open(e)
	defer t.Close()
	return t.Len()
}

// Get returns the value of a key, false if there is none. O(1).
func Get(e *table.Entry, key []byte) ([]byte, bool) {
	t := Open(e)
	defer t.Close()
	var r table.Entry
	if !t.Lookup(key, &r) {
		return nil, false
	}
	return r.Value(), true
}

// Expiry returns when the record of a key expires, in Unix milliseconds, 0 if it
// does not; ok is false if there is none. O(1).
func Expiry(e *table.Entry, key []byte) (at int64, ok bool) {
	t := Open(e)
	defer t.Close()
	var r table.Entry
	if !t.Lookup(key, &r) {
		return 0, false
	}
	return r.Expiry(), true
}

// Put gives key its value, and reports whether the key is new. O(1).
func Put(e *table.Entry, key, value []byte) (added bool) {
	t := Edit(e)
	defer t.Close()
	added = t.Put(key, value)
	t.Save()
	return added
}

// InsertKey adds a key without a value, unless it is there: then it returns
// false. O(1).
func InsertKey(e *table.Entry, key []byte) bool {
	t := Edit(e)
	defer t.Close()
	var r table.Entry
	if t.Lookup(key, &r) {
		return false
	}
	t.AddKey(key)
	t.Save()
	return true
}

// Delete removes a key; false if there is none. O(1).
func Delete(e *table.Entry, key []byte) bool {
	t := Edit(e)
	defer t.Close()
	if !t.Remove(key) {
		return false
	}
	t.Save()
	return true
}

// Each calls fn with every record until it returns false. fn must not change
// them. O(records).
func Each(e *table.Entry, fn func(r *table.Entry) bool) {
	t := Open(e)
	defer t.Close()
	t.Each(fn)
}

// Scan calls fn with some records and returns the cursor to go on with, 0 at the
// end. It stops soon after count records, and after ten times as many buckets, so
// that a sparse table does not hold the shard for long.
func Scan(e *table.Entry, cursor uint64, count int, fn func(r *table.Entry)) uint64 {
	t := Open(e)
	defer t.Close()
	seen := 0
	for steps := 10 * count; ; steps-- {
		cursor = t.Scan(cursor, func(r *table.Entry) { seen++; fn(r) })
		if cursor == 0 || seen >= count || steps <= 0 {
			return cursor
		}
	}
}
