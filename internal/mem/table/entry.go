package table

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/invariant"
	"github.com/larderdb/larder/internal/mem/arena"
)

// Entry is a position on a record. It is valid until the next change of its table through anything but itself; other
// tables in the same arena do not matter. The zero Entry is on nothing.
type Entry struct {
	t   *Table
	rec []byte // the cell
	layout
	ref    arena.Ref
	bucket arena.Ref
	slot   int
}

// Key returns the key. The slice aliases the arena: it must not be written, and dies with the entry.
func (e *Entry) Key() []byte { return e.rec[e.key:e.value:e.value] }

// Value returns the value. The slice aliases the arena and dies with the entry; who writes to it calls Change before,
// unless the value comes from SetLen, Splice or Insert.
func (e *Entry) Value() []byte { return e.rec[e.value:e.end:e.end] }

// Change announces that the caller is about to write to the value in place.
func (e *Entry) Change() {
	e.t.change(e.bucket)
	if e.rec[0]&kindMask != 0 && e.t.Books != nil {
		e.t.Books.Editing(e.Key(), e.ref)
	}
}

// Ref returns the record's cell. It changes when the record moves: through SetLen, Splice, SetExpiry and compaction.
func (e *Entry) Ref() arena.Ref { return e.ref }

// Bucket returns the bucket that the record is in, as BeforeChange names it.
func (e *Entry) Bucket() arena.Ref { return e.bucket }

// Arena returns the arena of the entry's table.
func (e *Entry) Arena() *arena.Arena { return e.t.a }

// Options returns the options of the entry's table.
func (e *Entry) Options() Options { return e.t.o }

// Table returns the entry's table.
func (e *Entry) Table() *Table { return e.t }

// Kind returns the four bits that SetKind or Insert gave.
func (e *Entry) Kind() byte { return e.rec[0] & kindMask }

// SetKind sets the four bits of the kind, which neither was nor becomes Bare.
func (e *Entry) SetKind(k byte) {
	invariant.Assert(k&kindMask != Bare && e.Kind() != Bare, "table: SetKind of a bare record")
	e.Change()
	e.rec[0] = e.rec[0]&^kindMask | k&kindMask
}

// Flag reports whether all flags in f are set.
func (e *Entry) Flag(f byte) bool { return e.rec[0]&f == f }

// SetFlag sets or clears the flags in f, of which FlagExpiry must not be one.
func (e *Entry) SetFlag(f byte, on bool) {
	invariant.Assert(f&(FlagExpiry|kindMask) == 0, "table: SetFlag of a bit that is not a free flag")
	e.Change()
	if on {
		e.rec[0] |= f
	} else {
		e.rec[0] &^= f
	}
}

// Clock returns the 24 bits that SetClock gave; 0 in a table that is not a keyspace.
func (e *Entry) Clock() uint32 {
	if e.t.base != 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(e.rec) >> 8
}

// SetClock sets the 24 bits of the clock. In a table that is not a keyspace it does nothing.
func (e *Entry) SetClock(v uint32) {
	if e.t.base == 4 {
		binary.LittleEndian.PutUint32(e.rec, uint32(e.rec[0])|v<<8)
	}
}

// Expiry returns when the record expires in Unix milliseconds, 0 if it does not.
func (e *Entry) Expiry() int64 {
	if e.rec[0]&FlagExpiry == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(e.rec[e.key-expirySize:]))
}

// SetExpiry sets when the record expires in Unix milliseconds; 0 means never. It may move the record. O(1), or
// O(record) when the record begins or ceases to expire.
func (e *Entry) SetExpiry(ms int64) {
	had := e.rec[0]&FlagExpiry != 0
	e.Change()
	if had && ms != 0 {
		binary.LittleEndian.PutUint64(e.rec[e.key-expirySize:], uint64(ms))
		return
	}
	if had == (ms != 0) {
		return
	}
	e.relay(ms, e.end-e.value, 0, 0)
	e.countExpiry(!had)
}

// SetLen makes the value n bytes long and returns it: what both lengths have in common stays, the rest is undefined.
// The record stays in place while its size class does. O(1) in place, else O(record).
func (e *Entry) SetLen(n int) []byte {
	e.Change()
	switch had := e.end - e.value; {
	case n > had:
		e.relay(e.Expiry(), had, 0, n-had)
	case n < had:
		e.relay(e.Expiry(), n, had-n, 0)
	}
	return e.Value()
}

