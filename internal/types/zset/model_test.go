package zset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// model runs the same operations on a sorted set and on a sorted slice.
type model struct {
	t    *testing.T
	k    *keyspace
	e    *table.Entry
	lim  Limits
	rng  *rand.Rand
	want []pair
}

func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, lim := range []Limits{{}, DefaultLimits(), {Entries: 1000, Value: 1000}, {Entries: 40, Value: 9}} {
		for _, names := range []int{60, 3000} {
			if lim.Entries == 1000 && names > 1000 {
				continue
			}
			t.Run(fmt.Sprintf("%+v/%d", lim, names), func(t *testing.T) {
				k := newKeyspace()
				m := &model{t: t, k: k, e: k.zset("model"), lim: lim, rng: rand.New(rand.NewPCG(seed, 1))}
				for step := range 12000 {
					m.step(names)
					if step%(100+names) == 0 {
						m.check()
					}
				}
				m.check()
				m.free()
			})
		}
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
	f.Add([]byte("small"), uint8(8), uint8(9))
	f.Add([]byte("large"), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, entries, value uint8) {
		k := newKeyspace()
		lim := Limits{Entries: int(entries), Value: int(value)}
		source := &bytesSource{data, rand.NewPCG(1, uint64(len(data)))}
		m := &model{t: t, k: k, e: k.zset("model"), lim: lim, rng: rand.New(source)}
		for range 50 + len(data)/8 {
			m.step(200)
		}
		m.check()
		m.free()
	})
}

// TestCompact thins a large set out and expects compaction to give memory back without
// losing anybody.
func TestCompact(t *testing.T) {
	k := newKeyspace()
	m := &model{t: t, k: k, e: k.zset("model"), rng: rand.New(rand.NewPCG(5, 6))}
	for i := range 30_000 {
		p := pair{fmt.Sprint("member:", i), float64(m.rng.IntN(1 << 30))}
		Add(m.e, m.lim, Options{}, p.score, []byte(p.member))
		m.want = append(m.want, p)
	}
	slices.SortFunc(m.want, comparePairs)
	full := k.a.Stats().Slabs
	left := m.want[:0]
	for _, p := range m.want {
		if m.rng.IntN(4) > 0 {
			Remove(m.e, []byte(p.member))
			continue
		}
		left = append(left, p)
	}
	m.want = left
	for range 8 {
		for cursor := Compact(m.e, 0, 100); cursor != 0; {
			cursor = Compact(m.e, cursor, 100)
		}
		m.check()
	}
	if after := k.a.Stats().Slabs; after > full*4/10 {
		t.Fatalf("%d bytes in slabs with 30,000 members, %d with %d", full, after, len(m.want))
	}
	m.free()
}

// score draws from few values, so that members with equal scores abound, or from many
// that are close together, so that prefixes are equal.
func (m *model) score() float64 {
	switch m.rng.IntN(8) {
	case 0:
		return float64(m.rng.IntN(5) - 2)
	case 1:
		return math.Inf(m.rng.IntN(2)*2 - 1)
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return m.rng.NormFloat64()
	case 4:
		return -1.7e12 - float64(m.rng.IntN(1000))
	}
	return 1.7e12 + float64(m.rng.IntN(1000))
}

func (m *model) member(names int) string {
	n := m.rng.IntN(names)
	if n%3 == 0 {
		return fmt.Sprint(n - names/2)
	}
	return fmt.Sprint("member:", n)
}

func (m *model) step(names int) {
	n := len(m.want)
	switch pick := m.rng.IntN(100); {
	case pick < 50:
		m.add(m.member(names), m.score())
	case pick < 65:
		m.remove(m.member(names))
	case pick < 75:
		m.rank(m.member(names))
	case pick < 80:
		m.walk(m.rng.IntN(n+2)-1, m.rng.IntN(20), m.rng.IntN(2) == 0)
	case pick < 90:
		m.span()
	case n == 0:
	case pick < 94:
		from, count := m.rng.IntN(n), m.rng.IntN(1+m.rng.IntN(1+m.rng.IntN(n)))
		RemoveRange(m.e, from, count)
		m.want = slices.Delete(m.want, from, min(n, from+count))
	case pick < 98:
		m.pop(m.rng.IntN(2) == 0, m.rng.IntN(4))
	case m.rng.IntN(10) == 0:
		m.clone()
	default:
		for cursor := Compact(m.e, 0, 10); cursor != 0; {
			cursor = Compact(m.e, cursor, 10)
		}
	}
}

func (m *model) at(member string) int {
	return slices.IndexFunc(m.want, func(p pair) bool { return p.member == member })
}

func (m *model) put(p pair) {
	at, _ := slices.BinarySearchFunc(m.want, p, comparePairs)
	m.want = slices.Insert(m.want, at, p)
}

