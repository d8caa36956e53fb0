package tree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
)

// key orders the test's entries: the prefix and, among equal prefixes, the
// reference, which here stands for nothing but itself.
func key(e Entry) uint64 { return uint64(e.Prefix)<<32 | uint64(e.Ref) }

func inOrder(x, y Entry) bool { return key(x) < key(y) }

func precedes(e Entry) func(Entry) bool {
	return func(x Entry) bool { return inOrder(x, e) }
}

func entry(rng *rand.Rand, prefixes int) Entry {
	return Entry{Prefix: uint32(rng.IntN(prefixes)), Ref: arena.Ref(rng.Uint32())}
}

// orderedModel runs the same edits on an Ordered and on a sorted slice.
type orderedModel struct {
	t    *testing.T
	a    *arena.Arena
	o    Ordered
	want []Entry
}

func newOrderedModel(t *testing.T, o OrderedOptions) *orderedModel {
	a := arena.New()
	return &orderedModel{t: t, a: a, o: NewOrdered(a, o)}
}

func (m *orderedModel) insert(e Entry) {
	m.t.Helper()
	var p Place
	m.o.Find(&p, precedes(e))
	at, found := slices.BinarySearchFunc(m.want, e, compare)
	if p.Rank() != at || found != (m.o.Valid(&p) && m.o.Entry(&p) == e) {
		m.t.Fatalf("find %v: rank %d, want %d (found %v)", e, p.Rank(), at, found)
	}
	if found {
		return
	}
	m.o.Find(&p, precedes(e))
	m.o.Insert(&p, e)
	m.want = slices.Insert(m.want, at, e)
}

func (m *orderedModel) delete(rank, n int) {
	m.t.Helper()
	for n > 0 {
		var p Place
		if !m.o.Go(&p, rank) || !m.o.Valid(&p) {
			m.t.Fatalf("no entry of rank %d among %d", rank, len(m.want))
		}
		gone := m.o.DeleteRun(&p, n)
		m.want = slices.Delete(m.want, rank, rank+gone)
		n -= gone
	}
}

func (m *orderedModel) check() {
	m.t.Helper()
	if err := m.o.Check(inOrder); err != nil {
		m.t.Fatal(err)
	}
	if err := m.a.Check(); err != nil {
		m.t.Fatal(err)
	}
	if m.o.Len() != len(m.want) {
		m.t.Fatalf("%d entries, want %d", m.o.Len(), len(m.want))
	}
	i := 0
	m.o.Each(func(e Entry) bool {
		if e != m.want[i] {
			m.t.Fatalf("entry %d is %v, want %v", i, e, m.want[i])
		}
		i++
		return true
	})
	if i != len(m.want) {
		m.t.Fatalf("walk saw %d entries, want %d", i, len(m.want))
	}
}

// reload goes through Save and Load, as every command does.
func (m *orderedModel) reload(o OrderedOptions) {
	var root [RootSize]byte
	m.o.Save(root[:])
	m.o = LoadOrdered(m.a, root[:], o)
}

func compare(x, y Entry) int {
	switch {
	case inOrder(x, y):
		return -1
	case inOrder(y, x):
		return 1
	}
	return 0
}

// walk goes a few steps both ways from a rank.
func (m *orderedModel) walk(rank int) {
	m.t.Helper()
	var p Place
	if ok := m.o.Go(&p, rank); ok != (rank >= 0 && rank <= len(m.want)) {
		m.t.Fatalf("go to %d among %d: %v", rank, len(m.want), ok)
	} else if !ok {
		return
	}
	forward := p
	for i := rank; i < min(rank+9, len(m.want)); i++ {
		if !m.o.Valid(&forward) || m.o.Entry(&forward) != m.want[i] || forward.Rank() != i {
			m.t.Fatalf("forward from %d: wrong at %d", rank, i)
		}
		if m.o.Next(&forward) != (i+1 < len(m.want)) {
			m.t.Fatalf("forward from %d: end wrong at %d", rank, i)
		}
	}
	for i := rank - 1; i >= max(0, rank-9); i-- {
		if !m.o.Prev(&p) || m.o.Entry(&p) != m.want[i] || p.Rank() != i {
			m.t.Fatalf("backward from %d: wrong at %d", rank, i)
		}
	}
	if rank <= 9 && m.o.Prev(&p) {
		m.t.Fatalf("backward from %d: went beyond the first", rank)
	}
}

