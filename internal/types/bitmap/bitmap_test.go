package bitmap

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// text is a bitmap written down: the model of all tests.
func text(p []byte) string {
	var b strings.Builder
	for _, x := range p {
		fmt.Fprintf(&b, "%08b", x)
	}
	return b.String()
}

// sample is a bitmap of n bytes with long runs of equal bytes in it.
func sample(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := 0; i < n; {
		run, b := 1+r.IntN(50), byte(r.Uint32())
		if r.IntN(3) > 0 {
			b = byte(-r.IntN(2))
		}
		for ; run > 0 && i < n; run-- {
			p[i] = b
			i++
		}
	}
	return p
}

func random(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestBits(t *testing.T) {
	p := []byte{0x80, 0x01}
	for at, want := range []int{0: 1, 1: 0, 14: 0, 15: 1, 16: 0, 1000: 0} {
		if got := Get(p, uint64(at)); got != want {
			t.Errorf("bit %d is %d, want %d", at, got, want)
		}
	}
	Set(p, 0, 0)
	Set(p, 9, 1)
	Set(p, 15, 1)
	if text(p) != "0000000001000001" {
		t.Error(text(p))
	}
}

func TestRanges(t *testing.T) {
	r := random(t)
	for range 3000 {
		p := sample(r, 1+r.IntN(200))
		model := text(p)
		from := r.IntN(len(model) + 1)
		to := from + r.IntN(len(model)-from+1)
		if got, want := CountRange(p, from, to), strings.Count(model[from:to], "1"); got != want {
			t.Fatalf("CountRange of %x from %d to %d is %d, want %d", p, from, to, got, want)
		}
		if got, want := Count(p), strings.Count(model, "1"); got != want {
			t.Fatalf("Count of %x is %d, want %d", p, got, want)
		}
		for bit, digit := range []string{"0", "1"} {
			want := strings.Index(model[from:to], digit)
			if want >= 0 {
				want += from
			}
			if got := Find(p, bit, from, to); got != want {
				t.Fatalf("Find of %d in %x from %d to %d is %d, want %d", bit, p, from, to, got, want)
			}
		}
	}
}

// byDefinition is what an operation does with a bit that is in some of the sources.
func byDefinition(op Op, in []int) int {
	sum, ys := 0, 0
	for i, b := range in {
		sum += b
		if i > 0 {
			ys += b
		}
	}
	yes := map[Op]bool{
		And: sum == len(in), Or: sum > 0, Xor: sum%2 == 1, Not: sum == 0, Diff: in[0] == 1 && ys == 0,
		Diff1: in[0] == 0 && ys > 0, AndOr: in[0] == 1 && ys > 0, One: sum == 1,
	}[op]
	if yes {
		return 1
	}
	return 0
}

func TestCombine(t *testing.T) {
	r := random(t)
	for range 2000 {
		op := Op(r.IntN(int(One) + 1))
		sources := make([][]byte, 1+r.IntN(5))
		if op == Not {
			sources = sources[:1]
		}
		longest := 0
		for i := range sources {
			sources[i] = sample(r, r.IntN(100))
			longest = max(longest, len(sources[i]))
		}
		checkCombine(t, op, longest, sources)
	}
	for op := And; op <= One; op++ { // longer than a block, and ending at its edge
		for _, n := range []int{block - 1, block, block + 1, 2*block + 13} {
			sources := [][]byte{sample(r, n), sample(r, block), sample(r, 5)}
			if op == Not {
				sources = sources[:1]
			}
			checkCombine(t, op, max(n, len(sources)/3*block), sources)
		}
	}
}

func checkCombine(t *testing.T, op Op, longest int, sources [][]byte) {
	t.Helper()
	want, got := make([]byte, longest), bytes.Repeat([]byte{0xa5}, longest)
	in := make([]int, len(sources))
	for at := range uint64(8 * longest) {
		for i, s := range sources {
			in[i] = Get(s, at)
		}
		Set(want, at, byDefinition(op, in))
	}
	if Combine(op, got, sources); !bytes.Equal(got, want) {
		t.Fatalf("op %d of %x is %x, want %x", op, sources, got, want)
	}
}

func TestField(t *testing.T) {
	r := random(t)
	for range 20000 {
		f := Field{Signed: r.IntN(2) == 0, Width: uint8(1 + r.IntN(63))}
		if f.Signed && r.IntN(8) == 0 {
			f.Width = 64
		}
		p := sample(r, 20)
		at := r.Uint64N(uint64(8*len(p)) - uint64(f.Width) + 1)
		value := int64(r.Uint64()) >> r.IntN(64)
		before := text(p)
		f.Store(p, at, value)
		digits := fmt.Sprintf("%064b", uint64(value))[64-f.Width:]
		if want := before[:at] + digits + before[at+uint64(f.Width):]; text(p) != want {
			t.Fatalf("%v: %d at %d of %s gives %s", f, value, at, before, text(p))
		}
		want, _ := f.limit(value, 0, Wrap)
		if got := f.Load(p, at); got != want {
			t.Fatalf("%v: %d at %d reads as %d, want %d", f, value, at, got, want)
		}
	}
}

func TestLoadBehindTheEnd(t *testing.T) {
	p := []byte{0xff}
	for _, c := range []struct {
		f    Field
		at   uint64
		want int64
	}{
		{Field{false, 8}, 4, 0xf0}, {Field{true, 8}, 4, -16}, {Field{true, 64}, 0, -1 << 56}, {Field{false, 63}, 8, 0},
		{Field{false, 5}, 1 << 40, 0}, {Field{true, 1}, 7, -1},
	} {
		if got := c.f.Load(p, c.at); got != c.want {
			t.Errorf("%v at %d is %d, want %d", c.f, c.at, got, c.want)
		}
	}
}

// Arithmetic is held against integers without bounds.
func TestOverflow(t *testing.T) {
	r := random(t)
	for range 50000 {
		f := Field{Signed: r.IntN(2) == 0, Width: uint8(1 + r.IntN(63))}
		if f.Signed && r.IntN(4) == 0 {
			f.Width = 64
		}
		value, _ := f.limit(int64(r.Uint64())>>r.IntN(64), 0, Wrap)
		by := int64(r.Uint64()) >> r.IntN(64)
		least, most := f.bounds()
		sum := new(big.Int).Add(big.NewInt(value), big.NewInt(by))
		high, low := sum.Cmp(big.NewInt(most)) > 0, sum.Cmp(big.NewInt(least)) < 0
		got, ok := f.Add(value, by, Refuse)
		if ok == (high || low) || ok && big.NewInt(got).Cmp(sum) != 0 {
			t.Fatalf("%v: %d + %d refused: %v, %d", f, value, by, !ok, got)
		}
		saturated, _ := f.Add(value, by, Saturate)
		if high && saturated != most || low && saturated != least || ok && saturated != got {
			t.Fatalf("%v: %d + %d saturates to %d", f, value, by, saturated)
		}
		wrapped, _ := f.Add(value, by, Wrap)
		modulus := new(big.Int).Lsh(big.NewInt(1), uint(f.Width))
		if sum.Sub(sum, big.NewInt(wrapped)).Mod(sum, modulus).Sign() != 0 || wrapped < least || wrapped > most {
			t.Fatalf("%v: %d + %d wraps to %d", f, value, by, wrapped)
		}
	}
}

func TestFit(t *testing.T) {
	u8, i8 := Field{false, 8}, Field{true, 8}
	for _, c := range []struct {
		f     Field
		value int64
		o     Overflow
		want  int64
		ok    bool
	}{
		{u8, 255, Refuse, 255, true}, {u8, 256, Refuse, 0, false}, {u8, 256, Wrap, 0, true}, {u8, 300, Saturate, 255, true},
		{u8, -1, Wrap, 255, true}, {u8, -1, Saturate, 255, true}, {u8, -1, Refuse, 0, false},
		{i8, 127, Refuse, 127, true}, {i8, 128, Wrap, -128, true}, {i8, 128, Saturate, 127, true}, {i8, -129, Saturate, -128, true},
		{i8, -129, Wrap, 127, true}, {i8, -129, Refuse, 0, false}, {i8, -1 << 63, Saturate, 127, true}, {i8, -1<<63 + 128, Saturate, -128, true}, {Field{true, 64}, -1 << 63, Refuse, -1 << 63, true},
	} {
		if got, ok := c.f.Fit(c.value, c.o); got != c.want || ok != c.ok {
			t.Errorf("%v: %d by %d is %d %v, want %d %v", c.f, c.value, c.o, got, ok, c.want, c.ok)
		}
	}
}

func FuzzField(f *testing.F) {
	f.Add([]byte("some bytes"), uint64(3), uint8(64), true, int64(-1))
	f.Fuzz(func(t *testing.T, p []byte, at uint64, width uint8, signed bool, value int64) {
		field := Field{signed, 1 + width%63}
		field.Load(p, at)
		if at <= uint64(8*len(p)) && at+uint64(field.Width) <= uint64(8*len(p)) {
			want, _ := field.Fit(value, Wrap)
			if field.Store(p, at, value); field.Load(p, at) != want {
				t.Fatalf("%v at %d of %x: %d", field, at, p, field.Load(p, at))
			}
		}
	})
}

func BenchmarkCount(b *testing.B) {
	p := sample(rand.New(rand.NewPCG(1, 1)), 1<<20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		Count(p)
	}
}

func BenchmarkFind(b *testing.B) {
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		Find(p, 1, 0, 8*len(p))
	}
}

func BenchmarkCombine(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	sources := [][]byte{sample(r, 1<<20), sample(r, 1<<20), sample(r, 1<<20)}
	dst := make([]byte, 1<<20)
	for op, name := range []string{"And", "Or", "Xor", "Not", "Diff", "Diff1", "AndOr", "One"} {
		from := sources
		if Op(op) == Not {
			from = sources[:1]
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(from) << 20))
			for b.Loop() {
				Combine(Op(op), dst, from)
			}
		})
	}
}
