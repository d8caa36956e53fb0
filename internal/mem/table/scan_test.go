package table

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
)

func numbered(i int) []byte { return fmt.Appendf(nil, "key:%07d", i) }

// putNumbered makes sure that key i is there.
func (m *model) putNumbered(i int, expiry int64) {
	var e Entry
	key := numbered(i)
	if !m.t.Find(m.hash(key), key, &e) {
		m.t.Insert(m.hash(key), key, 0, expiry, 0, &e)
		m.want[string(key)] = content{value: []byte{}, expiry: expiry}
	}
}

func TestScanWithoutChangesPassesEachRecordOnce(t *testing.T) {
	for _, n := range []int{0, 1, 9, 11, 200, 431, 5000, 30000} {
		m := newModel(t, Options{Seed: uint64(n), Stagger: n}, 1, random(t))
		for i := range n {
			m.putNumbered(i, 0)
		}
		seen := map[string]int{}
		for cursor, last := uint64(0), uint64(0); cursor != 0 || last == 0; last = cursor {
			cursor = m.t.Scan(cursor, func(e *Entry) { seen[string(e.Key())]++ })
			if cursor >= CursorEnd {
				t.Fatalf("cursor %#x", cursor)
			}
			if cursor == 0 {
				break
			}
			if cursor == last {
				t.Fatalf("the scan stands still at %#x", cursor)
			}
		}
		if len(seen) != n {
			t.Fatalf("%d of %d records were passed", len(seen), n)
		}
		for key, times := range seen {
			if times != 1 {
				t.Fatalf("%q was passed %d times", key, times)
			}
		}
	}
}

