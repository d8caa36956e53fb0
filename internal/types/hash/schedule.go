package hash

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
	"github.com/larderdb/larder/internal/types/nested"
)

// schedule is a large timed hash that is open for work: the table of its fields,
// and a tree of those that expire, in the order of expiry and, among equals, of the
// field's bytes. The record's value is the root of the table, that of the tree, and
// the stamp.
//
// An entry of the tree is a reference to the field's record, which holds its
// expiry, and 32 bits that order as the expiry does. So a record that moves takes
// its entry along; the place in the order stays, and is found before the move,
// while the old cell can still be read.
type schedule struct {
	*nested.Table
	e     *table.Entry
	order tree.Ordered
}

const timedLen = nested.RootLen + tree.RootSize + stampLen

func openSchedule(e *table.Entry) schedule {
	return schedule{nested.Open(e), e, loadOrder(e)}
}

// editSchedule is openSchedule for an operation that edits: whoever watches the
// keyspace's record is told before anything below it changes.
func editSchedule(e *table.Entry) schedule {
	e.Change()
	return openSchedule(e)
}

func loadOrder(e *table.Entry) tree.Ordered {
	return tree.LoadOrdered(e.Arena(), e.Value()[nested.RootLen:], tree.OrderedOptions{})
}

// newSchedule adds what a large timed hash has beside its table: the tree, built of
// the records that have an expiry.
func newSchedule(e *table.Entry) {
	value := e.SetLen(timedLen)
	clear(value[nested.RootLen:])
	s := openSchedule(e)
	defer s.close()
	s.order = tree.NewOrdered(e.Arena(), tree.OrderedOptions{})
	s.Each(func(r *table.Entry) bool {
		if r.Expiry() != 0 {
			s.enter(r)
		}
		return true
	})
	s.save()
}

func (s *schedule) close() { s.Table.Close() }

// save stores the roots and the stamp; due at the end of every operation that edits.
func (s *schedule) save() {
	s.Table.Save()
	s.order.Save(s.e.Value()[nested.RootLen:])
	stamp(s.e, s.first())
}

// first is the earliest expiry, 0 if there is none.
func (s *schedule) first() int64 {
	var p tree.Place
	if !s.order.Go(&p, 0) || !s.order.Valid(&p) {
		return 0
	}
	return s.Expiry(s.order.Entry(&p).Ref)
}

// prefix orders as expiries up to MaxExpiry do, in steps of 16 seconds.
func prefix(at int64) uint32 { return uint32(at >> 14) }

func entryOf(r *table.Entry) tree.Entry { return tree.Entry{Prefix: prefix(r.Expiry()), Ref: r.Ref()} }

// find places p at the first entry that does not stand in front of a field with an expiry.
func (s *schedule) find(p *tree.Place, at int64, field []byte) {
	half := prefix(at)
	s.order.Find(p, func(x tree.Entry) bool {
		if x.Prefix != half {
			return x.Prefix < half
		}
		if when := s.Expiry(x.Ref); when != at {
			return when < at
		}
		name, _ := s.Record(x.Ref)
		return bytes.Compare(name, field) < 0
	})
}

// locate places p at the entry of a record that has an expiry.
func (s *schedule) locate(p *tree.Place, r *table.Entry) {
	s.find(p, r.Expiry(), r.Key())
	s.order.Valid(p)
}

// enter adds a record's entry to the tree.
func (s *schedule) enter(r *table.Entry) {
	var p tree.Place
	s.find(&p, r.Expiry(), r.Key())
	s.order.Insert(&p, entryOf(r))
}

// leave takes a record's entry, if it has one, out of the tree.
func (s *schedule) leave(r *table.Entry) {
	if r.Expiry() == 0 {
		return
	}
	var p tree.Place
	s.locate(&p, r)
	s.order.Delete(&p)
}

// put gives a field its value and takes the expiry off it, unless that is to be kept.
func (s *schedule) put(field, value []byte, keep bool) (added bool) {
	defer s.save()
	var r table.Entry
	if !s.Lookup(field, &r) {
		s.Add(field, value)
		return true
	}
	if keep && r.Expiry() != 0 {
		var p tree.Place
		s.locate(&p, &r)
		copy(r.SetLen(len(value)), value)
		s.order.Replace(&p, entryOf(&r))
		return false
	}
	s.leave(&r)
	copy(r.Replace(r.Kind(), len(value), 0), value)
	return false
}

