package jsondoc

// Change is what becomes of a value.
type Change struct {
	kind     changeKind
	new      []byte // encoded: a value, values, or the name and value of a member
	off, del int    // inside an array or object: the bytes of its contents that new takes the place of
	count    int    // and by how much its length grows
	depth    int    // of arrays and objects within each other in new
}

// Value is an encoded value, or several one behind the other, that a document is to take in.
type Value struct {
	Bytes []byte
	Depth int // of arrays and objects within each other
}

// Encoded is the value that a document is.
func Encoded(b []byte) Value { return Value{b, Root(b).depth()} }

// depth is how deep arrays and objects lie in each other. O(value).
func (n Node) depth() (d int) {
	switch n.Type() {
	case Array:
		n.Elements(func(_ int, v Node) bool { d = max(d, v.depth()); return true })
	case Object:
		n.Members(func(_ []byte, v Node) bool { d = max(d, v.depth()); return true })
	default:
		return 0
	}
	return d + 1
}

type changeKind uint8

const (
	changeNone changeKind = iota
	changeReplace
	changeDrop
	changeInside
)

// Keep leaves a value as it is.
func Keep() Change { return Change{} }

// Replace puts an encoded value in the place of another.
func Replace(v Value) Change { return Change{kind: changeReplace, new: v.Bytes, depth: v.Depth} }

// Drop removes a value from the array or object that it is in.
func Drop() Change { return Change{kind: changeDrop} }

// AddMember adds a member to an object that has none of that name, behind the others.
func AddMember(n Node, name []byte, v Value) Change {
	return Change{kind: changeInside, new: append(appendString(nil, name), v.Bytes...), off: n.end() - n.body(), count: 1, depth: v.Depth}
}

// Insert puts count values at a position of an array, or behind the last.
func Insert(n Node, i, count int, v Value) Change {
	return Change{kind: changeInside, new: v.Bytes, off: n.offset(i), count: count, depth: v.Depth}
}

// Remove takes count elements out of an array from a position on.
func Remove(n Node, i, count int) Change {
	off := n.offset(i)
	end := Node{n.b, n.body() + off}
	for range count {
		end.at = end.end()
	}
	return Change{kind: changeInside, off: off, del: end.at - n.body() - off, count: -count}
}

// Trim leaves the elements of an array from one position to before another.
func Trim(n Node, from, to int) Change {
	if from == to {
		return Replace(Value{[]byte{tagArray8, 0, 0}, 1})
	}
	off := n.offset(from)
	b := newBuilder(nil)
	b.open(false)
	kept := n.b[n.body()+off : n.body()+n.offset(to)]
	b.need(len(kept))
	b.buf = append(b.buf, kept...)
	b.frames[0].count = to - from
	b.close()
	return Replace(Value{Bytes: b.buf}) // no deeper than it was
}

// offset is where in the contents of an array the element of a position is; with the length, their end.
func (n Node) offset(i int) int {
	if i == n.Len() {
		return n.end() - n.body()
	}
	return n.Index(i).at - n.body()
}
