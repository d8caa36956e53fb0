package jsondoc

import "math"

// A path is followed depth first, as RedisJSON does it, so that values come in its order; one that several ways lead to
// comes several times.

// Limits of what one path may ask for: values that it gives, and values that are looked at on the way: so many, and for each
// byte of the document some more.
const (
	maxMatches   = 1 << 22
	maxLooks     = 1 << 24
	looksForByte = 16
)

// spent is what is left of the looks where something else was too much.
const spent = math.MinInt64 / 2

// ErrCosty refuses a path that leads to too many values, or in too many ways.
const ErrCosty Error = "ERR path matches too many values"

// Find returns the values that the path leads to. The slice is appended to dst[:0]. O(values passed on the way).
func (p *Path) Find(dst []Node, root Node) ([]Node, error) {
	m := newMatcher(root)
	m.found = dst[:0]
	m.follow(p.steps, root)
	if m.looks < 0 {
		return nil, ErrCosty
	}
	return m.found, nil
}

// First returns the first value that the path leads to; false if there is none.
func (p *Path) First(root Node) (n Node, ok bool, err error) {
	m := newMatcher(root)
	m.one = true
	m.follow(p.steps, root)
	switch {
	case m.looks < 0:
		return n, false, ErrCosty
	case len(m.found) == 0:
		return n, false, nil
	}
	return m.found[0], true, nil
}

type matcher struct {
	root  Node
	found []Node
	looks int64 // that are left; negative: there were too many
	one   bool  // the first will do
	last  expression
}

func newMatcher(root Node) matcher {
	return matcher{root: root, looks: maxLooks + looksForByte*int64(len(root.b))}
}

// done tells whether it is not worthwhile to go on.
func (m *matcher) done() bool { return m.looks < 0 || m.one && len(m.found) > 0 }

func (m *matcher) follow(steps []step, n Node) {
	m.looks--
	if len(steps) == 0 {
		if m.found = append(m.found, n); len(m.found) > maxMatches {
			m.looks = spent
		}
		return
	}
	if m.done() {
		return
	}
	s, rest := &steps[0], steps[1:]
	switch s.kind {
	case stepNames:
		m.names(s, rest, n)
	case stepIndexes:
		m.indexes(s, rest, n)
	case stepSlice:
		m.slice(s, rest, n)
	case stepAll:
		m.each(n, func(v Node) { m.follow(rest, v) })
	case stepScan:
		m.follow(rest, n)
		m.scan(rest, n)
	case stepFilter:
		m.each(n, func(v Node) {
			if m.holds(s.filter, v) {
				m.follow(rest, v)
			}
		})
	}
}

// each gives the elements or the members' values.
func (m *matcher) each(n Node, fn func(v Node)) {
	t := n.Type()
	if t != Array && t != Object {
		return
	}
	v := Node{n.b, n.body()}
	for i := n.Len(); i > 0 && !m.done(); i-- {
		if t == Object {
			v.at = v.end()
		}
		next := v.end()
		m.looks--
		fn(v)
		v.at = next
	}
}

func (m *matcher) scan(rest []step, n Node) {
	m.each(n, func(v Node) {
		m.follow(rest, v)
		m.scan(rest, v)
	})
}

func (m *matcher) names(s *step, rest []step, n Node) {
	if n.Type() != Object {
		return
	}
	for _, name := range s.names {
		m.looks -= int64(n.Len())
		if v, _, ok := n.Member(name); ok {
			m.follow(rest, v)
		}
	}
}

// position is a position in an array of n elements: a negative one counts from the end, and is the first where that is
// too far.
func position(i, n int) int {
	if i >= 0 {
		return min(i, n)
	}
	return max(i+n, 0)
}

func (m *matcher) indexes(s *step, rest []step, n Node) {
	if n.Type() != Array {
		return
	}
	for _, i := range s.indexes {
		if i = position(i, n.Len()); i < n.Len() {
			m.looks -= int64(i)
			m.follow(rest, n.Index(i))
		}
	}
}

func (m *matcher) slice(s *step, rest []step, n Node) {
	if n.Type() != Array {
		return
	}
	from, to := 0, n.Len()
	if s.from.given {
		from = position(s.from.at, to)
	}
	if s.to.given {
		to = position(s.to.at, n.Len())
	}
	m.looks -= int64(to)
	n.Elements(func(i int, v Node) bool {
		if i >= to {
			return false
		}
		if i >= from && (i-from)%s.stride == 0 {
			m.follow(rest, v)
		}
		return !m.done()
	})
}
