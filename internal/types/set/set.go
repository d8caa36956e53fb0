// Package set is the Redis set, in one of three forms:
//
//   - intset: a small set of integers, sorted, each in as few bytes as the widest
//     needs. Search is binary.
//   - listpack: a small set of anything, a run of members ([packed]). Search is a
//     linear read.
//   - hashtable: a table of its own ([nested]) with a record per member. O(1).
//
// The two small forms live inside the key's own record. Which form a set has, and
// when it changes, is Redis's rule in every case that commands can reach, since
// OBJECT ENCODING shows it: a set starts as an intset if its first member is an
// integer; an intset that gets something else becomes a listpack while the
// [Limits] allow one and a hashtable otherwise; nothing goes back, except where
// Redis builds a new set (SPOP of nearly all members, the STORE commands).
//
// Functions take the record of the key. They neither create nor delete it: the
// caller makes a new record's value a set with [Init] and deletes the record when
// [Len] is 0. They know no clock and no locks; the caller holds the shard's.
// Values that they hand out alias the arena and are valid until the shard's next
// change. Arguments are copied, never kept. Costs are those of the hashtable;
// the small forms are O(members), bounded by the limits.
package set

import (
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
	"github.com/larderdb/larder/internal/types/number"
)

// Limits say how far a set stays small.
type Limits struct {
	Ints    int // members of an intset; set-max-intset-entries
	Entries int // members of a listpack; set-max-listpack-entries. 0: no listpack, as before Redis 7.2
	Value   int // bytes of a listpack's longest member; set-max-listpack-value
}

// DefaultLimits returns Redis's.
func DefaultLimits() Limits { return Limits{Ints: 512, Entries: 128, Value: 64} }

// flagInts marks a record whose value is an intset.
const flagInts = table.FlagA

// InitLen is a length in bytes for the value of a new record that is to be given
// to Init.
const InitLen = 1

// Init makes e's value an empty set fit for the members to be added: first is one
// of them, hint how many there may be. Cells that the old value referred to must
// have been freed.
func Init(e *table.Entry, lim Limits, first []byte, hint int) {
	_, isInt := number.ParseInt(first)
	switch {
	case isInt && hint <= lim.Ints:
		initInts(e)
	case hint <= lim.Entries:
		initRun(e)
	default:
		e.SetFlag(flagInts, false)
		nested.Create(e).Close()
	}
}

func initInts(e *table.Entry) {
	e.SetFlag(table.FlagLarge, false)
	e.SetFlag(flagInts, true)
	copy(e.SetLen(len(emptyIntset)), emptyIntset[:])
}

func initRun(e *table.Entry) {
	e.SetFlag(table.FlagLarge, false)
	e.SetFlag(flagInts, false)
	packed.AppendRun(e.SetLen(packed.MinLen)[:0], packed.Forward, 0)
}

// Encoding names the form as OBJECT ENCODING does.
func Encoding(e *table.Entry) string {
	switch {
	case isLarge(e):
		return "hashtable"
	case isInts(e):
		return "intset"
	}
	return "listpack"
}

// Len returns the number of members. O(1).
func Len(e *table.Entry) int {
	switch {
	case isLarge(e):
		return nested.Len(e)
	case isInts(e):
		return intCount(e.Value())
	}
	return packed.Count(e.Value())
}

// Has reports whether member is one. O(1).
func Has(e *table.Entry, member []byte) bool {
	switch {
	case isLarge(e):
		_, found := nested.Get(e, member)
		return found
	case isInts(e):
		n, ok := number.ParseInt(member)
		return ok && hasInt(e, n)
	}
	return find(e.Value(), member) != 0
}

// HasValue is Has for a member of another set.
func HasValue(e *table.Entry, v packed.Value) bool {
	if n, ok := v.Int(); ok && isInts(e) {
		return hasInt(e, n)
	}
	var buf [number.MaxIntLen]byte
	return Has(e, text(v, buf[:0]))
}

// Add adds a member and reports whether it is new. O(1).
func Add(e *table.Entry, lim Limits, member []byte) bool {
	switch {
	case isLarge(e):
		return nested.InsertKey(e, member)
	case isInts(e):
		if n, ok := number.ParseInt(member); ok {
			return addInt(e, lim, n)
		}
		if fitsRun(e, lim, member) {
			intsToRun(e)
			push(e, member)
			return true
		}
	default:
		if find(e.Value(), member) != 0 {
			return false
		}
		if packed.Count(e.Value()) < lim.Entries && len(member) <= lim.Value {
			push(e, member)
			return true
		}
	}
	toLarge(e)
	return nested.InsertKey(e, member)
}

