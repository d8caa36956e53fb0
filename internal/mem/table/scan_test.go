package table

import (
	"bytes"
	"fmt"
	"maps"
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
	for round := range 16 {
		stable := []int{5, 50, 500, 2000}[round%4]
		m := newModel(t, Options{Seed: rnd.Uint64(), Stagger: round}, 1, rnd)
		for i := range stable {
			m.putNumbered(i, 0)
		}
		churn := stable * (1 + rnd.IntN(12))
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
