package table

import (
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
)

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
