package table

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/invariant"
)

// Replace gives the record another kind, a value of n undefined bytes and an expiry (Unix milliseconds, 0 for none),
// clears all flags of the type, and returns the value. What the old value referred to must have been freed. It moves
// the record at most once. O(1) in place, else O(n).
func (e *Entry) Replace(kind byte, n int, expiry int64) []byte {
	invariant.Assert(kind&kindMask != Bare && e.Kind() != Bare, "table: Replace of a bare record")
	e.Change()
	had := e.rec[0]&FlagExpiry != 0
	e.rec[0] = e.rec[0]&FlagExpiry | kind&kindMask
	if n == e.end-e.value && had == (expiry != 0) {
		if had {
			binary.LittleEndian.PutUint64(e.rec[e.key-expirySize:], uint64(expiry))
		}
		return e.Value()
	}
	e.relay(expiry, 0, e.end-e.value, n)
	if had != (expiry != 0) {
		e.countExpiry(!had)
	}
	return e.Value()
}

// countExpiry keeps the books of the bucket, the segment and the table when the record begins or ceases to expire.
func (e *Entry) countExpiry(on bool) {
	setExpiring(e.t.a.Line(e.bucket), e.slot, on)
	d := 1
	if !on {
		d = -1
	}
	addExpiring(e.t.a.Line(e.t.segment(e.hash()).ref()), d)
	e.t.expiring += d
	if e.t.Books != nil {
		e.t.Books.Record(e.Key(), 0, 0, -d)
	}
}
