// Package hash is the Redis hash: fields and their values in one record.
//
// A small hash is a run of field, value, field, value ([packed]) inside the
// key's own record: no cell of its own, a byte of overhead an entry, look-up by a
// linear read that is faster than hashing as long as it is short. A large one is
// a table of its own ([nested]) with a record per field: O(1), nine bytes or so a
// field beside its bytes.
//
// Fields may expire one by one: see expiry.go for what that adds to both forms. A
// hash none of whose fields ever had an expiry pays nothing for it.
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
	e.SetFlag(FlagTimed, false)
	packed.AppendRun(e.SetLen(InitLen)[:0], packed.Forward, 0)
}

// Encoding names the form as OBJECT ENCODING does.
func Encoding(e *table.Entry) string {
	switch {
	case isLarge(e):
		return "hashtable"
	case isTimed(e):
		return "listpackex"
	}
	return "listpack"
}

// Len returns the number of fields. O(1).
func Len(e *table.Entry) int {
	if isLarge(e) {
		return nested.Len(e)
	}
	return packed.Count(runOf(e)) / width(e)
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
	b := runOf(e)
	off := find(b, width(e), field)
	if off == 0 {
		return packed.Value{}, false
	}
	return packed.Get(b, packed.Next(b, off)), true
}

// Set gives a field its value, takes its expiry off it, and reports whether the
// field is new. O(1).
func Set(e *table.Entry, lim Limits, field, value []byte) (added bool) {
	return put(e, lim, field, value, false)
}

// Update is Set that leaves the field's expiry, if it has one, as it is: what
// increments do.
func Update(e *table.Entry, lim Limits, field, value []byte) (added bool) {
	return put(e, lim, field, value, true)
}

func put(e *table.Entry, lim Limits, field, value []byte, keep bool) (added bool) {
	if !isLarge(e) && (len(field) > lim.Value || len(value) > lim.Value) {
		convert(e)
	}
	if isLarge(e) {
		return putLarge(e, field, value, keep)
	}
	added = putSmall(e, field, value, keep)
	if Len(e) > lim.Entries {
		convert(e)
	}
	return added
}

func putLarge(e *table.Entry, field, value []byte, keep bool) (added bool) {
	if !isTimed(e) {
		return nested.Put(e, field, value)
	}
	s := editSchedule(e)
	defer s.close()
	return s.put(field, value, keep)
}

// SetMany is HSET: it gives fields their values, pairs being field, value, field,
// value; of a field that is named twice the last value stays. It returns the
// number of new fields. An odd last element is ignored. O(pairs).
func SetMany(e *table.Entry, lim Limits, pairs [][]byte) (added int) {
	n := len(pairs) / 2
	Expect(e, lim, pairs)
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

// Expect prepares for pairs of field and value that are about to be set: it makes a
// small hash large if they alone exceed the limits, as Redis does before it sets any.
func Expect(e *table.Entry, lim Limits, pairs [][]byte) {
	if !isLarge(e) && tooMuch(lim, pairs) {
		convert(e)
	}
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
	switch {
	case isLarge(e) && isTimed(e):
		s := editSchedule(e)
		defer s.close()
		return s.remove(field)
	case isLarge(e):
		return nested.Delete(e, field)
	}
	b, w := runOf(e), width(e)
	off := find(b, w, field)
	if off == 0 {
		return false
	}
	c, _ := readCell(b, w, off)
	edit(e, packed.Delete(b, off, w))
	lost(e, c.expiry)
	return true
}

func isLarge(e *table.Entry) bool { return e.Flag(table.FlagLarge) }

// find returns the position of a field in a run of so many entries a field, 0 if it is not there.
func find(b []byte, width int, field []byte) int {
	return packed.Find(b, packed.First(b), width, field)
}

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

func putSmall(e *table.Entry, field, value []byte, keep bool) (added bool) {
	var buf [scratchLen]byte
	ed, added, gone := editFor(runOf(e), buf[:0], width(e), keep, field, value)
	edit(e, ed)
	lost(e, gone)
	return added
}

// editFor works out the edit of run b, of so many entries a field, that gives
// field its value, and takes its expiry, gone, off it unless that is to be kept.
func editFor(b, scratch []byte, width int, keep bool, field, value []byte) (ed packed.Edit, added bool, gone int64) {
	off, n := find(b, width, field), 1
	if added = off == 0; added {
		scratch, n = packed.Append(scratch, packed.Forward, field), 2
	}
	scratch = packed.Append(scratch, packed.Forward, value)
	if width == timedWidth && (added || !keep) {
		scratch, n = packed.AppendInt(scratch, packed.Forward, 0), n+1
	}
	if added {
		return packed.Push(b, scratch, n), true, 0
	}
	if n == timedWidth-1 {
		c, _ := readCell(b, width, off)
		gone = c.expiry
	}
	return packed.Replace(b, packed.Next(b, off), n, scratch, n), false, gone
}

// setManySmall works on a copy, so that the record is resized once.
func setManySmall(e *table.Entry, pairs [][]byte) (added int) {
	var bufRun [4 * scratchLen]byte
	var bufPair [scratchLen]byte
	b, w := append(bufRun[:0], runOf(e)...), width(e)
	for i := 0; i+1 < len(pairs); i += 2 {
		ed, isNew, _ := editFor(b, bufPair[:0], w, false, pairs[i], pairs[i+1])
		b = ed.Apply(b)
		if isNew {
			added++
		}
	}
	setRun(e, b)
	return added
}

// edit makes a change of the small form in the record.
func edit(e *table.Entry, ed packed.Edit) {
	ed.Fill(e.Splice(ed.Off, ed.Del, len(ed.Ins)))
}

// setRun exchanges the run of a small hash.
func setRun(e *table.Entry, b []byte) {
	n := len(b)
	if isTimed(e) {
		n += stampLen
	}
	copy(e.SetLen(n), b)
	restamp(e)
}

// convert turns a small hash into a large one.
func convert(e *table.Entry) {
	b, w := append([]byte(nil), runOf(e)...), width(e)
	t := nested.Create(e)
	var field, value []byte
	for off := packed.First(b); off != 0; {
		var c cell
		c, off = readCell(b, w, off)
		field, value = c.field.AppendString(field[:0]), c.value.AppendString(value[:0])
		t.AddUntil(field, value, c.expiry)
	}
	t.Save()
	t.Close()
	if isTimed(e) {
		newSchedule(e)
	}
}
