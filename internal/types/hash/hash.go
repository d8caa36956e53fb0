// Package hash is the Redis hash: fields and their values in one record.
//
// A small hash is a run of field, value, field, value ([packed]) inside the
// key's own record: no cell of its own, a byte of overhead an entry, look-up by a
// linear read that is faster than hashing as long as it is short. A large one is
// a table of its own ([nested]) with a record per field: O(1), nine bytes or so a
// field beside its bytes.
//
// A hash becomes large when it passes the [Limits], at the very moments at which
// Redis converts it, since OBJECT ENCODING shows it; like there it never becomes
// small again. Until then everything is O(fields), bounded by the limits; all
// costs below are those of the large form.
//
// Functions take the record of the key. They neither create nor delete it: the
// caller creates one with [Init], and deletes it when [Len] is 0. They know no
// clock and no locks; the caller holds the shard's. Values that they return
// alias the arena and are valid until the shard's next change. Arguments are
// copied, never kept.
package hash

import (
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Limits say how far a hash stays small.
type Limits struct {
	Entries int // fields; hash-max-listpack-entries
	Value   int // bytes of the longest field or value; hash-max-listpack-value
}

// DefaultLimits returns those of a Redis without a configuration file.
func DefaultLimits() Limits { return Limits{Entries: 512, Value: 64} }

// InitLen is the length in bytes of the value of a new record that is to be given
// to Init.
const InitLen = packed.MinLen

// Init makes e's value an empty hash, whatever it was. Cells that the old value
// referred to must have been freed.
func Init(e *table.Entry) {
	e.SetFlag(table.FlagLarge, false)
	packed.AppendRun(e.SetLen(InitLen)[:0], packed.Forward, 0)
}

// Encoding names the form as OBJECT ENCODING does.
func Encoding(e *table.Entry) string {
	if isLarge(e) {
		return "hashtable"
	}
	return "listpack"
}

// Len returns the number of fields. O(1).
func Len(e *table.Entry) int {
	if isLarge(e) {
		return nested.Len(e)
	}
	return packed.Count(e.Value()) / 2
}

// Get returns the value of a field, false if there is no such field. The value
// aliases the arena. O(1).
func Get(e *table.Entry, field []byte) (packed.Value, bool) {
	if isLarge(e) {
		if v, ok := nested.Get(e, field); ok {
			return packed.StringValue(v), true
		}
		return packed.Value{}, false
	}
	b := e.Value()
	off := find(b, field)
	if off == 0 {
		return packed.Value{}, false
	}
	return packed.Get(b, packed.Next(b, off)), true
}

// Set gives a field its value and reports whether the field is new. O(1).
func Set(e *table.Entry, lim Limits, field, value []byte) (added bool) {
	if !isLarge(e) && (len(field) > lim.Value || len(value) > lim.Value) {
		convert(e)
	}
	if isLarge(e) {
		return nested.Put(e, field, value)
	}
	added = setSmall(e, field, value)
	if Len(e) > lim.Entries {
		convert(e)
	}
	return added
}

// SetMany is HSET: it gives fields their values, pairs being field, value, field,
// value; of a field that is named twice the last value stays. It returns the
// number of new fields. An odd last element is ignored. O(pairs).
func SetMany(e *table.Entry, lim Limits, pairs [][]byte) (added int) {
	n := len(pairs) / 2
	if !isLarge(e) && tooMuch(lim, pairs) {
		convert(e)
	}
	if n > 1 && !isLarge(e) && Len(e)+n <= lim.Entries {
		return setManySmall(e, pairs)
	}
	for i := range n {
		if Set(e, lim, pairs[2*i], pairs[2*i+1]) {
			added++
		}
	}
	return added
}

// SetNew is HSETNX: it gives a field its value unless it has one, and reports
// whether it did. O(1).
func SetNew(e *table.Entry, lim Limits, field, value []byte) bool {
	if _, exists := Get(e, field); exists {
		return false
	}
	return Set(e, lim, field, value)
}

// Delete removes a field; false if there is none. O(1).
func Delete(e *table.Entry, field []byte) bool {
	if isLarge(e) {
		return nested.Delete(e, field)
	}
	b := e.Value()
	off := find(b, field)
	if off == 0 {
		return false
	}
	edit(e, packed.Delete(b, off, 2))
	return true
}

func isLarge(e *table.Entry) bool { return e.Flag(table.FlagLarge) }

func find(b, field []byte) int { return packed.Find(b, packed.First(b), 2, field) }

// tooMuch reports whether the arguments of one command alone make the hash
// large. Like Redis it counts a field that is named twice twice.
func tooMuch(lim Limits, pairs [][]byte) bool {
	if len(pairs)/2 > lim.Entries {
		return true
	}
	for _, s := range pairs {
		if len(s) > lim.Value {
			return true
		}
	}
	return false
}

// scratchLen holds an encoded pair of the default limits without allocation.
const scratchLen = 160

func setSmall(e *table.Entry, field, value []byte) (added bool) {
	var buf [scratchLen]byte
	ed, added := editFor(e.Value(), buf[:0], field, value)
	edit(e, ed)
	return added
}

// editFor works out the edit of run b that gives field its value.
func editFor(b, scratch, field, value []byte) (ed packed.Edit, added bool) {
	if off := find(b, field); off != 0 {
		return packed.Replace(b, packed.Next(b, off), 1, packed.Append(scratch, packed.Forward, value), 1), false
	}
	scratch = packed.Append(scratch, packed.Forward, field)
	return packed.Push(b, packed.Append(scratch, packed.Forward, value), 2), true
}

// setManySmall works on a copy, so that the record is resized once.
func setManySmall(e *table.Entry, pairs [][]byte) (added int) {
	var bufRun [4 * scratchLen]byte
	var bufPair [scratchLen]byte
	run := append(bufRun[:0], e.Value()...)
	for i := 0; i+1 < len(pairs); i += 2 {
		ed, isNew := editFor(run, bufPair[:0], pairs[i], pairs[i+1])
		run = ed.Apply(run)
		if isNew {
			added++
		}
	}
	copy(e.SetLen(len(run)), run)
	return added
}

// edit makes a change of the small form in the record.
func edit(e *table.Entry, ed packed.Edit) {
	ed.Fill(e.Splice(ed.Off, ed.Del, len(ed.Ins)))
}

// convert turns a small hash into a large one.
func convert(e *table.Entry) {
	run := append([]byte(nil), e.Value()...)
	t := nested.Create(e)
	defer t.Close()
	var field, value []byte
	for off := packed.First(run); off != 0; {
		f, next := packed.Read(run, off)
		v, after := packed.Read(run, next)
		field, value = f.AppendString(field[:0]), v.AppendString(value[:0])
		t.Add(field, value)
		off = after
	}
	t.Save()
}
