package number

import (
	"math"
	"math/rand"
	"strconv"
	"testing"
)

func TestParseInt(t *testing.T) {
	refused := []string{"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "00",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999", "18446744073709551615", "1\x00"}
	for _, s := range refused {
		if n, ok := ParseInt([]byte(s)); ok {
			t.Errorf("ParseInt(%q) = %d, want a refusal", s, n)
		}
	}
	for _, n := range []int64{0, 1, -1, 9, 10, -10, 99, 100, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1} {
		text := AppendInt(nil, n)
		if got, ok := ParseInt(text); !ok || got != n {
			t.Errorf("ParseInt(%q) = %d, %v", text, got, ok)
		}
		if IntLen(n) != len(text) {
			t.Errorf("IntLen(%d) = %d", n, IntLen(n))
		}
	}
}

func FuzzParseInt(f *testing.F) {
	for _, s := range []string{"0", "-0", "-1", "9223372036854775807", "-9223372036854775808", "+3", "03"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		n, err := strconv.ParseInt(string(s), 10, 64)
		canonical := err == nil && strconv.FormatInt(n, 10) == string(s)
		got, ok := ParseInt(s)
		if ok != canonical || (ok && got != n) {
			t.Fatalf("ParseInt(%q) = %d, %v; want %d, %v", s, got, ok, n, canonical)
		}
	})
}

func TestParseFloat(t *testing.T) {
	accepted := map[string]float64{
		"0": 0, "1": 1, "+1": 1, "-1.5": -1.5, ".5": .5, "5.": 5, "1e3": 1000, "1E-3": .001, "1e+2": 100,
		"0x10": 16, "0X1.8p1": 3, "-0x1P-1": -.5, "0x.8": .5, "inf": math.Inf(1), "-INF": math.Inf(-1),
		"+Infinity": math.Inf(1), "4.9e-324": 5e-324, "1.7976931348623157e308": math.MaxFloat64, "007": 7,
		"0e999999999999": 0,
	}
	for s, want := range accepted {
		if got, ok := ParseFloat([]byte(s)); !ok || got != want {
			t.Errorf("ParseFloat(%q) = %v, %v; want %v", s, got, ok, want)
		}
	}
	for _, s := range refusedFloats {
		if got, ok := ParseFloat([]byte(s)); ok {
			t.Errorf("ParseFloat(%q) = %v, want a refusal", s, got)
		}
	}
	if f, ok := ParseFloat([]byte("-0")); !ok || !math.Signbit(f) {
		t.Errorf("ParseFloat(-0) = %v, %v", f, ok)
	}
}

var refusedFloats = []string{"", " ", "1 ", " 1", "nan", "NaN", "-nan", "nan(1)", ".", "e5", "1e", "1e+", "0x", "0x.", "0xp1",
	"1_000", "0x_1p0", "1p3", "infi", "infinityy", "--1", "+-1", "1e99999", "-1e99999", "1e-99999", "1,5", "1\x00", "\n1", "abc"}

func TestAppendFloat(t *testing.T) {
	cases := map[float64]string{
		0: "0", 1: "1", -1: "-1", .1: "0.1", 1.5: "1.5", 3.14159: "3.14159", 1e17: "100000000000000000",
		1e18: "1000000000000000000", 4e18: "4000000000000000000", 5e18: "5e+18", 1e19: "1e+19",
		1.2345e22: "1.2345e+22", 1e300: "1e+300", 1e-5: "0.00001", 1.5e-7: "1.5e-7", 1e-7: "1e-7", 1e-6: "0.000001",
		123456.789e-10: "1.23456789e-5", 1e-300: "1e-300", 5e-324: "5e-324", math.MaxFloat64: "1.7976931348623157e+308",
		0.30000000000000004: "0.30000000000000004", math.Inf(1): "inf", math.Inf(-1): "-inf",
	}
	for f, want := range cases {
		if got := string(AppendFloat(nil, f)); got != want {
			t.Errorf("AppendFloat(%v) = %q, want %q", f, got, want)
		}
	}
	if got := string(AppendFloat(nil, math.Copysign(0, -1))); got != "-0" {
		t.Errorf("AppendFloat(-0) = %q", got)
	}
	if got := string(AppendFloat(nil, math.NaN())); got != "nan" {
		t.Errorf("AppendFloat(NaN) = %q", got)
	}
}

func TestAppendFloatReadsBack(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 200_000 {
		f := math.Float64frombits(rng.Uint64())
		if math.IsNaN(f) {
			continue
		}
		text := AppendFloat(nil, f)
		if got, ok := ParseFloat(text); !ok || got != f {
			t.Fatalf("AppendFloat(%v) = %q, which reads as %v, %v", f, text, got, ok)
		}
	}
}