// setExpiry sets the expiry of a field that is there.
func (s *schedule) setExpiry(field []byte, at int64) {
	defer s.save()
	var r table.Entry
	s.Lookup(field, &r)
	s.leave(&r)
	if r.SetExpiry(at); at != 0 {
		s.enter(&r)
	}
}

func (s *schedule) remove(field []byte) bool {
	var r table.Entry
	if !s.Lookup(field, &r) {
		return false
	}
	defer s.save()
	s.leave(&r)
	r.Delete()
	return true
}

// expire removes at most max fields whose expiry lies before now, a leaf of the tree after the other.
func (s *schedule) expire(now int64, max int, gone func(field []byte)) (n int) {
	defer s.save()
	var r table.Entry
	for n < max {
		var p tree.Place
		if !s.order.Go(&p, 0) || !s.order.Valid(&p) {
			break
		}
		due := 0
		for q, most := p, min(max-n, p.Left()); due < most; due++ {
			ref := s.order.Entry(&q).Ref
			if s.Expiry(ref) >= now {
				break
			}
			field, _ := s.Record(ref)
			if gone != nil {
				gone(field)
			}
			if s.Lookup(field, &r) {
				r.Delete()
			}
			s.order.Next(&q)
		}
		if due == 0 {
			break
		}
		s.order.DeleteRun(&p, due)
		n += due
	}
	return n
}

// vanished tells whether all fields have an expiry before now.
func (s *schedule) vanished(now int64) bool {
	n := s.order.Len()
	var p tree.Place
	return n == s.Len() && s.order.Go(&p, n-1) && s.order.Valid(&p) && s.Expiry(s.order.Entry(&p).Ref) < now
}

// treePhase marks a cursor of compact that is a rank in the tree; below it are
// cursors of the table.
const treePhase = table.CursorEnd

// compact is Compact of a large timed hash: first the table, then the tree.
func (s *schedule) compact(cursor uint64, budget int) (next uint64) {
	defer s.save()
	if cursor < treePhase {
		next = s.Compact(cursor, budget, func(r *table.Entry) {
			if r.Expiry() == 0 {
				return
			}
			var p tree.Place
			s.locate(&p, r) // through the old cell, which is intact until this returns
			s.order.Replace(&p, entryOf(r))
		})
		if next == 0 {
			return treePhase
		}
		return next
	}
	var p tree.Place
	for rank := int(cursor - treePhase); budget > 0; budget -= p.Left() {
		if !s.order.Go(&p, rank) || !s.order.Valid(&p) {
			return 0
		}
		s.order.Compact(&p)
		rank = p.Rank() + p.Left()
	}
	return treePhase + uint64(p.Rank()+p.Left())
}

// Refusals of a schedule.
var (
	errSchedule = errors.New("hash: a table and a tree that do not belong together")
	errOrder    = errors.New("hash: an entry of the tree that is not its record's")
)

func (s *schedule) check() error {
	if len(s.e.Value()) != timedLen {
		return fmt.Errorf("hash: a value of %d bytes", len(s.e.Value()))
	}
	if err := s.Table.Check(); err != nil {
		return err
	}
	if s.Expiring() != s.order.Len() {
		return errSchedule
	}
	if NextExpiry(s.e) != s.first() {
		return errStamp
	}
	var err error
	s.order.Each(func(x tree.Entry) bool {
		var r table.Entry
		if field, _ := s.Record(x.Ref); !s.Lookup(field, &r) || r.Ref() != x.Ref || entryOf(&r) != x {
			err = errOrder
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return s.order.Check(func(a, b tree.Entry) bool { return s.before(a.Ref, b.Ref) })
}

func (s *schedule) before(a, b arena.Ref) bool {
	x, y := s.Expiry(a), s.Expiry(b)
	if x != y {
		return x < y
	}
	first, _ := s.Record(a)
	second, _ := s.Record(b)
	return bytes.Compare(first, second) < 0
}
