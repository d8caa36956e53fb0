package zset

import (
	"bytes"
	"math"
	"strconv"

	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
)

// Range is a range of scores, or of members among equal scores.
type Range struct{ from, to cut }

// cut is a place between two elements of the order. Members alias what the cut was
// made of.
type cut struct {
	kind   cutKind
	score  float64
	member []byte
	after  bool // of elements that are equal to score or member: behind them
}

type cutKind byte

const (
	atStart   cutKind = iota // in front of everything
	atEnd                    // behind everything
	atScore                  // beside the elements of a score
	atMember                 // beside a member, scores being equal
	atElement                // in front of an element, score and member
)

// follows says whether an element stands in front of the cut.
func (c *cut) follows(score float64, member []byte) bool {
	order := 0
	switch c.kind {
	case atStart:
		return false
	case atEnd:
		return true
	case atScore:
		order = compareScores(score, c.score)
	case atMember:
		order = bytes.Compare(member, c.member)
	case atElement:
		if order = compareScores(score, c.score); order == 0 {
			order = bytes.Compare(member, c.member)
		}
	}
	return order < 0 || order == 0 && c.after
}

// compareScores takes both zeros for equal; there is no NaN.
func compareScores(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Scores returns the range of scores from min to max, each excluded if so said.
func Scores(min, max float64, minExcluded, maxExcluded bool) Range {
	return Range{
		from: cut{kind: atScore, score: min, after: minExcluded},
		to:   cut{kind: atScore, score: max, after: !maxExcluded},
	}
}

// ParseScores reads the bounds of ZRANGEBYSCORE: a number, or "(" and a number for
// one that is excluded. It is false where Redis says "min or max is not a float".
func ParseScores(min, max []byte) (Range, bool) {
	lo, loExcluded, ok := parseBound(min)
	if !ok {
		return Range{}, false
	}
	hi, hiExcluded, ok := parseBound(max)
	return Scores(lo, hi, loExcluded, hiExcluded), ok
}

// parseBound reads a bound as C's strtod does, with which Redis reads it: unlike a
// score it may begin with space, be empty (zero), or be out of a double's range.
func parseBound(s []byte) (score float64, excluded, ok bool) {
	if len(s) > 0 && s[0] == '(' {
		excluded, s = true, s[1:]
	}
	s, _, _ = bytes.Cut(s, []byte{0})
	if len(s) == 0 {
		return 0, excluded, true
	}
	s = bytes.TrimLeft(s, " \t\n\v\f\r")
	if f, ok := number.ParseFloat(s); ok {
		return f, excluded, true
	}
	f, ok := parseExtreme(string(s))
	return f, excluded, ok
}

// parseExtreme reads a number that is too large or too small for a double.
func parseExtreme(s string) (float64, bool) {
	for i := range len(s) {
		if s[i] == '_' {
			return 0, false // Go's, not C's
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		hex, hexErr := strconv.ParseFloat(s+"p0", 64)
		if hexErr == nil || isRange(hexErr) {
			return hex, true
		}
		return f, isRange(err)
	}
	return f, !math.IsNaN(f)
}

func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}

// ParseMembers reads the bounds of ZRANGEBYLEX: "[" and a member, "(" and a member
// that is excluded, "-" and "+" for the least and the greatest. It is false where
// Redis says "min or max not valid string range item". The range aliases min and max.
func ParseMembers(min, max []byte) (Range, bool) {
	from, ok := parseMember(min)
	if !ok {
		return Range{}, false
	}
	to, ok := parseMember(max)
	to.after = !to.after // an excluded end lies in front of its member
	return Range{from, to}, ok
}

func parseMember(s []byte) (cut, bool) {
	switch {
	case len(s) == 0:
	case s[0] == '-':
		return cut{kind: atStart}, len(s) == 1
	case s[0] == '+':
		return cut{kind: atEnd}, len(s) == 1
	case s[0] == '(':
		return cut{kind: atMember, member: s[1:], after: true}, true
	case s[0] == '[':
		return cut{kind: atMember, member: s[1:]}, true
	}
	return cut{}, false
}

// Span returns which ranks a range covers: n of them, from the rank from on.
// O(log n).
func Span(e *table.Entry, r Range) (from, n int) {
	if !isLarge(e) {
		return smallSpan(e.Value(), r)
	}
	x := openIndex(e)
	defer x.close()
	from = x.rankOf(&r.from)
	return from, max(0, x.rankOf(&r.to)-from)
}
