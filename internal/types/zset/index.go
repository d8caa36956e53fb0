package zset

import (
	"sync"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/mem/tree"
)

// index is a large sorted set that is open for work. It is a loan: close gives it
// back.
type index struct {
	e       *table.Entry
	members table.Table
	order   tree.Ordered
}

// A large set's value is the root of the table and that of the tree.
const valueLen = table.RootSize + tree.RootSize

// pool spares an allocation per operation: entries point to their table, so the
// compiler cannot keep one on the stack. It holds no state.
var pool = sync.Pool{New: func() any { return new(index) }}

func openIndex(e *table.Entry) *index {
	a, value := e.Arena(), e.Value()
	x := pool.Get().(*index)
	x.e = e
	x.members = table.LoadFrom(a, value, memberOptions(e))
	x.order = tree.LoadOrdered(a, value[table.RootSize:], tree.OrderedOptions{})
	return x
}

func (x *index) close() {
	*x = index{}
	pool.Put(x)
}

// editIndex is openIndex for an operation that edits: whoever watches the keyspace's
// record is told before anything below it changes.
func editIndex(e *table.Entry) *index {
	e.Change()
	return openIndex(e)
}

// largeLen is Len of a large set.
func largeLen(e *table.Entry) int { return tree.Count(e.Value()[table.RootSize:]) }

// memberOptions are those of the tables nested in e's table.
func memberOptions(e *table.Entry) table.Options { return table.Options{Seed: e.Options().Seed} }

// newIndex makes e's value an empty large set.
func newIndex(e *table.Entry) *index {
	e.SetLen(valueLen)
	e.SetFlag(table.FlagLarge, true)
	x := pool.Get().(*index)
	x.e = e
	x.members = table.New(e.Arena(), memberOptions(e))
	x.order = tree.NewOrdered(e.Arena(), tree.OrderedOptions{})
	x.save()
	return x
}

// save stores the roots; due at the end of every operation that edits.
func (x *index) save() {
	value := x.e.Value()
	x.members.SaveTo(value)
	x.order.Save(value[table.RootSize:])
}

// lookup positions r on a member's record; false if there is no such member.
func (x *index) lookup(member []byte, r *table.Entry) bool {
	return x.members.Find(x.hash(member), member, r)
}

func (x *index) hash(member []byte) uint64 { return table.Hash(x.members.Options().Seed, member) }

// convert makes a small set large. O(n).
func convert(e *table.Entry) *index {
	run := append([]byte(nil), e.Value()...)
	x := newIndex(e)
	off := packed.First(run)
	x.append(func() (member packed.Value, score float64, ok bool) {
		if off == 0 {
			return member, 0, false
		}
		member, next := packed.Read(run, off)
		score = scoreAfter(run, off)
		off = packed.Next(run, next)
		return member, score, true
	})
	return x
}

// append adds members that come in order and behind all that there are.
func (x *index) append(next func() (member packed.Value, score float64, ok bool)) {
	var scratch [32]byte
	x.order.Append(func() (tree.Entry, bool) {
		member, score, ok := next()
		if !ok {
			return tree.Entry{}, false
		}
		name := text(member, scratch[:])
		return x.addRecord(x.hash(name), score, name), true
	})
	x.save()
}

// addRecord adds a member, whose hash is h, to the table and returns its entry for the tree.
func (x *index) addRecord(h uint64, score float64, member []byte) tree.Entry {
	var r table.Entry
	x.members.Insert(h, member, scoreLen(score), 0, 0, &r)
	encodeScore(r.Value(), score)
	return tree.Entry{Prefix: prefix(score), Ref: r.Ref()}
}

// record returns the member and score of an entry.
func (x *index) record(ref arena.Ref) (member []byte, score float64) {
	member, value := x.members.Record(ref)
	return member, decodeScore(value)
}

// find places p at the first element that does not stand in front of the cut.
func (x *index) find(p *tree.Place, c *cut) {
	if c.kind == atMember || c.kind == atStart || c.kind == atEnd {
		x.order.Find(p, func(e tree.Entry) bool {
			member, score := x.record(e.Ref)
			return c.follows(score, member)
		})
		return
	}
	half := prefix(c.score)
	x.order.Find(p, func(e tree.Entry) bool {
		if e.Prefix != half {
			return e.Prefix < half
		}
		member, score := x.record(e.Ref)
		return c.follows(score, member)
	})
}

// locate places p at the entry of a member that is there.
func (x *index) locate(p *tree.Place, score float64, member []byte) {
	x.find(p, &cut{kind: atElement, score: score, member: member})
	x.order.Valid(p)
}

func (x *index) rankOf(c *cut) int {
	var p tree.Place
	x.find(&p, c)
	return p.Rank()
}

func (x *index) add(o Options, score float64, member []byte) (float64, Outcome, error) {
	var r table.Entry
	h := x.hash(member)
	exists, old := x.members.Find(h, member, &r), 0.0
	if exists {
		old = decodeScore(r.Value())
	}
	next, outcome, err := o.decide(exists, old, score)
	switch outcome {
	case Added:
		x.insert(h, next, member)
	case Updated:
		x.move(&r, old, next)
	}
	return next, outcome, err
}

