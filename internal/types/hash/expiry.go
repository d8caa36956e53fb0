package hash

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Fields that expire.
//
// A hash is timed from the moment at which one of its fields first gets an expiry,
// and stays so, as in Redis. Both forms of a timed hash end in a stamp of eight
// bytes: the earliest expiry of all fields, 0 if none has one. So whoever meets the
// hash knows in O(1), from the record alone, whether anything in it is due.
//
// The small form has a third entry for each field, its expiry or 0: seven bytes
// where there is one, one where there is none. Where the field that the stamp is
// of loses its expiry, a read through the run finds the next.
//
// In the large form a field's record carries its expiry, and a tree orders the
// records that have one (see schedule), so that those that are due are found, and
// the next one that will be, in O(log n) each, however many others there are.
//
// Nothing here looks at a clock: a field past its time is there until [Expire]
// removes it. The engine does that before it shows a hash to anybody.

// FlagTimed marks a record whose hash is timed.
const FlagTimed = table.FlagA

// MaxExpiry is the latest expiry of a field, Unix milliseconds: Redis's bound.
const MaxExpiry = 1<<46 - 1

const (
	plainWidth = 2 // entries of a field in the small form
	timedWidth = 3
	stampLen   = 8
)

func isTimed(e *table.Entry) bool { return e.Flag(FlagTimed) }

// width is the number of entries that a field has in the small form.
func width(e *table.Entry) int {
	if isTimed(e) {
		return timedWidth
	}
	return plainWidth
}

// runOf is the run of a small hash.
func runOf(e *table.Entry) []byte {
	b := e.Value()
	if isTimed(e) {
		return b[:len(b)-stampLen]
	}
	return b
}

// cell is what the small form says of a field.
type cell struct {
	field, value packed.Value
	expiry       int64 // 0: none
}

// readCell reads the field at off and returns the position of the next, 0 at the end.
func readCell(b []byte, width, off int) (c cell, next int) {
	c.field, off = packed.Read(b, off)
	c.value, next = packed.Read(b, off)
	if width == timedWidth {
		var at packed.Value
		at, next = packed.Read(b, next)
		c.expiry, _ = at.Int()
	}
	return c, next
}

// NextExpiry returns when the first of a hash's fields expires, in Unix
// milliseconds, 0 if none of them does. O(1).
func NextExpiry(e *table.Entry) int64 {
	if !isTimed(e) {
		return 0
	}
	b := e.Value()
	return int64(binary.LittleEndian.Uint64(b[len(b)-stampLen:]))
}

func stamp(e *table.Entry, at int64) {
	b := e.Value()
	binary.LittleEndian.PutUint64(b[len(b)-stampLen:], uint64(at))
}

// restamp finds the stamp of a small hash, if it has one, anew.
func restamp(e *table.Entry) {
	if isTimed(e) {
		stamp(e, earliest(runOf(e)))
	}
}

// lost brings the stamp of a small hash up to date after a field lost its expiry, or none if gone is 0.
func lost(e *table.Entry, gone int64) {
	if gone != 0 && gone == NextExpiry(e) {
		restamp(e)
	}
}

// earliest is the earliest expiry in the run of a timed hash.
func earliest(b []byte) (at int64) {
	for off := packed.First(b); off != 0; {
		var c cell
		if c, off = readCell(b, timedWidth, off); c.expiry != 0 && (at == 0 || c.expiry < at) {
			at = c.expiry
		}
	}
	return at
}

// Expiry returns when a field expires, in Unix milliseconds, 0 if it does not; ok
// is false if there is no such field. O(1).
func Expiry(e *table.Entry, field []byte) (at int64, ok bool) {
	if isLarge(e) {
		return nested.Expiry(e, field)
	}
	b, w := runOf(e), width(e)
	off := find(b, w, field)
	if off == 0 {
		return 0, false
	}
	c, _ := readCell(b, w, off)
	return c.expiry, true
}

