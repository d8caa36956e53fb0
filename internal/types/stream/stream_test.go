package stream

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
)

func TestParseID(t *testing.T) {
	const top = math.MaxUint64
	for text, want := range map[string]ID{
		"0": {0, 7}, "5": {5, 7}, "5-3": {5, 3}, "0-0": {}, "007-01": {7, 1}, " 5-3": {5, 3}, "\t+5- 3": {5, 3},
		"18446744073709551615-18446744073709551615": {top, top}, "9223372036854775808": {1 << 63, 7},
		"5--01": {5, top}, "5-3\x00x": {5, 3}, "5\x00-3": {5, 7}, strings.Repeat("0", 126) + "5": {5, 7},
	} {
		if id, ok := ParseID([]byte(text), 7); !ok || id != want {
			t.Errorf("%q is %v, %v, not %v", text, id, ok, want)
		}
	}
	for _, text := range []string{
		"", "-", "+", "*", "-1", "5-", "-5", "5-x", "x-5", "5-3-1", "5--1", "5-*", "5 ", "5-3 ", "1.5", "0x5", "1e3", "$", ">", "(5",
		"18446744073709551616", "5-18446744073709551616", "99999999999999999999999", strings.Repeat("0", 128), "+-5", "-+5-1", "\x00",
	} {
		if id, ok := ParseID([]byte(text), 7); ok {
			t.Errorf("%q is %v", text, id)
		}
	}
	if id, auto, ok := ParseAutoID([]byte("5-*"), 7); id != (ID{5, 0}) || !auto || !ok {
		t.Error("5-*")
	}
	for text, want := range map[string]ID{"-": {}, "+": {top, top}, "3": {3, 7}} {
		if id, ok := ParseBound([]byte(text), 7); !ok || id != want {
			t.Errorf("bound %q is %v", text, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"1-1", "5", "5-*", "-", " +7--01", "18446744073709551615-0", "5-3\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, auto, ok := ParseAutoID(text, 3)
		if !ok {
			return
		}
		shown := id.Append(nil)
		if again, isAuto, ok := ParseAutoID(shown, 0); !ok || isAuto || again != id || len(shown) > MaxIDLen {
			t.Fatalf("%q is %v, and that is %v", text, id, again)
		}
		digits := bytes.IndexFunc(text, func(r rune) bool { return '0' <= r && r <= '9' })
		if digits < 0 || auto && !bytes.Contains(text, []byte("-*")) {
			t.Fatalf("%q is %v, %v", text, id, auto)
		}
		if next, ok := id.Next(); ok {
			if back, _ := next.Prev(); back != id || !id.Less(next) {
				t.Fatalf("%v, then %v, before it %v", id, next, back)
			}
		}
	})
}

func TestNextIDs(t *testing.T) {
	const top = math.MaxUint64
	for _, c := range []struct {
		last ID
		now  int64
		want ID
		ok   bool
	}{
		{ID{}, 5, ID{5, 0}, true}, {ID{5, 0}, 5, ID{5, 1}, true}, {ID{5, 3}, 4, ID{5, 4}, true}, {ID{5, top}, 5, ID{6, 0}, true},
		{ID{}, 0, ID{0, 1}, true}, {ID{}, -1, ID{0, 1}, true}, {ID{top, top}, 5, ID{}, false},
	} {
		s := Stream{LastID: c.last}
		if id, ok := s.NextID(c.now); id != c.want || ok != c.ok {
			t.Errorf("after %v at %d: %v, %v", c.last, c.now, id, ok)
		}
	}
	for _, c := range []struct {
		last ID
		ms   uint64
		want ID
		ok   bool
	}{
		{ID{}, 0, ID{0, 1}, true}, {ID{5, 3}, 5, ID{5, 4}, true}, {ID{5, 3}, 6, ID{6, 0}, true}, {ID{5, 3}, 4, ID{}, false}, {ID{5, top}, 5, ID{}, false},
	} {
		s := Stream{LastID: c.last}
		if id, ok := s.NextSeq(c.ms); id != c.want || ok != c.ok {
			t.Errorf("%d-* after %v: %v, %v", c.ms, c.last, id, ok)
		}
	}
}

// TestBytesPerEntry holds what the package promises: a stream of small entries costs less than a byte beside its values.
func TestBytesPerEntry(t *testing.T) {
	a := arena.New()
	_, e := newRecord(a)
	const n = 20_000
	s := Edit(e)
	for i := range uint64(n) {
		s.Append(DefaultLimits(), ID{1_700_000_000_000 + i/10, i % 10}, [][]byte{[]byte("name"), []byte("user1"), []byte("age"), []byte("7")})
	}
	s.Save()
	if per := float64(Bytes(e)) / n; per > 6+1+1+1 { // values, ID, a leaf's head and its line in the tree
		t.Errorf("%.2f bytes an entry", per)
	}
	if err := Check(e); err != nil {
		t.Error(err)
	}
}

// TestCompact moves everything that may move out of slabs that many deleted streams left half empty.
func TestCompact(t *testing.T) {
	a := arena.New()
	keys := new(table.Table)
	*keys = table.New(a, table.Options{Keyspace: true, Seed: 7})
	const n = 160
	e := new(table.Entry)
	name := func(i int) []byte { return fmt.Appendf(nil, "key%d", i) }
	for i := range n {
		keys.Insert(table.Hash(7, name(i)), name(i), InitLen, 0, 0, e)
		Init(e)
		s := Edit(e)
		for j := range uint64(250) {
			s.Append(DefaultLimits(), ID{j + 1, 0}, [][]byte{[]byte("f"), fmt.Appendf(nil, "value%d", j)})
		}
		for g := range 12 {
			s.CreateGroup(fmt.Appendf(nil, "group%d", g), ID{}, Unknown)
			group, _ := s.Group(fmt.Appendf(nil, "group%d", g))
			for m := range 12 {
				c, _ := group.CreateConsumer(fmt.Appendf(nil, "consumer%d", m), 5)
				for j := range uint64(m % 3 * 4) {
					group.Assign(&c, Pending{ID: ID{uint64(m)*10 + j, 0}, Count: 1})
				}
				c.Save()
			}
			group.Save()
		}
		s.Save()
	}
	for i := range n {
		if i%8 != 0 {
			keys.Find(table.Hash(7, name(i)), name(i), e)
			for free := Freeing(e); !free(64); {
			}
			e.Delete()
		}
	}
	before := a.Stats()
	for range 3 {
		for i := 0; i < n; i += 8 {
			keys.Find(table.Hash(7, name(i)), name(i), e)
			for cursor := Compact(e, 0, 16); cursor != 0; {
				cursor = Compact(e, cursor, 16)
			}
		}
	}
	after := a.Stats()
	if after.Slabs > before.Slabs/2 || after.Live > before.Live {
		t.Errorf("slabs went from %d to %d bytes, live %d to %d", before.Slabs, after.Slabs, before.Live, after.Live)
	}
	for i := 0; i < n; i += 8 {
		keys.Find(table.Hash(7, name(i)), name(i), e)
		if err := Check(e); err != nil || Len(e) != 250 {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	if err := a.Check(); err != nil {
		t.Error(err)
	}
}

// TestChangesAreAnnounced: who watches the keyspace's buckets hears of every edit before it is made.
func TestChangesAreAnnounced(t *testing.T) {
	keys, e := newRecord(arena.New())
	heard := 0
	keys.BeforeChange = func(arena.Ref) { heard++ }
	Edit(e)
	if heard == 0 {
		t.Error("Edit is silent")
	}
	heard = 0
	Open(e)
	if Compact(e, 0, 100); heard != 0 {
		t.Error("a look was announced as a change")
	}
}
