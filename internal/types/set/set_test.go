package set

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

const seed = 42

// shard is an arena with keys.
type shard struct {
	a    *arena.Arena
	keys table.Table
	n    int
}

func newShard(t testing.TB) *shard {
	a := arena.New()
	t.Cleanup(func() {
		if err := a.Check(); err != nil {
			t.Error(err)
		}
	})
	return &shard{a: a, keys: table.New(a, table.Options{Keyspace: true, Seed: seed})}
}

// set returns a new key of the shard with a set of the given members.
func (s *shard) set(lim Limits, members ...string) *table.Entry {
	e, args := new(table.Entry), asBytes(members)
	key := fmt.Appendf(nil, "key%d", s.n)
	s.n++
	s.keys.Insert(table.Hash(seed, key), key, InitLen, 0, 2, e)
	if len(args) == 0 {
		initRun(e)
		return e
	}
	Init(e, lim, args[0], len(args))
	AddMany(e, lim, args)
	return e
}

func asBytes(members []string) (out [][]byte) {
	for _, m := range members {
		out = append(out, []byte(m))
	}
	return out
}

func contents(e *table.Entry) (out []string) {
	Each(e, func(v packed.Value) bool { out = append(out, string(v.AppendString(nil))); return true })
	slices.Sort(out)
	return out
}

type model map[string]bool

func (m model) sorted() []string { return slices.Sorted(maps.Keys(m)) }

func verify(t *testing.T, e *table.Entry, m model) {
	t.Helper()
	if err := Check(e); err != nil {
		t.Fatal(err)
	}
	if got := contents(e); Len(e) != len(m) || !slices.Equal(got, m.sorted()) {
		t.Fatalf("%s of %d holds %v, want %v", Encoding(e), Len(e), got, m.sorted())
	}
}

func numbers(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

func words(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("w%d", i))
	}
	return out
}

func TestConversions(t *testing.T) {
	long := strings.Repeat("x", 65)
	old := Limits{Ints: 512} // before Redis 7.2
	cases := []struct {
		name    string
		lim     Limits
		members []string
		more    []string
		want    string
	}{
		{"integers", DefaultLimits(), numbers(0, 10), nil, "intset"},
		{"512 integers", DefaultLimits(), numbers(0, 512), nil, "intset"},
		{"512 integers and one", DefaultLimits(), numbers(0, 512), []string{"-1"}, "hashtable"},
		{"513 integers at once", DefaultLimits(), numbers(0, 513), nil, "hashtable"},
		{"600 arguments of one integer", DefaultLimits(), slices.Repeat([]string{"1"}, 600), nil, "hashtable"},
		{"integers, then a word", DefaultLimits(), numbers(0, 127), []string{"a"}, "listpack"},
		{"128 integers, then a word", DefaultLimits(), numbers(0, 128), []string{"a"}, "hashtable"},
		{"integers, then a long word", DefaultLimits(), numbers(0, 3), []string{long}, "hashtable"},
		{"wide integers, then a word", Limits{512, 128, 3}, []string{"1234"}, []string{"a"}, "hashtable"},
		{"words", DefaultLimits(), words(128), nil, "listpack"},
		{"129 words at once", DefaultLimits(), words(129), nil, "hashtable"},
		{"128 words and one", DefaultLimits(), words(128), []string{"a"}, "hashtable"},
		{"128 words and one of them", DefaultLimits(), words(128), []string{"w1"}, "listpack"},
		{"129 times one word", DefaultLimits(), []string{"a"}, slices.Repeat([]string{"a"}, 129), "hashtable"},
		{"long word", DefaultLimits(), []string{long}, nil, "hashtable"},
		{"almost long word", DefaultLimits(), []string{long[:64]}, nil, "listpack"},
		{"few integers allowed", Limits{3, 128, 64}, numbers(0, 4), nil, "listpack"},
		{"old: word", old, []string{"a"}, nil, "hashtable"},
		{"old: integers, then a word", old, numbers(0, 3), []string{"a"}, "hashtable"},
	}
	for _, c := range cases {
		e := newShard(t).set(c.lim, c.members...)
		AddMany(e, c.lim, asBytes(c.more))
		m := model{}
		for _, s := range append(c.members, c.more...) {
			m[s] = true
		}
		verify(t, e, m)
		if Encoding(e) != c.want {
			t.Errorf("%s: %s, want %s", c.name, Encoding(e), c.want)
		}
	}
}

