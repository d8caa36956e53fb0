package stream

import (
	"slices"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// clone makes to, in any arena, a copy of the series. O(n).
func (s *series) clone(to *series) {
	var c tree.Cursor
	s.t.Leaves(func(ref arena.Ref, count int) bool {
		leaf := leafBytes(s.a, ref)
		to.t.Last(&c)
		to.t.InsertAfter(&c, to.newLeaf(len(leaf), leaf), count, leaf[leafBase:leafGone])
		return true
	})
}

// Clone makes dst's value a copy of src's stream, groups included. dst may live in another arena; cells that its old value
// referred to must have been freed. O(n).
func Clone(src, dst *table.Entry) {
	Init(dst)
	from, to := Open(src), Open(dst)
	from.log.clone(&to.log)
	to.LastID, to.top, to.MaxDeletedID, to.Added = from.LastID, from.top, from.MaxDeletedID, from.Added
	from.EachGroup(func(name []byte, g *Group) {
		to.CreateGroup(name, g.LastID, g.Read)
		copied, _ := to.Group(name)
		g.clone(&copied)
	})
	to.Save()
}

func (g *Group) clone(to *Group) {
	moved := make(map[arena.Ref]arena.Ref, g.Consumers())
	g.EachConsumer(func(name []byte, c *Consumer) {
		copied, _ := to.CreateConsumer(name, c.Seen)
		copied.Active = c.Active
		c.ids.clone(&copied.ids)
		copied.Save()
		moved[c.ref] = copied.ref
	})
	g.pel.clone(&to.pel)
	var p place
	for ok := to.pel.first(&p); ok; ok = to.pel.next(&p) {
		p.setOwner(moved[p.pending().owner])
	}
	to.Save()
}

// Freeing takes a stream off e, whose record is to be deleted next, and returns what gives its memory back piece by piece:
// a call frees about budget cells and reports whether none is left. O(1).
func Freeing(e *table.Entry) func(budget int) (done bool) {
	a, value := e.Arena(), slices.Clone(e.Value())
	return func(budget int) bool { return freeStep(a, value, budget) }
}

// freeStep frees the entries, then the groups from the last on: what is pending, then the consumers. value says how far it
// has come.
func freeStep(a *arena.Arena, value []byte, budget int) (done bool) {
	s := open(a, nil, value)
	defer func() { s.saveTo(value) }()
	if !s.log.freeStep(&budget) {
		return false
	}
	for ; budget > 0 && s.names().len() > 0; budget-- {
		g := s.group(s.names().at(s.names().len() - 1))
		if !g.freeStep(&budget) {
			g.Save()
			return false
		}
		s.names().removeLast()
	}
	return s.names().len() == 0
}

func (g *Group) freeStep(budget *int) (done bool) {
	if !g.pel.freeStep(budget) {
		return false
	}
	for ; *budget > 0 && g.consumers.len() > 0; *budget-- {
		c := g.consumer(g.consumers.at(g.consumers.len() - 1))
		if !c.ids.freeStep(budget) {
			c.Save()
			return false
		}
		g.consumers.removeLast()
	}
	return g.consumers.len() == 0
}

// removeLast takes out the last name and frees its cell.
func (d *directory) removeLast() {
	var p tree.Place
	d.order.Go(&p, d.len()-1)
	d.order.Valid(&p)
	d.a.Free(d.order.Entry(&p).Ref)
	d.order.Delete(&p)
}

// Bytes returns the memory outside the record, in bytes. O(leaves).
func Bytes(e *table.Entry) int {
	s := Open(e)
	total := s.log.bytes() + s.names().bytes()
	s.EachGroup(func(_ []byte, g *Group) {
		total += g.pel.bytes() + g.consumers.bytes()
		g.EachConsumer(func(_ []byte, c *Consumer) { total += c.ids.bytes() })
	})
	return total
}

// bytes is the memory of the cells and of their order.
func (d *directory) bytes() int {
	total := d.order.Bytes()
	d.each(func(ref arena.Ref) bool { total += d.a.Size(ref); return true })
	return total
}

// A cursor of Compact is a position among the entries or, with groupPhase, a group, one of its consumers (from 1 on, 0 for
// the group itself), and a position among what is pending there. Groups and consumers beyond the bits stay where they are.
const (
	groupPhase    = 1 << 63
	groupShift    = 48
	consumerShift = 32
	maxGroup      = 1<<(63-groupShift) - 1
	maxConsumer   = 1<<(groupShift-consumerShift) - 1
	positionMask  = 1<<consumerShift - 1
)

// Compact goes on moving the cells of a stream out of sparse slabs, about budget of them, and returns the cursor to go on
// with, 0 at the end. The key's record itself is its owner's to move.
func Compact(e *table.Entry, cursor uint64, budget int) (next uint64) {
	s := Open(e) // where cells lie is no change of the contents
	defer s.Save()
	if cursor&groupPhase == 0 {
		if at := s.log.compact(int(cursor), &budget); at != 0 {
			return uint64(at)
		}
		cursor = groupPhase
	}
	i := int(cursor &^ groupPhase >> groupShift)
	part := int(cursor >> consumerShift & maxConsumer)
	at := int(cursor & positionMask)
	for ; i < min(s.names().len(), maxGroup+1); i, part, at = i+1, 0, 0 {
		if part == 0 && at == 0 {
			s.names().compact(i, true)
		}
		g := s.group(s.names().at(i))
		part, at = g.compact(part, at, &budget)
		g.Save()
		if budget <= 0 {
			return groupPhase | uint64(i)<<groupShift | uint64(part)<<consumerShift | uint64(at)
		}
	}
	return 0
}

// compact goes on with a group from a part and a position on, until the budget is spent, and returns where to go on. With
// some budget left the group is done.
func (g *Group) compact(part, at int, budget *int) (nextPart, nextAt int) {
	for ; *budget > 0 && part <= min(g.consumers.len(), maxConsumer-1); part, at = part+1, 0 {
		*budget--
		if part == 0 {
			if at = g.pel.compact(at, budget); at != 0 {
				return 0, at
			}
			continue
		}
		c := g.consumer(g.consumers.at(part - 1))
		if at == 0 {
			g.consumers.compact(part-1, c.Pending() <= maxMoved)
			c = g.moved(&c, g.consumers.at(part-1))
		}
		at = c.ids.compact(at, budget)
		c.Save()
		if at != 0 {
			return part, at
		}
	}
	return part, at
}

// maxMoved is how much may be pending for a consumer whose cell is moved, as each of these items refers to it.
const maxMoved = 64

// moved makes what is pending for a consumer refer to the cell that it is in now.
func (g *Group) moved(c *Consumer, ref arena.Ref) Consumer {
	if ref != c.ref {
		c.ids.walk(ID{}, MaxID(), false, func(p *place) bool {
			var q place
			if g.pel.find(&q, p.id) {
				q.setOwner(ref)
			}
			return true
		})
	}
	return g.consumer(ref)
}

// compact moves the cell of a position, if it may move, and the nodes above it out of sparse slabs.
func (d *directory) compact(i int, may bool) {
	var p tree.Place
	d.order.Go(&p, i)
	d.order.Valid(&p)
	d.order.Compact(&p)
	e := d.order.Entry(&p)
	if !may || !d.a.Sparse(e.Ref) {
		return
	}
	old := d.a.Bytes(e.Ref)
	ref := d.a.Alloc(d.head + len(d.name(e.Ref)))
	copy(d.a.Bytes(ref), old)
	d.order.Replace(&p, tree.Entry{Prefix: e.Prefix, Ref: ref})
	d.a.Free(e.Ref)
}
