package stream

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// Refusals of Check.
var (
	errRoot = errors.New("stream: the record holds no stream")
	errTop  = errors.New("stream: the last entry is not where the root says")
	errLast = errors.New("stream: an entry behind the last ID")
	errName = errors.New("stream: names out of order")
)

// Check verifies the stream: its trees, every leaf, and that groups and consumers agree on what is pending.
// O(n log n).
func Check(e *table.Entry) error {
	if !e.Flag(table.FlagLarge) || len(e.Value()) != rootLen {
		return errRoot
	}
	s := Open(e)
	if err := s.log.check(); err != nil {
		return err
	}
	var p place
	switch s.log.last(&p); {
	case p.id != s.top:
		return errTop
	case s.LastID.Less(s.top):
		return errLast
	}
	if err := s.names().check(); err != nil {
		return err
	}
	var err error
	s.EachGroup(func(_ []byte, g *Group) { err = errors.Join(err, g.check()) })
	return err
}

func (g *Group) check() error {
	err := errors.Join(g.pel.check(), g.consumers.check())
	total := 0
	g.EachConsumer(func(name []byte, c *Consumer) {
		err = errors.Join(err, c.ids.check())
		total += c.Pending()
		c.ids.walk(ID{}, MaxID(), false, func(p *place) bool {
			if n, ok := g.PendingEntry(p.id); !ok || !n.OwnedBy(c) {
				err = errors.Join(err, fmt.Errorf("stream: %v is pending for %q, but not in its group", p.id, name))
			}
			return true
		})
	})
	if total != g.Pending() {
		err = errors.Join(err, fmt.Errorf("stream: %d entries are pending for consumers, %d in the group", total, g.Pending()))
	}
	return err
}

// check verifies the tree and that every leaf reads to its end, in order, each item encoded the one way it can be.
func (s *series) check() error {
	var last ID
	first := true
	return s.t.Check(func(ref arena.Ref, count int) (key []byte, err error) {
		cell := s.a.Bytes(ref)
		leaf := leafBytes(s.a, ref)
		if len(leaf) < leafHead || itemsOf(leaf) > len(leaf) {
			return nil, fmt.Errorf("stream: leaf of %d bytes", len(leaf))
		}
		var c tree.Cursor
		if key := idAt(leaf[leafBase:]); !s.descendTo(&c, key) || c.Leaf() != ref {
			return nil, fmt.Errorf("stream: leaf %v of %d bytes cannot be found", key, len(cell))
		}
		p := place{c: c}
		s.enter(&p)
		n := 0
		for ; s.step(&p); n++ {
			if p.end > len(leaf) || !first && !last.Less(p.id) {
				return nil, fmt.Errorf("stream: item %d of leaf %v is %v, behind %v", n, idAt(leaf[leafBase:]), p.id, last)
			}
			if err := s.checkItem(&p); err != nil {
				return nil, err
			}
			last, first = p.id, false
		}
		if n != count || p.end != len(leaf) {
			return nil, fmt.Errorf("stream: leaf %v has %d items, not %d", idAt(leaf[leafBase:]), n, count)
		}
		return leaf[leafBase:leafGone], nil
	})
}

// descendTo places c at the leaf in which id stands or belongs.
func (s *series) descendTo(c *tree.Cursor, id ID) bool {
	var p place
	ok := s.descend(&p, id)
	*c = p.c
	return ok
}

func (s *series) checkItem(p *place) error {
	head := appendHead(nil, p.prev, p.id, p.own)
	if !bytes.Equal(head, p.leaf[p.off:p.body]) {
		return fmt.Errorf("stream: the head of %v is %x, not %x", p.id, p.leaf[p.off:p.body], head)
	}
	switch s.shape {
	case pending:
		if n := p.pending(); !bytes.Equal(n.append(nil), p.leaf[p.body:p.end]) {
			return fmt.Errorf("stream: pending %v is not in its canonical form", p.id)
		}
	case entries:
		e := p.entry()
		pairs := 0
		e.Pairs(func(field, value packed.Value) {
			if field.Kind() != packed.None && value.Kind() != packed.None {
				pairs++
			}
		})
		if pairs == 0 || pairs != e.Len() {
			return fmt.Errorf("stream: entry %v has %d pairs, not %d", p.id, pairs, e.Len())
		}
	}
	return nil
}

// check verifies that the names are in order and can be found.
func (d *directory) check() error {
	var last []byte
	var err error
	d.each(func(ref arena.Ref) bool {
		name := d.name(ref)
		if found, ok := d.get(name); !ok || found != ref || last != nil && bytes.Compare(last, name) >= 0 {
			err = errName
		}
		last = name
		return err == nil
	})
	return err
}
