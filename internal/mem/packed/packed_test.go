package packed

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var layouts = map[string]Layout{"forward": Forward, "twoWay": TwoWay}

// samples are strings around every boundary of the encoding.
func samples() []string {
	out := []string{"", "a", "-", "-0", "+1", "01", "1.5", " 7", "\x00", "9223372036854775808", "-9223372036854775809"}
	for _, n := range []int{2, 126, 127, 128, 129, 8190, 8191, 8192, 8193, 20000, 1 << 21} {
		out = append(out, strings.Repeat("x", n))
	}
	for shift := range 64 {
		for d := int64(-1); d <= 1; d++ {
			n := int64(1)<<shift + d
			out = append(out, strconv.FormatInt(n, 10), strconv.FormatInt(-n, 10))
		}
	}
	return out
}

func TestStringsReadBack(t *testing.T) {
	for name, l := range layouts {
		for _, s := range samples() {
			entry := Append(nil, l, []byte(s))
			if len(entry) != EncodedLen(l, []byte(s)) {
				t.Fatalf("%s: EncodedLen(%.20q) = %d, wrote %d", name, s, EncodedLen(l, []byte(s)), len(entry))
			}
			b := AppendRun(nil, l, 1, entry)
			if err := Valid(b); err != nil {
				t.Fatalf("%s: %.20q: %v", name, s, err)
			}
			v := Get(b, First(b))
			n, err := strconv.ParseInt(s, 10, 64)
			canonical := err == nil && strconv.FormatInt(n, 10) == s
			if (v.Kind() == Int) != canonical || string(v.AppendString(nil)) != s || v.Len() != len(s) || !v.Equal([]byte(s)) || v.Equal([]byte(s+"x")) {
				t.Fatalf("%s: %.20q reads back as %.20q, kind %d, length %d", name, s, v.AppendString(nil), v.Kind(), v.Len())
			}
			if First(b) != Last(b) || Next(b, First(b)) != 0 || Prev(b, First(b)) != 0 || Find(b, First(b), 1, []byte(s)) != First(b) {
				t.Fatalf("%s: %.20q: walking one entry", name, s)
			}
			if canonical && IntEncodedLen(l, n) != len(entry) {
				t.Fatalf("IntEncodedLen(%d)", n)
			}
		}
	}
}

func TestFloatsReadBack(t *testing.T) {
	cases := []struct {
		f    float64
		kind Kind
		size int // Forward
		text string
	}{
		{0, Int, 1, "0"}, {63, Int, 1, "63"}, {-1, Int, 2, "-1"}, {1e15, Int, 8, "1000000000000000"}, {1 << 53, Int, 8, "9007199254740992"},
		{1.5, Float, 5, "1.5"}, {.1, Float, 9, "0.1"}, {math.Inf(1), Float, 5, "inf"}, {math.Inf(-1), Float, 5, "-inf"},
		{math.Copysign(0, -1), Float, 5, "-0"}, {1e300, Float, 9, "1e+300"}, {5e-324, Float, 9, "5e-324"}, {math.NaN(), Float, 9, "nan"},
	}
	for _, c := range cases {
		for _, l := range layouts {
			entry := AppendFloat(nil, l, c.f)
			b := AppendRun(nil, l, 1, entry)
			v := Get(b, First(b))
			f, ok := v.Float()
			if !ok || math.Float64bits(f) != math.Float64bits(c.f) || v.Kind() != c.kind || string(v.AppendString(nil)) != c.text || v.Len() != len(c.text) {
				t.Errorf("%v reads back as %v (%s), kind %d", c.f, f, v.AppendString(nil), v.Kind())
			}
			if l == Forward && len(entry) != c.size || len(entry) != FloatEncodedLen(l, c.f) {
				t.Errorf("%v takes %d bytes, FloatEncodedLen %d", c.f, len(entry), FloatEncodedLen(l, c.f))
			}
			if err := Valid(b); err != nil {
				t.Errorf("%v: %v", c.f, err)
			}
		}
	}
	if _, ok := Get(AppendRun(nil, Forward, 1, Append(nil, Forward, []byte("1.5"))), 1).Float(); ok {
		t.Error("a string read as a float")
	}
}