// AddValue is Add for a member of another set, which may be in the same shard.
func AddValue(e *table.Entry, lim Limits, v packed.Value) bool {
	if n, ok := v.Int(); ok && isInts(e) {
		return addInt(e, lim, n)
	}
	var buf [number.MaxIntLen]byte
	return Add(e, lim, text(v, buf[:0]))
}

// AddMany is SADD to a set that may have members: it adds members and returns how
// many are new. O(members).
func AddMany(e *table.Entry, lim Limits, members [][]byte) (added int) {
	// More arguments than a small form holds: Redis converts before it looks for
	// duplicates.
	if hint := len(members); !isLarge(e) && hint > smallLimit(e, lim) {
		toLarge(e)
	}
	for _, member := range members {
		if Add(e, lim, member) {
			added++
		}
	}
	return added
}

// Remove removes a member; false if it is none. O(1).
func Remove(e *table.Entry, member []byte) bool {
	switch {
	case isLarge(e):
		return nested.Delete(e, member)
	case isInts(e):
		n, ok := number.ParseInt(member)
		return ok && intRemove(e, n)
	}
	off := find(e.Value(), member)
	if off == 0 {
		return false
	}
	edit(e, packed.Delete(e.Value(), off, 1))
	return true
}

func isLarge(e *table.Entry) bool { return e.Flag(table.FlagLarge) }

func isInts(e *table.Entry) bool { return e.Flag(flagInts) }

func smallLimit(e *table.Entry, lim Limits) int {
	if isInts(e) {
		return lim.Ints
	}
	return lim.Entries
}

// find returns the position of a member in a listpack, 0 if it is none.
func find(b, member []byte) int { return packed.Find(b, packed.First(b), 1, member) }

func hasInt(e *table.Entry, n int64) bool {
	_, found := intSearch(e.Value(), n)
	return found
}

// text returns v as bytes, those of an integer in buf.
func text(v packed.Value, buf []byte) []byte {
	if v.Kind() == packed.String {
		return v.Bytes()
	}
	return v.AppendString(buf)
}

// integer returns the value of a member that is an integer's canonical form.
func integer(v packed.Value) (int64, bool) {
	if n, ok := v.Int(); ok {
		return n, true
	}
	return number.ParseInt(v.Bytes())
}

// addInt adds n to an intset, which may become a hashtable by it.
func addInt(e *table.Entry, lim Limits, n int64) bool {
	if !intInsert(e, n) {
		return false
	}
	if intCount(e.Value()) > lim.Ints {
		toLarge(e)
	}
	return true
}

// fitsRun reports whether an intset may become a listpack to take a member.
func fitsRun(e *table.Entry, lim Limits, member []byte) bool {
	b := e.Value()
	count := intCount(b)
	if count >= lim.Entries || len(member) > lim.Value {
		return false
	}
	return count == 0 || max(digits(intAt(b, 0)), digits(intAt(b, count-1))) <= lim.Value
}

// digits returns the length of n in decimal.
func digits(n int64) int { return number.IntLen(n) }

// scratchLen holds an encoded member of the default limits without allocation.
const scratchLen = 80

func push(e *table.Entry, member []byte) {
	var buf [scratchLen]byte
	edit(e, packed.Push(e.Value(), packed.Append(buf[:0], packed.Forward, member), 1))
}

// edit makes a change of a listpack in the record.
func edit(e *table.Entry, ed packed.Edit) {
	ed.Fill(e.Splice(ed.Off, ed.Del, len(ed.Ins)))
}

func intsToRun(e *table.Entry) {
	b := e.Value()
	count := intCount(b)
	entries := make([]byte, 0, len(b)+count)
	for i := range count {
		entries = packed.AppendInt(entries, packed.Forward, intAt(b, i))
	}
	run := packed.AppendRun(nil, packed.Forward, count, entries)
	e.SetFlag(flagInts, false)
	copy(e.SetLen(len(run)), run)
}

// toLarge turns a small set into a hashtable.
func toLarge(e *table.Entry) {
	old := append([]byte(nil), e.Value()...)
	wasInts := isInts(e)
	e.SetFlag(flagInts, false)
	t := nested.Create(e)
	defer t.Close()
	var buf [scratchLen]byte
	eachSmall(old, wasInts, func(v packed.Value) bool {
		t.AddKey(text(v, buf[:0]))
		return true
	})
	t.Save()
}
