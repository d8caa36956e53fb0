package list

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

// keyspace is a table of one arena in which tests make lists.
type keyspace struct {
	a *arena.Arena
	t table.Table
}

func newKeyspace() *keyspace {
	a := arena.New()
	return &keyspace{a: a, t: table.New(a, table.Options{Keyspace: true, Seed: 7})}
}

func (k *keyspace) list(key string) *table.Entry {
	e := new(table.Entry)
	k.t.Insert(table.Hash(7, []byte(key)), []byte(key), InitLen, 0, 0, e)
	Init(e)
	return e
}

func newList(t *testing.T, lim Limits, values ...string) *table.Entry {
	t.Helper()
	e := newKeyspace().list("key")
	for _, v := range values {
		Push(e, lim, false, []byte(v))
	}
	return e
}

func text(v packed.Value) string { return string(v.AppendString(nil)) }

func content(e *table.Entry) []string {
	got := []string{}
	Each(e, func(v packed.Value) bool {
		got = append(got, text(v))
		return true
	})
	return got
}

func want(t *testing.T, e *table.Entry, values ...string) {
	t.Helper()
	if err := Check(e); err != nil {
		t.Fatal(err)
	}
	if got := content(e); !slices.Equal(got, values) || Len(e) != len(values) {
		t.Fatalf("list is %q, length %d; want %q", got, Len(e), values)
	}
}

func bytesOf(values ...string) [][]byte {
	var out [][]byte
	for _, v := range values {
		out = append(out, []byte(v))
	}
	return out
}

// both runs a test on a small list and on a large one of short leaves.
func both(t *testing.T, test func(t *testing.T, lim Limits)) {
	t.Run("small", func(t *testing.T) { test(t, DefaultLimits()) })
	t.Run("large", func(t *testing.T) { test(t, Limits{MaxListpackSize: 2}) })
}

func TestPush(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := newList(t, lim)
		Push(e, lim, false, bytesOf("a", "1", "")...)
		Push(e, lim, true, bytesOf("x", "-7", "z")...)
		want(t, e, "z", "-7", "x", "a", "1", "")
	})
}

func TestPop(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := newList(t, lim, "a", "2", "c", "d", "5", "f", "g")
		pop := func(front bool, n int) (got []string) {
			taken := Pop(e, lim, front, n, func(v packed.Value) { got = append(got, text(v)) })
			if taken != len(got) {
				t.Fatalf("took %d, gave %q", taken, got)
			}
			return got
		}
		if got := pop(true, 1); !slices.Equal(got, []string{"a"}) {
			t.Fatal(got)
		}
		if got := pop(false, 3); !slices.Equal(got, []string{"g", "f", "5"}) {
			t.Fatal(got)
		}
		want(t, e, "2", "c", "d")
		if got := pop(true, 0); got != nil {
			t.Fatal(got)
		}
		if got := pop(true, 9); !slices.Equal(got, []string{"2", "c", "d"}) {
			t.Fatal(got)
		}
		want(t, e)
		if got := pop(false, 1); got != nil {
			t.Fatal(got)
		}
	})
}

func TestIndexAndSet(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := newList(t, lim, "a", "2", "c", "d", "5")
		for i, v := range content(e) {
			if got, ok := Index(e, i); !ok || text(got) != v {
				t.Fatalf("element %d is %q", i, text(got))
			}
		}
		for _, i := range []int{-1, 5, 99} {
			if _, ok := Index(e, i); ok {
				t.Fatalf("there is an element %d", i)
			}
			if Set(e, lim, i, []byte("no")) {
				t.Fatalf("element %d was set", i)
			}
		}
		Set(e, lim, 0, []byte("first"))
		Set(e, lim, 4, []byte(""))
		Set(e, lim, 2, []byte("77"))
		want(t, e, "first", "2", "77", "d", "")
	})
}

func TestInsert(t *testing.T) {
	both(t, func(t *testing.T, lim Limits) {
		e := newList(t, lim, "a", "b", "a", "c")
		if n := Insert(e, lim, false, []byte("a"), []byte("0")); n != 5 {
			t.Fatal(n)
		}
		Insert(e, lim, true, []byte("a"), []byte("x"))
		Insert(e, lim, true, []byte("c"), []byte("end"))
		want(t, e, "0", "a", "x", "b", "a", "c", "end")
		if n := Insert(e, lim, true, []byte("none"), []byte("x")); n != -1 {
			t.Fatal(n)
		}
	})
}

func TestRemove(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{
		{0, "b c d"}, {1, "b a c a a d a"}, {2, "b c a a d a"}, {-1, "a b a c a a d"},
		{-2, "a b a c a d"}, {-3, "a b a c d"}, {-9, "b c d"}, {9, "b c d"},
	} {
		both(t, func(t *testing.T, lim Limits) {
			e := newList(t, lim, strings.Fields("a b a c a a d a")...)
			before := Len(e)
			if got := Remove(e, lim, c.n, []byte("a")); got != before-Len(e) {
				t.Fatalf("said %d", got)
			}
			want(t, e, strings.Fields(c.want)...)
			if Remove(e, lim, 0, []byte("none")) != 0 {
				t.Fatal("removed what is not there")
			}
		})
	}
}