func TestIntsetWidths(t *testing.T) {
	e, m := newShard(t).set(DefaultLimits(), "0"), model{"0": true}
	for shift := range 64 {
		for _, n := range []int64{1 << shift, -1 << shift, 1<<shift - 1, -1<<shift + 1, -1<<shift - 1} {
			s := strconv.FormatInt(n, 10)
			if Add(e, DefaultLimits(), []byte(s)) == m[s] {
				t.Fatalf("Add(%s): wrong about being new", s)
			}
			m[s] = true
			verify(t, e, m)
		}
	}
	if Encoding(e) != "intset" || !Has(e, []byte("-9223372036854775808")) || Has(e, []byte("9223372036854775808")) || Has(e, []byte("01")) {
		t.Errorf("%s", Encoding(e))
	}
	for i := 1; i < intCount(e.Value()); i++ {
		if intAt(e.Value(), i-1) >= intAt(e.Value(), i) {
			t.Fatal("not ascending")
		}
	}
	if b := append([]byte{}, e.Value()...); intCheck(b) != nil || intCheck(b[:len(b)-1]) == nil || intCheck([]byte{9}) == nil ||
		intCheck([]byte{0}) == nil || intCheck(nil) == nil || intCheck([]byte{1, 2, 2}) == nil || intCheck([]byte{1, 2, 1}) == nil {
		t.Error("intCheck")
	}
}

func randomMember(rng *rand.Rand, onlyInts bool) string {
	if onlyInts || rng.IntN(2) == 0 {
		if rng.IntN(20) == 0 {
			return strconv.FormatInt(int64(rng.Uint64())>>rng.IntN(64), 10)
		}
		return strconv.Itoa(rng.IntN(60) - 30)
	}
	if rng.IntN(10) == 0 {
		return strings.Repeat("w", rng.IntN(40))
	}
	return fmt.Sprintf("m%d", rng.IntN(40))
}

func randomLimits(rng *rand.Rand) Limits {
	if rng.IntN(3) == 0 {
		return DefaultLimits()
	}
	return Limits{Ints: rng.IntN(40), Entries: rng.IntN(40), Value: rng.IntN(30)}
}