func (m *model) add(member string, score float64) {
	o := Options{NX: m.rng.IntN(10) == 0, Incr: m.rng.IntN(4) == 0}
	if !o.NX {
		o.XX, o.GT = m.rng.IntN(10) == 0, m.rng.IntN(10) == 0
		o.LT = !o.GT && m.rng.IntN(10) == 0
	}
	got, outcome, err := Add(m.e, m.lim, o, score, []byte(member))
	at := m.at(member)
	exists := at >= 0
	if exists && o.Incr && !o.NX {
		score += m.want[at].score
	}
	switch {
	case math.IsNaN(score):
		if err != ErrNaN {
			m.t.Fatalf("not a number accepted: %v, %v, %v", got, outcome, err)
		}
	case exists && (o.NX || o.GT && score <= m.want[at].score || o.LT && score >= m.want[at].score), !exists && o.XX:
		if outcome != Skipped {
			m.t.Fatalf("%+v %s: %v", o, member, outcome)
		}
	case exists && score == m.want[at].score:
		if outcome != Unchanged || got != score {
			m.t.Fatalf("%+v %s: %v, %v", o, member, outcome, got)
		}
	default:
		if exists {
			m.want = slices.Delete(m.want, at, at+1)
		}
		if (outcome != Updated || !exists) && (outcome != Added || exists) || got != score {
			m.t.Fatalf("%+v %s: %v, %v", o, member, outcome, got)
		}
		m.put(pair{member, score})
	}
}

func (m *model) remove(member string) {
	at := m.at(member)
	if got := Remove(m.e, []byte(member)); got != (at >= 0) {
		m.t.Fatalf("remove %s: %v", member, got)
	}
	if at >= 0 {
		m.want = slices.Delete(m.want, at, at+1)
	}
}

func (m *model) rank(member string) {
	at := m.at(member)
	rank, score, ok := Rank(m.e, []byte(member))
	alone, known := Score(m.e, []byte(member))
	if ok != (at >= 0) || known != ok {
		m.t.Fatalf("rank of %s: %v, score %v", member, ok, known)
	}
	if ok && (rank != at || score != m.want[at].score || alone != score) {
		m.t.Fatalf("rank of %s: %d, %v; want %d, %v", member, rank, score, at, m.want[at].score)
	}
}

func (m *model) walk(rank, n int, back bool) {
	var got, want []pair
	Walk(m.e, rank, n, back, func(v packed.Value, s float64) bool {
		got = append(got, pair{string(v.AppendString(nil)), s})
		return true
	})
	if rank >= 0 && rank < len(m.want) {
		if back {
			want = slices.Clone(m.want[max(0, rank-n+1) : rank+1])
			slices.Reverse(want)
		} else {
			want = m.want[rank:min(rank+n, len(m.want))]
		}
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("walk %d, %d, %v: %v, want %v", rank, n, back, got, want)
	}
}

func (m *model) span() {
	lo, hi, loOut, hiOut := m.score(), m.score(), m.rng.IntN(2) == 0, m.rng.IntN(2) == 0
	from, n := Span(m.e, Scores(lo, hi, loOut, hiOut))
	in := 0
	for i, p := range m.want {
		if p.score < lo || p.score > hi || p.score == lo && loOut || p.score == hi && hiOut {
			continue
		}
		if in == 0 && from != i {
			m.t.Fatalf("span %v %v: from %d, want %d", lo, hi, from, i)
		}
		in++
	}
	if n != in {
		m.t.Fatalf("span %v (%v) to %v (%v): %d, want %d", lo, loOut, hi, hiOut, n, in)
	}
}

func (m *model) pop(max bool, n int) {
	Pop(m.e, max, n, func(v packed.Value, s float64) {
		at := 0
		if max {
			at = len(m.want) - 1
		}
		if got := (pair{string(v.AppendString(nil)), s}); got != m.want[at] {
			m.t.Fatalf("popped %v, want %v", got, m.want[at])
		}
		m.want = slices.Delete(m.want, at, at+1)
	})
}

// clone copies the sorted set to another arena and goes on there.
func (m *model) clone() {
	k := newKeyspace()
	e := k.zset("clone")
	Clone(m.e, e)
	if Encoding(e) != Encoding(m.e) {
		m.t.Fatalf("the clone is a %s", Encoding(e))
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
	if err := Check(m.e); err != nil {
		m.t.Fatal(err)
	}
	if err := m.k.a.Check(); err != nil {
		m.t.Fatal(err)
	}
	if got := content(m.e); !slices.Equal(got, m.want) || Len(m.e) != len(m.want) {
		m.t.Fatalf("%d members, want %d:\n%v\n%v", len(got), len(m.want), got, m.want)
	}
	seen := map[string]float64{}
	for cursor := Scan(m.e, 0, 10, noteIn(seen)); cursor != 0; {
		cursor = Scan(m.e, cursor, 10, noteIn(seen))
	}
	if len(seen) != len(m.want) {
		m.t.Fatalf("scan saw %d members of %d", len(seen), len(m.want))
	}
}
