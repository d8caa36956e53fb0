package nested

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
)

const seed = 7

func filled(t *testing.T, n int) (*arena.Arena, *table.Table, *table.Entry) {
	a := arena.New()
	keys, e := table.New(a, table.Options{Keyspace: true, Seed: seed}), new(table.Entry)
	keys.Insert(table.Hash(seed, []byte("key")), []byte("key"), 1, 0, 0, e)
	tab := Create(e)
	for i := range n {
		tab.Add(fmt.Appendf(nil, "field%d", i), fmt.Appendf(nil, "%d", i))
	}
	tab.Save()
	tab.Close()
	if err := Check(e); err != nil {
		t.Fatal(err)
	}
	return a, &keys, e
}

func TestFreeingInSteps(t *testing.T) {
	for _, n := range []int{0, 1, 40, 5000} {
		a, _, e := filled(t, n)
		step := Freeing(e)
		e.Delete()
		steps, before := 0, a.Stats().Cells
		for done := false; !done; steps++ {
			done = step(100)
			now := a.Stats().Cells
			if !done && (now >= before || before-now > 1000) {
				t.Fatalf("%d records: a step went from %d to %d cells", n, before, now)
			}
			before = now
		}
		if before != 0 || n == 5000 && steps < 5 {
			t.Errorf("%d records: %d cells are left after %d steps", n, before, steps)
		}
		if err := a.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestBytesAndClone(t *testing.T) {
	a, _, e := filled(t, 3000)
	live := a.Stats().Live
	b, _, other := filled(t, 0)
	empty := b.Stats().Live
	Clone(e, other)
	if err := Check(other); err != nil || Len(other) != 3000 {
		t.Fatalf("%v, %d records", err, Len(other))
	}
	if got := int64(Bytes(other)); got != b.Stats().Live-empty || got > live {
		t.Errorf("Bytes = %d, the arena says %d", got, b.Stats().Live-empty)
	}
	Free(other)
	if b.Stats().Live != empty {
		t.Error("not everything was freed")
	}
}

func TestCompact(t *testing.T) {
	a, _, e := filled(t, 20_000)
	for i := range 20_000 {
		if i%10 != 0 {
			Delete(e, fmt.Appendf(nil, "field%d", i))
		}
	}
	before := a.Stats().Slabs
	for range 3 {
		for cursor := Compact(e, 0, 100); cursor != 0; {
			cursor = Compact(e, cursor, 100)
		}
	}
	if after := a.Stats().Slabs; after > before/2 {
		t.Errorf("compaction went from %d to %d bytes of slabs", before, after)
	}
	if err := Check(e); err != nil || Len(e) != 2000 {
		t.Errorf("%v, %d records", err, Len(e))
	}
	for i := 0; i < 20_000; i += 10 {
		if v, ok := Get(e, fmt.Appendf(nil, "field%d", i)); !ok || string(v) != fmt.Sprint(i) {
			t.Fatalf("field %d: %q, %v", i, v, ok)
		}
	}
	if err := a.Check(); err != nil {
		t.Error(err)
	}
}

// TestChangesAreAnnounced makes sure that the hook of the key's table hears of a
// change before it, even when the record itself stays as it is.
func TestChangesAreAnnounced(t *testing.T) {
	_, keys, e := filled(t, 10)
	heard := 0
	keys.BeforeChange = func(arena.Ref) { heard++ }
	for name, change := range map[string]func(){
		"Put":        func() { Put(e, []byte("field1"), []byte("x")) },
		"InsertKey":  func() { InsertKey(e, []byte("new")) },
		"Delete":     func() { Delete(e, []byte("new")) },
		"TakeRandom": func() { TakeRandom(e, rand.Uint64, func(*table.Entry) {}) },
	} {
		heard = 0
		if change(); heard == 0 {
			t.Errorf("%s was not announced", name)
		}
	}
	heard = 0
	Get(e, []byte("field1"))
	Scan(e, 0, 10, func(*table.Entry) {})
	if heard != 0 {
		t.Error("a look was announced as a change")
	}
}

func TestSelectionAndBelow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 10; n++ {
		for want := range n + 3 {
			pick, picked := NewSelection(rng.Uint64, want, n), 0
			for range n {
				if pick.Next() {
					picked++
				}
			}
			if picked != min(want, n) || !pick.Done() {
				t.Fatalf("picked %d of %d, want %d", picked, n, want)
			}
		}
		if i := Below(func() uint64 { return math.MaxUint64 }, n); i != n-1 {
			t.Fatalf("Below(%d) = %d at the most", n, i)
		}
	}
}

func TestRandomDistinctOfFewAndMany(t *testing.T) {
	_, _, e := filled(t, 1000)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 10, 332, 333, 334, 999, 1000, 1001} {
		seen := map[string]bool{}
		RandomDistinct(e, rng.Uint64, n, func(r *table.Entry) { seen[string(r.Key())] = true })
		if len(seen) != min(n, 1000) {
			t.Errorf("RandomDistinct(%d) gave %d", n, len(seen))
		}
	}
}
