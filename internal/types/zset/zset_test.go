package zset

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// keyspace is a table of one arena in which tests make sorted sets.
type keyspace struct {
	a *arena.Arena
	t table.Table
}

func newKeyspace() *keyspace {
	a := arena.New()
	return &keyspace{a: a, t: table.New(a, table.Options{Keyspace: true, Seed: 7})}
}

func (k *keyspace) zset(key string) *table.Entry {
	e := new(table.Entry)
	k.t.Insert(table.Hash(7, []byte(key)), []byte(key), InitLen, 0, 0, e)
	Init(e)
	return e
}

// pair is an element as tests compare it.
type pair struct {
	member string
	score  float64
}

func content(e *table.Entry) []pair {
	got := []pair{}
	Each(e, func(m packed.Value, s float64) bool {
		got = append(got, pair{string(m.AppendString(nil)), s})
		return true
	})
	return got
}

func members(e *table.Entry) string {
	var names []string
	for _, p := range content(e) {
		names = append(names, p.member)
	}
	return strings.Join(names, " ")
}

// both runs a test on a small sorted set and on a large one.
func both(t *testing.T, test func(t *testing.T, lim Limits)) {
	t.Run("small", func(t *testing.T) { test(t, DefaultLimits()) })
	t.Run("large", func(t *testing.T) { test(t, Limits{}) })
}

// of makes a sorted set of "member score" fields.
func of(t *testing.T, lim Limits, fields string) *table.Entry {
	t.Helper()
	e := newKeyspace().zset("key")
	f := strings.Fields(fields)
	for i := 0; i < len(f); i += 2 {
		r, ok := ParseScores([]byte(f[i+1]), nil)
		if !ok {
			t.Fatalf("score %q", f[i+1])
		}
		add(t, e, lim, Options{}, r.from.score, f[i])
	}
	return e
}

func add(t *testing.T, e *table.Entry, lim Limits, o Options, score float64, member string) (float64, Outcome) {
	t.Helper()
	got, outcome, err := Add(e, lim, o, score, []byte(member))
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(e); err != nil {
		t.Fatal(err)
	}
	return got, outcome
}

func TestAdd(t *testing.T) {
	for _, c := range []struct {
		o       Options
		member  string
		score   float64
		outcome Outcome
		after   float64
	}{
		{Options{}, "new", 5, Added, 5},
		{Options{}, "two", 5, Updated, 5},
		{Options{}, "two", 2, Unchanged, 2},
		{Options{NX: true}, "two", 5, Skipped, 2},
		{Options{NX: true}, "new", 5, Added, 5},
		{Options{XX: true}, "new", 5, Skipped, 0},
		{Options{XX: true}, "two", 5, Updated, 5},
		{Options{GT: true}, "two", 1, Skipped, 2},
		{Options{GT: true}, "two", 2, Skipped, 2},
		{Options{GT: true}, "two", 3, Updated, 3},
		{Options{GT: true}, "new", 3, Added, 3},
		{Options{LT: true}, "two", 1, Updated, 1},
		{Options{LT: true}, "two", 3, Skipped, 2},
		{Options{LT: true, XX: true}, "new", 3, Skipped, 0},
		{Options{Incr: true}, "two", 3, Updated, 5},
		{Options{Incr: true}, "two", 0, Unchanged, 2},
		{Options{Incr: true}, "new", 3, Added, 3},
		{Options{Incr: true, GT: true}, "two", -1, Skipped, 2},
		{Options{}, "two", math.Inf(-1), Updated, math.Inf(-1)},
	} {
		both(t, func(t *testing.T, lim Limits) {
			e := of(t, lim, "one 1 two 2 three 3")
			score, outcome := add(t, e, lim, c.o, c.score, c.member)
			if outcome != c.outcome || outcome != Skipped && score != c.after {
				t.Fatalf("%+v: outcome %v, score %v", c, outcome, score)
			}
			after, ok := Score(e, []byte(c.member))
			if ok != (c.member == "two" || outcome == Added) || after != c.after {
				t.Fatalf("%+v: score afterwards %v, %v", c, after, ok)
			}
		})
	}
}

func TestNaN(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := of(t, lim, "a inf")
		for _, c := range []struct {
			o     Options
			score float64
		}{{Options{}, math.NaN()}, {Options{Incr: true}, math.Inf(-1)}} {
			if _, _, err := Add(e, lim, c.o, c.score, []byte("a")); err != ErrNaN {
				t.Fatalf("%+v: %v", c, err)
			}
		}
		if _, _, err := Add(e, lim, Options{}, math.NaN(), []byte("new")); err != ErrNaN || members(e) != "a" {
			t.Fatal(err, members(e))
		}
	})
}