// SetExpiry sets when a field expires, in Unix milliseconds up to [MaxExpiry]; 0
// means never. It is false if there is no such field. The first expiry that is set
// in a hash costs O(fields), others O(log n) of the fields that expire.
func SetExpiry(e *table.Entry, field []byte, at int64) bool {
	if had, ok := Expiry(e, field); !ok || had == at {
		return ok
	}
	if !isTimed(e) {
		makeTimed(e)
	}
	if isLarge(e) {
		s := editSchedule(e)
		defer s.close()
		s.setExpiry(field, at)
		return true
	}
	setSmallExpiry(e, field, at)
	return true
}

func setSmallExpiry(e *table.Entry, field []byte, at int64) {
	b := runOf(e)
	off := find(b, timedWidth, field)
	c, _ := readCell(b, timedWidth, off)
	var buf [16]byte
	edit(e, packed.Replace(b, packed.Next(b, packed.Next(b, off)), 1, packed.AppendInt(buf[:0], packed.Forward, at), 1))
	if next := NextExpiry(e); at != 0 && (next == 0 || at < next) {
		stamp(e, at)
	} else {
		lost(e, c.expiry)
	}
}

// makeTimed makes room for expiries.
func makeTimed(e *table.Entry) {
	if isLarge(e) {
		e.SetFlag(FlagTimed, true)
		newSchedule(e)
		return
	}
	old := append([]byte(nil), e.Value()...)
	e.SetFlag(FlagTimed, true)
	var none [1]byte
	packed.AppendInt(none[:0], packed.Forward, 0)
	parts := make([][]byte, 0, packed.Count(old))
	for off := packed.First(old); off != 0; {
		_, next := readCell(old, plainWidth, off)
		parts = append(parts, cellBytes(old, off, next), none[:])
		off = next
	}
	setRun(e, packed.AppendRun(nil, packed.Forward, packed.Count(old)/plainWidth*timedWidth, parts...))
}

// cellBytes are the bytes of the field at off; next is the position of the next, 0 at the end.
func cellBytes(b []byte, off, next int) []byte {
	if next == 0 {
		return b[off:]
	}
	return b[off:next]
}

// EachExpiry is Each that also gives the fields' expiry, 0 for none. O(fields).
func EachExpiry(e *table.Entry, fn func(field, value packed.Value, expiry int64) bool) {
	if isLarge(e) {
		nested.Each(e, func(r *table.Entry) bool {
			field, value := record(r)
			return fn(field, value, r.Expiry())
		})
		return
	}
	b, w := runOf(e), width(e)
	for off := packed.First(b); off != 0; {
		var c cell
		if c, off = readCell(b, w, off); !fn(c.field, c.value, c.expiry) {
			return
		}
	}
}

// Expire removes fields whose expiry lies before now, at most max, and returns how
// many they were. gone, if not nil, is called with each before it goes; what it is
// given is valid during the call, and it must not change the shard. O(log n) for
// each, O(fields) in the small form.
func Expire(e *table.Entry, now int64, max int, gone func(field []byte)) (n int) {
	if next := NextExpiry(e); next == 0 || next >= now {
		return 0
	}
	if isLarge(e) {
		s := editSchedule(e)
		defer s.close()
		return s.expire(now, max, gone)
	}
	b := runOf(e)
	parts := make([][]byte, 0, packed.Count(b)/timedWidth)
	var buf []byte
	for off := packed.First(b); off != 0; {
		c, next := readCell(b, timedWidth, off)
		if c.expiry != 0 && c.expiry < now && n < max {
			n++
			if gone != nil {
				buf = c.field.AppendString(buf[:0])
				gone(buf)
			}
		} else {
			parts = append(parts, cellBytes(b, off, next))
		}
		off = next
	}
	setRun(e, packed.AppendRun(nil, packed.Forward, timedWidth*len(parts), parts...))
	return n
}

// Vanished tells whether all fields of a hash have an expiry before now: to its
// readers it is gone. O(1), O(fields) in the small form.
func Vanished(e *table.Entry, now int64) bool {
	if next := NextExpiry(e); next == 0 || next >= now {
		return false
	}
	if isLarge(e) {
		s := openSchedule(e)
		defer s.close()
		return s.vanished(now)
	}
	b := runOf(e)
	for off := packed.First(b); off != 0; {
		var c cell
		if c, off = readCell(b, timedWidth, off); c.expiry == 0 || c.expiry >= now {
			return false
		}
	}
	return true
}
