package jsondoc

import "slices"

// Merged is a document after a merge patch (RFC 7396): members of the patch replace the document's, null removes one, objects
// are merged in turn; anything else takes the document's place. ErrLarge where that is too much. O(document + patch).
func Merged(doc, patch Node) (Value, error) {
	b := newBuilder(nil)
	merge(&b, doc, patch)
	if b.over {
		return Value{}, ErrLarge
	}
	return Encoded(b.buf), nil
}

// merge writes a document with a patch.
func merge(b *builder, doc, patch Node) {
	if patch.Type() != Object {
		b.raw(patch.raw())
		return
	}
	b.open(true)
	old := func([]byte) (Node, bool) { return Node{}, false }
	if doc.Type() == Object {
		old = doc.members(patch.Len())
		patched := patch.members(doc.Len())
		doc.Members(func(name []byte, v Node) bool {
			switch p, ok := patched(name); {
			case !ok:
				b.key(name)
				b.raw(v.raw())
			case p.Type() != Null:
				b.key(name)
				merge(b, v, p)
			}
			return true
		})
	}
	patch.Members(func(name []byte, p Node) bool {
		if p.Type() == Null {
			return true
		}
		if _, ok := old(name); ok {
			return true
		}
		b.key(name)
		merge(b, Root(null), p)
		return true
	})
	b.close()
}

var null = []byte{tagNull}

// Outermost are those of the values that do not lie within another of them, each once, from the front to the back.
func Outermost(found []Node) []Node {
	sorted := sortedByPlace(found)
	out := sorted[:0]
	end := 0
	for _, n := range sorted {
		if n.at >= end {
			out = append(out, n)
			end = n.end()
		}
	}
	return out
}

// IntValue is an integer.
func IntValue(v int64) Value { return Value{Bytes: appendInt(nil, v)} }

// FloatValue is a floating-point number, which must be finite.
func FloatValue(v float64) Value { return Value{Bytes: appendFloat(nil, v)} }

// BoolValue is a boolean.
func BoolValue(v bool) Value {
	if v {
		return Value{Bytes: []byte{tagTrue}}
	}
	return Value{Bytes: []byte{tagFalse}}
}

// StringValue is a string of two parts.
func StringValue(a, b []byte) Value {
	return Value{Bytes: appendString(nil, append(append(make([]byte, 0, len(a)+len(b)), a...), b...))}
}

// LastChanged is which of the values comes last in the order in which RedisJSON changes arrays: by their paths, names in
// the order of their bytes, positions from the last to the first, and what lies within something before that. There is one
// at the least. O(values * log values + length of the arrays and objects on the way).
func LastChanged(root Node, found []Node) int {
	order := byPlace(found)
	for n := root; found[order[0]].at != n.at; {
		n, order = lastWithin(n, found, order)
	}
	return order[0]
}

// lastWithin is the element or member of n in which the last of the values lies, and those that lie there; order are all
// that lie in n, by place.
func lastWithin(n Node, found []Node, order []int) (last Node, within []int) {
	var lastName []byte
	object := n.Type() == Object
	v := Node{n.b, n.body()}
	for len(order) > 0 {
		var name []byte
		if object {
			name = v.Bytes()
			v.at = v.end()
		}
		end, count := v.end(), 0
		for count < len(order) && found[order[count]].at < end {
			count++
		}
		if count > 0 && (within == nil || string(name) > string(lastName)) {
			last, lastName, within = v, name, order[:count]
			if !object {
				return last, within
			}
		}
		order, v.at = order[count:], end
	}
	return last, within
}

// byPlace are the positions of the values in found, in the order of their places; of those in one place the first is first.
func byPlace(found []Node) []int {
	order := make([]int, len(found))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return found[a].at - found[b].at })
	return order
}