func start(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestAgainstModel does random operations on a set and on a map, and looks after
// each that they agree. Small limits make it convert often.
func TestAgainstModel(t *testing.T) {
	rng := start(t)
	for range 80 {
		lim, onlyInts := randomLimits(rng), rng.IntN(2) == 0
		first := randomMember(rng, onlyInts)
		e, m := newShard(t).set(lim, first), model{first: true}
		for range 200 {
			s := randomMember(rng, onlyInts && rng.IntN(100) > 0)
			switch op := rng.IntN(20); {
			case op < 9:
				if Add(e, lim, []byte(s)) == m[s] {
					t.Fatalf("Add(%q): wrong about being new", s)
				}
				m[s] = true
			case op < 11:
				var args []string
				before := len(m)
				for range rng.IntN(10) {
					s := randomMember(rng, onlyInts)
					args, m[s] = append(args, s), true
				}
				if added := AddMany(e, lim, asBytes(args)); added != len(m)-before {
					t.Fatalf("AddMany added %d, want %d", added, len(m)-before)
				}
			case op < 19:
				if Remove(e, []byte(s)) != m[s] {
					t.Fatalf("Remove(%q): wrong about being there", s)
				}
				delete(m, s)
			default:
				n := rng.IntN(len(m) + 2)
				if rng.IntN(3) > 0 {
					n = rng.IntN(4)
				}
				popped := 0
				Pop(e, lim, rng.Uint64, n, func(v packed.Value) {
					s := string(v.AppendString(nil))
					if !m[s] {
						t.Fatalf("popped %q, which is no member", s)
					}
					delete(m, s)
					popped++
				})
				if popped != n && len(m) > 0 {
					t.Fatalf("popped %d, want %d", popped, n)
				}
			}
			verify(t, e, m)
			if Has(e, []byte(s)) != m[s] {
				t.Fatalf("Has(%q) = %v", s, !m[s])
			}
		}
		verifyWalks(t, e, m, rng)
		verifyClone(t, e, m, lim)
	}
}

func verifyWalks(t *testing.T, e *table.Entry, m model, rng *rand.Rand) {
	t.Helper()
	seen := model{}
	note := func(v packed.Value) { seen[string(v.AppendString(nil))] = true }
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = Scan(e, cursor, 3, note)
	}
	if !maps.Equal(seen, m) {
		t.Fatalf("Scan saw %v, want %v", seen.sorted(), m.sorted())
	}
	if len(m) == 0 {
		return
	}
	n, calls := 1+rng.IntN(len(m)+3), 0
	clear(seen)
	RandomDistinct(e, rng.Uint64, n, func(v packed.Value) { calls++; note(v) })
	if calls != min(n, len(m)) || len(seen) != calls {
		t.Fatalf("RandomDistinct(%d) of %d gave %d, %d of them different", n, len(m), calls, len(seen))
	}
	calls = 0
	RandomRepeat(e, rng.Uint64, 20, func(v packed.Value) bool { calls++; note(v); return true })
	if calls != 20 {
		t.Fatalf("RandomRepeat(20) gave %d", calls)
	}
	for s := range seen {
		if !m[s] {
			t.Fatalf("%q was drawn", s)
		}
	}
}

func verifyClone(t *testing.T, e *table.Entry, m model, lim Limits) {
	t.Helper()
	other := newShard(t).set(lim)
	Clone(e, other)
	verify(t, other, m)
	if Encoding(other) != Encoding(e) {
		t.Fatalf("the clone of a %s is a %s", Encoding(e), Encoding(other))
	}
	Add(other, lim, []byte("only here"))
	verify(t, e, m)
	a := other.Arena()
	Free(other)
	other.Delete()
	if live := a.Stats().Cells; live != 0 {
		t.Fatalf("%d cells are left", live)
	}
}

func TestAlgebraAgainstModel(t *testing.T) {
	rng := start(t)
	for range 400 {
		lim := randomLimits(rng)
		shards := []*shard{newShard(t), newShard(t)}
		var sets []*table.Entry
		var models []model
		for range 1 + rng.IntN(6) {
			if rng.IntN(12) == 0 {
				sets, models = append(sets, nil), append(models, model{})
				continue
			}
			if len(sets) > 0 && rng.IntN(10) == 0 {
				i := rng.IntN(len(sets))
				sets, models = append(sets, sets[i]), append(models, models[i])
				continue
			}
			m, onlyInts := model{}, rng.IntN(2) == 0
			for range 1 + rng.IntN([]int{4, 30, 90}[rng.IntN(3)]) {
				m[randomMember(rng, onlyInts)] = true
			}
			sets = append(sets, shards[rng.IntN(2)].set(lim, m.sorted()...))
			models = append(models, m)
		}
		verifyAlgebra(t, shards[0].a, lim, sets, models, rng.IntN(5))
		for i, s := range sets {
			if s != nil {
				verify(t, s, models[i])
			}
		}
	}
}