func TestOrder(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := of(t, lim, "b 1 a 1 10 1 9 1 x -inf y inf z -1.5 m1 -0 m0 0 c 1e300 d 1e-300")
		if got, want := members(e), "x z m0 m1 d 10 9 a b c y"; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if s, _ := Score(e, []byte("m1")); math.Signbit(s) != isLarge(e) { // as in Redis
			t.Errorf("minus zero is %v in a %s", s, Encoding(e))
		}
		for i, p := range content(e) {
			if rank, score, ok := Rank(e, []byte(p.member)); !ok || rank != i || score != p.score {
				t.Errorf("rank of %s: %d, %v, %v; want %d", p.member, rank, score, ok, i)
			}
		}
		if _, _, ok := Rank(e, []byte("none")); ok {
			t.Error("a member that is not there has a rank")
		}
	})
}

func TestRemove(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := of(t, lim, "a 1 b 2 c 3 d 4 e 5 f 6")
		if !Remove(e, []byte("c")) || Remove(e, []byte("c")) || members(e) != "a b d e f" {
			t.Fatal(members(e))
		}
		RemoveRange(e, 1, 2)
		RemoveRange(e, 3, 1)
		RemoveRange(e, -1, 1)
		if members(e) != "a e f" {
			t.Fatal(members(e))
		}
		RemoveRange(e, 1, 99)
		if members(e) != "a" || Check(e) != nil {
			t.Fatal(members(e), Check(e))
		}
		RemoveRange(e, 0, 1)
		if Len(e) != 0 || Check(e) != nil {
			t.Fatal(members(e), Check(e))
		}
		Free(e)
	})
}

func TestPop(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := of(t, lim, "a 1 b 2 c 3 d 4 e 5 f 6")
		var got string
		note := func(m packed.Value, s float64) { got += fmt.Sprintf("%s%v ", m.AppendString(nil), s) }
		if n := Pop(e, false, 2, note); n != 2 || got != "a1 b2 " {
			t.Fatal(n, got)
		}
		got = ""
		if n := Pop(e, true, 2, note); n != 2 || got != "f6 e5 " {
			t.Fatal(n, got)
		}
		got = ""
		if n := Pop(e, true, 9, note); n != 2 || got != "d4 c3 " || Len(e) != 0 {
			t.Fatal(n, got, Len(e))
		}
		if n := Pop(e, true, 9, note); n != 0 {
			t.Fatal(n)
		}
	})
}

func span(t *testing.T, e *table.Entry, parse func(min, max []byte) (Range, bool), bounds string) string {
	t.Helper()
	min, max, _ := strings.Cut(bounds, " ")
	r, ok := parse([]byte(min), []byte(max))
	if !ok {
		t.Fatalf("bounds %q refused", bounds)
	}
	from, n := Span(e, r)
	var got []string
	Walk(e, from, n, false, func(m packed.Value, _ float64) bool {
		got = append(got, string(m.AppendString(nil)))
		return true
	})
	if len(got) != n {
		t.Fatalf("%q: %d members from %d on, walk gave %v", bounds, n, from, got)
	}
	return strings.Join(got, " ")
}

func TestScores(t *testing.T) {
	for _, c := range []struct{ bounds, want string }{
		{"-inf +inf", "a b c d e f"}, {"1 2", "b c d"}, {"(1 2", "d"}, {"(1 (2", ""}, {"1 (2", "b c"},
		{"2 1", ""}, {"(1 1", ""}, {"1 (1", ""}, {"1 1", "b c"}, {"(-inf (inf", "b c d e"}, {"-inf (1", "a"},
		{"1.5 2.5", "d"}, {"7 9", ""}, {"-9 -8", ""}, {"3 inf", "e f"}, {"inf inf", "f"}, {"-inf -inf", "a"},
	} {
		both(t, func(t *testing.T, lim Limits) {
			e := of(t, lim, "a -inf b 1 c 1 d 2 e 3 f inf")
			if got := span(t, e, ParseScores, c.bounds); got != c.want {
				t.Errorf("%s: %q, want %q", c.bounds, got, c.want)
			}
		})
	}
}