// verify compares the run with the model in every way it can be read.
func verify(t *testing.T, b []byte, model []string) {
	t.Helper()
	if err := Valid(b); err != nil {
		t.Fatal(err)
	}
	if Count(b) != len(model) {
		t.Fatalf("Count = %d, want %d", Count(b), len(model))
	}
	off := First(b)
	for i, want := range model {
		v, next := Read(b, off)
		if string(v.AppendString(nil)) != want || At(b, i) != off || At(b, i-len(model)) != off || next != Next(b, off) {
			t.Fatalf("entry %d: %.20q at %d, want %.20q (At %d %d)", i, v.AppendString(nil), off, want, At(b, i), At(b, i-len(model)))
		}
		off = next
	}
	if off != 0 || At(b, len(model)) != 0 || At(b, -len(model)-1) != 0 {
		t.Fatal("the run goes on behind its end")
	}
	off = Last(b)
	for i := len(model) - 1; i >= 0; i-- {
		if !Get(b, off).Equal([]byte(model[i])) {
			t.Fatalf("backwards: entry %d is %.20q", i, Get(b, off).AppendString(nil))
		}
		off = Prev(b, off)
	}
	if off != 0 {
		t.Fatal("the run goes on before its beginning")
	}
}

func randomString(rng *rand.Rand) string {
	switch rng.Intn(5) {
	case 0:
		return strconv.Itoa(rng.Intn(200) - 100)
	case 1:
		return strconv.FormatInt(int64(rng.Uint64())>>rng.Intn(64), 10)
	case 2:
		return strings.Repeat("v", rng.Intn(300))
	default:
		return fmt.Sprintf("e%d", rng.Intn(40))
	}
}

func TestEditsAgainstModel(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewSource(seed))
	for _, l := range layouts {
		b, model := AppendRun(nil, l, 0), []string{}
		grow := true
		for range 4000 {
			if len(model) > 90 {
				grow = false
			} else if len(model) == 0 {
				grow = true
			}
			var entries []byte
			var added []string
			for range rng.Intn(3) {
				s := randomString(rng)
				entries, added = Append(entries, l, []byte(s)), append(added, s)
			}
			i := rng.Intn(len(model) + 1)
			off, n := At(b, i), 0
			if i == len(model) {
				off = len(b)
			}
			if !grow || rng.Intn(3) == 0 {
				n = rng.Intn(4)
			}
			removed := min(n, len(model)-i)
			ed := Replace(b, off, n, entries, len(added))
			if ed.Removed != removed {
				t.Fatalf("Removed = %d, want %d", ed.Removed, removed)
			}
			b = splice(b, ed, rng)
			model = slices.Replace(model, i, i+removed, added...)
			if want := At(b, i); ed.At != want && !(want == 0 && ed.At == len(b)) {
				t.Fatalf("Edit.At = %d, entry %d is at %d", ed.At, i, want)
			}
			verify(t, b, model)
			s := randomString(rng)
			for step := 1; step <= 2; step++ {
				want := -1
				for j := 0; j < len(model); j += step {
					if model[j] == s {
						want = j
						break
					}
				}
				if got := Find(b, First(b), step, []byte(s)); got != 0 && want < 0 || want >= 0 && got != At(b, want) {
					t.Fatalf("Find(%q, step %d) = %d, want entry %d", s, step, got, want)
				}
			}
		}
	}
}

// splice makes an edit as an owner of a record does, or by Apply.
func splice(b []byte, ed Edit, rng *rand.Rand) []byte {
	if rng.Intn(2) == 0 {
		return ed.Apply(b)
	}
	out := append([]byte{}, b[:ed.Off]...)
	out = append(out, bytes.Repeat([]byte{0xFF}, len(ed.Ins))...)
	out = append(out, b[ed.Off+ed.Del:]...)
	ed.Fill(out)
	return out
}