func (m *orderedModel) replace(rank int, rng *rand.Rand) {
	var p Place
	m.o.Go(&p, rank)
	if !m.o.Valid(&p) {
		m.t.Fatalf("no entry of rank %d", rank)
	}
	e := m.want[rank]
	if rank+1 < len(m.want) && m.want[rank+1].Prefix == e.Prefix {
		return // the reference could not change without changing the order
	}
	e.Ref |= arena.Ref(rng.Uint32())
	m.o.Replace(&p, e)
	m.want[rank] = e
}

func TestOrderedModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, o := range []OrderedOptions{{Fanout: 4, Leaf: 4}, {Fanout: 5, Leaf: 7}, {Fanout: 8, Leaf: 16}, {}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			m := newOrderedModel(t, o)
			for round := range 60 {
				m.round(rng, o, 500)
				if round%6 == 5 {
					m.delete(0, len(m.want)*9/10)
				}
				m.check()
			}
			for !m.o.FreeStep(10) {
			}
			m.want = nil
			m.check()
			if cells := m.a.Stats().Cells; cells != 0 {
				t.Fatalf("%d cells left after free", cells)
			}
		})
	}
}

// bytesSource draws random numbers from a fuzzer's bytes, and from their end on from a
// generator.
type bytesSource struct {
	data []byte
	rest rand.Source
}

func (s *bytesSource) Uint64() uint64 {
	if len(s.data) == 0 {
		return s.rest.Uint64()
	}
	n := uint64(s.data[0])
	s.data = s.data[1:]
	return n<<56 | n<<24 | n
}

func FuzzOrdered(f *testing.F) {
	f.Add([]byte("narrow"), uint8(0), uint8(0))
	f.Add([]byte("wide"), uint8(20), uint8(20))
	f.Fuzz(func(t *testing.T, data []byte, fanout, leaf uint8) {
		o := OrderedOptions{Fanout: 4 + int(fanout%32), Leaf: 4 + int(leaf%32)}
		m := newOrderedModel(t, o)
		rng := rand.New(&bytesSource{data, rand.NewPCG(1, uint64(len(data)))})
		for range 1 + len(data)/64 {
			m.round(rng, o, 60)
			m.check()
		}
	})
}

// round does n operations of a mix that is drawn once, so that some rounds
// mostly grow the tree and others mostly shrink it.
func (m *orderedModel) round(rng *rand.Rand, o OrderedOptions, n int) {
	inserts, prefixes := 30+rng.IntN(60), 1+rng.IntN(1000)
	for range n {
		switch pick := rng.IntN(100); {
		case pick < inserts:
			m.insert(entry(rng, prefixes))
		case len(m.want) == 0:
		case pick < 95:
			rank := rng.IntN(len(m.want))
			m.delete(rank, min(1+rng.IntN(3)*rng.IntN(3), len(m.want)-rank))
		case pick < 97:
			m.replace(rng.IntN(len(m.want)), rng)
		case pick < 98:
			m.compact(rng)
		case pick < 99:
			m.reload(o)
		default:
			m.walk(rng.IntN(len(m.want) + 1))
		}
	}
	m.walk(-1)
	m.walk(0)
	m.walk(len(m.want))
	m.walk(len(m.want) + 1)
}

func (m *orderedModel) compact(rng *rand.Rand) {
	var p Place
	m.o.Go(&p, rng.IntN(len(m.want)))
	m.o.Compact(&p)
	if m.o.Entry(&p) != m.want[p.Rank()] {
		m.t.Fatalf("after compaction the place is at another entry")
	}
}

