package hll

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func random(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestSelf(t *testing.T) {
	if err := SelfTest(rand.Uint64()); err != nil {
		t.Error(err)
	}
}

// What redis-server 7.0 made of these elements (PFDEBUG DECODE).
func TestLocate(t *testing.T) {
	for element, want := range map[string][2]int{
		"": {5938, 2}, "a": {12711, 2}, "abcdefg": {5634, 2}, "abcdefgh": {1383, 1}, "0123456789abcdef0": {16236, 1},
	} {
		if index, rank := locate([]byte(element)); index != want[0] || int(rank) != want[1] {
			t.Errorf("%q: register %d, rank %d, want %v", element, index, rank, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	p := AppendEmpty([]byte("xy"))
	if got := hex.EncodeToString(p); got != "7879"+"48594c4c"+"01000000"+"0000000000000000"+"7fff" {
		t.Error(got)
	}
	p = p[2:]
	if n, ok := Cached(p); n != 0 || !ok || !Is(p) || !Sound(p) || !IsSparse(p) {
		t.Error(n, ok)
	}
	if n, ok := Estimate(p); n != 0 || !ok {
		t.Error(n, ok)
	}
}

func TestCache(t *testing.T) {
	p := AppendEmpty(nil)
	SetCached(p, 1<<62+5)
	if n, ok := Cached(p); n != 1<<62+5 || !ok {
		t.Error(n, ok)
	}
	Invalidate(p)
	if _, ok := Cached(p); ok {
		t.Error("still valid")
	}
	SetCached(p, 7)
	if n, ok := Cached(p); n != 7 || !ok {
		t.Error(n, ok)
	}
}

// Registers set in any order are the model's, the runs are sound, and what comes out of the
// dense form is the same.
func TestSparseAgainstRegisters(t *testing.T) {
	r := random(t)
	for range 150 {
		var want Union
		s := editor{p: AppendEmpty(nil), limit: 500 + r.IntN(3000), at: headerLen}
		near := r.IntN(Registers)
		for range r.IntN(1500) {
			index := r.IntN(Registers)
			if r.IntN(3) > 0 { // neighbours, whose runs are joined
				index = (near + r.IntN(60)) % Registers
			}
			rank := uint8(1 + r.IntN(4))
			did := s.set(index, rank)
			if did == tooLarge {
				if len(s.p) > s.limit || len(s.p) < s.limit-3 {
					t.Fatalf("%d bytes of %d do not fit", len(s.p), s.limit)
				}
				break
			}
			if (did == raised) != (rank > want[index]) || did == corrupt {
				t.Fatalf("register %d from %d to %d: %v", index, want[index], rank, did)
			}
			want[index] = max(want[index], rank)
		}
		if !Sound(s.p) {
			t.Fatal("not sound")
		}
		if *Ranks(s.p) != want || *Ranks(Dense(nil, s.p)) != want {
			t.Fatal("other registers than were set")
		}
		a, _ := Estimate(s.p)
		b, _ := Estimate(Dense(nil, s.p))
		if a != b || a != want.Estimate() {
			t.Fatal("estimates differ: ", a, b, want.Estimate())
		}
	}
}

func TestRankTooHigh(t *testing.T) {
	s := editor{p: AppendEmpty(nil), limit: 3000, at: headerLen}
	if s.set(5, maxSparse) != raised {
		t.Error("32 does not fit")
	}
	if s.set(5, maxSparse+1) != tooLarge {
		t.Error("33 fits")
	}
	var u Union
	u[5], u[16383] = 40, 1
	p := u.Store(s.p, 3000)
	if IsSparse(p) || len(p) != DenseLen || *Ranks(p) != u {
		t.Errorf("%d bytes", len(p))
	}
}

// Storing a union, in ascending order with one walk, gives the bytes that setting register
// after register from the start gives.
func TestStoreWalksOnce(t *testing.T) {
	r := random(t)
	for range 100 {
		base := AppendEmpty(nil)
		for range r.IntN(300) {
			base, _, _ = Add(base, strconv.AppendInt(nil, r.Int64(), 10), 3000)
		}
		var u Union
		near := r.IntN(Registers - 200)
		for range r.IntN(400) {
			u[near+r.IntN(200)] = uint8(1 + r.IntN(3))
			u[r.IntN(Registers)] = uint8(1 + r.IntN(3))
		}
		want := bytes.Clone(base)
		for index, rank := range u {
			if rank == 0 {
				continue
			}
			if !IsSparse(want) {
				setDense(want[headerLen:], index, rank)
				continue
			}
			s := editor{p: want, limit: 3000, at: headerLen}
			if s.set(index, rank) == tooLarge {
				s.p = s.promote(index, rank)
			}
			want = s.p
		}
		Invalidate(want)
		if got := u.Store(bytes.Clone(base), 3000); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	}
}

func TestErrors(t *testing.T) {
	for _, n := range []int{10, 1000, 20_000, 400_000} {
		p := AppendEmpty(nil)
		var u Union
		for i := range n {
			p, _, _ = Add(p, fmt.Appendf(nil, "element %d", i), 3000)
		}
		if !u.Merge(p) {
			t.Fatal("corrupt")
		}
		got, ok := Estimate(p)
		if off := math.Abs(float64(got)/float64(n) - 1); !ok || off > 0.03 || u.Estimate() != got {
			t.Errorf("%d elements: %d, %d", n, got, u.Estimate())
		}
	}
}

func TestCorrupt(t *testing.T) {
	head := string(AppendEmpty(nil)[:headerLen])
	for registers, sound := range map[string]bool{
		"\x7f\xff": true, "": false, "\x7f": false, "\x7f\xfe": false, "\x7f\xfe\x00": true, "\x7f\xfe\x80": true,
		"\x7f\xff\x00": false, "\x7f\xff\x80": false, "\x7f\xfe\x81": false, "\x7f\xfd\x81": true, "\x00\x7f\xfe": true,
		"\x7f\xfehello": false, "\xff\x7f\xfb": true,
	} {
		p := []byte(head + registers)
		if !Is(p) || Sound(p) != sound {
			t.Errorf("%x: %v", registers, !sound)
		}
		var u Union
		if _, ok := Estimate(p); ok != sound || u.Merge(p) != sound {
			t.Errorf("%x: %v", registers, ok)
		}
	}
	for _, p := range []string{"", "HYLL", head[:15], "HYLX" + head[4:], "HYLL\x02" + head[5:], "HYLL\x00" + head[5:]} {
		if Is([]byte(p)) {
			t.Errorf("%q is a sketch", p)
		}
	}
	full := append([]byte("HYLL\x00"+head[5:]), bytes.Repeat([]byte{0xff}, DenseLen-headerLen)...)
	if n, ok := Estimate(full); n != 1<<63 || !ok {
		t.Error(n, ok)
	}
}

func FuzzRegisters(f *testing.F) {
	empty := AppendEmpty(nil)
	f.Add([]byte("\x7f\xff"), true, "a")
	f.Add([]byte("\xff\x7f\xfb"), true, "b")
	f.Add(bytes.Repeat([]byte{0xfe}, 50), false, "c")
	f.Fuzz(func(t *testing.T, registers []byte, runs bool, element string) {
		p := append(bytes.Clone(empty[:headerLen]), registers...)
		if !runs {
			p = append(p[:min(len(p), DenseLen)], make([]byte, DenseLen-min(len(p), DenseLen))...)
			p[encodeAt] = dense
		}
		if !Is(p) {
			t.Fatal("no header")
		}
		var u Union
		_, ok := Estimate(p)
		if merged := u.Merge(p); merged != ok || Sound(p) != ok {
			t.Fatal("sound or not?")
		}
		Runs(p[:headerLen+len(registers)%len(p[headerLen-1:])], func(int, int, int) {})
		q, changed, err := Add(bytes.Clone(p), []byte(element), 3000)
		if !ok {
			return
		}
		before, after := *Ranks(p), *Ranks(q)
		changed = changed == (before != after) && err == nil
		index, rank := locate([]byte(element))
		if before[index] = max(before[index], rank); !Sound(q) || after != before || !changed {
			t.Fatalf("%x became %x", p, q)
		}
		if stored := u.Store(p, 3000); !Sound(stored) || *Ranks(stored) != u {
			t.Fatalf("the union with itself is another: %x", stored)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{100, 1000, 100000} {
		p := AppendEmpty(nil)
		for i := range n {
			p, _, _ = Add(p, strconv.AppendInt(nil, int64(i), 10), 3000)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				Add(p, strconv.AppendInt(nil, int64(i%n), 10), 3000)
			}
		})
		b.Run(fmt.Sprint(n, "/estimate"), func(b *testing.B) {
			for b.Loop() {
				Estimate(p)
			}
		})
		b.Run(fmt.Sprint(n, "/merge"), func(b *testing.B) {
			var u Union
			for b.Loop() {
				u.Merge(p)
			}
		})
	}
}
