package list

import (
	"encoding/binary"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// leaves are the options of a large list's tree: by position only.
var leaves = tree.Options{}

// seq is a list that is open for work: a sequence of runs, one of which is the
// current one. A small list is a sequence of one run. A leaf of a large list is a
// cell that holds the run's length in four bytes and the run.
type seq struct {
	e     *table.Entry
	lim   Limits
	large bool
	t     tree.Tree   // of a large list
	c     tree.Cursor // of a large list: the current run's leaf
}

const leafHeader = 4

// load makes a seq with e and lim set ready to read. It is no constructor, since
// copying a seq takes as long as a push.
func (s *seq) load() {
	if s.large = s.e.Flag(table.FlagLarge); s.large {
		s.t = tree.Load(s.e.Arena(), s.e.Value(), leaves)
	}
}

// begin is load for an operation that edits: whoever watches the keyspace's record is
// told before anything below it changes.
func (s *seq) begin() {
	s.e.Change()
	s.load()
}

// save stores the tree's root; due at the end of every operation that edits.
func (s *seq) save() {
	if s.large {
		s.t.Save(s.e.Value())
	}
}

func (s *seq) len() int {
	if s.large {
		return s.t.Len()
	}
	return packed.Count(s.e.Value())
}

// first, last and at make a run the current one; at returns the index in it of
// the element at a position of the list. In an empty list there is none.
func (s *seq) first() bool { return s.end(true) }

func (s *seq) end(front bool) bool {
	switch {
	case !s.large:
		return s.len() > 0
	case front:
		return s.t.First(&s.c)
	}
	return s.t.Last(&s.c)
}

func (s *seq) at(position int) (index int, ok bool) {
	if s.large {
		return s.t.At(&s.c, position)
	}
	return position, position >= 0 && position <= s.len()
}

func (s *seq) next() bool { return s.large && s.t.NextLeaf(&s.c) }

// step makes the run after (or before) the current one current.
func (s *seq) step(forward bool) bool {
	if forward {
		return s.next()
	}
	return s.large && s.t.PrevLeaf(&s.c)
}

// before is the number of elements in front of the current run.
func (s *seq) before() int {
	if s.large {
		return s.c.Before()
	}
	return 0
}

// run returns the bytes of the current run.
func (s *seq) run() []byte {
	if s.large {
		return leafRun(s.t.Arena().Bytes(s.c.Leaf()))
	}
	return s.e.Value()
}

func leafRun(cell []byte) []byte {
	return cell[leafHeader : leafHeader+int(binary.LittleEndian.Uint32(cell))]
}

// newLeaf makes a leaf of count entries, given in parts.
func newLeaf(a *arena.Arena, count int, parts ...[]byte) arena.Ref {
	var buf [8]byte
	header := packed.AppendRun(buf[:0], packed.TwoWay, count)
	size := len(header)
	for _, part := range parts {
		size += len(part)
	}
	leaf := a.Alloc(leafHeader + size)
	cell := a.Bytes(leaf)
	binary.LittleEndian.PutUint32(cell, uint32(size))
	at := leafHeader + copy(cell[leafHeader:], header)
	for _, part := range parts {
		at += copy(cell[at:], part)
	}
	return leaf
}

// addLeaf makes a new run of count entries the first or last of the sequence.
func (s *seq) addLeaf(front bool, count int, entries []byte) {
	leaf := newLeaf(s.t.Arena(), count, entries)
	s.end(front)
	if front {
		s.t.InsertBefore(&s.c, leaf, count, nil)
	} else {
		s.t.InsertAfter(&s.c, leaf, count, nil)
	}
}

// edit carries out a change of the current run. If that makes a leaf too big it is
// split, and there is no current run afterwards.
func (s *seq) edit(ed packed.Edit) {
	if !s.large {
		ed.Fill(s.e.Splice(ed.Off, ed.Del, len(ed.Ins)))
		return
	}
	run := s.splice(ed.Off, ed.Del, len(ed.Ins))
	ed.Fill(run)
	count := packed.Count(run)
	s.t.Update(&s.c, s.c.Leaf(), count, nil)
	if count > 1 && !s.lim.fits(len(run), count) {
		s.split()
	}
}

// splice makes del bytes at off of the current leaf's run give way to ins bytes of
// any content, and returns the run. The leaf moves to another cell if it has to, or
// if much of its cell would be idle: a quarter, but half at the ends of the list,
// where leaves grow and shrink all the time.
func (s *seq) splice(off, del, ins int) []byte {
	a := s.t.Arena()
	leaf := s.c.Leaf()
	cell := a.Bytes(leaf)
	old := leafRun(cell)
	size := leafHeader + len(old) + ins - del
	to := cell
	spare, idle := size/8, len(cell)/4
	if s.t.AtFirst(&s.c) || s.t.AtLast(&s.c) {
		spare, idle = size/2, len(cell)/2
	}
	if size > len(cell) || size < len(cell)-idle {
		leaf = a.Alloc(s.lim.roomFor(size, spare))
		to = a.Bytes(leaf)
		copy(to[leafHeader:], old[:off])
	}
	copy(to[leafHeader+off+ins:], old[off+del:])
	binary.LittleEndian.PutUint32(to, uint32(size-leafHeader))
	if leaf != s.c.Leaf() {
		a.Free(s.c.Leaf())
		s.t.Update(&s.c, leaf, s.c.Count(), nil)
	}
	return leafRun(to)
}

// split halves the current leaf until each part fits. An element that is too big
// for any leaf ends up with one of its own.
func (s *seq) split() {
	position := s.c.Before()
	for end := position + s.c.Count(); position < end; {
		s.t.At(&s.c, position)
		if run := s.run(); s.c.Count() > 1 && !s.lim.fits(len(run), s.c.Count()) {
			s.halve(run)
		} else {
			position += s.c.Count()
		}
	}
}

// halve splits the current leaf at the entry nearest to the middle of its bytes.
func (s *seq) halve(run []byte) {
	count := packed.Count(run)
	first := packed.First(run)
	left, at := 1, packed.Next(run, first)
	for left+1 < count {
		next := packed.Next(run, at)
		if next+at > len(run) { // next is farther from the middle than at
			break
		}
		left, at = left+1, next
	}
	a, old := s.t.Arena(), s.c.Leaf()
	leftLeaf := newLeaf(a, left, run[first:at])
	rightLeaf := newLeaf(a, count-left, run[at:])
	a.Free(old)
	s.t.Update(&s.c, leftLeaf, left, nil)
	s.t.InsertAfter(&s.c, rightLeaf, count-left, nil)
}

// cut removes n entries of the current run, which lie from off to end. If that is
// all of a leaf the leaf goes, and there is no current run afterwards.
func (s *seq) cut(off, end, n int) {
	if s.large && n == s.c.Count() {
		s.t.Arena().Free(s.c.Leaf())
		s.t.Remove(&s.c)
		return
	}
	s.edit(packed.DeleteSpan(s.run(), off, end, n))
}

// deleteRange removes n elements from a position on. Leaves that go as a whole are
// not read.
func (s *seq) deleteRange(from, n int) {
	for n > 0 {
		index, _ := s.at(from)
		if s.large && index == 0 && s.c.Count() <= n {
			n -= s.c.Count()
			s.cut(0, 0, s.c.Count())
			continue
		}
		run := s.run()
		take := min(n, packed.Count(run)-index)
		off := packed.At(run, index)
		end, _ := packed.Skip(run, off, take)
		s.cut(off, end, take)
		n -= take
	}
}

// settle merges the current leaf, if it is less than half full, with a neighbour,
// if both together fill three quarters of a leaf at most. There is no current run
// afterwards.
func (s *seq) settle() {
	if !s.lim.fitsPart(len(s.run()), s.c.Count(), 1, 2) {
		return
	}
	left, right := s.c, s.c
	if s.t.NextLeaf(&right) && s.joinable(&left, &right) {
		s.join(&left, &right)
		return
	}
	right = s.c
	if s.t.PrevLeaf(&left) && s.joinable(&left, &right) {
		s.join(&left, &right)
	}
}

func (s *seq) joinable(left, right *tree.Cursor) bool {
	a := s.t.Arena()
	size := len(leafRun(a.Bytes(left.Leaf()))) + len(leafRun(a.Bytes(right.Leaf())))
	return s.lim.fitsPart(size, left.Count()+right.Count(), 3, 4)
}

// join moves the entries of the leaf at right to the end of the leaf at left.
func (s *seq) join(left, right *tree.Cursor) {
	a, count := s.t.Arena(), left.Count()+right.Count()
	l, r := left.Leaf(), right.Leaf()
	leaf := newLeaf(a, count, packed.Entries(leafRun(a.Bytes(l))), packed.Entries(leafRun(a.Bytes(r))))
	a.Free(l)
	a.Free(r)
	s.t.Update(left, leaf, count, nil)
	s.t.Remove(right)
}