// fill is the share of leaf cells that entries use, and the mean number of
// entries per leaf.
func fill(o *Ordered) (used, perLeaf float64) {
	bytes, leaves := 0, 0
	o.t.Leaves(func(leaf arena.Ref, _ int) bool {
		bytes += o.t.a.Size(leaf)
		leaves++
		return true
	})
	return float64(o.Len()*entrySize) / float64(bytes), float64(o.Len()) / float64(leaves)
}

func TestOrderedFill(t *testing.T) {
	const n = 50_000
	rng := rand.New(rand.NewPCG(1, 2))
	insert := func(o *Ordered, e Entry) {
		var p Place
		o.Find(&p, precedes(e))
		o.Insert(&p, e)
	}
	expect := func(name string, o *Ordered, minUsed, minPerLeaf float64) {
		t.Helper()
		used, perLeaf := fill(o)
		t.Logf("%s: %.3f of the cells used, %.1f entries a leaf, %.2f bytes an entry", name, used, perLeaf, float64(o.Bytes())/float64(o.Len()))
		if used < minUsed || perLeaf < minPerLeaf {
			t.Errorf("%s: used %.3f, want %.2f; per leaf %.1f, want %.0f", name, used, minUsed, perLeaf, minPerLeaf)
		}
	}
	up, down, mixed := NewOrdered(arena.New(), OrderedOptions{}), NewOrdered(arena.New(), OrderedOptions{}), NewOrdered(arena.New(), OrderedOptions{})
	for i := range n {
		insert(&up, Entry{Prefix: uint32(i)})
		insert(&down, Entry{Prefix: uint32(n - i)})
		insert(&mixed, Entry{Prefix: rng.Uint32(), Ref: arena.Ref(i)})
	}
	expect("ascending", &up, 0.99, 127)
	expect("descending", &down, 0.99, 127)
	expect("random", &mixed, 0.85, 80)
	for i := range 6 * n { // random score updates of an ascending set
		var p Place
		up.Go(&p, rng.IntN(n))
		up.Delete(&p)
		insert(&up, Entry{Prefix: rng.Uint32N(n), Ref: arena.Ref(i)})
	}
	expect("updated", &up, 0.85, 64)
	for up.Len() > n/10 {
		var p Place
		up.Go(&p, rng.IntN(up.Len()))
		up.Delete(&p)
	}
	expect("thinned", &up, 0.80, 40)
}

func TestOrderedAppend(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 1000} {
		m := newOrderedModel(t, OrderedOptions{Fanout: 4, Leaf: 8})
		for part := range 2 {
			i := 0
			m.o.Append(func() (Entry, bool) {
				e := Entry{Prefix: uint32(part*n + i)}
				i++
				if i <= n {
					m.want = append(m.want, e)
				}
				return e, i <= n
			})
			m.check()
		}
	}
}

func BenchmarkOrdered(b *testing.B) {
	const n = 1_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	o := NewOrdered(arena.New(), OrderedOptions{})
	for i := range n {
		e := Entry{Prefix: rng.Uint32(), Ref: arena.Ref(i)}
		var p Place
		o.Find(&p, precedes(e))
		o.Insert(&p, e)
	}
	b.Run("find", func(b *testing.B) {
		var p Place
		for b.Loop() {
			o.Find(&p, precedes(Entry{Prefix: rng.Uint32()}))
		}
	})
	b.Run("rank", func(b *testing.B) {
		var p Place
		for b.Loop() {
			o.Go(&p, rng.IntN(n))
		}
	})
	b.Run("replace-random", func(b *testing.B) {
		var p Place
		for b.Loop() {
			o.Go(&p, rng.IntN(n))
			o.Delete(&p)
			e := Entry{Prefix: rng.Uint32()}
			o.Find(&p, precedes(e))
			o.Insert(&p, e)
		}
	})
}