func TestTrim(t *testing.T) {
	for _, c := range []struct {
		from, n int
		want    string
	}{{0, 7, "a b c d e f g"}, {1, 3, "b c d"}, {6, 9, "g"}, {7, 1, ""}, {0, 0, ""}, {3, 1, "d"}, {0, 2, "a b"}} {
		both(t, func(t *testing.T, lim Limits) {
			e := newList(t, lim, strings.Fields("a b c d e f g")...)
			Trim(e, lim, c.from, c.n)
			want(t, e, strings.Fields(c.want)...)
		})
	}
}

func TestFind(t *testing.T) {
	// The example of LPOS's documentation, and its corners.
	for _, c := range []struct {
		value string
		match Match
		want  []int
	}{
		{"c", Match{Rank: 1, Count: 1}, []int{2}},
		{"c", Match{Rank: 2, Count: 1}, []int{6}},
		{"c", Match{Rank: -1, Count: 1}, []int{7}},
		{"c", Match{Rank: 1, Count: 2}, []int{2, 6}},
		{"c", Match{Rank: 1}, []int{2, 6, 7}},
		{"c", Match{Rank: -1}, []int{7, 6, 2}},
		{"c", Match{Rank: -2, Count: 1}, []int{6}},
		{"c", Match{Rank: 4}, nil},
		{"1", Match{Rank: 1}, []int{3}},
		{"c", Match{Rank: 1, MaxLen: 2}, nil},
		{"c", Match{Rank: 1, MaxLen: 3}, []int{2}},
		{"c", Match{Rank: -1, MaxLen: 1}, []int{7}},
		{"c", Match{Rank: -1, MaxLen: 100}, []int{7, 6, 2}},
		{"x", Match{Rank: 1}, nil},
	} {
		both(t, func(t *testing.T, lim Limits) {
			e := newList(t, lim, "a", "b", "c", "1", "2", "3", "c", "c")
			var got []int
			Find(e, []byte(c.value), c.match, func(i int) { got = append(got, i) })
			if !slices.Equal(got, c.want) {
				t.Fatalf("%q %+v: %v, want %v", c.value, c.match, got, c.want)
			}
		})
	}
}

func TestEncoding(t *testing.T) {
	lim := DefaultLimits()
	e := newList(t, lim)
	expect := func(encoding string) {
		t.Helper()
		if got := Encoding(e); got != encoding {
			t.Fatalf("%s with %d elements, want %s", got, Len(e), encoding)
		}
	}
	// A listpack of 8192 bytes holds 7 + 80 elements of 100 + 3 bytes less one.
	v := []byte(strings.Repeat("x", 100))
	for range 78 { // 7 + 78*103 + 100 <= 8192
		Push(e, lim, false, v)
	}
	expect("listpack")
	Push(e, lim, false, v) // 7 + 78*103 + 100 = 8141
	expect("listpack")
	Push(e, lim, false, v) // 7 + 79*103 + 100 = 8244
	expect("quicklist")
	for Len(e) > 40 { // 7 + 39*103 = 4024 <= 4096
		Pop(e, lim, true, 1, func(packed.Value) {})
		expect("quicklist")
	}
	Pop(e, lim, true, 1, func(packed.Value) {})
	expect("listpack")

	Set(e, lim, 0, make([]byte, 9000))
	expect("quicklist")
	Set(e, lim, 0, nil)
	expect("listpack")
	if Insert(e, lim, true, []byte("no pivot"), make([]byte, 9000)); Encoding(e) != "quicklist" {
		t.Fatal("an insertion that found no pivot did not convert")
	}

	few := Limits{MaxListpackSize: 4}
	e = newList(t, few, "1", "2", "3", "4")
	expect("listpack")
	Push(e, few, true, []byte("0"))
	expect("quicklist")
	Pop(e, few, false, 3, func(packed.Value) {}) // two leaves of one element are two leaves
	expect("quicklist")
	Pop(e, few, false, 1, func(packed.Value) {})
	expect("listpack")
}

func TestListpackSize(t *testing.T) {
	// listpackExceeds must not shortcut wrongly, whatever the entries.
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		run := packed.AppendRun(nil, packed.TwoWay, 0)
		size := 7
		for range rng.IntN(30) {
			v := []byte(element(rng))
			run = packed.Push(run, packed.Append(nil, packed.TwoWay, v), 1).Apply(run)
			size += listpackEntry(packed.Get(run, packed.Last(run)))
		}
		for limit := size - 3; limit <= size+3; limit++ {
			if got := listpackExceeds(run, limit); got != (size > limit) {
				t.Fatalf("run of %d bytes, listpack of %d: exceeds %d is %v", len(run), size, limit, got)
			}
		}
	}
}

// element draws a value: often an integer or one of a few, sometimes long.
func element(rng *rand.Rand) string {
	switch rng.IntN(12) {
	case 0:
		return strings.Repeat("x", rng.IntN(300))
	case 1:
		return fmt.Sprint(rng.Int64() >> rng.IntN(64))
	case 2:
		return fmt.Sprint(-rng.Int64() >> rng.IntN(64))
	case 3:
		return strings.Repeat("y", 60+rng.IntN(70))
	case 4:
		return ""
	case 5:
		if rng.IntN(20) == 0 {
			return strings.Repeat("long", rng.IntN(6000))
		}
	}
	return string(rune('a' + rng.IntN(5)))
}
