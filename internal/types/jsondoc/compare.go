package jsondoc

import (
	"bytes"
	"cmp"
)

// holds evaluates a filter for an element: it is enough that all conditions of one alternative hold.
func (m *matcher) holds(f *filter, v Node) bool {
	for _, all := range f.any {
		ok := true
		for i := range all {
			if ok = m.condition(&all[i], v) != all[i].not; !ok {
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

func (m *matcher) condition(c *condition, v Node) bool {
	if m.looks--; m.done() {
		return false
	}
	if c.inner != nil {
		return m.holds(c.inner, v)
	}
	left := m.operand(&c.left, v)
	if c.op == opNone {
		return len(left) > 0
	}
	right := m.operand(&c.right, v)
	m.looks -= costOf(left, right)
	if c.op == opNotEqual {
		return !m.compare(c, opEqual, left, right)
	}
	return m.compare(c, c.op, left, right)
}

// costOf is what a comparison may take beside looking at each pair, in looks at values.
func costOf(left, right []Node) (n int64) {
	for _, v := range left {
		n += int64(v.Size()) * int64(len(right))
	}
	for _, v := range right {
		n += int64(v.Size()) * int64(len(left))
	}
	return n / 16
}

// operand are the values of an operand; one, for a constant.
func (m *matcher) operand(o *operand, v Node) []Node {
	if o.constant != nil {
		return []Node{Root(o.constant)}
	}
	if o.fromRoot {
		v = m.root
	}
	if len(o.steps) == 0 {
		return []Node{v}
	}
	in := matcher{root: m.root, looks: m.looks}
	in.follow(o.steps, v)
	m.looks = in.looks
	return in.found
}

// compare tells whether a comparison holds of any value of the left and any of the right.
func (m *matcher) compare(c *condition, op operator, left, right []Node) bool {
	for _, a := range left {
		for _, b := range right {
			if m.looks--; m.done() {
				return false
			}
			if m.compareTwo(c, op, a, b) {
				return true
			}
		}
	}
	return false
}

func (m *matcher) compareTwo(c *condition, op operator, a, b Node) bool {
	switch op {
	case opMatch:
		return m.matches(c, a, b)
	case opEqual:
		if a.Type() >= Array {
			return Equal(a, b)
		}
	}
	order, ok := compare(a, b)
	if !ok {
		return false
	}
	switch op {
	case opEqual:
		return order == 0
	case opLess:
		return order < 0
	case opLessEqual:
		return order <= 0
	case opGreater:
		return order > 0
	}
	return order >= 0
}

// compare orders two values, if they are of one kind that has an order.
func compare(a, b Node) (order int, ok bool) {
	x, y := a.Type(), b.Type()
	switch {
	case x == Int && y == Int:
		return cmp.Compare(a.Int(), b.Int()), true
	case x == Uint && y == Uint:
		return cmp.Compare(a.Uint(), b.Uint()), true
	case x.Number() && y.Number():
		return cmp.Compare(a.Float(), b.Float()), true
	case x != y:
		return 0, false
	}
	switch x {
	case Null:
		return 0, true
	case Bool:
		return cmp.Compare(a.tag(), b.tag()), true
	case String:
		return bytes.Compare(a.Bytes(), b.Bytes()), true
	}
	return 0, false
}

// Equal tells whether two values are the same: integers and floats never are, members of objects may come in any order.
// O(values).
func Equal(a, b Node) bool {
	x := a.Type()
	if x != b.Type() {
		return false
	}
	switch x {
	case Array:
		if a.Len() != b.Len() {
			return false
		}
		same, v := true, Node{b.b, b.body()}
		a.Elements(func(_ int, u Node) bool {
			same = Equal(u, v)
			v.at = v.end()
			return same
		})
		return same
	case Object:
		return a.Len() == b.Len() && sameMembers(a, b)
	}
	order, ok := compare(a, b)
	return ok && order == 0
}

// sameMembers compares two objects of as many members.
func sameMembers(a, b Node) bool {
	find := b.members(a.Len())
	same := true
	a.Members(func(name []byte, u Node) bool {
		v, ok := find(name)
		same = ok && Equal(u, v)
		return same
	})
	return same
}

// members is Member for an Object in which so many names will be looked for: from some on the names are indexed first.
func (n Node) members(times int) func(name []byte) (Node, bool) {
	if times <= 4 || n.Len() <= 16 {
		return func(name []byte) (Node, bool) {
			v, _, ok := n.Member(name)
			return v, ok
		}
	}
	index := make(map[string]Node, n.Len())
	n.Members(func(s []byte, v Node) bool { index[string(s)] = v; return true })
	return func(name []byte) (Node, bool) {
		v, ok := index[string(name)]
		return v, ok
	}
}
