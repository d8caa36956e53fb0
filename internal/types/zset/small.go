package zset

import (
	"bytes"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// scoreAfter returns the score of the member at off, 0 if off is 0.
func scoreAfter(run []byte, off int) float64 {
	score, _ := packed.Get(run, packed.Next(run, off)).Float()
	return score
}

// scan goes through the pairs of a run from off on while fn is true. It returns the
// position of the pair at which fn was false, 0 at the end, and the number of pairs
// in front of it.
func scan(run []byte, off int, fn func(member packed.Value, score float64) bool) (at, pairs int) {
	for off != 0 {
		member, next := packed.Read(run, off)
		value, next := packed.Read(run, next)
		score, _ := value.Float()
		if !fn(member, score) {
			return off, pairs
		}
		off = next
		pairs++
	}
	return 0, pairs
}

// appendScore appends a score as the small form has it. Redis keeps the whole ones
// as integers there, so that a minus zero comes back as zero; in a large set it
// comes back as it was.
func appendScore(dst []byte, score float64) []byte {
	if score == 0 {
		score = 0 // without a sign
	}
	return packed.AppendFloat(dst, packed.Forward, score)
}

// smallInsert adds a member that is not there yet.
func smallInsert(e *table.Entry, score float64, member []byte) {
	run := e.Value()
	var scratch [32]byte
	at, _ := scan(run, packed.First(run), func(m packed.Value, s float64) bool {
		// Members are looked at only among equal scores: whole numbers would be written out for each.
		return s < score || s == score && bytes.Compare(text(m, scratch[:]), member) < 0
	})
	var buf [128]byte
	pair := packed.Append(buf[:0], packed.Forward, member)
	pair = appendScore(pair, score)
	apply(e, packed.Insert(run, at, pair, 2))
}

// smallDelete removes n members from the one at off on.
func smallDelete(e *table.Entry, off, n int) {
	apply(e, packed.Delete(e.Value(), off, 2*n))
}

func apply(e *table.Entry, ed packed.Edit) { ed.Fill(e.Splice(ed.Off, ed.Del, len(ed.Ins))) }

// smallSpan is Span. As Redis does, it looks for the end from the beginning on, which
// makes a difference only for ranges of members among unequal scores.
func smallSpan(run []byte, r Range) (from, n int) {
	var scratch [32]byte
	at, from := scan(run, packed.First(run), func(m packed.Value, s float64) bool {
		return r.from.follows(s, text(m, scratch[:]))
	})
	_, n = scan(run, at, func(m packed.Value, s float64) bool {
		return r.to.follows(s, text(m, scratch[:]))
	})
	return from, n
}

// smallWalk is Walk. A run has no way back; the positions are written down instead.
func smallWalk(run []byte, rank, n int, back bool, fn func(member packed.Value, score float64) bool) {
	if !back {
		scan(run, packed.At(run, 2*rank), func(m packed.Value, s float64) bool {
			n--
			return fn(m, s) && n > 0
		})
		return
	}
	var buf [128]int
	positions := buf[:0]
	for off := packed.First(run); len(positions) <= rank; off = packed.Next(run, packed.Next(run, off)) {
		positions = append(positions, off)
	}
	for ; n > 0 && rank >= 0; n, rank = n-1, rank-1 {
		if off := positions[rank]; !fn(packed.Get(run, off), scoreAfter(run, off)) {
			return
		}
	}
}

// text returns a member's bytes: the run's own, or written to scratch.
func text(v packed.Value, scratch []byte) []byte {
	if v.Kind() == packed.String {
		return v.Bytes()
	}
	return v.AppendString(scratch[:0])
}
