package stream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// model is a stream as slices and maps.
type model struct {
	entries    []modelEntry
	last, gone ID
	added      int64
	groups     map[string]*modelGroup
}

type modelEntry struct {
	id    ID
	pairs []string
}

type modelGroup struct {
	last    ID
	read    int64
	pending map[ID]modelPending
	names   map[string]bool
}

type modelPending struct {
	owner            string
	delivered, count int64
}

func (m *model) find(id ID) (int, bool) {
	return slices.BinarySearchFunc(m.entries, id, func(e modelEntry, id ID) int { return e.id.Compare(id) })
}

func newRecord(a *arena.Arena) (*table.Table, *table.Entry) {
	t := new(table.Table)
	*t = table.New(a, table.Options{Keyspace: true, Seed: 7})
	e := new(table.Entry)
	t.Insert(table.Hash(7, []byte("key")), []byte("key"), InitLen, 0, 0, e)
	Init(e)
	return t, e
}

func TestModel(t *testing.T) {
	first := rand.Uint64()
	for seed := first; seed < first+5; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			runModel(t, rand.New(rand.NewPCG(seed, 1)), Limits{NodeEntries: 3 + int(seed%5)*24, NodeBytes: int(seed % 3 * 300)})
		})
	}
}

// run is a stream beside its model.
type run struct {
	t   *testing.T
	rng *rand.Rand
	a   *arena.Arena
	e   *table.Entry
	lim Limits
	m   model
	now int64
}

func runModel(t *testing.T, rng *rand.Rand, lim Limits) {
	r := &run{t: t, rng: rng, a: arena.New(), lim: lim, m: model{groups: map[string]*modelGroup{}}}
	_, r.e = newRecord(r.a)
	ops := []struct {
		weight int
		fn     func()
	}{
		{30, r.append}, {10, r.delete}, {3, r.trim}, {4, r.createGroup}, {1, r.destroyGroup}, {12, r.assign}, {12, r.ack},
		{2, r.deleteConsumer}, {2, r.compact}, {2, r.setID}, {1, r.burst}, {2, r.assignMany},
	}
	for i := range 400 {
		pick := rng.IntN(81)
		for _, op := range ops {
			if pick -= op.weight; pick < 0 {
				op.fn()
				break
			}
		}
		if i%4 != 0 {
			continue
		}
		if err := Check(r.e); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if i%16 == 0 {
			r.compare()
		}
	}
	r.compare()
	r.cloneAndFree()
}

func (r *run) id() ID {
	if n := len(r.m.entries); n > 0 && r.rng.IntN(4) > 0 {
		return r.m.entries[r.rng.IntN(n)].id
	}
	return ID{r.m.last.Ms - min(r.m.last.Ms, r.rng.Uint64N(5)), r.rng.Uint64N(4)}
}

func (r *run) nextID() ID {
	id := r.m.last
	switch r.rng.IntN(12) {
	case 0:
		id.Seq += 1 << r.rng.IntN(62)
	case 1:
		id = ID{id.Ms + 1<<r.rng.IntN(56), r.rng.Uint64()}
	case 2, 3, 4:
		id = ID{id.Ms + 1 + r.rng.Uint64N(300), 0}
	case 5:
		id = ID{id.Ms + 1, 1 + r.rng.Uint64N(300)}
	default:
		id.Seq++
	}
	return id
}

func (r *run) pairs() (pairs [][]byte) {
	fields := []string{"name", "age", "12345", "f"}
	n := 1 + r.rng.IntN(3)
	if r.rng.IntN(3) > 0 {
		n = 2
	}
	for i := range n {
		f := fields[i]
		if r.rng.IntN(10) == 0 {
			f = fields[r.rng.IntN(len(fields))]
		}
		v := fmt.Sprint(r.rng.IntN(1000))
		switch r.rng.IntN(20) {
		case 0:
			v = strings.Repeat("v", r.rng.IntN(300))
		case 1:
			f = strings.Repeat("long", 1500)
		}
		pairs = append(pairs, []byte(f), []byte(v))
	}
	return pairs
}

func (r *run) append() {
	id := r.nextID()
	if !r.m.last.Less(id) {
		return
	}
	pairs := r.pairs()
	s := Edit(r.e)
	s.Append(r.lim, id, pairs)
	s.Save()
	texts := make([]string, len(pairs))
	for i := range pairs {
		texts[i] = string(pairs[i])
	}
	r.m.entries = append(r.m.entries, modelEntry{id, texts})
	r.m.last = id
	r.m.added++
}

func (r *run) burst() {
	for range r.rng.IntN(300) {
		r.append()
	}
}

func (r *run) delete() {
	id := r.id()
	s := Edit(r.e)
	got := s.Delete(id)
	s.Save()
	i, found := r.m.find(id)
	if found {
		r.m.entries = slices.Delete(r.m.entries, i, i+1)
		if r.m.gone.Less(id) {
			r.m.gone = id
		}
	}
	if got != found {
		r.t.Fatalf("Delete(%v) = %v", id, got)
	}
}