// Keys below stable are there all the time; others come and go, thousands between two calls, so that segments split,
// merge and are rebuilt and the directory doubles and halves under the scan.
func TestScanMissesNothingWhileTheTableChanges(t *testing.T) {
	rnd := random(t)
	for round := range 40 {
		stable := []int{5, 50, 500, 3000}[round%4]
		m := newModel(t, Options{Seed: rnd.Uint64(), Stagger: round}, 1, rnd)
		for i := range stable {
			m.putNumbered(i, 0)
		}
		churn := stable * (1 + rnd.IntN(20))
		pulse := 1 + rnd.IntN(churn/2)
		seen := map[string]bool{}
		steps, growing := 0, true
		for cursor, first := uint64(0), true; cursor != 0 || first; first = false {
			cursor = m.t.Scan(cursor, func(e *Entry) { seen[string(e.Key())] = true })
			if steps++; steps > 200000 {
				t.Fatal("the scan does not end")
			}
			if rnd.IntN(20) > 0 {
				continue
			}
			if m.t.Len() > stable+churn {
				growing = false
			} else if m.t.Len() < stable+churn/10 {
				growing = true
			}
			for range pulse {
				i := stable + rnd.IntN(2*churn)
				if growing {
					m.putNumbered(i, 0)
				} else {
					m.delNumbered(i)
				}
			}
			if rnd.IntN(10) == 0 {
				m.t.Compact(0, 1000, nil)
			}
		}
		for i := range stable {
			if !seen[string(numbered(i))] {
				t.Fatalf("round %d: %s was there all the time and was not passed in %d steps", round, numbered(i), steps)
			}
		}
		if err := m.t.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *model) delNumbered(i int) {
	var e Entry
	key := numbered(i)
	if m.t.Find(m.hash(key), key, &e) {
		e.Delete()
		delete(m.want, string(key))
	}
}

func TestAnyNumberIsACursor(t *testing.T) {
	rnd := random(t)
	m := newModel(t, Options{Seed: 7}, 1, rnd)
	for i := range 3000 {
		m.putNumbered(i, int64(i%2))
	}
	for range 3000 {
		start := rnd.Uint64() >> rnd.IntN(64)
		steps := 0
		for cursor := start; ; {
			if cursor = m.t.Scan(cursor, func(*Entry) {}); cursor == 0 {
				break
			}
			if steps++; steps > 10000 || cursor >= CursorEnd {
				t.Fatalf("from %#x: step %d at %#x", start, steps, cursor)
			}
			if steps > 3 && rnd.IntN(10) == 0 {
				break
			}
		}
		if next := m.t.ScanExpiring(start, 10, func(*Entry) bool { return false }); next >= CursorEnd {
			t.Fatalf("ScanExpiring(%#x) = %#x", start, next)
		}
		if next := m.t.EachBucket(start, 3, func(arena.Ref) {}); next >= CursorEnd {
			t.Fatalf("EachBucket(%#x) = %#x", start, next)
		}
		if next := m.t.Compact(start, 10, nil); next >= CursorEnd {
			t.Fatalf("Compact(%#x) = %#x", start, next)
		}
	}
}

func TestCursorRoundTrip(t *testing.T) {
	for d := uint(0); d <= maxDepth; d++ {
		for _, prefix := range []uint64{0, 1, 1<<d - 1, 1 << d >> 1} {
			if prefix >= 1<<d {
				continue
			}
			want := position{prefix: prefix << (64 - d), depth: d, bound: 0xabcd}
			if got := decode(want.encode()); got != want || want.encode() >= CursorEnd || want.encode() == 0 {
				t.Fatalf("%+v became %#x and %+v", want, want.encode(), got)
			}
		}
	}
}

func TestScanMayDelete(t *testing.T) {
	m := newModel(t, Options{Seed: 3}, 1, random(t))
	for i := range 20000 {
		m.putNumbered(i, 0)
	}
	left := 20000
	for cursor, first := uint64(0), true; cursor != 0 || first; first = false {
		cursor = m.t.Scan(cursor, func(e *Entry) {
			delete(m.want, string(e.Key()))
			e.Delete()
			left--
		})
	}
	if left != 0 || m.t.Len() != 0 {
		t.Fatalf("%d records are left, Len %d", left, m.t.Len())
	}
	m.check()
	if s := m.a.Stats(); s.Cells != 0 {
		t.Fatalf("%d cells are left", s.Cells)
	}
}

func TestScanExpiringPassesOnlyAndAllThatExpire(t *testing.T) {
	rnd := random(t)
	for _, every := range []int{1, 3, 100, 5000} {
		m := newModel(t, Options{Seed: 3}, 1, rnd)
		for i := range 20000 {
			if i%every == 0 {
				m.putNumbered(i, int64(i+1))
			} else {
				m.putNumbered(i, 0)
			}
		}
		seen := map[string]int{}
		calls := 0
		for cursor, first := uint64(0), true; cursor != 0 || first; first = false {
			n := 0
			cursor = m.t.ScanExpiring(cursor, 20, func(e *Entry) bool {
				seen[string(e.Key())]++
				n++
				return false
			})
			if calls++; n > 20+slots || calls > 30000 {
				t.Fatalf("%d records in one call, %d calls", n, calls)
			}
		}
		if len(seen) != m.t.Expiring() {
			t.Fatalf("%d of %d expiring records were passed", len(seen), m.t.Expiring())
		}
		for key, times := range seen {
			if times != 1 || m.want[key].expiry == 0 {
				t.Fatalf("%q was passed %d times, expiry %d", key, times, m.want[key].expiry)
			}
		}
	}
}

// A snapshot by epochs: what the walk writes and what the hook writes before changes must together be the content at
// the cut, every record once.
func TestBeforeChangeMakesSnapshotsExact(t *testing.T) {
	rnd := random(t)
	for round := range 12 {
		m := newModel(t, Options{Seed: rnd.Uint64(), Keyspace: true, Stagger: round}, 4000, rnd)
		for range 3000 * (round % 4) {
			m.put(m.key())
		}
		cut := maps.Clone(m.want)
		written := map[string][]byte{}
		epoch := uint16(round + 1)
		m.t.StartEpoch(epoch)
		write := func(bucket arena.Ref) {
			if m.t.Epoch(bucket) == epoch {
				return
			}
			m.t.EachIn(bucket, func(e *Entry) {
				if _, twice := written[string(e.Key())]; twice {
					t.Fatalf("%q was written twice", e.Key())
				}
				written[string(e.Key())] = bytes.Clone(e.Value())
			})
			m.t.SetEpoch(bucket, epoch)
		}
		m.t.BeforeChange = write
		grow := []int{5, 45, 85}[round%3]
		for cursor, first := uint64(0), true; cursor != 0 || first; first = false {
			cursor = m.t.EachBucket(cursor, 1+rnd.IntN(5), write)
			for range rnd.IntN(60) {
				m.step(grow)
			}
			if rnd.IntN(50) == 0 {
				m.compact()
			}
		}
		if len(written) != len(cut) {
			t.Fatalf("%d records were written, %d were there", len(written), len(cut))
		}
		for key, c := range cut {
			if !bytes.Equal(written[key], c.value) {
				t.Fatalf("%q was written with another value than it had", key)
			}
		}
		m.check()
	}
}

func TestRandomIsUniform(t *testing.T) {
	rnd := random(t)
	for _, n := range []int{1, 7, 300, 2500} {
		m := newModel(t, Options{Seed: rnd.Uint64()}, 1, rnd)
		for i := range 4 * n {
			m.putNumbered(i, 0)
		}
		var keys []string
		for i := range 4 * n { // in a part of the hashes few stay, so that segments differ in depth and size
			if h := m.hash(numbered(i)); i == 0 || i%4 == 0 && h>>62 != 1 || i%40 == 0 {
				keys = append(keys, string(numbered(i)))
			} else {
				m.delNumbered(i)
			}
		}
		const each = 400
		hits := map[string]int{}
		var e Entry
		for range each * len(keys) {
			if !m.t.Random(rnd.Uint64(), &e) {
				t.Fatal("nothing found")
			}
			hits[string(e.Key())]++
		}
		// The sum of (hits-each)²/each is about len(keys), with a deviation of sqrt(2 len(keys)).
		chi := 0.0
		for _, key := range keys {
			d := float64(hits[key] - each)
			chi += d * d / each
		}
		if limit := float64(len(keys)) + 6*math.Sqrt(2*float64(len(keys))) + 1; chi > limit {
			t.Fatalf("%d records at depth %d: chi² %.0f, limit %.0f", len(keys), m.t.depth, chi, limit)
		}
	}
}

func TestSamplePassesAsManyAsAsked(t *testing.T) {
	rnd := random(t)
	m := newModel(t, Options{Seed: 1}, 1, rnd)
	m.t.Sample(1, 5, func(*Entry) { t.Fatal("a record in an empty table") })
	if m.t.Random(1, &Entry{}) {
		t.Fatal("a record in an empty table")
	}
	for _, n := range []int{1, 3, 100, 3000} {
		for i := range n {
			m.putNumbered(i, 0)
		}
		for _, want := range []int{0, 1, 2, 5, 16, n, n + 10} {
			seen := map[string]bool{}
			m.t.Sample(rnd.Uint64(), want, func(e *Entry) { seen[string(e.Key())] = true })
			if len(seen) != min(want, n) {
				t.Fatalf("asked for %d of %d, got %d", want, n, len(seen))
			}
		}
	}
}

func TestHashSpreads(t *testing.T) {
	if Hash(1, []byte("a")) == Hash(2, []byte("a")) {
		t.Fatal("the seed plays no part")
	}
	seen := map[uint64]string{}
	for n := range 70 {
		for _, fill := range []byte{0, 1, 'k', 255} {
			key := bytes.Repeat([]byte{fill}, n)
			h := Hash(5, key)
			if n > 0 && seen[h] != "" {
				t.Fatalf("%d times %#x has the hash of %s", n, fill, seen[h])
			}
			seen[h] = fmt.Sprintf("%d times %#x", n, fill)
			for i := range 8 * n { // a flipped bit changes about half the bits of the hash
				key[i/8] ^= 1 << (i % 8)
				if d := bits.OnesCount64(h ^ Hash(5, key)); d < 8 || d > 56 {
					t.Fatalf("%d times %#x: flipping bit %d changes %d bits", n, fill, i, d)
				}
				key[i/8] ^= 1 << (i % 8)
			}
		}
	}
	var ones [64]int
	for i := range 100000 {
		for h, bit := Hash(5, numbered(i)), 0; h != 0; h, bit = h>>1, bit+1 {
			ones[bit] += int(h & 1)
		}
	}
	for bit, n := range ones {
		if n < 49000 || n > 51000 {
			t.Errorf("bit %d is set in %d of 100000 hashes", bit, n)
		}
	}
}

func TestHashStaysTheSame(t *testing.T) {
	sum := uint64(0)
	for n := range 100 {
		sum = sum*31 + Hash(uint64(n), bytes.Repeat([]byte{byte(n)}, n))
	}
	const want = 0xa2d90449bfdf23b9
	if sum != want {
		t.Fatalf("hashes have changed: sum %#x, want %#x", sum, uint64(want))
	}
}

func TestMatchFindsExactlyTheTag(t *testing.T) {
	rnd := random(t)
	for range 100000 {
		var b bucket
		for i := range b {
			b[i] = byte(rnd.Uint32()) >> rnd.IntN(8)
		}
		tag := byte(rnd.Uint32()) >> rnd.IntN(8)
		var want, wantUsed uint32
		for i := range slots {
			if b[i] == tag {
				want |= 1 << i
			}
			if b[i] != 0 {
				wantUsed |= 1 << i
			}
		}
		if got := slotMask(match(&b, tag)); got != want {
			t.Fatalf("match(% x, %#x) = %b, want %b", b[:slots], tag, got, want)
		}
		if got := slotMask(used(&b)); got != wantUsed {
			t.Fatalf("used(% x) = %b, want %b", b[:slots], got, wantUsed)
		}
	}
}

func TestOverflowCountSticksAtItsMaximum(t *testing.T) {
	var b bucket
	for i := range 300 {
		turnAway(&b)
		if want := min(i+1, maxOverflow); int(b[metaAt]) != want {
			t.Fatalf("after %d: %d", i+1, b[metaAt])
		}
	}
	turnBack(&b)
	if b[metaAt] != maxOverflow {
		t.Fatal("a count that is no longer exact was counted down")
	}
	if meta(&b)>>8 != 0 {
		t.Fatal("the count ran into its neighbours")
	}
}

func TestVarints(t *testing.T) {
	buf := make([]byte, 16)
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1 << 21, 1<<28 - 1, 1 << 28, 512 << 20, 1 << 40} {
		p := putVarint(buf, 3, n)
		if p-3 != varintLen(n) {
			t.Errorf("%d takes %d bytes, varintLen says %d", n, p-3, varintLen(n))
		}
		if got, q := getVarint(buf, 3); got != n || q != p {
			t.Errorf("%d was read as %d, %d bytes", n, got, q-3)
		}
	}
}

