package list

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// Insert puts v before or after the first element that equals pivot. It returns the
// new length, or -1 if no element does. O(position of the pivot).
func Insert(e *table.Entry, lim Limits, after bool, pivot, v []byte) int {
	s := seq{e: e, lim: lim}
	s.begin()
	s.grow(v)
	for ok := s.first(); ok; ok = s.next() {
		run := s.run()
		off := packed.Find(run, packed.First(run), 1, pivot)
		if off == 0 {
			continue
		}
		if after {
			off = packed.Next(run, off) // 0 behind the last: that appends
		}
		var buf [256]byte
		s.edit(packed.Insert(run, off, packed.Append(buf[:0], packed.TwoWay, v), 1))
		s.save()
		return s.len()
	}
	return -1
}

// Remove removes elements that equal v: the first n of them, the last -n if n is
// negative, all if n is 0. It returns how many. O(list).
func Remove(e *table.Entry, lim Limits, n int, v []byte) int {
	s := seq{e: e, lim: lim}
	s.begin()
	removed := 0
	forward, wanted := n >= 0, n
	if n < 0 {
		wanted = -n
	}
	for ok := s.end(forward); ok; {
		position, had := s.before(), packed.Count(s.run())
		gone := s.removeFrom(v, wanted-removed, wanted == 0, forward)
		removed += gone
		if wanted != 0 && removed == wanted {
			break
		}
		ok = s.resume(position, had-gone, gone, forward)
	}
	s.shrink()
	return removed
}

// removeFrom removes up to n elements, or all, that equal v from the current run, the
// last ones first unless forward.
func (s *seq) removeFrom(v []byte, n int, all, forward bool) int {
	run := s.run()
	var found []int
	for off := packed.First(run); off != 0 && (all || !forward || len(found) < n); off = packed.Next(run, off) {
		if off = packed.Find(run, off, 1, v); off == 0 {
			break
		}
		found = append(found, off)
	}
	if !all && len(found) > n {
		found = found[len(found)-n:]
	}
	if len(found) == 0 {
		return 0
	}
	count := packed.Count(run)
	if len(found) == count {
		s.cut(packed.First(run), len(run), count)
		return count
	}
	// One edit for all: what stands between the first and the last of them moves up.
	start, kept := found[0], []byte(nil)
	end, _ := packed.Skip(run, found[len(found)-1], 1)
	spanned, gap := 0, 0
	for i, off := range found {
		if i > 0 {
			kept = append(kept, run[gap:off]...)
		}
		gap, _ = packed.Skip(run, off, 1)
	}
	for off := start; off < end; spanned++ {
		off, _ = packed.Skip(run, off, 1)
	}
	s.edit(packed.Replace(run, start, spanned, kept, spanned-len(found)))
	return len(found)
}

// resume makes the run after (or before) the one at a position current, after gone
// of that one's elements were removed and so many were left.
func (s *seq) resume(position, left, gone int, forward bool) bool {
	if !s.large {
		return false
	}
	if left > 0 && gone > 0 {
		s.at(position)
		// The ends are left alone: a queue shortens and lengthens them all the time.
		if !s.t.AtFirst(&s.c) && !s.t.AtLast(&s.c) {
			s.settle()
		}
	}
	if forward {
		next := position + left
		if next >= s.len() {
			return false
		}
		s.at(next)
		return true
	}
	if position == 0 {
		return false
	}
	s.at(position - 1)
	return true
}

// Match says which of the elements that equal a value Find reports.
type Match struct {
	Rank   int // 1 is the first, 2 the second ...; -1 the last, -2 the one before ...; not 0
	Count  int // how many from there on; 0 means all
	MaxLen int // compare at most so many elements; 0 means all
}

// Find gives the positions of elements that equal v to fn, in the order of the
// search: from the front, or from the back if m.Rank is negative. O(list).
func Find(e *table.Entry, v []byte, m Match, fn func(position int)) {
	s := seq{e: e}
	s.load()
	forward := m.Rank > 0
	skip := m.Rank - 1
	if !forward {
		skip = -1 - m.Rank
	}
	limit, reported := s.len(), 0
	if m.MaxLen > 0 {
		limit = min(limit, m.MaxLen)
	}
	for ok := s.end(forward); ok; ok = s.step(forward) {
		for _, at := range s.matches(v, forward) {
			if s.distance(at, forward) >= limit {
				return
			}
			if skip > 0 {
				skip--
				continue
			}
			fn(at)
			if reported++; reported == m.Count {
				return
			}
		}
		if s.passed(forward) >= limit {
			return
		}
	}
}

// distance is the number of elements that a search meets before the one at a
// position.
func (s *seq) distance(position int, forward bool) int {
	if forward {
		return position
	}
	return s.len() - 1 - position
}

// passed is the number of elements that a search has met when it is through with
// the current run.
func (s *seq) passed(forward bool) int {
	if forward {
		return s.before() + packed.Count(s.run())
	}
	return s.len() - s.before()
}

// matches returns the positions in the list of the current run's elements that
// equal v.
func (s *seq) matches(v []byte, forward bool) []int {
	run := s.run()
	var found []int
	at, index := packed.First(run), 0
	for at != 0 {
		off := packed.Find(run, at, 1, v)
		if off == 0 {
			break
		}
		for ; at != off; at = packed.Next(run, at) {
			index++
		}
		found = append(found, s.before()+index)
		at, index = packed.Next(run, at), index+1
	}
	if !forward {
		slices.Reverse(found)
	}
	return found
}
