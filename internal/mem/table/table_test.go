package table

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/mem/arena"
)

// random prints its seed in every test that uses it; LARDER_SEED repeats a run.
func random(t testing.TB) *rand.Rand {
	s := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("LARDER_SEED=%d", s)
	return newRand(s)
}

func newRand(s uint64) *rand.Rand { return rand.New(rand.NewPCG(s, 1)) }

// content is what the model knows of a record.
type content struct {
	value  []byte
	expiry int64
	kind   byte
	flags  byte
	clock  uint32
}

// model is a table beside a Go map that should hold the same.
type model struct {
	testing.TB
	a    *arena.Arena
	t    Table
	want map[string]content
	rnd  *rand.Rand
	keys int // how many keys there are to choose from
}

func newModel(tb testing.TB, o Options, keys int, rnd *rand.Rand) *model {
	a := arena.New()
	tb.Cleanup(a.Reset)
	return &model{TB: tb, a: a, t: New(a, o), want: map[string]content{}, rnd: rnd, keys: keys}
}

func (m *model) hash(key []byte) uint64 { return Hash(m.t.o.Seed, key) }

func (m *model) key() []byte {
	n := m.rnd.IntN(m.keys)
	switch n % 7 {
	case 0:
		return fmt.Appendf(nil, "%d:%s", n, bytes.Repeat([]byte{'k'}, n%300))
	case 1:
		if n == 1 {
			return nil
		}
		return strconv.AppendInt(nil, int64(n), 36)
	default:
		return fmt.Appendf(nil, "key:%07d", n)
	}
}

func (m *model) value() []byte {
	n := m.rnd.IntN(40)
	switch m.rnd.IntN(50) {
	case 0:
		n = m.rnd.IntN(20000)
	case 1, 2, 3:
		n = 100 + m.rnd.IntN(200)
	}
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(m.rnd.Uint32())
	}
	return v
}

func (m *model) expiry() int64 {
	if m.rnd.IntN(3) > 0 {
		return 0
	}
	return 1 + m.rnd.Int64N(1<<50)
}

// same compares a record with what the model knows.
func (m *model) same(e *Entry, c content) {
	m.Helper()
	if !bytes.Equal(e.Value(), c.value) || e.Expiry() != c.expiry || e.Kind() != c.kind || e.Clock() != c.clock ||
		e.rec[0]&(FlagLarge|FlagA|FlagB) != c.flags {
		m.Fatalf("key %q: value of %d bytes (want %d), expiry %d (%d), kind %d (%d), clock %d (%d)", e.Key(),
			len(e.Value()), len(c.value), e.Expiry(), c.expiry, e.Kind(), c.kind, e.Clock(), c.clock)
	}
}

// find positions e and compares presence with the model's.
func (m *model) find(key []byte, e *Entry) bool {
	m.Helper()
	c, want := m.want[string(key)]
	got := m.t.Find(m.hash(key), key, e)
	if got != want {
		m.Fatalf("Find(%q) = %v, want %v", key, got, want)
	}
	if got {
		m.same(e, c)
	}
	return got
}

func (m *model) put(key []byte) {
	var e Entry
	value := m.value()
	if m.find(key, &e) {
		c := m.want[string(key)]
		if c.kind == Bare {
			value = nil
		}
		c.value = value
		copy(e.SetLen(len(value)), value)
		m.want[string(key)] = c
		m.same(&e, c)
		return
	}
	c := content{value: value, expiry: m.expiry(), kind: byte(m.rnd.IntN(int(Bare)))}
	if m.rnd.IntN(4) == 0 {
		c.kind, c.value, value = Bare, nil, nil
	}
	m.t.Insert(m.hash(key), key, len(value), c.expiry, c.kind, &e)
	copy(e.Value(), value)
	m.want[string(key)] = c
	m.same(&e, c)
	m.find(key, &e)
}

func (m *model) del(key []byte) {
	var e Entry
	if m.find(key, &e) {
		e.Delete()
		delete(m.want, string(key))
		m.find(key, &e)
	}
}