func (r *run) trim() {
	n := len(r.m.entries)
	tr := Trim{ByID: r.rng.IntN(2) == 0, MaxLen: n - r.rng.IntN(n/4+2), MinID: r.id(), Approx: r.rng.IntN(2) == 0}
	tr.MaxLen = max(tr.MaxLen, 0)
	if r.rng.IntN(3) == 0 {
		tr.Limit = 1 + r.rng.IntN(30)
	}
	s := Edit(r.e)
	removed := s.Trim(tr)
	s.Save()
	most := max(n-tr.MaxLen, 0)
	if tr.ByID {
		most, _ = r.m.find(tr.MinID)
	}
	if removed > most || removed < most && !tr.Approx && tr.Limit == 0 || tr.Limit > 0 && removed > tr.Limit {
		r.t.Fatalf("Trim(%+v) of %d removed %d, not %d", tr, n, removed, most)
	}
	r.m.entries = slices.Delete(r.m.entries, 0, removed)
}

func (r *run) setID() {
	s := Edit(r.e)
	s.LastID = ID{r.m.last.Ms + r.rng.Uint64N(3), r.m.last.Seq}
	s.Save()
	r.m.last = s.LastID
}

func (r *run) groupName() string {
	return strings.Repeat("g", r.rng.IntN(4)) + fmt.Sprint(r.rng.IntN(3))
}
func (r *run) consumerName() string {
	return fmt.Sprint("consumer", r.rng.IntN(30)*r.rng.IntN(8))
}

func (r *run) createGroup() {
	name, id := r.groupName(), r.id()
	s := Edit(r.e)
	created := s.CreateGroup([]byte(name), id, Unknown)
	s.Save()
	if created == (r.m.groups[name] != nil) {
		r.t.Fatalf("CreateGroup(%q) = %v", name, created)
	}
	if created {
		r.m.groups[name] = &modelGroup{last: id, read: Unknown, pending: map[ID]modelPending{}, names: map[string]bool{}}
	}
}

func (r *run) destroyGroup() {
	name := r.groupName()
	s := Edit(r.e)
	gone := s.DestroyGroup([]byte(name))
	s.Save()
	if gone != (r.m.groups[name] != nil) {
		r.t.Fatalf("DestroyGroup(%q) = %v", name, gone)
	}
	delete(r.m.groups, name)
}

func (r *run) group(s *Stream) (Group, *modelGroup) {
	names := make([]string, 0, 4)
	for name := range r.m.groups {
		names = append(names, name)
	}
	if len(names) == 0 {
		return Group{}, nil
	}
	slices.Sort(names)
	name := names[r.rng.IntN(len(names))]
	g, ok := s.Group([]byte(name))
	if !ok {
		r.t.Fatalf("group %q is missing", name)
	}
	return g, r.m.groups[name]
}

func (r *run) assign() {
	s := Edit(r.e)
	g, mg := r.group(&s)
	if mg == nil {
		return
	}
	name := r.consumerName()
	r.now += r.rng.Int64N(1000)
	c, created := g.CreateConsumer([]byte(name), r.now)
	if created == mg.names[name] {
		r.t.Fatalf("CreateConsumer(%q) = %v", name, created)
	}
	mg.names[name] = true
	for range 1 + r.rng.IntN(5) {
		id := r.id()
		n := Pending{ID: id, Delivered: r.now, Count: r.rng.Int64N(300)}
		g.Assign(&c, n)
		mg.pending[id] = modelPending{name, n.Delivered, n.Count}
	}
	c.Save()
	g.Save()
	s.Save()
}

// assignMany gives one consumer a run of IDs, most of which are not entries.
func (r *run) assignMany() {
	s := Edit(r.e)
	g, mg := r.group(&s)
	if mg == nil {
		return
	}
	name := r.consumerName()
	c, _ := g.CreateConsumer([]byte(name), r.now)
	mg.names[name] = true
	id, step := r.id(), r.rng.Uint64N(3)+1
	for range r.rng.IntN(300) {
		g.Assign(&c, Pending{ID: id, Delivered: r.now, Count: 1})
		mg.pending[id] = modelPending{name, r.now, 1}
		id.Seq += step
	}
	c.Save()
	g.Save()
	s.Save()
}

func (r *run) ack() {
	s := Edit(r.e)
	g, mg := r.group(&s)
	if mg == nil {
		return
	}
	ids := []ID{r.id()}
	for id := range mg.pending {
		if ids = append(ids, id); len(ids) > 200 || r.rng.IntN(5) == 0 {
			break
		}
	}
	for _, id := range ids {
		_, want := mg.pending[id]
		if got := g.Ack(id); got != want {
			r.t.Fatalf("Ack(%v) = %v", id, got)
		}
		delete(mg.pending, id)
	}
	g.Save()
	s.Save()
}

