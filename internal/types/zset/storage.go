package zset

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// Clone makes dst's value a copy of src's sorted set, in the same form. dst may live
// in another arena; cells that its old value referred to must have been freed. O(n).
func Clone(src, dst *table.Entry) {
	dst.SetFlag(table.FlagLarge, false)
	if !isLarge(src) {
		copy(dst.SetLen(len(src.Value())), src.Value())
		return
	}
	from, to := openIndex(src), newIndex(dst)
	defer from.close()
	defer to.close()
	var p tree.Place
	ok := from.order.Go(&p, 0) && from.order.Valid(&p)
	to.append(func() (member packed.Value, score float64, more bool) {
		if !ok {
			return member, 0, false
		}
		m, score := from.record(from.order.Entry(&p).Ref)
		ok = from.order.Next(&p)
		return packed.StringValue(m), score, true
	})
}

// Free gives back what the sorted set keeps outside its record; e's value is void
// after that. O(n).
func Free(e *table.Entry) {
	if isLarge(e) {
		for !FreeStep(e.Arena(), e.Value(), 1<<20) {
		}
	}
}

// FreeStep gives back a part, about budget members, of what the value of a large
// set's record refers to and reports whether nothing is left. value may be a copy of
// a value whose record is gone; it is changed to say how far it has come. O(budget).
func FreeStep(a *arena.Arena, value []byte, budget int) (done bool) {
	order := tree.LoadOrdered(a, value[table.RootSize:], tree.OrderedOptions{})
	if !order.FreeStep(budget) {
		order.Save(value[table.RootSize:])
		return false
	}
	order.Save(value[table.RootSize:])
	members := table.LoadFrom(a, value, table.Options{}) // freeing hashes nothing
	done = members.FreeStep(budget)
	members.SaveTo(value)
	return done
}

// treePhase marks a cursor of Compact that is a rank in the tree; below it are
// cursors of the table.
const treePhase = table.CursorEnd

// Compact goes on moving the cells of a large set out of sparse slabs, about budget
// of them, and returns the cursor to go on with, 0 at the end. The key's record itself
// is its owner's to move.
func Compact(e *table.Entry, cursor uint64, budget int) (next uint64) {
	if !isLarge(e) {
		return 0
	}
	x := openIndex(e) // where cells lie is no change of the contents
	defer x.close()
	defer x.save()
	if cursor < treePhase {
		// A record that moves takes its entry in the tree along. The old cell is still
		// intact then, so the tree can be searched while it refers to that.
		next = x.members.Compact(cursor, budget, func(r *table.Entry) {
			var p tree.Place
			score := decodeScore(r.Value())
			x.locate(&p, score, r.Key())
			x.order.Replace(&p, tree.Entry{Prefix: prefix(score), Ref: r.Ref()})
		})
		if next == 0 {
			return treePhase
		}
		return next
	}
	var p tree.Place
	for rank := int(cursor - treePhase); budget > 0; budget -= p.Left() {
		if !x.order.Go(&p, rank) || !x.order.Valid(&p) {
			return 0
		}
		x.order.Compact(&p)
		rank = p.Rank() + p.Left()
	}
	return treePhase + uint64(p.Rank()+p.Left())
}

// Freeing takes a large set off e, whose record is to be deleted next, and returns
// what gives it back piece by piece: a call frees about budget members and reports
// whether none is left. O(1).
func Freeing(e *table.Entry) func(budget int) (done bool) {
	a, value := e.Arena(), slices.Clone(e.Value())
	return func(budget int) bool { return FreeStep(a, value, budget) }
}

// Bytes returns the memory outside the record, in bytes. O(n).
func Bytes(e *table.Entry) int {
	if !isLarge(e) {
		return 0
	}
	x := openIndex(e)
	defer x.close()
	return x.order.Bytes() + x.members.Bytes()
}

var (
	errPairs  = errors.New("zset: a member without a score")
	errLayout = errors.New("zset: not a forward run")
)

// Check checks that e holds a sorted set. O(n), O(n²) in the small form.
func Check(e *table.Entry) error {
	if isLarge(e) {
		x := openIndex(e)
		defer x.close()
		return x.check()
	}
	run := e.Value()
	if err := packed.Valid(run); err != nil {
		return err
	}
	if packed.Count(run)%2 != 0 {
		return errPairs
	}
	if packed.LayoutOf(run) != packed.Forward {
		return errLayout
	}
	var last cut
	var err error
	at, _ := scan(run, packed.First(run), func(member packed.Value, score float64) bool {
		m := member.AppendString(nil)
		if last.follows(score, m) || last.kind == atElement && last.score == score && bytes.Equal(last.member, m) {
			err = fmt.Errorf("zset: %q is out of order", m)
			return false
		}
		last = cut{kind: atElement, score: score, member: m}
		return packed.Find(run, packed.First(run), 2, m) != 0
	})
	if err == nil && at != 0 {
		err = fmt.Errorf("zset: a member cannot be found")
	}
	return err
}

func (x *index) check() error {
	if len(x.e.Value()) != valueLen {
		return fmt.Errorf("zset: value of %d bytes", len(x.e.Value()))
	}
	if err := x.members.Check(); err != nil {
		return err
	}
	if x.members.Len() != x.order.Len() {
		return fmt.Errorf("zset: %d members, %d in order", x.members.Len(), x.order.Len())
	}
	var err error
	x.order.Each(func(e tree.Entry) bool {
		err = x.checkEntry(e)
		return err == nil
	})
	if err != nil {
		return err
	}
	return x.order.Check(func(a, b tree.Entry) bool {
		member, score := x.record(b.Ref)
		c := cut{kind: atElement, score: score, member: member}
		member, score = x.record(a.Ref)
		return c.follows(score, member)
	})
}

// checkEntry checks that an entry refers to the record that the table finds, and has
// its score's prefix.
func (x *index) checkEntry(e tree.Entry) error {
	member, score := x.record(e.Ref)
	var r table.Entry
	switch {
	case !x.lookup(member, &r) || r.Ref() != e.Ref:
		return fmt.Errorf("zset: the entry of %q refers to another record", member)
	case e.Prefix != prefix(score):
		return fmt.Errorf("zset: the entry of %q has prefix %#x, score %v", member, e.Prefix, score)
	}
	return nil
}