// Splice replaces the del bytes of the value at off by ins bytes of undefined content, and returns the value. The
// bytes behind them move. O(record).
func (e *Entry) Splice(off, del, ins int) []byte {
	_ = e.Value()[off : off+del]
	e.Change()
	if del != ins {
		e.relay(e.Expiry(), off, del, ins)
	}
	return e.Value()
}

// relay lays the record out anew: with or without an expiry, and with ins bytes in the place of the del bytes at off
// of the value. It moves the record when its size class changes.
func (e *Entry) relay(expiry int64, off, del, ins int) {
	keyLen, valueLen := e.value-e.key, e.end-e.value-del+ins
	invariant.Assert(valueLen == 0 || e.Kind() != Bare, "table: a value for a bare record")
	key := headLen(e.t.base, e.rec[0], keyLen, valueLen, expiry != 0)
	value := key + keyLen
	to := layout{key, value, value + valueLen}

	rec, ref := e.rec, e.ref
	if arena.Capacity(to.end) != len(rec) {
		ref = e.t.a.Alloc(to.end)
		rec = e.t.a.Bytes(ref)
		copy(rec, e.rec[:e.t.base])
		if e.t.Books != nil {
			e.t.Books.Record(e.Key(), 0, len(rec)-len(e.rec), 0)
		}
	}
	// Head is the key and the value before off, tail the value behind off+del. In place they may overlap: what moves
	// to the right must not run over what still has to move.
	head, tail := e.rec[e.key:e.value+off], e.rec[e.value+off+del:e.end]
	tailTo := to.value + off + ins
	if tailTo > e.value+off+del {
		copy(rec[tailTo:], tail)
		copy(rec[to.key:], head)
	} else {
		copy(rec[to.key:], head)
		copy(rec[tailTo:], tail)
	}
	putHead(rec, e.t.base, keyLen, valueLen, expiry)
	if ref != e.ref {
		setRef(e.t.a.Line(e.bucket), e.slot, ref)
		e.t.a.Free(e.ref)
	}
	e.rec, e.ref, e.layout = rec, ref, to
}

// hash is the hash of the key.
func (e *Entry) hash() uint64 { return Hash(e.t.o.Seed, e.Key()) }

// Delete removes the record and frees its cell, but not the cells that its value refers to. The entry is on nothing
// then. O(1) amortised.
func (e *Entry) Delete() {
	t := e.t
	t.change(e.bucket)
	if t.Books != nil {
		t.Books.Record(e.Key(), -1, -len(e.rec), -lasting(e.Expiry()))
	}
	h := e.hash()
	w := t.segment(h)
	n := uint32(t.sizes[w.code()])
	for i := homeOf(h, n); ; {
		at := w.bucket(i)
		if at == e.bucket {
			break
		}
		turnBack(t.a.Line(at))
		if i++; i == n {
			i = 0
		}
	}
	b := t.a.Line(e.bucket)
	head := t.a.Line(w.ref())
	if e.rec[0]&FlagExpiry != 0 {
		setExpiring(b, e.slot, false)
		addExpiring(head, -1)
		t.expiring--
	}
	b[e.slot] = 0
	setRef(b, e.slot, 0)
	addCount(head, -1)
	t.count--
	t.a.Free(e.ref)
	*e = Entry{}
	if !t.busy {
		t.shrink(h)
	}
}

// open positions e on a slot of a bucket that holds a record.
func (t *Table) open(e *Entry, at arena.Ref, slot int) {
	ref := refAt(t.a.Line(at), slot)
	rec := t.a.Bytes(ref)
	*e = Entry{t: t, rec: rec, layout: parse(rec, t.base), ref: ref, bucket: at, slot: slot}
}

// Record returns key and value of the record in the cell ref, which must be a record of this table. The slices alias
// the arena.
func (t *Table) Record(ref arena.Ref) (key, value []byte) {
	rec := t.a.Bytes(ref)
	p := parse(rec, t.base)
	return rec[p.key:p.value:p.value], rec[p.value:p.end:p.end]
}

// Expiry returns when the record in the cell ref, which must be a record of this table, expires; see Entry.Expiry.
func (t *Table) Expiry(ref arena.Ref) int64 {
	rec := t.a.Bytes(ref)
	if rec[0]&FlagExpiry == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(rec[parse(rec, t.base).key-expirySize:]))
}
