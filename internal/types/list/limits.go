package list

import (
	"math"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// Limits say how long a small list, and a leaf of a large one, may get.
type Limits struct {
	// MaxListpackSize is list-max-listpack-size: from -1 to -5 it allows 4, 8, 16,
	// 32 or 64 KiB; any other number that many elements (0 means 1) in at most 8 KiB.
	MaxListpackSize int
}

// DefaultLimits returns Redis's: 8 KiB.
func DefaultLimits() Limits { return Limits{MaxListpackSize: -2} }

// safeBytes bounds runs that are otherwise limited by number.
const safeBytes = 8 << 10

// bounds returns the limits in bytes and in elements.
func (l Limits) bounds() (size, count int) {
	if l.MaxListpackSize >= 0 {
		return safeBytes, max(1, l.MaxListpackSize)
	}
	return 4 << 10 << (min(-l.MaxListpackSize, 5) - 1), math.MaxInt
}

// fits says whether a leaf may hold a run of size bytes and count entries.
func (l Limits) fits(size, count int) bool {
	maxSize, maxCount := l.bounds()
	return size <= maxSize && count <= maxCount
}

// Fit says whether Redis, when it loads a list, keeps it in one listpack of so many bytes and elements.
func (l Limits) Fit(size, count int) bool { return l.fits(size, count) }

// fitsPart is fits for num/den of a leaf.
func (l Limits) fitsPart(size, count, num, den int) bool {
	maxSize, maxCount := l.bounds()
	return size <= maxSize/den*num && count <= maxCount/den*num
}

// roomFor returns the size of the cell for a leaf of size bytes: with some to spare,
// so that not every push moves it, but not beyond a full leaf.
func (l Limits) roomFor(size, spare int) int {
	full, _ := l.bounds()
	return max(size, min(size+spare, full))
}

// slack is what Redis adds to the length of an element when it asks whether a
// leaf has room for it, less the difference of the two formats' headers.
const slack = 13

// chunk returns how many of the values go to the run at an end of the list, at least
// one, and whether that has to be a fresh leaf. The run becomes the current one.
func (s *seq) chunk(front bool, values [][]byte) (n int, fresh bool) {
	if !s.large {
		return len(values), false
	}
	maxSize, maxCount := s.lim.bounds()
	size, count := packed.MinLen, 0
	if s.end(front) {
		size, count = len(s.run()), s.c.Count()
	}
	if count == 0 || count >= maxCount || size+len(values[0])+slack > maxSize {
		size, count, n, fresh = packed.MinLen+packed.EncodedLen(packed.TwoWay, values[0]), 1, 1, true
	}
	for ; n < len(values); n++ {
		if count >= maxCount || size+len(values[n])+slack > maxSize {
			break
		}
		size += packed.EncodedLen(packed.TwoWay, values[n])
		count++
	}
	return n, fresh
}

// grow makes a small list large if adding the values might exceed the limits. As in
// Redis it is asked before an edit, whether or not that comes about.
func (s *seq) grow(values ...[]byte) {
	if s.large {
		return
	}
	maxSize, maxCount := s.lim.bounds()
	run := s.e.Value()
	added := 0
	for _, v := range values {
		added += len(v)
	}
	if packed.Count(run)+len(values) <= maxCount && !listpackExceeds(run, maxSize-added) {
		return
	}
	s.enlarge()
}

// enlarge makes a small list large.
func (s *seq) enlarge() {
	run := s.e.Value()
	s.t = tree.New(s.e.Arena(), leaves)
	if count := packed.Count(run); count > 0 {
		s.t.InsertAfter(&s.c, newLeaf(s.t.Arena(), count, packed.Entries(run)), count, nil)
	}
	s.large = true
	s.e.SetLen(tree.RootSize)
	s.e.SetFlag(table.FlagLarge, true)
	s.save()
}

// shrink ends an operation that removes: it stores the tree's root, or makes the list
// small if it is down to one leaf of half the limit.
func (s *seq) shrink() {
	if !s.large {
		return
	}
	if !s.t.Lone(&s.c) || !s.lim.tiny(s.run()) {
		s.save()
		return
	}
	run := s.run()
	a, leaf := s.t.Arena(), s.c.Leaf()
	s.t.Remove(&s.c)
	s.e.SetFlag(table.FlagLarge, false)
	s.large = false
	copy(s.e.SetLen(len(run)), run)
	a.Free(leaf)
}

// tiny says whether the only leaf of a list is small enough for the list to become
// small: half the limit. Where that is one by number it is one by number alone, but for
// an element that is too big to share a leaf.
func (l Limits) tiny(run []byte) bool {
	maxSize, maxCount := l.bounds()
	count := packed.Count(run)
	if l.MaxListpackSize >= 0 {
		return count <= maxCount/2 && (count > 1 || packed.Get(run, packed.First(run)).Len() <= maxSize)
	}
	return !listpackExceeds(run, maxSize/2)
}

// listpackExceeds says whether Redis's listpack of the run's entries would be larger
// than limit bytes. That format is our run's near relation, no entry being more than
// one byte smaller or three bytes larger, so the entries have to be looked at only
// near the limit.
func listpackExceeds(run []byte, limit int) bool {
	count := packed.Count(run)
	switch {
	case len(run)+6+3*count <= limit:
		return false
	case len(run)+4-count > limit:
		return true
	}
	size := 7 // header and terminator
	for off := packed.First(run); off != 0 && size <= limit; {
		var v packed.Value
		v, off = packed.Read(run, off)
		size += listpackEntry(v)
	}
	return size > limit
}

// listpackEntry returns the size in bytes of an entry of Redis's listpack.
func listpackEntry(v packed.Value) int {
	if i, ok := v.Int(); ok {
		switch {
		case i >= 0 && i < 1<<7:
			return 2
		case i >= -1<<12 && i < 1<<12:
			return 3
		case i >= -1<<15 && i < 1<<15:
			return 4
		case i >= -1<<23 && i < 1<<23:
			return 5
		case i >= -1<<31 && i < 1<<31:
			return 6
		}
		return 10
	}
	n := len(v.Bytes())
	switch {
	case n < 1<<6:
		n++
	case n < 1<<12:
		n += 2
	default:
		n += 5
	}
	switch {
	case n <= 127:
		return n + 1
	case n < 1<<14-1:
		return n + 2
	case n < 1<<21-1:
		return n + 3
	case n < 1<<28-1:
		return n + 4
	}
	return n + 5
}