// insert adds a member that is not there yet.
func (x *index) insert(h uint64, score float64, member []byte) {
	var p tree.Place
	x.find(&p, &cut{kind: atElement, score: score, member: member})
	x.order.Insert(&p, x.addRecord(h, score, member))
	x.save()
}

// move gives the member of record r another score. If it stays where it is in the
// order, only its entry changes.
func (x *index) move(r *table.Entry, old, score float64) {
	var p tree.Place
	x.locate(&p, old, r.Key())
	target := cut{kind: atElement, score: score, member: r.Key()}
	if x.stays(p, &target, score > old) {
		x.order.Replace(&p, rescore(r, score))
	} else {
		x.order.Delete(&p)
		entry := rescore(r, score)
		target.member = r.Key()
		x.find(&p, &target)
		x.order.Insert(&p, entry)
	}
	x.save()
}

// rescore writes a score to a member's record, which may move, and returns its entry
// for the tree. The tree must not be searched while it refers to the old cell.
func rescore(r *table.Entry, score float64) tree.Entry {
	value := r.Value()
	if n := scoreLen(score); n != len(value) {
		value = r.SetLen(n)
	}
	encodeScore(value, score)
	return tree.Entry{Prefix: prefix(score), Ref: r.Ref()}
}

// stays says whether the element at p, moved up or down to the target, would still
// stand between its neighbours.
func (x *index) stays(p tree.Place, target *cut, up bool) bool {
	if up && !x.order.Next(&p) || !up && !x.order.Prev(&p) {
		return true
	}
	member, score := x.record(x.order.Entry(&p).Ref)
	return target.follows(score, member) != up
}

func (x *index) rank(member []byte) (rank int, score float64, ok bool) {
	var r table.Entry
	if !x.lookup(member, &r) {
		return 0, 0, false
	}
	score = decodeScore(r.Value())
	return x.rankOf(&cut{kind: atElement, score: score, member: member}), score, true
}

func (x *index) remove(member []byte) bool {
	var r table.Entry
	if !x.lookup(member, &r) {
		return false
	}
	var p tree.Place
	x.locate(&p, decodeScore(r.Value()), member)
	x.order.Delete(&p)
	r.Delete()
	x.save()
	return true
}

// removeRange removes n members from a rank on, leaf by leaf.
func (x *index) removeRange(rank, n int) {
	var r table.Entry
	for n > 0 {
		var p tree.Place
		x.order.Go(&p, rank)
		x.order.Valid(&p) // from the end of a leaf on to the next one
		take := min(n, p.Left())
		for q := p; q.Rank() < rank+take; x.order.Next(&q) {
			x.touchAhead(&q)
			member, _ := x.record(x.order.Entry(&q).Ref)
			if x.lookup(member, &r) {
				r.Delete()
			}
		}
		x.order.DeleteRun(&p, take)
		n -= take
	}
	x.save()
}

// ahead is how many records a walk asks for before it reads them, and soon how many
// removals a bucket is asked for before, by when the record is there to be hashed.
const (
	ahead = 8
	soon  = 2
)

// touchAhead asks the processor for what the removals behind p will read: of this
// range, or of the next one if members are taken off the front one by one.
func (x *index) touchAhead(p *tree.Place) {
	x.order.Ahead(p, ahead)
	if e, ok := x.order.Peek(p, soon); ok {
		member, _ := x.record(e.Ref)
		x.members.Touch1(x.hash(member))
	}
}

func (x *index) walk(rank, n int, back bool, fn func(member packed.Value, score float64) bool) {
	var p tree.Place
	if !x.order.Go(&p, rank) || !x.order.Valid(&p) {
		return
	}
	far := ahead
	if back {
		far = -ahead
	}
	for ok := true; ok && n > 0; n-- {
		x.order.Ahead(&p, far)
		member, score := x.record(x.order.Entry(&p).Ref)
		if !fn(packed.StringValue(member), score) {
			return
		}
		if back {
			ok = x.order.Prev(&p)
		} else {
			ok = x.order.Next(&p)
		}
	}
}

// scan gives members to fn bucket by bucket, until there were count of them or ten
// times as many buckets, so that a sparse table does not hold the shard for long.
func (x *index) scan(cursor uint64, count int, fn func(member packed.Value, score float64)) uint64 {
	seen := 0
	for steps := 10 * count; ; steps-- {
		cursor = x.members.Scan(cursor, func(r *table.Entry) {
			seen++
			fn(packed.StringValue(r.Key()), decodeScore(r.Value()))
		})
		if cursor == 0 || seen >= count || steps <= 0 {
			return cursor
		}
	}
}

func (x *index) score(member []byte) (float64, bool) {
	var r table.Entry
	if !x.lookup(member, &r) {
		return 0, false
	}
	return decodeScore(r.Value()), true
}
