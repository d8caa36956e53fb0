package engine

import "github.com/larderdb/larder/internal/mem/table"

// Draft is a value in the making, in the memory of the shard that its key is in but not yet in the keyspace: what comes
// from outside piece by piece is built in one, so that a value which turns out to be malformed leaves no trace, and the
// one that the key has stays until the new one is whole. The shard is locked from Draft to Keep or Drop, one of which
// must be called.
type Draft struct {
	tx    *Tx
	key   []byte
	table table.Table // of one record
	entry table.Entry
}

// Draft begins a value of n undefined bytes for a key. The key is borrowed. Cost: O(1).
func (tx *Tx) Draft(key []byte, k Kind, n int) *Draft {
	h := tx.hash(key)
	s := tx.shard(h)
	s.books.enter(key)
	d := &Draft{tx: tx, key: key, table: table.New(s.arena, tx.e.tableOptions(0))}
	d.table.Insert(h, key, n, 0, byte(k), &d.entry)
	return d
}

// Entry is the record to build the value in.
func (d *Draft) Entry() *table.Entry { return &d.entry }

// Drop gives the value up and its memory back, that of a large one in steps. Cost: O(1).
func (d *Draft) Drop() {
	d.tx.shard(d.tx.hash(d.key)).books.enter(d.key)
	d.tx.release(&d.entry)
	d.table.Free()
}

// Keep makes the value the key's, whatever it had before, and returns the record, which was accessed now. expiry is Unix
// time in milliseconds, 0 for none. The caller tells the change. Cost: O(1).
func (d *Draft) Keep(expiry int64) *table.Entry {
	tx := d.tx
	tx.shard(tx.hash(d.key)).books.enter(d.key)
	if old := tx.Lookup(d.key, NoStats|NoTouch); old != nil {
		tx.release(old)
		old.Delete()
	}
	e := tx.Create(d.key, Kind(d.entry.Kind()), len(d.entry.Value()), expiry)
	takeOver(e, &d.entry)
	d.table.Free()
	if Kind(e.Kind()) == Hash {
		tx.ExpectFields(e, d.key)
	}
	return e
}

// takeOver gives dst the value of src, which is of no more use then: what it refers to has one owner.
func takeOver(dst, src *table.Entry) {
	copy(dst.SetLen(len(src.Value())), src.Value())
	for _, f := range [...]byte{table.FlagLarge, table.FlagA, table.FlagB} {
		dst.SetFlag(f, src.Flag(f))
	}
}