func TestExtended(t *testing.T) {
	cases := []struct{ a, b, want string }{
		{"10.5", "0.1", "10.6"}, {"0.1", "0.2", "0.3"}, {"5.0e3", "2.0e2", "5200"}, {"3", "-3", "0"}, {"-0", "-0", "0"},
		{"1e17", "0.1", "100000000000000000.1015625"}, {"1.1", "-1.1", "0"}, {"-1e-20", "0", "0"}, {"0x10", "0.5", "16.5"},
		{"9223372036854775807", "1", "9223372036854775808"}, {"1e-17", "0", "0.00000000000000001"},
		{"99999999999999999999", "1", "100000000000000000000"},
	}
	for _, c := range cases {
		a, okA := ParseExtended([]byte(c.a))
		b, okB := ParseExtended([]byte(c.b))
		sum, ok := a.Add(b)
		if got := string(sum.Append(nil)); !okA || !okB || !ok || got != c.want {
			t.Errorf("%s + %s = %s (%v %v %v), want %s", c.a, c.b, got, okA, okB, ok, c.want)
		}
	}
	if got := string(ExtendedInt(math.MinInt64).Append(nil)); got != "-9223372036854775808" {
		t.Errorf("ExtendedInt(min) = %s", got)
	}
	if got := string(Extended{}.Append([]byte("x"))); got != "x0" {
		t.Errorf("zero value = %s", got)
	}
}

func TestExtendedRefusals(t *testing.T) {
	for _, s := range refusedFloats {
		if x, ok := ParseExtended([]byte(s)); ok {
			t.Errorf("ParseExtended(%q) = %s, want a refusal", s, x.Append(nil))
		}
	}
	for _, s := range []string{"1.18973149535723176502e4932", "3.7e-4951", "-1e4932"} {
		if _, ok := ParseExtended([]byte(s)); !ok {
			t.Errorf("ParseExtended(%q) refused", s)
		}
	}
	for _, s := range []string{"1.2e4932", "1e-4952", "0x1p16384", "0x1p-16446"} {
		if _, ok := ParseExtended([]byte(s)); ok {
			t.Errorf("ParseExtended(%q) accepted", s)
		}
	}
	most, _ := ParseExtended([]byte("1.18973149535723176502e4932"))
	if _, ok := most.Add(most); ok {
		t.Error("a sum beyond the range was not refused")
	}
	inf, ok := ParseExtended([]byte("-inf"))
	if !ok || !inf.IsInf() || string(inf.Append(nil)) != "-inf" {
		t.Errorf("-inf reads as %s, %v", inf.Append(nil), ok)
	}
	if _, ok := inf.Add(ExtendedInt(1)); ok {
		t.Error("-inf + 1 was not refused")
	}
}

func TestScalingPower(t *testing.T) {
	for exp := -1137; exp <= 960; exp++ {
		power, k := scalingPower(exp)
		if e := exp + power.exp + 64; e < minScaled || e > -32 {
			t.Fatalf("exponent %d: 10^%d scales to %d", exp, k, e)
		}
		if k > firstPower && exp+(((k-powerStep)*217706)>>16-63)+64 >= minScaled {
			t.Fatalf("exponent %d: 10^%d is not the smallest", exp, k)
		}
	}
}

func BenchmarkAppendFloat(b *testing.B) {
	var buf [32]byte
	for b.Loop() {
		AppendFloat(buf[:0], 1234.56789)
	}
}

func BenchmarkIncrByFloat(b *testing.B) {
	var buf [64]byte
	for b.Loop() {
		x, _ := ParseExtended([]byte("10.50"))
		y, _ := ParseExtended([]byte("0.1"))
		sum, _ := x.Add(y)
		sum.Append(buf[:0])
	}
}

// FuzzFloats feeds the readers anything: what they accept they must print, and
// read again as the same value.
func FuzzFloats(f *testing.F) {
	for _, s := range []string{"1.5", "0x1.8p3", "-inf", "1e4932", "3.7e-4951", "1e-400", ".5e+3", "0x.p1", "nan"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		d, okD := ParseFloat(s)
		x, okX := ParseExtended(s)
		if okD && !okX && len(s) < maxExtendedLen {
			t.Fatalf("%q is a double, but no extended double", s)
		}
		if okD {
			if again, ok := ParseFloat(AppendFloat(nil, d)); !ok || again != d {
				t.Fatalf("%q: %v is printed as %s", s, d, AppendFloat(nil, d))
			}
		}
		if okX {
			text := x.Append(nil)
			again, ok := ParseExtended(text)
			if !ok || string(again.Append(nil)) != string(text) {
				t.Fatalf("%q is printed as %s and read again as %s", s, text, again.Append(nil))
			}
		}
	})
}
