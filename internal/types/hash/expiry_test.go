package hash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
)

// timedField is what a model knows of a field.
type timedField struct {
	value  string
	expiry int64
}

type timedModel map[string]timedField

func (m timedModel) next() (at int64) {
	for _, f := range m {
		if f.expiry != 0 && (at == 0 || f.expiry < at) {
			at = f.expiry
		}
	}
	return at
}

func (m timedModel) vanished(now int64) bool {
	for _, f := range m {
		if f.expiry == 0 || f.expiry >= now {
			return false
		}
	}
	return len(m) > 0
}

func (m timedModel) verify(t *testing.T, e *table.Entry, now int64) {
	t.Helper()
	if err := Check(e); err != nil {
		t.Fatal(err)
	}
	if Len(e) != len(m) || NextExpiry(e) != m.next() || Vanished(e, now) != m.vanished(now) {
		t.Fatalf("%s: %d fields, next expiry %d, vanished %v; want %d, %d, %v",
			Encoding(e), Len(e), NextExpiry(e), Vanished(e, now), len(m), m.next(), m.vanished(now))
	}
	seen := 0
	EachExpiry(e, func(field, value packed.Value, expiry int64) bool {
		seen++
		if got := (timedField{string(value.AppendString(nil)), expiry}); m[string(field.AppendString(nil))] != got {
			t.Fatalf("field %q is %v, want %v", field.AppendString(nil), got, m[string(field.AppendString(nil))])
		}
		return true
	})
	if seen != len(m) {
		t.Fatalf("%d fields visited, %d are there", seen, len(m))
	}
	for f, want := range m {
		if at, ok := Expiry(e, []byte(f)); !ok || at != want.expiry {
			t.Fatalf("field %q expires at %d, %v, want %d", f, at, ok, want.expiry)
		}
	}
}

// step does one random thing to the hash and to the model.
func (m timedModel) step(t *testing.T, rng *rand.Rand, e *table.Entry, lim Limits, fields int, now int64) {
	t.Helper()
	name := fmt.Sprintf("f%d", rng.IntN(fields))
	value := fmt.Sprint(rng.IntN(1 << rng.IntN(40)))
	field, old := []byte(name), m[name]
	switch rng.IntN(12) {
	case 0, 1:
		Set(e, lim, field, []byte(value))
		m[name] = timedField{value: value}
	case 2:
		Update(e, lim, field, []byte(value))
		m[name] = timedField{value, old.expiry}
	case 3:
		if Delete(e, field) != (old.value != "") {
			t.Fatalf("Delete(%s) is wrong", name)
		}
		delete(m, name)
	case 4:
		SetMany(e, lim, [][]byte{field, []byte("1"), []byte("g"), []byte("2"), field, []byte(value)})
		m[name], m["g"] = timedField{value: value}, timedField{value: "2"}
	case 5:
		max := rng.IntN(20)
		want := 0
		for _, f := range m {
			if f.expiry != 0 && f.expiry < now {
				want++
			}
		}
		n := Expire(e, now, max, func(field []byte) {
			if f := m[string(field)]; f.expiry == 0 || f.expiry >= now {
				t.Fatalf("%q is not due", field)
			}
			delete(m, string(field))
		})
		if n != min(max, want) {
			t.Fatalf("Expire(%d) removed %d of %d", max, n, want)
		}
	default:
		at := now + int64(rng.IntN(1<<rng.IntN(24))) - 1000
		if rng.IntN(5) == 0 {
			at = 0
		}
		if SetExpiry(e, field, at) != (old.value != "") {
			t.Fatalf("SetExpiry(%s) is wrong", name)
		}
		if old.value != "" {
			m[name] = timedField{old.value, at}
		}
	}
}

// TestExpiryAgainstModel does random steps in both forms, through the conversion.
func TestExpiryAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, fields := range []int{3, 20, 2000} {
		for range 8 {
			e, m, now := newEntry(t), timedModel{}, int64(1_700_000_000_000)
			lim := Limits{Entries: 1 + rng.IntN(30), Value: 64}
			steps, every := 1500, 1
			if fields > 1000 {
				steps, every = 15_000, 1000
			}
			for i := range steps {
				m.step(t, rng, e, lim, fields, now)
				now += int64(rng.IntN(300))
				if i%every == 0 {
					m.verify(t, e, now)
				}
			}
			if isLarge(e) {
				for cursor := Compact(e, 0, 50); cursor != 0; {
					cursor = Compact(e, cursor, 50)
				}
			}
			m.verify(t, e, now)
			verifyTimedClone(t, e, m, now)
		}
	}
}

func verifyTimedClone(t *testing.T, e *table.Entry, m timedModel, now int64) {
	t.Helper()
	other := newEntry(t)
	Clone(e, other)
	m.verify(t, other, now)
	if Encoding(other) != Encoding(e) {
		t.Fatalf("the clone of a %s is a %s", Encoding(e), Encoding(other))
	}
	if isLarge(other) {
		if got, want := int64(Bytes(other)+other.Table().Bytes()), other.Arena().Stats().Live; got != want {
			t.Fatalf("hash and keyspace are %d bytes, the arena says %d", got, want)
		}
	}
	a := other.Arena()
	Free(other)
	other.Delete()
	if live := a.Stats().Cells; live != 0 {
		t.Fatalf("%d cells are left", live)
	}
}

