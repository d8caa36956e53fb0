package jsondoc

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/table"
)

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

// Apply changes the values found in the document of a record: change tells, in the order of places from the innermost
// out and else from the front to the back, what becomes of each; i is its position in found, of the first where it was
// found more than once. A value within which others change is shown as they have left it. On an error nothing has
// changed. O(document + what is new).
func Apply(e *table.Entry, found []Node, change func(i int, n Node) (Change, error)) error {
	w := rewriter{found: found, change: change}
	w.order = make([]int, len(found))
	for i := range w.order {
		w.order[i] = i
	}
	slices.SortStableFunc(w.order, func(a, b int) int { return found[a].at - found[b].at })
	w.order = slices.CompactFunc(w.order, func(a, b int) bool { return found[a].at == found[b].at })
	root := Root(e.Value())
	if len(w.order) == 1 {
		return w.one(e, root)
	}
	w.b = newBuilder(make([]byte, 0, len(root.b)+len(root.b)/16))
	w.copy(root)
	switch {
	case w.err != nil:
		return w.err
	case w.b.over:
		return ErrLarge
	}
	return Put(e, w.b.buf)
}

// Put makes an encoded value the whole document of a record.
func Put(e *table.Entry, v []byte) error {
	if len(v) > MaxSize {
		return ErrLarge
	}
	copy(e.SetLen(len(v)), v)
	return nil
}

// maxMoved bounds what changes within changes within changes may cost, in bytes.
const maxMoved = 1 << 30

// rewriter writes a document anew with changes.
type rewriter struct {
	b      builder
	level  int // arrays and objects around what b is to hold
	found  []Node
	order  []int // of what was found, by place
	change func(i int, n Node) (Change, error)
	moved  int // bytes that were written for the eyes of changes only
	err    error
}

// copy writes a value with the changes in it; false: it is dropped.
func (w *rewriter) copy(n Node) bool {
	end := n.end()
	i := -1
	if len(w.order) > 0 && w.found[w.order[0]].at == n.at {
		i, w.order = w.order[0], w.order[1:]
	}
	inside := len(w.order) > 0 && w.found[w.order[0]].at < end
	if i < 0 {
		if inside {
			w.contents(n)
		} else {
			w.b.raw(n.raw())
		}
		return true
	}
	if inside { // the value is to be seen as it is when what it contains has changed
		outer, level := w.b, w.level
		w.b, w.level = newBuilder(nil), level+len(outer.frames)
		w.contents(n)
		if w.b.over {
			w.err = ErrLarge
		}
		if w.moved += len(w.b.buf); w.moved > maxMoved {
			w.err = ErrCosty
		}
		n, w.b, w.level = Root(w.b.buf), outer, level
	}
	if w.err != nil {
		return true
	}
	c, err := w.change(i, n)
	if err != nil {
		w.err = err
		return true
	}
	return w.put(n, c)
}

// put writes a value as a change has it.
func (w *rewriter) put(n Node, c Change) bool {
	if w.err = c.tooDeep(w.level + len(w.b.frames)); w.err != nil {
		return true
	}
	switch c.kind {
	case changeNone:
		w.b.raw(n.raw())
	case changeReplace:
		w.b.raw(c.new)
	case changeDrop:
		return false
	default:
		from := n.body() + c.off
		w.b.open(n.Type() == Object)
		w.b.need(n.end() - n.body() + len(c.new) - c.del)
		w.b.buf = append(w.b.buf, n.b[n.body():from]...)
		w.b.buf = append(w.b.buf, c.new...)
		w.b.buf = append(w.b.buf, n.b[from+c.del:n.end()]...)
		w.b.frames[len(w.b.frames)-1].count = n.Len() + c.count
		w.b.close()
	}
	return true
}

// tooDeep refuses a change of a value that lies within so many arrays and objects.
func (c *Change) tooDeep(level int) error {
	if c.kind == changeInside {
		level++
	}
	if c.depth > 0 && level+c.depth > MaxDepth {
		return ErrDeep
	}
	return nil
}

// contents writes an array or object element by element.
func (w *rewriter) contents(n Node) {
	object := n.Type() == Object
	w.b.open(object)
	v := Node{n.b, n.body()}
	for range n.Len() {
		f := &w.b.frames[len(w.b.frames)-1]
		mark, count := len(w.b.buf)-f.body(), f.count
		if object {
			w.b.key(v.Bytes())
			v.at = v.end()
		}
		next := v.end()
		if !w.copy(v) && !w.b.over {
			f = &w.b.frames[len(w.b.frames)-1]
			w.b.buf, f.count = w.b.buf[:f.body()+mark], count
		}
		if w.err != nil || w.b.over {
			break
		}
		v.at = next
	}
	w.b.close()
}

// one changes a document in one place, in place.
func (w *rewriter) one(e *table.Entry, root Node) error {
	i := w.order[0]
	n := w.found[i]
	c, err := w.change(i, n)
	if err != nil {
		return err
	}
	trail := root.trail(n.at)
	if err := c.tooDeep(len(trail)); err != nil {
		return err
	}
	switch c.kind {
	case changeNone:
		return nil
	case changeReplace:
		return splice(e, trail, n.at, n.end()-n.at, c.new, 0)
	case changeInside:
		return splice(e, append(trail, n.at), n.body()+c.off, c.del, c.new, c.count)
	}
	from := n.at
	if parent := (Node{n.b, trail[len(trail)-1]}); parent.Type() == Object {
		v := Node{n.b, parent.body()}
		for v.at < n.at {
			from = v.at
			v = v.next().next()
		}
	}
	return splice(e, trail, from, n.end()-from, nil, -1)
}

// trail are the places of the arrays and objects around a place, from the outermost in.
func (n Node) trail(at int) (list []int) {
	for n.at != at {
		list = append(list, n.at)
		object := n.Type() == Object
		v := Node{n.b, n.body()}
		for {
			if object {
				v.at = v.end()
			}
			end := v.end()
			if at < end {
				break
			}
			v.at = end
		}
		n = v
	}
	return list
}

// splice puts bytes in the place of others, inside the array or object that ends the trail, whose length grows by count.
func splice(e *table.Entry, trail []int, off, del int, v []byte, count int) error {
	b := e.Value()
	grow := len(v) - del
	if len(b)+grow > MaxSize-8*MaxDepth {
		return ErrLarge
	}
	// What each array or object grows by, the wider figures of those in it included.
	grows := make([]int, len(trail))
	widths := make([]int, len(trail))
	for i := len(trail) - 1; i >= 0; i-- {
		n := Node{b, trail[i]}
		grows[i], widths[i] = grow, n.width()
		for size := n.end() - n.body() + grow; !fits(size, widths[i]); {
			grow += 2 * widths[i]
			widths[i] *= 2
		}
	}
	b = e.Splice(off, del, len(v))
	copy(b[off:], v)
	for i := len(trail) - 1; i >= 0; i-- {
		at, add := trail[i], 0
		if i == len(trail)-1 {
			add = count
		}
		n := Node{b, at}
		old := n.width()
		size, length := figure(b[at+1:], old)+grows[i], figure(b[at+1+old:], old)+add
		w := widths[i]
		if w != old {
			b = e.Splice(at+1, 2*old, 2*w)
			for ; old < w; old *= 2 {
				b[at]++
			}
		}
		putFigure(b[at+1:], w, size)
		putFigure(b[at+1+w:], w, length)
	}
	return nil
}

func (n Node) width() int { return widths[n.tag()] }

// fits tells whether w bytes hold a figure.
func fits(v, w int) bool { return w == 4 || v < 1<<(8*w) }