func TestSizesFillTheirCells(t *testing.T) {
	for i, s := range sizeTable {
		last := 0
		for code := range s.last() + 1 {
			n := int(s[code])
			if n <= last || n > maxBuckets {
				t.Errorf("stagger %d: %d buckets after %d", i, n, last)
			}
			if cell := arena.Capacity((n + 1) * bucketSize); cell != (n+1)*bucketSize {
				t.Errorf("stagger %d: %d buckets in a cell of %d bytes", i, n, cell)
			}
			if code > 0 && limit(last)+1 > limit(n) {
				t.Errorf("stagger %d: growing from %d to %d buckets makes no room", i, last, n)
			}
			last = n
		}
	}
}

// Where the varint of the value's length grows or shrinks, head and tail of the record move by different distances.
func TestSpliceAroundLengthsOfMoreBytes(t *testing.T) {
	for _, keyspace := range []bool{false, true} {
		for had := 122; had <= 134; had++ {
			for to := 122; to <= 134; to++ {
				for off := range 9 {
					spliceAround(t, keyspace, had, to, off*min(had, to)/8, 0)
					spliceAround(t, keyspace, had, to, off*min(had, to)/8, 3)
				}
			}
		}
	}
}

// spliceAround makes a value of had bytes one of to bytes at off by deleting at least del, with and without an expiry.
func spliceAround(t *testing.T, keyspace bool, had, to, off, del int) {
	t.Helper()
	m := newModel(t, Options{Keyspace: keyspace}, 1, newRand(1))
	del = max(had-to, min(del, had-off))
	if del > had-off {
		return
	}
	ins := to - had + del
	for i, expiry := range []int64{0, 1 << 40} {
		var e Entry
		key := numbered(i)
		m.t.Insert(m.hash(key), key, had, expiry, 1, &e)
		want := m.fill(e.Value(), 0, had)
		v := e.Splice(off, del, ins)
		if !bytes.Equal(v[:off], want[:off]) || !bytes.Equal(v[off+ins:], want[off+del:]) {
			t.Fatalf("from %d to %d bytes at %d: bytes were lost", had, to, off)
		}
		want = bytes.Clone(v)
		e.SetExpiry(1<<40 - expiry)
		if !bytes.Equal(e.Value(), want) || !bytes.Equal(e.Key(), key) || e.Expiry() != 1<<40-expiry {
			t.Fatalf("%d bytes: another expiry changed the record", to)
		}
	}
	if err := m.t.Check(); err != nil {
		t.Fatal(err)
	}
}