// TestUntimedPaysNothing: the record of a hash without field expiry is what it was before there was any.
func TestUntimedPaysNothing(t *testing.T) {
	e := newEntry(t)
	Set(e, DefaultLimits(), []byte("field"), []byte("value"))
	if got := len(e.Value()); got != 1+6+6 {
		t.Errorf("a small hash of 5 and 5 bytes takes %d", got)
	}
	if SetExpiry(e, []byte("missing"), 5) || !SetExpiry(e, []byte("field"), 0) || Encoding(e) != "listpack" {
		t.Errorf("no expiry was set, and it is a %s", Encoding(e))
	}
	SetExpiry(e, []byte("field"), 1_700_000_000_000)
	if got := len(e.Value()); Encoding(e) != "listpackex" || got != 1+6+6+7+stampLen {
		t.Errorf("with an expiry it is a %s of %d bytes", Encoding(e), got)
	}
	SetExpiry(e, []byte("field"), 0)
	if got := len(e.Value()); Encoding(e) != "listpackex" || got != 1+6+6+1+stampLen || NextExpiry(e) != 0 {
		t.Errorf("without its expiry it is a %s of %d bytes", Encoding(e), got)
	}
}

// TestExpireInOrder: of many due fields the earliest go first, and what is not due stays.
func TestExpireInOrder(t *testing.T) {
	e := newEntry(t)
	const n = 3000
	order := rand.New(rand.NewPCG(1, 1)).Perm(n)
	for _, i := range order {
		field := fmt.Appendf(nil, "field:%d", i)
		Set(e, DefaultLimits(), field, []byte("v"))
		SetExpiry(e, field, int64(1000+i*100_000))
	}
	now := int64(1000 + 1999*100_000 + 1)
	var gone []string
	for Expire(e, now, 77, func(field []byte) { gone = append(gone, string(field)) }) > 0 {
		if err := Check(e); err != nil {
			t.Fatal(err)
		}
	}
	if len(gone) != 2000 || Len(e) != n-2000 || NextExpiry(e) != 1000+2000*100_000 {
		t.Fatalf("%d went, %d are left, the next expires at %d", len(gone), Len(e), NextExpiry(e))
	}
	for i, f := range gone {
		if f != fmt.Sprintf("field:%d", i) {
			t.Fatalf("%s went as number %d", f, i)
		}
	}
	if Vanished(e, now) || !Vanished(e, MaxExpiry) {
		t.Error("Vanished is wrong")
	}
}

// TestFreeingTimed frees a large timed hash in steps, and nothing is left.
func TestFreeingTimed(t *testing.T) {
	a := arena.New()
	keys := table.New(a, table.Options{Keyspace: true, Seed: seed})
	var e table.Entry
	keys.Insert(table.Hash(seed, []byte("key")), []byte("key"), InitLen, 0, 1, &e)
	Init(&e)
	for i := range 5000 {
		field := fmt.Appendf(nil, "field:%d", i)
		Set(&e, DefaultLimits(), field, []byte("v"))
		SetExpiry(&e, field, int64(1000+i%7))
	}
	free, steps := Freeing(&e), 1
	e.Delete()
	for !free(100) {
		steps++
	}
	if s := a.Stats(); s.Cells != 0 || steps < 20 {
		t.Errorf("%d cells are left after %d steps", s.Cells, steps)
	}
}

// TestRandomAndScanOfTimed: the walks pass fields and values, never an expiry.
func TestRandomAndScanOfTimed(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{7, 600} {
		e := newEntry(t)
		var want []string
		for i := range n {
			field := fmt.Appendf(nil, "f%d", i)
			want = append(want, string(field))
			Set(e, DefaultLimits(), field, bytes.ToUpper(field))
			if i%2 == 0 {
				SetExpiry(e, field, 1_700_000_000_000+int64(i))
			}
		}
		var got []string
		take := func(f, v packed.Value) bool {
			if name := f.AppendString(nil); !bytes.Equal(bytes.ToUpper(name), v.AppendString(nil)) {
				t.Fatalf("%s has %s", name, v.AppendString(nil))
			} else {
				got = append(got, string(name))
			}
			return true
		}
		for range 50 {
			take(Random(e, rng.Uint64))
		}
		RandomRepeat(e, rng.Uint64, 50, take)
		RandomDistinct(e, rng.Uint64, 5, func(f, v packed.Value) { take(f, v) })
		got = got[:0]
		for cursor := Scan(e, 0, 10, func(f, v packed.Value) { take(f, v) }); cursor != 0; {
			cursor = Scan(e, cursor, 10, func(f, v packed.Value) { take(f, v) })
		}
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("a scan gave %d of %d fields", len(got), len(want))
		}
	}
}

// BenchmarkExpiringMemory reports what an expiry costs a field, in bytes beside those of BenchmarkMemory.
func BenchmarkExpiringMemory(b *testing.B) {
	const n = 300_000
	for _, expires := range []bool{false, true} {
		b.Run(fmt.Sprintf("expires %v", expires), func(b *testing.B) {
			for b.Loop() {
				e := newEntry(b)
				for i := range n {
					field := fmt.Appendf(nil, "field:%07d", i)
					Set(e, DefaultLimits(), field, []byte("sixteen bytes :)"))
					if expires {
						SetExpiry(e, field, 1_700_000_000_000+int64(i*7919%n)*1000)
					}
				}
				s := e.Arena().Stats()
				b.ReportMetric(float64(s.Resident)/n, "B/field")
				b.ReportMetric(float64(s.Live)/n, "live-B/field")
			}
		})
	}
}
