package jsondoc

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/table"
)

// Apply changes the values found in the document of a record: change tells, in the order of places from the innermost
// out and else from the front to the back, what becomes of each; i is its position in found, of the first where it was
// found more than once. A value within which others change is shown as they have left it. On an error nothing has
// changed. O(document + what is new).
func Apply(e *table.Entry, found []Node, change func(i int, n Node) (Change, error)) error {
	if len(found) == 1 {
		return one(e, found[0], 0, change)
	}
	w := rewriter{found: found, change: change}
	w.order = slices.CompactFunc(byPlace(found), func(a, b int) bool { return found[a].at == found[b].at })
	root := Root(e.Value())
	if len(w.order) == 1 {
		return one(e, found[w.order[0]], w.order[0], change)
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
func one(e *table.Entry, n Node, i int, change func(i int, n Node) (Change, error)) error {
	c, err := change(i, n)
	if err != nil {
		return err
	}
	var few [usualDepth]int
	trail := Root(e.Value()).trail(few[:0], n.at)
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

// usualDepth is how deep documents usually are: so far no memory is asked for.
const usualDepth = 12

// trail appends the places of the arrays and objects around a place, from the outermost in.
func (n Node) trail(list []int, at int) []int {
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
	var few, fewer [usualDepth]int
	grows, widths := few[:], fewer[:]
	if len(trail) > usualDepth {
		grows, widths = make([]int, len(trail)), make([]int, len(trail))
	}
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
