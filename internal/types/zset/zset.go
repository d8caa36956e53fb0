// Package zset is the sorted set: members, each with a score, in the order of
// score and, among equal scores, of the member's bytes.
//
// # Two encodings
//
// A small sorted set is one packed run of member, score, member, score in order,
// the value of its key's record ("listpack"). A large one, marked by
// table.FlagLarge, is two structures over one set of records ("skiplist"): a nested
// table finds a member's record, whose value is the score (see encodeScore); a
// counted tree keeps the records in order, in entries of eight bytes: a reference to
// the record and 32 bits that order as the score does (see prefix), so that most
// comparisons on the way down need not look at the record. The value of the key's
// record holds the roots of both.
//
// A set turns large by the limits of zset-max-listpack-entries and -value and
// never turns small again, as in Redis.
//
// # Everything by rank
//
// Ranges of scores, of members and of ranks are all brought to one form, a run of
// ranks: Span answers which ranks a Range covers, in O(log n), and Walk and
// RemoveRange take ranks. So ZCOUNT is a Span, ZRANGEBYLEX a Span and a Walk,
// ZREMRANGEBYSCORE a Span and a RemoveRange, and LIMIT and REV are arithmetic.
//
// # Ownership of bytes
//
// Members are copied in. Members given out alias the set: they are valid until it
// changes, those given to a callback during the call only. Callbacks must not
// change the set. Entries that an operation takes are positioned on a record whose
// kind is sorted set; they stay positioned on it.
//
// An operation may leave a set empty; the caller then calls Free and deletes the key.
package zset

import (
	"errors"
	"math"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// ErrNaN refuses a score that is not a number, given or reached by an increment.
// The text is Redis's.
var ErrNaN = errors.New("resulting score is not a number (NaN)")

// Limits say how far a sorted set stays small.
type Limits struct {
	Entries int // members; zset-max-listpack-entries
	Value   int // bytes of the longest member; zset-max-listpack-value
}

// DefaultLimits returns Redis's.
func DefaultLimits() Limits { return Limits{Entries: 128, Value: 64} }

// InitLen is the length in bytes of the value of a new record that is to be given
// to Init.
const InitLen = packed.MinLen

// Init makes e's value an empty sorted set, whatever it was. Cells that the old
// value referred to must have been freed.
func Init(e *table.Entry) {
	e.SetFlag(table.FlagLarge, false)
	packed.AppendRun(e.SetLen(InitLen)[:0], packed.Forward, 0)
}

// Encoding names the form as OBJECT ENCODING does: "listpack" or "skiplist".
func Encoding(e *table.Entry) string {
	if isLarge(e) {
		return "skiplist"
	}
	return "listpack"
}

func isLarge(e *table.Entry) bool { return e.Flag(table.FlagLarge) }

// Len returns the number of members. O(1).
func Len(e *table.Entry) int {
	if isLarge(e) {
		return largeLen(e)
	}
	return packed.Count(e.Value()) / 2
}

// Expect prepares for members of up to longest bytes, n of them: it makes a small
// set large if they alone exceed the limits. Redis asks this before a ZADD, so that
// the encoding may change even if nothing is added.
func Expect(e *table.Entry, lim Limits, n, longest int) {
	if !isLarge(e) && (n > lim.Entries || longest > lim.Value) {
		convert(e).close()
	}
}

// Options are ZADD's conditions. NX excludes the others, GT excludes LT; the caller
// sees to that.
type Options struct {
	NX   bool // only add, do not update
	XX   bool // only update, do not add
	GT   bool // only update to a greater score
	LT   bool // only update to a smaller score
	Incr bool // the score given is added to the one there is
}

// Outcome is what Add did.
type Outcome int

const (
	Skipped   Outcome = iota // nothing, because of a condition
	Unchanged                // nothing, the member had that score
	Added                    // the member is new
	Updated                  // the member has another score
)

// Add adds a member or updates its score. It returns the member's score afterwards,
// unless the outcome is Skipped. ErrNaN is the only error; then nothing has changed.
// O(log n).
func Add(e *table.Entry, lim Limits, o Options, score float64, member []byte) (float64, Outcome, error) {
	if math.IsNaN(score) {
		return 0, Skipped, ErrNaN
	}
	if isLarge(e) {
		x := editIndex(e)
		defer x.close()
		return x.add(o, score, member)
	}
	run := e.Value()
	off := packed.Find(run, packed.First(run), 2, member)
	next, outcome, err := o.decide(off != 0, scoreAfter(run, off), score)
	switch outcome {
	case Updated:
		smallDelete(e, off, 1)
		smallInsert(e, next, member)
	case Added:
		if packed.Count(run)/2+1 > lim.Entries || len(member) > lim.Value {
			x := convert(e)
			defer x.close()
			x.insert(x.hash(member), next, member)
			return next, Added, nil
		}
		smallInsert(e, next, member)
	}
	return next, outcome, err
}

// decide applies the conditions to a member that has a score, or does not exist.
func (o Options) decide(exists bool, old, score float64) (next float64, outcome Outcome, err error) {
	if !exists {
		if o.XX {
			return 0, Skipped, nil
		}
		return score, Added, nil
	}
	if o.NX {
		return 0, Skipped, nil
	}
	if o.Incr {
		score += old
		if math.IsNaN(score) {
			return 0, Skipped, ErrNaN
		}
	}
	switch {
	case o.LT && score >= old, o.GT && score <= old:
		return 0, Skipped, nil
	case score == old:
		return score, Unchanged, nil
	}
	return score, Updated, nil
}

// Score returns a member's score; false if there is no such member. O(1).
func Score(e *table.Entry, member []byte) (float64, bool) {
	if isLarge(e) {
		x := openIndex(e)
		defer x.close()
		return x.score(member)
	}
	run := e.Value()
	off := packed.Find(run, packed.First(run), 2, member)
	return scoreAfter(run, off), off != 0
}

// Rank returns a member's rank, from 0, and its score; false if there is no such
// member. The rank from the other end is Len-1-rank. O(log n).
func Rank(e *table.Entry, member []byte) (rank int, score float64, ok bool) {
	if isLarge(e) {
		x := openIndex(e)
		defer x.close()
		return x.rank(member)
	}
	run := e.Value()
	for off := packed.First(run); off != 0; rank++ {
		m, next := packed.Read(run, off)
		if m.Equal(member) {
			return rank, scoreAfter(run, off), true
		}
		off = packed.Next(run, next)
	}
	return 0, 0, false
}

// Remove removes a member; false if there is none such. O(log n).
func Remove(e *table.Entry, member []byte) bool {
	if isLarge(e) {
		x := editIndex(e)
		defer x.close()
		return x.remove(member)
	}
	run := e.Value()
	off := packed.Find(run, packed.First(run), 2, member)
	if off == 0 {
		return false
	}
	smallDelete(e, off, 1)
	return true
}
