package hash

import (
	"bytes"
	"errors"
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
	"github.com/larderdb/larder/internal/types/number"
)

const seed = 42

// newEntry returns an empty hash under a key, in an arena with other keys about.
func newEntry(t testing.TB) *table.Entry {
	a := arena.New()
	keys := table.New(a, table.Options{Keyspace: true, Seed: seed})
	e := new(table.Entry)
	keys.Insert(table.Hash(seed, []byte("key")), []byte("key"), InitLen, 0, 1, e)
	Init(e)
	t.Cleanup(func() {
		if err := a.Check(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func contents(e *table.Entry) map[string]string {
	out := map[string]string{}
	Each(e, func(f, v packed.Value) bool {
		out[string(f.AppendString(nil))] = string(v.AppendString(nil))
		return true
	})
	return out
}

func verify(t *testing.T, e *table.Entry, model map[string]string) {
	t.Helper()
	if err := Check(e); err != nil {
		t.Fatal(err)
	}
	if got := contents(e); Len(e) != len(model) || !maps.Equal(got, model) {
		t.Fatalf("%s of %d holds %v, want %v", Encoding(e), Len(e), got, model)
	}
}

func get(e *table.Entry, field string) string {
	v, ok := Get(e, []byte(field))
	if !ok {
		return "(nil)"
	}
	return string(v.AppendString(nil))
}

func TestConversions(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 65)
	fields := func(n int) (pairs [][]byte) {
		for i := range n {
			pairs = append(pairs, fmt.Appendf(nil, "f%d", i), []byte("v"))
		}
		return pairs
	}
	repeated := slices.Repeat([][]byte{[]byte("same"), []byte("v")}, 513)
	cases := []struct {
		name string
		do   func(e *table.Entry, lim Limits)
		want string
	}{
		{"empty", func(*table.Entry, Limits) {}, "listpack"},
		{"512 fields", func(e *table.Entry, l Limits) { SetMany(e, l, fields(512)) }, "listpack"},
		{"513 fields", func(e *table.Entry, l Limits) { SetMany(e, l, fields(513)) }, "hashtable"},
		{"513 pairs of one field", func(e *table.Entry, l Limits) { SetMany(e, l, repeated) }, "hashtable"},
		{"512 and one", func(e *table.Entry, l Limits) { SetMany(e, l, fields(512)); Set(e, l, []byte("g"), nil) }, "hashtable"},
		{"512 and the same again", func(e *table.Entry, l Limits) { SetMany(e, l, fields(512)); SetMany(e, l, fields(100)) }, "listpack"},
		{"value of 64", func(e *table.Entry, l Limits) { Set(e, l, []byte("f"), long[:64]) }, "listpack"},
		{"value of 65", func(e *table.Entry, l Limits) { Set(e, l, []byte("f"), long) }, "hashtable"},
		{"field of 65", func(e *table.Entry, l Limits) { SetMany(e, l, [][]byte{long, nil}) }, "hashtable"},
		{"not back", func(e *table.Entry, l Limits) { Set(e, l, long, nil); Delete(e, long); Set(e, l, []byte("f"), nil) }, "hashtable"},
		{"refused SETNX", func(e *table.Entry, l Limits) { Set(e, l, []byte("f"), nil); SetNew(e, l, []byte("f"), long) }, "listpack"},
		{"SETNX", func(e *table.Entry, l Limits) { SetNew(e, l, []byte("f"), long) }, "hashtable"},
		{"counter wider than the limit", func(e *table.Entry, l Limits) { l.Value = 3; IncrBy(e, l, []byte("f"), 1000) }, "hashtable"},
	}
	for _, c := range cases {
		e := newEntry(t)
		c.do(e, DefaultLimits())
		if Encoding(e) != c.want {
			t.Errorf("%s: %s, want %s", c.name, Encoding(e), c.want)
		}
		if err := Check(e); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestIncrements(t *testing.T) {
	for _, lim := range []Limits{DefaultLimits(), {}} {
		e := newEntry(t)
		set := func(v string) { Set(e, lim, []byte("f"), []byte(v)) }
		refused := func(name string, err, want error, before string) {
			t.Helper()
			if !errors.Is(err, want) || get(e, "f") != before {
				t.Errorf("%s: %v, field is %s; want %v, %s", name, err, get(e, "f"), want, before)
			}
		}
		if n, err := IncrBy(e, lim, []byte("f"), -5); n != -5 || err != nil || get(e, "f") != "-5" {
			t.Errorf("IncrBy a new field: %d, %v", n, err)
		}
		set("9223372036854775807")
		_, err := IncrBy(e, lim, []byte("f"), 1)
		refused("overflow", err, ErrOverflow, "9223372036854775807")
		set("-9223372036854775808")
		_, err = IncrBy(e, lim, []byte("f"), math.MinInt64)
		refused("underflow", err, ErrOverflow, "-9223372036854775808")
		for _, v := range []string{"01", " 1", "1.0", "x", ""} {
			set(v)
			_, err = IncrBy(e, lim, []byte("f"), 1)
			refused("not an integer", err, ErrNotInteger, v)
		}
		float := func(delta string) (string, error) {
			d, ok := number.ParseExtended([]byte(delta))
			if !ok {
				t.Fatalf("%s is no number", delta)
			}
			b, err := IncrByFloat(e, lim, []byte("f"), d, []byte("kept:"))
			return strings.TrimPrefix(string(b), "kept:"), err
		}
		for _, c := range [][3]string{{"10.5", "0.1", "10.6"}, {"5.0e3", "2e2", "5200"}, {"3", "0.5", "3.5"}, {"0.1", "0.2", "0.3"}, {"7", "-7", "0"}} {
			set(c[0])
			if got, err := float(c[1]); got != c[2] || err != nil || get(e, "f") != c[2] {
				t.Errorf("%s + %s = %s, %v; stored %s", c[0], c[1], got, err, get(e, "f"))
			}
		}
		set("abc")
		_, err = float("1")
		refused("not a float", err, ErrNotFloat, "abc")
		set("inf")
		_, err = float("1")
		refused("infinity", err, ErrNotFinite, "inf")
		Delete(e, []byte("f"))
		if got, err := float("0.5"); got != "0.5" || err != nil {
			t.Errorf("IncrByFloat a new field: %s, %v", got, err)
		}
	}
}

// TestAgainstModel does random operations on a hash and on a map, and looks after
// each that they agree. Small limits make it convert often.
func TestAgainstModel(t *testing.T) {
	start := uint64(time.Now().UnixNano())
	t.Logf("seed %d", start)
	rng := rand.New(rand.NewPCG(start, 0))
	for round := range 60 {
		lim := Limits{Entries: rng.IntN(30), Value: 4 + rng.IntN(30)}
		if round%3 == 0 {
			lim = DefaultLimits()
		}
		e, model := newEntry(t), map[string]string{}
		text := func() string {
			switch rng.IntN(4) {
			case 0:
				return strconv.Itoa(rng.IntN(50) - 25)
			case 1:
				return strings.Repeat("v", rng.IntN(lim.Value+1))
			case 2:
				return strings.Repeat("w", rng.IntN(lim.Value+3))
			}
			return fmt.Sprintf("f%d", rng.IntN(40))
		}
		for range 250 {
			f, v := text(), text()
			_, there := model[f]
			wasLarge := isLarge(e)
			switch op := rng.IntN(10); {
			case op < 3:
				if Set(e, lim, []byte(f), []byte(v)) == there {
					t.Fatalf("Set(%q): wrong about being new", f)
				}
				model[f] = v
			case op < 5:
				before := len(model)
				var pairs [][]byte
				for range rng.IntN(12) {
					f, v := text(), text()
					pairs = append(pairs, []byte(f), []byte(v))
					model[f] = v
				}
				if added := SetMany(e, lim, pairs); added != len(model)-before {
					t.Fatalf("SetMany added %d, want %d", added, len(model)-before)
				}
			case op < 8:
				if Delete(e, []byte(f)) != there {
					t.Fatalf("Delete(%q): wrong about being there", f)
				}
				delete(model, f)
			case op == 8:
				if SetNew(e, lim, []byte(f), []byte(v)) == there {
					t.Fatalf("SetNew(%q)", f)
				}
				if !there {
					model[f] = v
				}
			default:
				if n, err := IncrBy(e, lim, []byte(f), 7); err == nil {
					model[f] = strconv.FormatInt(n, 10)
				}
			}
			verify(t, e, model)
			if want, ok := model[f]; ok && get(e, f) != want || !ok && get(e, f) != "(nil)" {
				t.Fatalf("Get(%q) = %s, want %s", f, get(e, f), want)
			}
			if wasLarge && !isLarge(e) || !isLarge(e) && len(model) > lim.Entries {
				t.Fatalf("%d fields in the form %s", len(model), Encoding(e))
			}
		}
		verifyWalks(t, e, model, rng)
		verifyClone(t, e, model, lim)
	}
}

func verifyWalks(t *testing.T, e *table.Entry, model map[string]string, rng *rand.Rand) {
	t.Helper()
	seen := map[string]string{}
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = Scan(e, cursor, 3, func(f, v packed.Value) {
			seen[string(f.AppendString(nil))] = string(v.AppendString(nil))
		})
	}
	if !maps.Equal(seen, model) {
		t.Fatalf("Scan saw %v, want %v", seen, model)
	}
	if len(model) == 0 {
		return
	}
	n := 1 + rng.IntN(len(model)+3)
	distinct := map[string]string{}
	calls := 0
	RandomDistinct(e, rng.Uint64, n, func(f, v packed.Value) {
		calls++
		distinct[string(f.AppendString(nil))] = string(v.AppendString(nil))
	})
	if calls != min(n, len(model)) || len(distinct) != calls {
		t.Fatalf("RandomDistinct(%d) of %d gave %d, %d of them different", n, len(model), calls, len(distinct))
	}
	calls = 0
	RandomRepeat(e, rng.Uint64, 20, func(f, v packed.Value) bool {
		calls++
		distinct[string(f.AppendString(nil))] = string(v.AppendString(nil))
		return true
	})
	if calls != 20 {
		t.Fatalf("RandomRepeat(20) gave %d", calls)
	}
	for f, v := range distinct {
		if model[f] != v {
			t.Fatalf("random field %q has %q, want %q", f, v, model[f])
		}
	}
}

func verifyClone(t *testing.T, e *table.Entry, model map[string]string, lim Limits) {
	t.Helper()
	other := newEntry(t)
	Clone(e, other)
	verify(t, other, model)
	if Encoding(other) != Encoding(e) {
		t.Fatalf("the clone of a %s is a %s", Encoding(e), Encoding(other))
	}
	Set(other, lim, []byte("only here"), []byte("x"))
	verify(t, e, model)
	a := other.Arena()
	Free(other)
	other.Delete()
	if live := a.Stats().Cells; live != 0 {
		t.Fatalf("%d cells are left", live)
	}
}

func TestRandomIsFair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{10, 100} {
		e, lim := newEntry(t), Limits{Entries: 50, Value: 64}
		for i := range n {
			Set(e, lim, fmt.Appendf(nil, "f%d", i), nil)
		}
		const rounds = 2000
		counts := map[string]int{}
		count := func(f, _ packed.Value) bool { counts[string(f.AppendString(nil))]++; return true }
		for range rounds {
			RandomDistinct(e, rng.Uint64, n/2, func(f, v packed.Value) { count(f, v) })
			RandomRepeat(e, rng.Uint64, n/2, count)
		}
		for f, c := range counts { // 1 on average, with a deviation of a few per cent
			if share := float64(c) / rounds; share < 0.7 || share > 1.4 {
				t.Errorf("%s of %d: field %s has %.2f of its share", Encoding(e), n, f, share)
			}
		}
		if len(counts) != n {
			t.Errorf("%d of %d fields were ever drawn", len(counts), n)
		}
	}
}

func BenchmarkSetSmall(b *testing.B) { benchmarkSet(b, 5) }
func BenchmarkSetLarge(b *testing.B) { benchmarkSet(b, 100_000) }
func BenchmarkGetSmall(b *testing.B) { benchmarkGet(b, 5) }
func BenchmarkGetLarge(b *testing.B) { benchmarkGet(b, 100_000) }

func filled(b *testing.B, n int) (*table.Entry, [][]byte) {
	e := newEntry(b)
	fields := make([][]byte, n)
	for i := range fields {
		fields[i] = fmt.Appendf(nil, "field:%07d", i)
		Set(e, DefaultLimits(), fields[i], []byte("sixteen bytes :)"))
	}
	rand.Shuffle(n, func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return e, fields
}

func benchmarkSet(b *testing.B, n int) {
	e, fields := filled(b, n)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Set(e, DefaultLimits(), fields[i%n], []byte("SIXTEEN BYTES :)"))
		i++
	}
}

func benchmarkGet(b *testing.B, n int) {
	e, fields := filled(b, n)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := Get(e, fields[i%n]); !ok {
			b.Fatal("not there")
		}
		i++
	}
}

// BenchmarkMemory reports the resident bytes of the arena an element of what
// Larder promises figures for.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	b.Run("fields of 13+16 B in one hash", func(b *testing.B) {
		for b.Loop() {
			e := newEntry(b)
			for i := range n {
				Set(e, DefaultLimits(), fmt.Appendf(nil, "field:%07d", i), []byte("sixteen bytes :)"))
			}
			s := e.Arena().Stats()
			b.ReportMetric(float64(s.Resident)/n, "B/field")
			b.ReportMetric(float64(s.Live)/n, "live-B/field")
		}
	})
	b.Run("hashes of 5 fields", func(b *testing.B) {
		for b.Loop() {
			a := arena.New()
			keys := table.New(a, table.Options{Keyspace: true, Seed: seed})
			var e table.Entry
			for i := range n {
				key := fmt.Appendf(nil, "user:%07d", i)
				keys.Insert(table.Hash(seed, key), key, InitLen, 0, 4, &e)
				Init(&e)
				SetMany(&e, DefaultLimits(), [][]byte{[]byte("name"), fmt.Appendf(nil, "name%d", i), []byte("email"), fmt.Appendf(nil, "u%d@x.io", i),
					[]byte("age"), fmt.Appendf(nil, "%d", 20+i%60), []byte("city"), []byte("Berlin"), []byte("score"), fmt.Appendf(nil, "%d", i)})
			}
			s := a.Stats()
			b.ReportMetric(float64(s.Resident)/n, "B/key")
			b.ReportMetric(float64(s.Live)/n, "live-B/key")
		}
	})
}