// verifyAlgebra compares every result with what the models say.
func verifyAlgebra(t *testing.T, a *arena.Arena, lim Limits, sets []*table.Entry, models []model, limit int) {
	t.Helper()
	inter, union, diff := model{}, model{}, model{}
	for i, m := range models {
		for s := range m {
			union[s] = true
			others := 0
			for _, o := range models {
				if o[s] {
					others++
				}
			}
			if others == len(models) {
				inter[s] = true
			}
			if i == 0 && !slices.ContainsFunc(models[1:], func(o model) bool { return o[s] }) {
				diff[s] = true
			}
		}
	}
	cells := a.Stats().Cells
	collect := func(name string, want model, walk func(fn func(packed.Value))) {
		t.Helper()
		got, calls := model{}, 0
		walk(func(v packed.Value) { got[string(v.AppendString(nil))] = true; calls++ })
		if !maps.Equal(got, want) || calls != len(want) {
			t.Fatalf("%s gave %d: %v, want %v", name, calls, got.sorted(), want.sorted())
		}
	}
	collect("Inter", inter, func(fn func(packed.Value)) { Inter(sets, func(v packed.Value) bool { fn(v); return true }) })
	collect("Union", union, func(fn func(packed.Value)) { Union(sets, fn) })
	collect("Diff", diff, func(fn func(packed.Value)) { Diff(sets, fn) })
	want := len(inter)
	if limit > 0 {
		want = min(want, limit)
	}
	if got := InterCard(sets, limit); got != want {
		t.Fatalf("InterCard(limit %d) = %d, want %d", limit, got, want)
	}
	for _, c := range []struct {
		temp *Temp
		want model
	}{{StoreInter(a, seed, lim, sets), inter}, {StoreUnion(a, seed, lim, sets), union}, {StoreDiff(a, seed, lim, sets), diff}} {
		verify(t, c.temp.Entry(), c.want)
		c.temp.Free()
	}
	if now := a.Stats().Cells; now != cells {
		t.Fatalf("%d cells were lost", now-cells)
	}
}

func TestUnionOfManyAndDiffOfLarge(t *testing.T) {
	lim, s := DefaultLimits(), newShard(t)
	var sets []*table.Entry
	for i := range 20 {
		sets = append(sets, s.set(lim, numbers(i*10, i*10+700)...))
	}
	n := 0
	Union(sets, func(packed.Value) { n++ })
	if n != 890 {
		t.Errorf("union of 20: %d, want 890", n)
	}
	n = 0
	small := s.set(lim, words(3)...)
	Diff([]*table.Entry{sets[0], sets[1], small, small, small, small, small}, func(v packed.Value) { n++ })
	if n != 10 {
		t.Errorf("difference by copy: %d, want 10", n)
	}
}

func TestStoredForms(t *testing.T) {
	lim, s := DefaultLimits(), newShard(t)
	ints, wordy, big := s.set(lim, numbers(0, 20)...), s.set(lim, append(words(5), numbers(0, 5)...)...), s.set(lim, append(numbers(0, 600), "x")...)
	cases := []struct {
		name string
		temp *Temp
		want string
	}{
		{"inter of listpack and hashtable, integers", StoreInter(s.a, seed, lim, []*table.Entry{wordy, big}), "intset"},
		{"inter of words", StoreInter(s.a, seed, lim, []*table.Entry{wordy, wordy}), "listpack"},
		{"inter of hashtables", StoreInter(s.a, seed, lim, []*table.Entry{big, big}), "hashtable"},
		{"union of integers", StoreUnion(s.a, seed, lim, []*table.Entry{ints}), "intset"},
		{"union with words", StoreUnion(s.a, seed, lim, []*table.Entry{ints, wordy}), "listpack"},
		{"union with many", StoreUnion(s.a, seed, lim, []*table.Entry{wordy, big}), "hashtable"},
		{"difference", StoreDiff(s.a, seed, lim, []*table.Entry{wordy, ints}), "listpack"},
		{"difference of a hashtable to integers", StoreDiff(s.a, seed, lim, []*table.Entry{s.set(lim, append(numbers(0, 600), "x")...), s.set(lim, append(numbers(9, 600), "x")...)}), "intset"},
	}
	dst := s.set(lim)
	for _, c := range cases {
		if got := Encoding(c.temp.Entry()); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		want := contents(c.temp.Entry())
		Free(dst)
		c.temp.MoveTo(dst)
		if err := Check(dst); err != nil || Encoding(dst) != c.want || !slices.Equal(contents(dst), want) {
			t.Errorf("%s: moved: %v, %s, %v", c.name, err, Encoding(dst), contents(dst))
		}
	}
}