// edit changes a record in one of the ways there are.
func (m *model) edit(key []byte) {
	var e Entry
	if !m.find(key, &e) {
		return
	}
	c := m.want[string(key)]
	way := m.rnd.IntN(7)
	if c.kind == Bare && (way == 1 || way == 2 || way == 3 || way == 6) {
		way = 0 // nothing else may change
	}
	switch way {
	case 0:
		c.expiry = m.expiry()
		e.SetExpiry(c.expiry)
	case 1:
		n := len(c.value) + m.rnd.IntN(30) - 10
		n = max(n, 0)
		old := bytes.Clone(c.value)
		v := e.SetLen(n)
		if k := min(len(old), n); !bytes.Equal(v[:k], old[:k]) || len(v) != n {
			m.Fatalf("SetLen(%d) of %d bytes lost bytes", n, len(old))
		}
		c.value = m.fill(v, len(old), n)
	case 2:
		m.splice(&e, &c)
	case 3:
		c.kind = byte(m.rnd.IntN(int(Bare)))
		e.SetKind(c.kind)
	case 4:
		f := FlagLarge << m.rnd.IntN(3)
		on := m.rnd.IntN(2) == 0
		e.SetFlag(f, on)
		c.flags &^= f
		if on {
			c.flags |= f
		}
	case 6:
		c = content{value: m.value(), expiry: m.expiry(), kind: byte(m.rnd.IntN(int(Bare))), clock: c.clock}
		copy(e.Replace(c.kind, len(c.value), c.expiry), c.value)
	case 5:
		if m.t.o.Keyspace {
			c.clock = m.rnd.Uint32() & (1<<24 - 1)
		}
		e.SetClock(c.clock | m.rnd.Uint32()<<24)
	}
	m.want[string(key)] = c
	m.same(&e, c)
	m.find(key, &e)
}

// fill writes random bytes to v[from:to] and returns a copy of v.
func (m *model) fill(v []byte, from, to int) []byte {
	for i := from; i < to; i++ {
		v[i] = byte(m.rnd.Uint32())
	}
	return bytes.Clone(v)
}

func (m *model) splice(e *Entry, c *content) {
	off := m.rnd.IntN(len(c.value) + 1)
	del := m.rnd.IntN(len(c.value) - off + 1)
	ins := m.rnd.IntN(60)
	if m.rnd.IntN(20) == 0 {
		ins = m.rnd.IntN(300)
	}
	old := bytes.Clone(c.value)
	v := e.Splice(off, del, ins)
	if len(v) != len(old)-del+ins || !bytes.Equal(v[:off], old[:off]) || !bytes.Equal(v[off+ins:], old[off+del:]) {
		m.Fatalf("Splice(%d, %d, %d) of %d bytes lost bytes", off, del, ins, len(old))
	}
	c.value = m.fill(v, off, off+ins)
}

// check verifies table, arena and the whole content.
func (m *model) check() {
	m.Helper()
	if err := m.t.Check(); err != nil {
		m.Fatal(err)
	}
	if err := m.a.Check(); err != nil {
		m.Fatal(err)
	}
	expires := 0
	for _, c := range m.want {
		if c.expiry != 0 {
			expires++
		}
	}
	if m.t.Len() != len(m.want) || m.t.Expiring() != expires {
		m.Fatalf("Len %d, want %d; Expiring %d, want %d", m.t.Len(), len(m.want), m.t.Expiring(), expires)
	}
	seen := 0
	m.t.Each(func(e *Entry) bool {
		c, ok := m.want[string(e.Key())]
		if !ok {
			m.Fatalf("Each passed %q", e.Key())
		}
		m.same(e, c)
		seen++
		return true
	})
	if got := int64(m.t.Bytes()); got != m.a.Stats().Live {
		m.Fatalf("Bytes() = %d, the arena has %d live", got, m.a.Stats().Live)
	}
	if seen != len(m.want) {
		m.Fatalf("Each passed %d of %d records", seen, len(m.want))
	}
}

func (m *model) compact() {
	for cursor := m.t.Compact(0, 100, nil); cursor != 0; {
		cursor = m.t.Compact(cursor, 1+m.rnd.IntN(500), func(e *Entry) { m.same(e, m.want[string(e.Key())]) })
	}
}

func (m *model) expire() {
	limit := m.rnd.Int64N(1 << 50)
	for cursor := m.t.ScanExpiring(0, 10, m.expireBefore(limit)); cursor != 0; {
		cursor = m.t.ScanExpiring(cursor, 1+m.rnd.IntN(100), m.expireBefore(limit))
	}
	for key, c := range m.want {
		if c.expiry != 0 && c.expiry < limit {
			m.Fatalf("%q should have expired", key)
		}
	}
}

