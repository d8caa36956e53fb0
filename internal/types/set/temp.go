package set

import (
	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/nested"
)

// Temp is a set without a key: the place where a command builds a set before it
// becomes, in O(1), the value of a key. The key may be one of those that the
// members come from. A Temp must end in MoveTo or Free.
type Temp struct {
	t table.Table
	e table.Entry
}

// NewTemp returns an empty listpack in arena a, which is that of the key to be
// stored, as is the seed.
func NewTemp(a *arena.Arena, seed uint64) *Temp {
	temp := &Temp{t: table.New(a, table.Options{Seed: seed})}
	temp.t.Insert(table.Hash(seed, nil), nil, packed.MinLen, 0, 0, &temp.e)
	initRun(&temp.e)
	return temp
}

// Entry returns the record that the functions of this package take.
func (t *Temp) Entry() *table.Entry { return &t.e }

// MoveTo makes the set the value of e, a record in the same arena. Cells that e's
// old value referred to must have been freed. The Temp is spent.
func (t *Temp) MoveTo(e *table.Entry) {
	n := len(t.e.Value())
	b := e.SetLen(n)
	copy(b, t.e.Value())
	for _, f := range [...]byte{table.FlagLarge, flagInts} {
		e.SetFlag(f, t.e.Flag(f))
	}
	t.drop()
}

// Free gives the set back. The Temp is spent.
func (t *Temp) Free() {
	Free(&t.e)
	t.drop()
}

func (t *Temp) drop() {
	t.e.Delete()
	t.t.Free()
}

// popWalkFactor is how many times the members that stay, SPOP may take without
// it being cheaper to move those that stay out of the way.
const popWalkFactor = 5

// Pop is SPOP: it removes n random members (all, if there are fewer) and calls fn
// with each, in no particular order. fn must not change the shard; what it is
// given is valid during the call. O(n); O(members) in a listpack, or when few stay.
func Pop(e *table.Entry, lim Limits, rnd func() uint64, n int, fn func(member packed.Value)) {
	e.Change()
	stay := Len(e) - n
	switch {
	case stay <= 0:
		Each(e, func(v packed.Value) bool { fn(v); return true })
		Free(e)
		initRun(e)
	case stay*popWalkFactor <= n:
		popMost(e, lim, rnd, stay, fn)
	case !isLarge(e) && !isInts(e):
		popRun(e, rnd, n, fn)
	default:
		for range n {
			popOne(e, rnd, fn)
		}
	}
}

func popOne(e *table.Entry, rnd func() uint64, fn func(member packed.Value)) {
	if isLarge(e) {
		nested.TakeRandom(e, rnd, func(r *table.Entry) { fn(packed.StringValue(r.Key())) })
		return
	}
	n, _ := Random(e, rnd).Int()
	fn(packed.IntValue(n))
	intRemove(e, n)
}

// popRun removes n members of a listpack in one pass.
func popRun(e *table.Entry, rnd func() uint64, n int, fn func(member packed.Value)) {
	b := e.Value()
	kept := make([]byte, 0, len(b))
	pick := nested.NewSelection(rnd, n, packed.Count(b))
	for off := packed.First(b); off != 0; {
		v, next := packed.Read(b, off)
		end := next
		if next == 0 {
			end = len(b)
		}
		if pick.Next() {
			fn(v)
		} else {
			kept = append(kept, b[off:end]...)
		}
		off = next
	}
	run := packed.AppendRun(nil, packed.Forward, packed.Count(b)-n, kept)
	copy(e.SetLen(len(run)), run)
}

// popMost moves the few members that stay to a new set and hands out the rest.
// As with Redis the new set has the form of a set built anew, so a hashtable may
// become a listpack again.
func popMost(e *table.Entry, lim Limits, rnd func() uint64, stay int, fn func(member packed.Value)) {
	temp := NewTemp(e.Arena(), e.Options().Seed)
	if isInts(e) {
		initInts(&temp.e)
	}
	RandomDistinct(e, rnd, stay, func(v packed.Value) { AddValue(&temp.e, lim, v) })
	Each(e, func(v packed.Value) bool {
		if !HasValue(&temp.e, v) {
			fn(v)
		}
		return true
	})
	Free(e)
	temp.MoveTo(e)
}