func TestPopForms(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	cases := []struct {
		name    string
		members []string
		pop     int
		want    string
	}{
		{"few of a hashtable", numbers(0, 600), 10, "hashtable"},
		{"most of a hashtable of integers", numbers(0, 600), 590, "listpack"},
		{"most of a hashtable of words", words(600), 590, "listpack"},
		{"much of a big hashtable", words(1200), 1000, "hashtable"},
		{"most of an intset", numbers(0, 500), 495, "intset"},
		{"few of an intset", numbers(0, 500), 5, "intset"},
		{"most of a listpack", words(100), 95, "listpack"},
		{"few of a listpack", words(100), 5, "listpack"},
	}
	for _, c := range cases {
		e := newShard(t).set(DefaultLimits(), c.members...)
		popped := model{}
		Pop(e, DefaultLimits(), rng.Uint64, c.pop, func(v packed.Value) { popped[string(v.AppendString(nil))] = true })
		rest := model{}
		for _, s := range c.members {
			if !popped[s] {
				rest[s] = true
			}
		}
		verify(t, e, rest)
		if Encoding(e) != c.want || len(popped) != c.pop {
			t.Errorf("%s: %s, want %s; popped %d", c.name, Encoding(e), c.want, len(popped))
		}
	}
}

// FuzzIntset makes sure that no bytes make the intset's readers panic.
func FuzzIntset(f *testing.F) {
	f.Add([]byte{2, 1, 0, 2, 0}, int64(2))
	f.Add([]byte{8, 0, 0, 0, 0, 0, 0, 0, 0x80}, int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, b []byte, n int64) {
		if intCheck(b) != nil {
			return
		}
		count := 0
		eachSmall(b, true, func(v packed.Value) bool {
			m, _ := v.Int()
			if i, found := intSearch(b, m); !found || i != count {
				t.Fatalf("member %d at %d was found at %d", m, count, i)
			}
			count++
			return true
		})
		_, found := intSearch(b, n)
		e := newShard(t).set(DefaultLimits(), "0")
		copy(e.SetLen(len(b)), b)
		if intInsert(e, n) == found || intCheck(e.Value()) != nil || !intRemove(e, n) || intCheck(e.Value()) != nil || intCount(e.Value()) != count-btoi(found) {
			t.Fatalf("inserting %d into %v", n, b)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func benchmarkHas(b *testing.B, members []string) {
	e := newShard(b).set(DefaultLimits(), members...)
	args := asBytes(members)
	rand.Shuffle(len(args), func(i, j int) { args[i], args[j] = args[j], args[i] })
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if !Has(e, args[i%len(args)]) {
			b.Fatal("not there")
		}
		i++
	}
}

func BenchmarkHasIntset(b *testing.B)    { benchmarkHas(b, numbers(0, 500)) }
func BenchmarkHasListpack(b *testing.B)  { benchmarkHas(b, words(100)) }
func BenchmarkHasHashtable(b *testing.B) { benchmarkHas(b, words(100_000)) }

func BenchmarkAddRemoveIntset(b *testing.B) {
	e := newShard(b).set(DefaultLimits(), numbers(0, 500)...)
	b.ReportAllocs()
	for b.Loop() {
		Remove(e, []byte("250"))
		Add(e, DefaultLimits(), []byte("250"))
	}
}

func BenchmarkInterOfTwo(b *testing.B) {
	s := newShard(b)
	sets := []*table.Entry{s.set(DefaultLimits(), numbers(0, 1000)...), s.set(DefaultLimits(), numbers(500, 1500)...)}
	b.ReportAllocs()
	for b.Loop() {
		if InterCard(sets, 0) != 500 {
			b.Fatal("wrong")
		}
	}
}

// BenchmarkMemory reports the resident bytes of the arena a member.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		s := newShard(b)
		e := s.set(DefaultLimits(), "member")
		for i := range n {
			Add(e, DefaultLimits(), fmt.Appendf(nil, "member:%07d", i))
		}
		st := s.a.Stats()
		b.ReportMetric(float64(st.Resident)/n, "B/member")
		b.ReportMetric(float64(st.Live)/n, "live-B/member")
	}
}
