package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
)

// block is a leaf as the model has it: how many elements, from which key on.
type block struct {
	leaf  arena.Ref
	count int
	key   uint64
}

// wide writes a number as a key of MaxWidth bytes that differ only at the end, as the
// identifiers of a stream do.
func wide(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 8, MaxWidth), n)
}

// treeModel runs edits of whole leaves on a Tree and on a slice.
type treeModel struct {
	t    *testing.T
	a    *arena.Arena
	tree Tree
	o    Options
	want []block
}

func (m *treeModel) check() {
	m.t.Helper()
	i, total := 0, 0
	err := m.tree.Check(func(leaf arena.Ref, count int) ([]byte, error) {
		w := m.want[i]
		if leaf != w.leaf || count != w.count {
			return nil, fmt.Errorf("leaf %d is %d with %d elements, want %v", i, leaf, count, w)
		}
		i++
		total += count
		return wide(w.key), nil
	})
	if err != nil || i != len(m.want) || total != m.tree.Len() || m.tree.Empty() != (total == 0) {
		m.t.Fatalf("%v; %d leaves of %d, %d elements of %d", err, i, len(m.want), m.tree.Len(), total)
	}
}

// at places a cursor at leaf i by position, and checks that the other ways lead there.
func (m *treeModel) at(i int) Cursor {
	m.t.Helper()
	before := 0
	for _, w := range m.want[:i] {
		before += w.count
	}
	var c, sought Cursor
	w := m.want[i]
	index, ok := m.tree.At(&c, before+w.count-1)
	if !ok || index != w.count-1 || c.Leaf() != w.leaf || c.Before() != before || c.Count() != w.count {
		m.t.Fatalf("position %d leads to leaf %d, index %d", before+w.count-1, c.Leaf(), index)
	}
	if m.o.Width > 0 {
		target := wide(w.key)
		m.tree.Seek(&sought, func(key []byte) bool { return bytes.Compare(key, target) <= 0 })
		if sought != c {
			m.t.Fatalf("key %d leads to %+v, want %+v", w.key, sought, c)
		}
	}
	if m.tree.AtFirst(&c) != (i == 0) || m.tree.AtLast(&c) != (i == len(m.want)-1) {
		m.t.Fatalf("leaf %d of %d: first %v, last %v", i, len(m.want), m.tree.AtFirst(&c), m.tree.AtLast(&c))
	}
	return c
}

func (m *treeModel) step(rng *rand.Rand, next *uint64) {
	switch pick := rng.IntN(10); {
	case len(m.want) == 0:
		*next = 1 << 40
		m.insert(0, after, block{m.a.Alloc(8), 1 + rng.IntN(9), *next})
	case pick < 5: // after a leaf, with a key between its own and the next one's
		i := rng.IntN(len(m.want))
		if rng.IntN(3) == 0 {
			i = len(m.want) - 1
		}
		key := m.want[i].key + 1<<20
		if i+1 < len(m.want) {
			key = m.want[i].key + (m.want[i+1].key-m.want[i].key)/2
		}
		if key != m.want[i].key {
			m.insert(i, after, block{m.a.Alloc(8), 1 + rng.IntN(9), key})
		}
	case pick < 6:
		m.insert(0, before, block{m.a.Alloc(8), 1 + rng.IntN(9), m.want[0].key - 1<<20})
	case pick < 8:
		i := rng.IntN(len(m.want))
		c := m.at(i)
		m.tree.Remove(&c)
		m.a.Free(m.want[i].leaf)
		m.want = slices.Delete(m.want, i, i+1)
	case pick < 9:
		i := rng.IntN(len(m.want))
		c := m.at(i)
		m.a.Free(m.want[i].leaf)
		m.want[i].leaf, m.want[i].count = m.a.Alloc(8), 1+rng.IntN(9)
		m.want[i].key-- // the keys are far enough apart
		if i > 0 && m.want[i].key <= m.want[i-1].key {
			m.want[i].key++
		}
		m.tree.Update(&c, m.want[i].leaf, m.want[i].count, wide(m.want[i].key)[:m.o.Width])
	default:
		var root [RootSize]byte
		m.tree.Save(root[:])
		m.tree = Load(m.a, root[:], m.o)
	}
}

func (m *treeModel) insert(i, side int, w block) {
	var c Cursor
	if len(m.want) > 0 {
		c = m.at(i)
		i += side
	}
	if side == after {
		m.tree.InsertAfter(&c, w.leaf, w.count, wide(w.key)[:m.o.Width])
	} else {
		m.tree.InsertBefore(&c, w.leaf, w.count, wide(w.key)[:m.o.Width])
	}
	m.want = slices.Insert(m.want, i, w)
}

func TestTreeModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, o := range []Options{{Width: MaxWidth, Fanout: 4}, {Width: MaxWidth, Fanout: 9}, {Fanout: 4}, {Fanout: 16}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			a := arena.New()
			m := &treeModel{t: t, a: a, tree: New(a, o), o: o}
			var next uint64
			for round := range 40 {
				for range 60 {
					m.step(rng, &next)
				}
				m.check()
				if round%10 == 9 {
					m.drain(len(m.want) / 2)
					m.check()
				}
			}
			m.drain(len(m.want) + 1)
			if a.Stats().Cells != 0 || m.tree.Bytes() != 0 {
				t.Fatalf("%d cells left", a.Stats().Cells)
			}
		})
	}
}

// drain removes n leaves from the end.
func (m *treeModel) drain(n int) {
	removed := m.tree.Drain(n, func(leaf arena.Ref, count int) {
		last := m.want[len(m.want)-1]
		if leaf != last.leaf || count != last.count {
			m.t.Fatalf("drained leaf %d, want %d", leaf, last.leaf)
		}
		m.a.Free(leaf)
		m.want = m.want[:len(m.want)-1]
	})
	if removed > n || removed < n && len(m.want) > 0 {
		m.t.Fatalf("drained %d leaves of %d wanted", removed, n)
	}
}

func TestPositionsOutside(t *testing.T) {
	a := arena.New()
	tree := New(a, Options{})
	var c Cursor
	if tree.First(&c) || tree.Last(&c) || tree.Lone(&c) {
		t.Fatal("an empty tree has a leaf")
	}
	if _, ok := tree.At(&c, 0); ok {
		t.Fatal("an empty tree has a position")
	}
	tree.InsertAfter(&c, a.Alloc(8), 3, nil)
	for _, position := range []int{-1, 4, 99} {
		if _, ok := tree.At(&c, position); ok {
			t.Fatalf("three elements, and position %d exists", position)
		}
	}
	if index, ok := tree.At(&c, 3); !ok || index != 3 {
		t.Fatalf("the end is at %d, %v", index, ok)
	}
	if !tree.Lone(&c) || tree.NextLeaf(&c) || tree.PrevLeaf(&c) {
		t.Fatal("a lone leaf has neighbours")
	}
}