func FuzzTable(f *testing.F) {
	f.Add(uint64(1), uint16(20), []byte{10, 20, 200, 90, 95, 99, 3})
	f.Add(uint64(9), uint16(3000), bytes.Repeat([]byte{80, 85, 30, 95}, 100))
	f.Fuzz(func(t *testing.T, seed uint64, keys uint16, ops []byte) {
		m := newModel(t, Options{Seed: seed, Keyspace: seed&1 == 1, Stagger: int(seed >> 8)}, int(keys)+2, newRand(seed))
		for _, op := range ops {
			switch {
			case op < 240:
				for range 20 {
					m.step(int(op) % 90)
				}
			case op < 246:
				m.compact()
			case op < 252:
				m.expire()
			default:
				m.reload()
			}
		}
		m.check()
		m.drain()
	})
}

// Records come from this program alone, but a parse of anything must end without running past the cell.
func FuzzRecord(f *testing.F) {
	f.Add(uint16(3), uint16(200), uint16(70), int64(5), true)
	f.Fuzz(func(t *testing.T, keyLen, valueLen, to uint16, expiry int64, keyspace bool) {
		m := newModel(t, Options{Keyspace: keyspace}, 1, newRand(1))
		key := bytes.Repeat([]byte{'k'}, int(keyLen))
		var e Entry
		m.t.Insert(m.hash(key), key, int(valueLen), expiry, 3, &e)
		for i := range e.Value() {
			e.Value()[i] = byte(i)
		}
		e.SetExpiry(expiry / 2)
		v := e.SetLen(int(to))
		for i := range min(len(v), int(valueLen)) {
			if v[i] != byte(i) {
				t.Fatalf("byte %d is %d", i, v[i])
			}
		}
		if !m.t.Find(m.hash(key), key, &e) || e.Expiry() != expiry/2 || e.Kind() != 3 || len(e.Value()) != int(to) {
			t.Fatalf("expiry %d, kind %d, %d bytes", e.Expiry(), e.Kind(), len(e.Value()))
		}
		if err := m.t.Check(); err != nil {
			t.Fatal(err)
		}
	})
}
