package arena

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// seed is printed by every random test; LARDER_SEED repeats a run.
func seed(t testing.TB) *rand.Rand {
	s := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("LARDER_SEED=%d", s)
	return rand.New(rand.NewPCG(s, 1))
}

func check(t testing.TB, a *Arena) {
	t.Helper()
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestClassesAreCloseAndOrdered(t *testing.T) {
	for k := range classes {
		size := int(classes[k].size)
		if classOf(size) != k {
			t.Fatalf("classOf(%d) = %d, want %d", size, classOf(size), k)
		}
		if size%granule != 0 {
			t.Fatalf("class %d has size %d", k, size)
		}
		if k+1 == numClasses {
			if size != maxCell {
				t.Fatalf("last class has %d bytes", size)
			}
			continue
		}
		next := int(classes[k+1].size)
		if classOf(size+1) != k+1 {
			t.Fatalf("classOf(%d) = %d, want %d", size+1, classOf(size+1), k+1)
		}
		if step := next - size; step > 4 && step*16 > size && size < maxSlab || step*8 > size && size >= maxSlab {
			t.Fatalf("from %d to %d", size, next)
		}
	}
	for n := 1; n <= 4096; n++ {
		if c := Capacity(n); c < n || n%64 == 0 && c%64 != 0 {
			t.Fatalf("Capacity(%d) = %d", n, c)
		}
	}
	for n := maxCell + 1; n < 1<<30; n += n / 7 {
		if c := Capacity(n); c < n || c > n+n/16+pageSize || c%pageSize != 0 || Capacity(c) != c {
			t.Fatalf("Capacity(%d) = %d", n, c)
		}
	}
}

func TestCellsAreWholeAlignedAndApart(t *testing.T) {
	a := New()
	defer a.Reset()
	for _, n := range []int{
		1, 4, 5, 63, 64, 100, 128, 192, 1000, 1088, 2112, 3840, 4096, 9000, 32768, 32769, 100000, maxCell, maxCell + 1,
	} {
		seen := map[Ref]bool{}
		for range 2 * chunkSize / min(Capacity(n), chunkSize) {
			r := a.Alloc(n)
			b := a.Bytes(r)
			if len(b) != Capacity(n) || cap(b) != len(b) || a.Size(r) != len(b) || len(b) < n || seen[r] || r == 0 {
				t.Fatalf("Alloc(%d) = %#x of %d bytes, cap %d", n, r, len(b), cap(b))
			}
			if place := int(r&0xffff) * granule; len(b)%64 == 0 && place%64 != 0 {
				t.Fatalf("cell of %d bytes at %d", len(b), place)
			}
			seen[r] = true
			for i := range b {
				b[i] = byte(n)
			}
		}
		check(t, a)
		for r := range seen {
			for _, v := range a.Bytes(r) {
				if v != byte(n) {
					t.Fatalf("a cell of %d bytes was written over", n)
				}
			}
		}
	}
}

func TestEverythingFreedGivesPagesBack(t *testing.T) {
	a := New()
	var refs []Ref
	for i := range 20000 {
		refs = append(refs, a.Alloc(i%3000+1))
	}
	if s := a.Stats(); s.Cells != 20000 || s.Live > s.Slabs || s.Slabs > s.Mapped || s.Resident > s.Mapped {
		t.Fatalf("%+v", s)
	}
	for _, r := range refs {
		a.Free(r)
	}
	check(t, a)
	if s := a.Stats(); s.Live != 0 || s.Cells != 0 || s.Slabs != 0 || s.Mapped > chunkSize || s.Resident > 17*pageSize {
		t.Fatalf("after freeing all: %+v", s)
	}
	a.Classes(func(c ClassStats) { t.Fatalf("a class is left: %+v", c) })
	a.Reset()
	if s := a.Stats(); s != (Stats{}) {
		t.Fatalf("after Reset: %+v", s)
	}
	a.Free(a.Alloc(10))
	check(t, a)
	a.Reset()
}

func TestRoomEndsInPanic(t *testing.T) {
	a := New()
	if want := int64(maxChunks-1) * chunkSize; a.Room() != want {
		t.Fatalf("Room() = %d, want %d", a.Room(), want)
	}
	a.chunks = make([]*chunk, maxChunks) // as if all numbers were in use
	if a.Room() != 0 {
		t.Fatalf("Room() = %d", a.Room())
	}
	defer func() {
		if recover() == nil {
			t.Fatal("Alloc without room returned")
		}
	}()
	a.Alloc(1)
}

// model is a set of cells with known content.
type model struct {
	a     *Arena
	rnd   *rand.Rand
	refs  []Ref
	stamp map[Ref]uint64
	next  uint64
}

func (m *model) alloc(n int) {
	r := m.a.Alloc(n)
	m.next++
	m.refs = append(m.refs, r)
	m.stamp[r] = m.next
	m.write(r, m.next)
}

func (m *model) write(r Ref, stamp uint64) {
	b := m.a.Bytes(r)
	if len(b) < 8 {
		binary.LittleEndian.PutUint32(b, uint32(stamp))
		return
	}
	binary.LittleEndian.PutUint64(b, stamp)
	binary.LittleEndian.PutUint64(b[len(b)-8:], stamp)
}

func (m *model) verify(r Ref) error {
	b, stamp := m.a.Bytes(r), m.stamp[r]
	if len(b) < 8 {
		if binary.LittleEndian.Uint32(b) != uint32(stamp) {
			return fmt.Errorf("cell %#x of %d bytes has lost its content", r, len(b))
		}
		return nil
	}
	if binary.LittleEndian.Uint64(b[len(b)-8:]) != stamp || len(b) >= 16 && binary.LittleEndian.Uint64(b) != stamp {
		return fmt.Errorf("cell %#x of %d bytes has lost its content", r, len(b))
	}
	return nil
}

func (m *model) free(i int) {
	r := m.refs[i]
	m.refs[i] = m.refs[len(m.refs)-1]
	m.refs = m.refs[:len(m.refs)-1]
	delete(m.stamp, r)
	m.a.Free(r)
}

// compact moves what Sparse names, and returns how many cells that were.
func (m *model) compact() (moved int) {
	for i, r := range m.refs {
		if m.a.Sparse(r) {
			to := m.a.Alloc(m.a.Size(r))
			copy(m.a.Bytes(to), m.a.Bytes(r))
			m.a.Free(r)
			m.stamp[to] = m.stamp[r]
			if to != r {
				delete(m.stamp, r)
			}
			m.refs[i] = to
			moved++
		}
	}
	return moved
}

func (m *model) size() int {
	switch m.rnd.IntN(20) {
	case 0:
		return 1 + m.rnd.IntN(200<<10)
	case 1, 2:
		return 1 + m.rnd.IntN(10<<10)
	default:
		return 1 + m.rnd.IntN(300)
	}
}

func TestRandomOperations(t *testing.T) {
	m := &model{a: New(), rnd: seed(t), stamp: map[Ref]uint64{}}
	defer m.a.Reset()
	for round := range 60 {
		grow := m.rnd.IntN(100)
		for range 1000 {
			switch p := m.rnd.IntN(100); {
			case len(m.refs) == 0 || p < grow:
				m.alloc(m.size())
			default:
				i := m.rnd.IntN(len(m.refs))
				if err := m.verify(m.refs[i]); err != nil {
					t.Fatal(err)
				}
				m.free(i)
			}
		}
		if m.rnd.IntN(4) == 0 {
			m.compact()
		}
		if err := m.a.Check(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for _, r := range m.refs {
			if err := m.verify(r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCompactionEmptiesSparseSlabs(t *testing.T) {
	m := &model{a: New(), rnd: seed(t), stamp: map[Ref]uint64{}}
	defer m.a.Reset()
	for range 40000 {
		m.alloc(16 + 4*m.rnd.IntN(8))
	}
	full := m.a.Stats()
	for range 30000 {
		m.free(m.rnd.IntN(len(m.refs)))
	}
	before := m.a.Stats()
	passes := 0
	for m.compact() > 0 {
		passes++
		check(t, m.a)
		if passes > 30 {
			t.Fatal("compaction does not settle")
		}
	}
	after := m.a.Stats()
	t.Logf("slabs: full %d, after deletes %d, after %d passes %d (live %d), resident %d",
		full.Slabs, before.Slabs, passes, after.Slabs, after.Live, after.Resident)
	if after.Live != before.Live || after.Cells != 10000 {
		t.Fatalf("compaction changed what lives: %+v, then %+v", before, after)
	}
	if after.Slabs > after.Live*5/4+64<<10 {
		t.Fatalf("%d bytes in slabs for %d live", after.Slabs, after.Live)
	}
	for _, r := range m.refs {
		if err := m.verify(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindRun(t *testing.T) {
	for _, c := range []struct {
		free       uint64
		n, longest int
		first      int
	}{
		{^uint64(0), 64, 64, 0},
		{^uint64(0), 1, 64, 0},
		{0b0110_1110, 1, 3, 1},
		{0b0110_1110, 3, 3, 1},
		{0b0110_1110, 2, 3, 1},
		{0b1111_0110_0001, 4, 4, 8},
		{1 << 63, 1, 1, 63},
		{mask(32, 32), 31, 32, 32},
	} {
		if got := longestRun(c.free); got != c.longest {
			t.Errorf("longestRun(%b) = %d, want %d", c.free, got, c.longest)
		}
		if got := findRun(c.free, c.n); got != c.first {
			t.Errorf("findRun(%b, %d) = %d, want %d", c.free, c.n, got, c.first)
		}
	}
}

func TestWhole(t *testing.T) {
	for _, c := range []struct {
		x    uint64
		n    int
		want uint64
	}{
		{^uint64(0), 64, ^uint64(0)},
		{^uint64(0) - 1, 64, 0},
		{0b1011_1111_0111_1111, 4, 0b1111_0000_1111},
		{0b1011_1111_0111_1111, 1, 0b1011_1111_0111_1111},
		{0xf << 60, 4, 0xf << 60},
	} {
		if got := whole(c.x, c.n); got != c.want {
			t.Errorf("whole(%b, %d) = %b, want %b", c.x, c.n, got, c.want)
		}
	}
}

func FuzzArena(f *testing.F) {
	f.Add([]byte{0, 1, 2, 200, 3, 255, 0, 9, 128, 7})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := &model{a: New(), rnd: rand.New(rand.NewPCG(1, 1)), stamp: map[Ref]uint64{}}
		defer m.a.Reset()
		for len(ops) >= 3 {
			op, n := ops[0], int(binary.LittleEndian.Uint16(ops[1:]))
			ops = ops[3:]
			switch {
			case op < 100:
				m.alloc(n>>(op%8) + 1)
			case op < 140:
				m.alloc(n*4 + 1)
			case op < 240 && len(m.refs) > 0:
				i := n % len(m.refs)
				if err := m.verify(m.refs[i]); err != nil {
					t.Fatal(err)
				}
				m.free(i)
			default:
				m.compact()
			}
		}
		check(t, m.a)
		for _, r := range m.refs {
			if err := m.verify(r); err != nil {
				t.Fatal(err)
			}
		}
	})
}