func TestMembers(t *testing.T) {
	for _, c := range []struct{ bounds, want string }{
		{"- +", "1 12 a aa b c"}, {"[a [b", "a aa b"}, {"(a [b", "aa b"}, {"(a (b", "aa"}, {"[a (b", "a aa"},
		{"[b [a", ""}, {"(a (a", ""}, {"[a [a", "a"}, {"- [aa", "1 12 a aa"}, {"(b +", "c"}, {"+ -", ""},
		{"[ (", ""}, {"[ [12", "1 12"}, {"- -", ""}, {"+ +", ""}, {"[x +", ""}, {"- (1", ""},
	} {
		both(t, func(t *testing.T, lim Limits) {
			e := of(t, lim, "a 0 b 0 aa 0 12 0 1 0 c 0")
			if got := span(t, e, ParseMembers, c.bounds); got != c.want {
				t.Errorf("%s: %q, want %q", c.bounds, got, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		s        string
		score    float64
		excluded bool
		ok       bool
	}{
		{"1", 1, false, true}, {"(1.5", 1.5, true, true}, {"inf", math.Inf(1), false, true},
		{"-Infinity", math.Inf(-1), false, true}, {"(+inf", math.Inf(1), true, true},
		{"", 0, false, true}, {"(", 0, true, true}, {" 7", 7, false, true}, {"( 7", 7, true, true},
		{"1e999", math.Inf(1), false, true}, {"-1e999", math.Inf(-1), false, true}, {"1e-999", 0, false, true},
		{"0x10", 16, false, true}, {"0x1p4", 16, false, true}, {"0x1p99999", math.Inf(1), false, true},
		{"5\x00junk", 5, false, true},
		{"nan", 0, false, false}, {"(nan", 0, false, false}, {"x", 0, false, false}, {"1x", 0, false, false},
		{" ", 0, false, false}, {"1 ", 0, false, false}, {"((1", 0, false, false}, {"[1", 0, false, false},
		{"1_0", 0, false, false}, {"0x1_0p999999", 0, false, false}, {"0b1", 0, false, false},
	} {
		score, excluded, ok := parseBound([]byte(c.s))
		if ok != c.ok || ok && (score != c.score || excluded != c.excluded) {
			t.Errorf("%q: %v, %v, %v", c.s, score, excluded, ok)
		}
	}
	for _, bad := range []string{"", "a", "+a", "-a", "--", "a[", " [a"} {
		for _, bounds := range [][2]string{{bad, "+"}, {"-", bad}} {
			if _, ok := ParseMembers([]byte(bounds[0]), []byte(bounds[1])); ok {
				t.Errorf("bounds %q accepted", bounds)
			}
		}
	}
	if _, ok := ParseScores([]byte("1"), []byte("x")); ok {
		t.Error("maximum x accepted")
	}
}

func TestEncoding(t *testing.T) {
	lim := Limits{Entries: 3, Value: 5}
	e := newKeyspace().zset("key")
	expect := func(want string) {
		t.Helper()
		if got := Encoding(e); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	for i, m := range []string{"a", "b", "12345", "a"} {
		add(t, e, lim, Options{}, float64(i), m)
	}
	expect("listpack")
	add(t, e, lim, Options{XX: true}, 1, "too long")
	expect("listpack")
	add(t, e, lim, Options{}, 1, "d")
	expect("skiplist")
	RemoveRange(e, 0, 3)
	expect("skiplist")

	e = of(t, lim, "a 1")
	add(t, e, lim, Options{}, 2, "123456")
	expect("skiplist")
	e = of(t, lim, "a 1")
	Expect(e, lim, 3, 5)
	expect("listpack")
	Expect(e, lim, 4, 1)
	expect("skiplist")
	if members(e) != "a" {
		t.Fatal(members(e))
	}
}

func TestRandom(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := newKeyspace().zset("key")
		for i := range 60 {
			add(t, e, lim, Options{}, float64(i), fmt.Sprint("m", i))
		}
		state := uint64(1)
		rnd := func() uint64 {
			state = state*6364136223846793005 + 1442695040888963407
			return state ^ state>>32
		}
		hits := map[string]int{}
		for range 6000 {
			m, s := Random(e, rnd)
			if got, _ := Score(e, m.AppendString(nil)); got != s {
				t.Fatal("wrong score")
			}
			hits[string(m.AppendString(nil))]++
		}
		for m, n := range hits {
			if len(hits) != 60 || n < 40 || n > 200 {
				t.Fatalf("%s drawn %d times, %d members drawn", m, n, len(hits))
			}
		}
		for _, n := range []int{0, 1, 5, 30, 59, 60, 99} {
			seen := map[string]bool{}
			RandomDistinct(e, rnd, n, func(m packed.Value, _ float64) { seen[string(m.AppendString(nil))] = true })
			if len(seen) != min(n, 60) {
				t.Fatalf("%d distinct of %d", len(seen), n)
			}
		}
	})
}

func TestScan(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := of(t, lim, "a 1 b 2 c 3 d 4 e 5 f 6")
		seen := map[string]float64{}
		for cursor := Scan(e, 0, 2, noteIn(seen)); cursor != 0; {
			cursor = Scan(e, cursor, 2, noteIn(seen))
		}
		if len(seen) != 6 || seen["c"] != 3 {
			t.Fatal(seen)
		}
	})
}

func noteIn(seen map[string]float64) func(packed.Value, float64) {
	return func(m packed.Value, s float64) { seen[string(m.AppendString(nil))] = s }
}

func results(l *List) string {
	var b strings.Builder
	l.Each(func(m []byte, s float64) bool {
		fmt.Fprintf(&b, "%s:%v ", m, s)
		return true
	})
	return strings.TrimSpace(b.String())
}

func TestAlgebra(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		a := Of(of(t, lim, "one 1 two 2 three 3"))
		b := Of(of(t, lim, "two 20 three 30 four 40 5 50"))
		up, down := Of(of(t, lim, "x inf y 1")), Of(of(t, lim, "x -inf y 0"))
		for _, c := range []struct {
			got  *List
			want string
		}{
			{Inter([]Source{a, b}, nil, Sum), "two:22 three:33"},
			{Inter([]Source{b, a}, []float64{2, 1}, Sum), "two:42 three:63"},
			{Inter([]Source{a, b}, []float64{10, 1}, Min), "two:20 three:30"},
			{Inter([]Source{a, b}, nil, Max), "two:20 three:30"},
			{Inter([]Source{a, nil}, nil, Sum), ""},
			{Inter([]Source{a}, nil, Sum), "one:1 two:2 three:3"},
			{Inter([]Source{up, down}, nil, Sum), "x:0 y:1"},
			{Inter([]Source{a, a}, nil, Sum), "one:2 two:4 three:6"},
			{Union([]Source{a, b, nil}, nil, Sum), "one:1 two:22 three:33 four:40 5:50"},
			{Union([]Source{a, b}, []float64{-1, 0}, Sum), "three:-3 two:-2 one:-1 5:0 four:0"},
			{Union([]Source{a, b}, nil, Min), "one:1 two:2 three:3 four:40 5:50"},
			{Union([]Source{up, down}, []float64{0, 1}, Max), "x:0 y:0"},
			{Union([]Source{up, down}, nil, Sum), "x:0 y:1"},
			{Union([]Source{nil}, nil, Sum), ""},
			{Diff([]Source{a, b}), "one:1"},
			{Diff([]Source{b, nil, a}), "four:40 5:50"},
			{Diff([]Source{a}), "one:1 two:2 three:3"},
			{Diff([]Source{nil, a}), ""},
			{Diff([]Source{a, a}), ""},
		} {
			if got := results(c.got); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		}
		if n := InterCard([]Source{a, b}, 0); n != 2 {
			t.Errorf("cardinality %d", n)
		}
		if n := InterCard([]Source{a, b}, 1); n != 1 {
			t.Errorf("limited cardinality %d", n)
		}
	})
}