func (r *run) deleteConsumer() {
	s := Edit(r.e)
	g, mg := r.group(&s)
	if mg == nil {
		return
	}
	name := r.consumerName()
	n, ok := g.DeleteConsumer([]byte(name))
	s.Save()
	want := 0
	for id, p := range mg.pending {
		if p.owner == name {
			delete(mg.pending, id)
			want++
		}
	}
	if n != want || ok != mg.names[name] {
		r.t.Fatalf("DeleteConsumer(%q) = %d, %v, not %d", name, n, ok, want)
	}
	delete(mg.names, name)
}

func (r *run) compact() {
	for cursor := Compact(r.e, 0, 3); cursor != 0; {
		next := Compact(r.e, cursor, 3)
		if next != 0 && next <= cursor {
			r.t.Fatalf("Compact went from %x to %x", cursor, next)
		}
		cursor = next
	}
}

func (r *run) compare() {
	r.t.Helper()
	r.compareStream(r.e)
	from, to := r.id(), r.id()
	if to.Less(from) {
		from, to = to, from
	}
	lo, _ := r.m.find(from)
	hi, found := r.m.find(to)
	if found {
		hi++
	}
	var got, want []ID
	for _, e := range r.m.entries[lo:hi] {
		want = append(want, e.id)
	}
	s := Open(r.e)
	s.Range(from, to, true, func(e *Entry) bool { got = append(got, e.ID); return true })
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		r.t.Fatalf("Range(%v, %v) backwards: %v, not %v", from, to, got, want)
	}
	got = got[:0]
	s.Range(from, to, false, func(e *Entry) bool { got = append(got, e.ID); return true })
	if !slices.Equal(got, want) {
		r.t.Fatalf("Range(%v, %v): %v, not %v", from, to, got, want)
	}
}

func (r *run) compareStream(e *table.Entry) {
	r.t.Helper()
	s := Open(e)
	i := 0
	s.Range(ID{}, MaxID(), false, func(e *Entry) bool {
		if i >= len(r.m.entries) || e.ID != r.m.entries[i].id {
			r.t.Fatalf("entry %d is %v", i, e.ID)
		}
		var texts []string
		e.Pairs(func(f, v packed.Value) {
			texts = append(texts, string(f.AppendString(nil)), string(v.AppendString(nil)))
		})
		if !slices.Equal(texts, r.m.entries[i].pairs) {
			r.t.Fatalf("entry %v is %q, not %q", e.ID, texts, r.m.entries[i].pairs)
		}
		i++
		return true
	})
	if i != len(r.m.entries) || i != s.Len() || s.LastID != r.m.last || s.MaxDeletedID != r.m.gone || s.Added != r.m.added {
		r.t.Fatalf("%d entries, Len %d, not %d; %v %v %d", i, s.Len(), len(r.m.entries), s.LastID, s.MaxDeletedID, s.Added)
	}
	if s.Groups() != len(r.m.groups) {
		r.t.Fatalf("%d groups, not %d", s.Groups(), len(r.m.groups))
	}
	s.EachGroup(func(name []byte, g *Group) { r.compareGroup(r.m.groups[string(name)], g) })
}

func (r *run) compareGroup(mg *modelGroup, g *Group) {
	n := 0
	g.PendingRange(ID{}, MaxID(), func(p *Pending) bool {
		n++
		if want := mg.pending[p.ID]; want != (modelPending{string(g.Owner(p)), p.Delivered, p.Count}) {
			r.t.Fatalf("%v is pending as %+v, not %+v", p.ID, p, want)
		}
		return true
	})
	if n != len(mg.pending) || n != g.Pending() || g.Consumers() != len(mg.names) || g.LastID != mg.last {
		r.t.Fatalf("%d are pending, not %d, %d consumers, not %d", n, len(mg.pending), g.Consumers(), len(mg.names))
	}
}

func (r *run) cloneAndFree() {
	a := arena.New()
	_, e := newRecord(a)
	empty := a.Stats().Live
	Clone(r.e, e)
	if err := Check(e); err != nil {
		r.t.Fatal(err)
	}
	r.compareStream(e)
	if got := int64(Bytes(e)); got != a.Stats().Live-empty {
		r.t.Fatalf("Bytes = %d, the arena says %d", got, a.Stats().Live-empty)
	}
	step := Freeing(e)
	e.Delete()
	for n := 0; !step(1 + r.rng.IntN(4)); n++ {
		if n > 1<<16 {
			r.t.Fatal("freeing comes to no end")
		}
	}
	if cells := a.Stats().Cells; cells > 1 { // of the table, perhaps
		r.t.Fatalf("%d cells are left", cells)
	}
	if err := a.Check(); err != nil {
		r.t.Fatal(err)
	}
}
