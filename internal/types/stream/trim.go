package stream

import "math"

// Trim says which entries go, from the first on.
type Trim struct {
	ByID   bool
	MaxLen int  // how many entries may stay
	MinID  ID   // with ByID, instead: the first that may stay
	Approx bool // whole leaves only
	Limit  int  // as many entries at most; 0: any number
}

// Trim removes entries as told and returns how many. O(leaves removed), and a leaf if it is not approximate.
func (s *Stream) Trim(t Trim) (removed int) {
	limit := t.Limit
	if limit == 0 {
		limit = math.MaxInt
	}
	var p place
	for s.log.t.First(&p.c) {
		count := p.c.Count()
		if !t.ByID && s.Len() <= t.MaxLen || removed+count > limit {
			break
		}
		if !s.wholeGoes(&p, t) {
			if !t.Approx {
				removed += s.trimLeaf(&p, t)
			}
			break
		}
		s.log.removeLeaf(&p.c)
		removed += count
	}
	if s.Len() == 0 {
		s.top = ID{}
	}
	return removed
}

// wholeGoes tells whether all entries of the first leaf go.
func (s *Stream) wholeGoes(p *place, t Trim) bool {
	if !t.ByID {
		return s.Len()-p.c.Count() >= t.MaxLen
	}
	for s.log.enter(p); s.log.step(p); {
	}
	return p.id.Less(t.MinID)
}

// trimLeaf removes those entries of the first leaf that go: not all of them.
func (s *Stream) trimLeaf(p *place, t Trim) (n int) {
	stays := func(id ID, n int) bool {
		if t.ByID {
			return !id.Less(t.MinID)
		}
		return s.Len()-n <= t.MaxLen
	}
	s.log.enter(p)
	base := p.id
	var first item
	q := *p
	for s.log.step(&q) && !stays(q.id, n) {
		if n++; n == 1 {
			first = q.item
		}
		*p = q
	}
	if n > 0 {
		s.log.removeRun(p, first, base, n)
	}
	return n
}