func TestStore(t *testing.T) {
	for n := range 9 {
		for _, lim := range []Limits{{}, {Entries: 4, Value: 2}, {Entries: 9, Value: 1}, DefaultLimits()} {
			list := new(List)
			var want []pair
			for i := range n {
				m := strings.Repeat("m", i/4) + fmt.Sprint(i)
				list.Add([]byte(m), float64(i/2))
				want = append(want, pair{m, float64(i / 2)})
			}
			list.sort()
			slices.SortFunc(want, comparePairs)
			e := newKeyspace().zset("key")
			Store(e, lim, list)
			large := n > lim.Entries || n > 0 && list.longest > lim.Value
			if err := Check(e); err != nil || !slices.Equal(content(e), want) || isLarge(e) != large {
				t.Fatalf("%v %+v: %v, %v", n, lim, err, content(e))
			}
		}
	}
}

func comparePairs(x, y pair) int {
	if order := compareScores(x.score, y.score); order != 0 {
		return order
	}
	return strings.Compare(x.member, y.member)
}

// TestStoreForgetsMinusZero: a small result of ZUNIONSTORE has no minus zero either.
func TestStoreForgetsMinusZero(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := of(t, lim, "a 0")
		var l List
		l.Add([]byte("m"), math.Copysign(0, -1))
		Free(e)
		Init(e)
		Store(e, lim, &l)
		if s, _ := Score(e, []byte("m")); math.Signbit(s) != isLarge(e) {
			t.Errorf("minus zero is %v in a %s", s, Encoding(e))
		}
	})
}
