package jsondoc

// Merged is a document after a merge patch (RFC 7396): members of the patch replace the document's, null removes one, objects
// are merged in turn; anything else takes the document's place. ErrLarge where that is too much. O(document + patch), of
// objects O(members of the document * members of the patch).
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
	if doc.Type() == Object {
		doc.Members(func(name []byte, v Node) bool {
			switch p, _, ok := patch.Member(name); {
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
		if doc.Type() == Object {
			if _, _, ok := doc.Member(name); ok {
				return true
			}
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
// at the least.
func LastChanged(root Node, found []Node) (last int) {
	for i := range found {
		if i > 0 && changedBefore(root, found[last], found[i]) {
			last = i
		}
	}
	return last
}

func changedBefore(root, a, b Node) bool {
	x, y := append(root.trail(nil, a.at), a.at), append(root.trail(nil, b.at), b.at)
	for i := 1; i < min(len(x), len(y)); i++ {
		if x[i] == y[i] {
			continue
		}
		if parent := (Node{root.b, x[i-1]}); parent.Type() == Object {
			return string(parent.nameAt(x[i])) < string(parent.nameAt(y[i]))
		}
		return x[i] > y[i]
	}
	return len(x) > len(y)
}

// nameAt is the name of the member whose value is in a place.
func (n Node) nameAt(at int) (name []byte) {
	n.Members(func(s []byte, v Node) bool {
		name = s
		return v.at != at
	})
	return name
}
