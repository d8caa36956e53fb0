package nested

import (
	"math/bits"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
)

// Below returns a random number in [0, n), n > 0, by Lemire's multiplication:
// uniform but for a bias below n/2^64. rnd gives 64 random bits.
func Below(rnd func() uint64, n int) int {
	hi, _ := bits.Mul64(rnd(), uint64(n))
	return int(hi)
}

// Selection picks some of a sequence of known length while it is walked, every
// subset of that size with the same chance: Knuth's Algorithm S. It needs neither
// memory nor a second look.
type Selection struct {
	rnd        func() uint64
	want, left int
}

// NewSelection picks want (or all, if there are fewer) of total.
func NewSelection(rnd func() uint64, want, total int) Selection {
	return Selection{rnd, min(want, total), total}
}

// Next reports whether the next of the sequence is picked.
func (s *Selection) Next() bool {
	picked := s.want > 0 && Below(s.rnd, s.left) < s.want
	s.left--
	if picked {
		s.want--
	}
	return picked
}

// Done reports whether nothing more will be picked.
func (s *Selection) Done() bool { return s.want == 0 }

// Random calls fn with a random record of e's table, which is not empty: each with
// nearly the same chance. fn must not change it. O(1).
func Random(e *table.Entry, rnd func() uint64, fn func(r *table.Entry)) {
	t := Open(e)
	defer t.Close()
	var r table.Entry
	t.Random(rnd(), &r)
	fn(&r)
}

// TakeRandom is Random, and removes the record afterwards. O(1).
func TakeRandom(e *table.Entry, rnd func() uint64, fn func(r *table.Entry)) {
	t := Edit(e)
	defer t.Close()
	var r table.Entry
	t.Random(rnd(), &r)
	fn(&r)
	r.Delete()
	t.Save()
}

// walkFactor is how many times the wanted records a table may have for a walk of
// the whole table to be cheaper than drawing until enough are different.
const walkFactor = 3

// RandomDistinct calls fn with n different random records of e's table, or with
// all if there are fewer. fn must not change them. O(n) when n is small beside the
// table, else O(table).
func RandomDistinct(e *table.Entry, rnd func() uint64, n int, fn func(r *table.Entry)) {
	t := Open(e)
	defer t.Close()
	if n >= t.Len()/walkFactor {
		pick := NewSelection(rnd, n, t.Len())
		t.Each(func(r *table.Entry) bool {
			if pick.Next() {
				fn(r)
			}
			return !pick.Done()
		})
		return
	}
	drawn := make(map[arena.Ref]struct{}, n)
	var r table.Entry
	for len(drawn) < n {
		t.Random(rnd(), &r)
		if _, again := drawn[r.Ref()]; !again {
			drawn[r.Ref()] = struct{}{}
			fn(&r)
		}
	}
}