func (m *model) expireBefore(limit int64) func(e *Entry) bool {
	return func(e *Entry) bool {
		m.same(e, m.want[string(e.Key())])
		if e.Expiry() == 0 {
			m.Fatalf("%q does not expire", e.Key())
		}
		if e.Expiry() >= limit {
			return false
		}
		delete(m.want, string(e.Key()))
		e.Delete()
		return true
	}
}

// reload sends the table through its root cell.
func (m *model) reload() {
	root := m.a.Alloc(RootSize)
	m.t.Save(root)
	m.t = Load(m.a, root, m.t.o)
	m.a.Free(root)
}

func (m *model) step(grow int) {
	switch p := m.rnd.IntN(100); {
	case p < grow:
		m.put(m.key())
	case p < 90:
		m.del(m.key())
	default:
		m.edit(m.key())
	}
}

func TestRandomOperations(t *testing.T) {
	rnd := random(t)
	for _, c := range []struct {
		o    Options
		keys int
		ops  int
	}{
		{Options{Seed: 1}, 5, 2000},
		{Options{Seed: 2, Keyspace: true}, 40, 5000},
		{Options{Seed: 3, Stagger: 3}, 800, 20000},
		{Options{Seed: 4, Stagger: 9, Keyspace: true}, 20000, 150000},
	} {
		t.Run(strconv.Itoa(c.keys), func(t *testing.T) {
			m := newModel(t, c.o, c.keys, rnd)
			for done := 0; done < c.ops; {
				grow := []int{5, 40, 60, 85, 89}[rnd.IntN(5)]
				for range c.ops / 20 {
					m.step(grow)
					done++
				}
				switch rnd.IntN(5) {
				case 0:
					m.compact()
				case 1:
					m.expire()
				case 2:
					m.reload()
				}
				m.check()
			}
			m.drain()
		})
	}
}

// drain deletes everything, and expects that nothing stays behind in the arena.
func (m *model) drain() {
	m.Helper()
	if m.rnd.IntN(2) == 0 {
		for key := range m.want {
			m.del([]byte(key))
		}
	} else {
		for left := m.t.Len(); !m.t.FreeStep(100); left = m.t.Len() {
			if m.t.Len() >= left {
				m.Fatal("FreeStep freed nothing")
			}
		}
		clear(m.want)
	}
	m.check()
	if s := m.a.Stats(); s.Cells != 0 || s.Live != 0 {
		m.Fatalf("an empty table holds %d cells of %d bytes", s.Cells, s.Live)
	}
}

func TestDeletingNineOfTenGivesMemoryBack(t *testing.T) {
	m := newModel(t, Options{Seed: 9}, 1<<30, random(t))
	var e Entry
	key := func(i int) []byte { return fmt.Appendf(nil, "key:%07d", i) }
	const n = 50000
	for i := range n {
		m.t.Insert(m.hash(key(i)), key(i), 10, 0, 0, &e)
	}
	depth, segments := m.t.depth, m.segments()
	full := m.a.Stats()
	for i := range n {
		if i%10 != 0 {
			if !m.t.Find(m.hash(key(i)), key(i), &e) {
				t.Fatalf("%s is missing", key(i))
			}
			e.Delete()
		}
	}
	if err := m.t.Check(); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		for cursor := m.t.Compact(0, 1000, nil); cursor != 0; {
			cursor = m.t.Compact(cursor, 1000, nil)
		}
	}
	after := m.a.Stats()
	t.Logf("%d segments at depth %d, then %d at %d; slabs %d then %d, live %d",
		segments, depth, m.segments(), m.t.depth, full.Slabs, after.Slabs, after.Live)
	if m.t.depth >= depth || m.segments()*3 > segments {
		t.Fatalf("%d of %d segments are left, depth %d of %d", m.segments(), segments, m.t.depth, depth)
	}
	if after.Slabs*10 > full.Slabs*2 {
		t.Fatalf("%d of %d bytes in slabs are left for a tenth of the records", after.Slabs, full.Slabs)
	}
	if err := m.t.Check(); err != nil {
		t.Fatal(err)
	}
}

func (m *model) segments() (n int) {
	m.t.walk(func(position, word) bool { n++; return true })
	return n
}
