package list

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// model runs the same operations on a list and on a slice.
type model struct {
	t    *testing.T
	k    *keyspace
	e    *table.Entry
	lim  Limits
	rng  *rand.Rand
	want []string
}

func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, size := range []int{-2, 1, 2, 3, 8, -1, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			k := newKeyspace()
			m := &model{t: t, k: k, e: k.list("model"), lim: Limits{MaxListpackSize: size}, rng: rand.New(rand.NewPCG(seed, 1))}
			for step := range 6000 {
				m.step(600 * (1 + step/1000%2))
				if step%50 == 0 {
					m.check()
				}
			}
			m.check()
			m.free()
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

func FuzzModel(f *testing.F) {
	f.Add([]byte("by bytes"), int8(-2))
	f.Add([]byte("by number"), int8(2))
	f.Fuzz(func(t *testing.T, data []byte, size int8) {
		k := newKeyspace()
		source := &bytesSource{data, rand.NewPCG(1, uint64(len(data)))}
		m := &model{t: t, k: k, e: k.list("model"), lim: Limits{MaxListpackSize: int(size)}, rng: rand.New(source)}
		for range 50 + len(data)/8 {
			m.step(300)
		}
		m.check()
		m.free()
	})
}

// TestCompact thins a long list out and expects compaction to give memory back without
// losing an element.
func TestCompact(t *testing.T) {
	k := newKeyspace()
	m := &model{t: t, k: k, e: k.list("model"), lim: Limits{MaxListpackSize: -1}, rng: rand.New(rand.NewPCG(5, 6))}
	for i := range 60_000 {
		v := fmt.Sprint("element:", i%4)
		Push(m.e, m.lim, false, []byte(v))
		m.want = append(m.want, v)
	}
	full := k.a.Stats().Slabs
	for _, v := range []string{"element:1", "element:3", "element:0"} {
		m.remove(0, v)
	}
	for range 8 {
		for cursor := Compact(m.e, 0, 10); cursor != 0; {
			cursor = Compact(m.e, cursor, 10)
		}
		m.check()
	}
	if after := k.a.Stats().Slabs; after > full*4/10 {
		t.Fatalf("%d bytes in slabs with 60,000 elements, %d with %d", full, after, len(m.want))
	}
	m.free()
}

func (m *model) step(most int) {
	rng := m.rng
	n := len(m.want)
	pick := rng.IntN(100)
	if n > most {
		pick = 80 + rng.IntN(20)
	}
	switch {
	case pick < 40:
		m.push(rng.IntN(2) == 0, 1+rng.IntN(1+rng.IntN(12)))
	case pick < 50:
		m.insert(rng.IntN(2) == 0, element(rng), element(rng))
	case n == 0:
	case pick < 60:
		m.set(rng.IntN(n+1), element(rng))
	case pick < 75:
		m.pop(rng.IntN(2) == 0, rng.IntN(1+rng.IntN(12)))
	case pick < 80:
		m.look(rng.IntN(n+1), rng.IntN(n+1), rng.IntN(2) == 0)
	case pick < 95:
		m.remove(rng.IntN(7)-3, element(rng))
	case pick < 97:
		from := rng.IntN(n)
		m.trim(from/4, n-from/4-rng.IntN(n)/4)
	case pick < 98:
		m.clone()
	default:
		for cursor := Compact(m.e, 0, 3); cursor != 0; {
			cursor = Compact(m.e, cursor, 3)
		}
	}
}

func (m *model) push(front bool, n int) {
	var values [][]byte
	for range n {
		v := element(m.rng)
		values = append(values, []byte(v))
		if front {
			m.want = slices.Insert(m.want, 0, v)
		} else {
			m.want = append(m.want, v)
		}
	}
	Push(m.e, m.lim, front, values...)
}

func (m *model) pop(front bool, n int) {
	var got []string
	Pop(m.e, m.lim, front, n, func(v packed.Value) { got = append(got, text(v)) })
	for i := range min(n, len(m.want)) {
		at := len(m.want) - 1
		if front {
			at = 0
		}
		if got[i] != m.want[at] {
			m.t.Fatalf("popped %q, want %q", got[i], m.want[at])
		}
		m.want = slices.Delete(m.want, at, at+1)
	}
}

func (m *model) insert(after bool, pivot, v string) {
	at := slices.Index(m.want, pivot)
	n := Insert(m.e, m.lim, after, []byte(pivot), []byte(v))
	if at < 0 {
		if n != -1 {
			m.t.Fatalf("inserted beside %q, which is not there", pivot)
		}
		return
	}
	if after {
		at++
	}
	m.want = slices.Insert(m.want, at, v)
}

func (m *model) set(i int, v string) {
	if ok := Set(m.e, m.lim, i, []byte(v)); ok != (i < len(m.want)) {
		m.t.Fatalf("set %d of %d: %v", i, len(m.want), ok)
	} else if ok {
		m.want[i] = v
	}
}

func (m *model) remove(n int, v string) {
	got := Remove(m.e, m.lim, n, []byte(v))
	left, gone := []string{}, 0
	order := slices.Clone(m.want)
	if n < 0 {
		slices.Reverse(order)
	}
	for _, x := range order {
		if x == v && (n == 0 || gone < max(n, -n)) {
			gone++
			continue
		}
		left = append(left, x)
	}
	if n < 0 {
		slices.Reverse(left)
	}
	if got != gone {
		m.t.Fatalf("removed %d of %q, want %d", got, v, gone)
	}
	m.want = left
}

func (m *model) trim(from, n int) {
	Trim(m.e, m.lim, from, n)
	if n <= 0 {
		m.want = nil
		return
	}
	m.want = slices.Clone(m.want[from : from+n])
}

func (m *model) look(i, n int, back bool) {
	got, ok := Index(m.e, i)
	if ok != (i < len(m.want)) || ok && text(got) != m.want[i] {
		m.t.Fatalf("index %d of %d: %q, %v", i, len(m.want), text(got), ok)
	}
	var seen, expect []string
	Range(m.e, i, n, back, func(v packed.Value) bool {
		seen = append(seen, text(v))
		return true
	})
	for step := range n {
		at := i + step
		if back {
			at = i - step
		}
		if i >= len(m.want) || at < 0 || at >= len(m.want) {
			break
		}
		expect = append(expect, m.want[at])
	}
	if !slices.Equal(seen, expect) {
		m.t.Fatalf("range %d %d %v: %q, want %q", i, n, back, seen, expect)
	}
	m.find(element(m.rng), Match{Rank: m.rng.IntN(9) - 4, Count: m.rng.IntN(3), MaxLen: m.rng.IntN(2) * m.rng.IntN(50)})
}

func (m *model) find(v string, match Match) {
	if match.Rank == 0 {
		match.Rank = 1
	}
	var got, expect []int
	Find(m.e, []byte(v), match, func(i int) { got = append(got, i) })
	seen := 0
	for step := range m.want {
		at := step
		if match.Rank < 0 {
			at = len(m.want) - 1 - step
		}
		if match.MaxLen > 0 && step >= match.MaxLen || match.Count > 0 && len(expect) == match.Count {
			break
		}
		if m.want[at] == v {
			if seen++; seen >= max(match.Rank, -match.Rank) {
				expect = append(expect, at)
			}
		}
	}
	if !slices.Equal(got, expect) {
		m.t.Fatalf("find %q %+v: %v, want %v", v, match, got, expect)
	}
}

// clone copies the list to another arena and goes on there.
func (m *model) clone() {
	k := newKeyspace()
	e := k.list("clone")
	Clone(m.e, e)
	if Encoding(e) != Encoding(m.e) {
		m.t.Fatalf("the clone is a %s", Encoding(e))
	}
	if Bytes(e) > Bytes(m.e)*11/10 {
		m.t.Fatalf("the clone takes %d bytes, the list %d", Bytes(e), Bytes(m.e))
	}
	m.free()
	m.k, m.e = k, e
}

// free frees everything and expects nothing to be left.
func (m *model) free() {
	Free(m.e)
	m.e.Delete()
	m.k.t.Free()
	if cells := m.k.a.Stats().Cells; cells != 0 {
		m.t.Fatalf("%d cells left after free", cells)
	}
}

func (m *model) check() {
	m.t.Helper()
	if err := m.k.a.Check(); err != nil {
		m.t.Fatal(err)
	}
	want(m.t, m.e, m.want...)
	if m.e.Flag(table.FlagLarge) {
		s := seq{e: m.e}
		s.load()
		s.t.Leaves(func(leaf arena.Ref, count int) bool {
			run := leafRun(m.k.a.Bytes(leaf))
			if size, _ := m.lim.bounds(); count > 1 && !m.lim.fits(len(run), count) {
				m.t.Fatalf("leaf of %d bytes, %d elements; limit %d", len(run), count, size)
			}
			return true
		})
	}
}