func TestPushUnshiftSplitMerge(t *testing.T) {
	for _, l := range layouts {
		b, model := AppendRun(nil, l, 0), []string{}
		for i := range 9000 {
			s := strconv.Itoa(i % 70)
			if i%2 == 0 {
				b, model = Push(b, Append(nil, l, []byte(s)), 1).Apply(b), append(model, s)
			} else {
				b = Unshift(b, Append(nil, l, []byte(s)), 1).Apply(b)
				model = append([]string{s}, model...)
			}
			if len(model) == 63 || len(model) == 64 || len(model) == 8191 || len(model) == 8192 {
				if err := Valid(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		mid := At(b, 3000)
		tail := AppendRun(nil, l, 6000, b[mid:])
		head := Delete(append([]byte{}, b...), mid, 9000).Apply(append([]byte{}, b...))
		for _, half := range []struct {
			b    []byte
			want []string
		}{{head, model[:3000]}, {tail, model[3000:]}} {
			if err := Valid(half.b); err != nil || Count(half.b) != len(half.want) || !Get(half.b, Last(half.b)).Equal([]byte(half.want[len(half.want)-1])) {
				t.Fatalf("split: %v, count %d", err, Count(half.b))
			}
		}
		whole := Push(head, Entries(tail), Count(tail)).Apply(head)
		if !bytes.Equal(whole, b) {
			t.Fatal("split and merged is not what it was")
		}
	}
}

func TestEmptyAndAbsent(t *testing.T) {
	for _, b := range [][]byte{nil, AppendRun(nil, Forward, 0), AppendRun(nil, TwoWay, 0)} {
		if Count(b) != 0 || First(b) != 0 || Last(b) != 0 || At(b, 0) != 0 || At(b, -1) != 0 || Next(b, 0) != 0 || Prev(b, 0) != 0 ||
			Find(b, First(b), 1, []byte("x")) != 0 || Get(b, 0).Kind() != None || Get(b, 99).Kind() != None {
			t.Errorf("%v does not read as empty", b)
		}
		if ed := Delete(b, First(b), 1); ed.Removed != 0 || !bytes.Equal(ed.Apply(append([]byte{}, b...))[:len(b)], b) {
			t.Errorf("deleting from %v: %+v", b, ed)
		}
	}
	b := Insert(AppendRun(nil, TwoWay, 0), 0, Append(nil, TwoWay, []byte("x")), 1).Apply(AppendRun(nil, TwoWay, 0))
	verify(t, b, []string{"x"})
}

func TestValidRefuses(t *testing.T) {
	bad := map[string][]byte{
		"nothing":            {},
		"overlong header":    {0x80, 0x00},
		"endless header":     {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
		"count too high":     {4, 0x81},
		"count too low":      {0, 0x81},
		"string cut":         {2, 5, 'a'},
		"integer as string":  {2, 1, '7'},
		"wide integer":       {2, 0xC1, 70, 0},
		"small integer wide": {2, 0xC0, 7},
		"float32 of integer": {2, 0xC8, 0, 0, 128, 63},
		"unknown tag":        {2, 0xCB, 0, 0, 0, 0},
		"medium of short":    {2, 0xE0, 1, 'a'},
		"long cut":           {2, 0xCA, 1, 0},
		"wrong backlen":      {3, 0x81, 2},
		"backlen missing":    {3, 0x81},
	}
	for name, b := range bad {
		if err := Valid(b); err == nil {
			t.Errorf("%s was not refused", name)
		} else if err.Error() == "" {
			t.Errorf("%s: no reason", name)
		}
	}
}

// FuzzCorrupt reads and edits arbitrary bytes in every way: nothing may panic or
// loop, and what Valid accepts must be rebuilt to the same bytes.
func FuzzCorrupt(f *testing.F) {
	for _, l := range layouts {
		b := AppendRun(nil, l, 3, Append(nil, l, []byte("field")), AppendInt(nil, l, -70), AppendFloat(nil, l, 1.1))
		f.Add(b, []byte("field"), uint16(2))
		f.Add(AppendRun(nil, l, 1, Append(nil, l, bytes.Repeat([]byte("y"), 9000))), []byte("-70"), uint16(0))
	}
	f.Fuzz(func(t *testing.T, b, needle []byte, at uint16) {
		valid := Valid(b) == nil
		var all []byte
		seen := 0
		for off := First(b); off != 0; {
			v, next := Read(b, off)
			all = appendValue(all, LayoutOf(b), v)
			if v.Kind() != None {
				seen++
			}
			if next != 0 && next <= off {
				t.Fatal("no progress")
			}
			if valid && Prev(b, next) != off && next != 0 {
				t.Fatal("Prev does not undo Next")
			}
			off = next
		}
		for off := Last(b); off != 0; {
			prev := Prev(b, off)
			if prev >= off {
				t.Fatal("no progress backwards")
			}
			off = prev
		}
		if valid && !bytes.Equal(AppendRun(nil, LayoutOf(b), seen, all), b) {
			t.Fatal("a valid run is not canonical")
		}
		i := int(at)
		At(b, i)
		At(b, -i)
		Get(b, i)
		Prev(b, i)
		off := Find(b, First(b), 1+i%3, needle)
		if off != 0 && !Get(b, off).Equal(needle) {
			t.Fatal("found something else")
		}
		entry := Append(nil, LayoutOf(b), needle)
		edited := Replace(b, At(b, i), 2, entry, 1).Apply(append([]byte{}, b...))
		if valid && Valid(edited) != nil {
			t.Fatalf("an edit broke the run: %v", Valid(edited))
		}
	})
}

func BenchmarkFindLastOf5Pairs(b *testing.B)   { benchmarkFind(b, 5) }
func BenchmarkFindLastOf128Pairs(b *testing.B) { benchmarkFind(b, 128) }

func benchmarkFind(b *testing.B, pairs int) {
	run := AppendRun(nil, Forward, 0)
	for i := range pairs {
		e := Append(nil, Forward, fmt.Appendf(nil, "field:%d", i))
		run = Push(run, Append(e, Forward, []byte("some value")), 2).Apply(run)
	}
	needle := fmt.Appendf(nil, "field:%d", pairs-1)
	b.ReportAllocs()
	for b.Loop() {
		if Find(run, First(run), 2, needle) == 0 {
			b.Fatal("not found")
		}
	}
}
