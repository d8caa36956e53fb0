package table

import (
	"fmt"

	"github.com/larderdb/larder/internal/mem/arena"
)

// Check walks the whole table and returns an error when it contradicts itself: a record that a search would not find,
// a count, bitmap or directory word that is wrong, a length that does not fit its cell. O(n).
func (t *Table) Check() error {
	count, expires := 0, 0
	if t.root == 0 && t.depth == 0 {
		if t.count != 0 || t.expiring != 0 {
			return fmt.Errorf("no segment, but %d records, %d expiring", t.count, t.expiring)
		}
		return nil
	}
	if err := t.checkDirectory(); err != nil {
		return err
	}
	var err error
	t.walk(func(p position, w word) bool {
		head := t.a.Line(w.ref())
		count += countOf(head)
		expires += expiringOf(head)
		if err = t.checkSegment(p, w); err != nil {
			err = fmt.Errorf("segment %#x/%d: %w", p.prefix, p.depth, err)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if count != t.count || expires != t.expiring {
		return fmt.Errorf("count %d, expiring %d; found %d and %d", t.count, t.expiring, count, expires)
	}
	return nil
}

// checkDirectory verifies that every segment has its words, all of them and nothing else, and the count of pairs.
func (t *Table) checkDirectory() error {
	if t.depth == 0 {
		if d := depthOf(t.a.Line(t.root.ref())); d != 0 || t.dirRef != 0 {
			return fmt.Errorf("no directory, but depth %d, cell %#x", d, t.dirRef)
		}
		return nil
	}
	pairs := uint32(0)
	for i := uint32(0); i < 1<<t.depth; {
		w := t.at(i)
		d := depthOf(t.a.Line(w.ref()))
		if d > uint(t.depth) {
			return fmt.Errorf("word %d: depth %d of %d", i, d, t.depth)
		}
		span := uint32(1) << (uint(t.depth) - d)
		if i%span != 0 {
			return fmt.Errorf("word %d begins a segment of %d words", i, span)
		}
		for j := i; j < i+span; j++ {
			if t.at(j) != w {
				return fmt.Errorf("word %d is %#x, not %#x", j, t.at(j), w)
			}
		}
		if span == 1 && i%2 == 0 {
			pairs++
		}
		i += span
	}
	if pairs != t.pairs || pairs == 0 {
		return fmt.Errorf("%d pairs differ, counted %d", pairs, t.pairs)
	}
	return nil
}

func (t *Table) checkSegment(p position, w word) error {
	n := uint32(t.sizes[w.code()])
	if got := t.a.Size(w.ref()); got < int(n+1)*bucketSize {
		return fmt.Errorf("cell of %d bytes for %d buckets", got, n)
	}
	overflow := make([]int, n)
	count, expires := 0, 0
	for i := range n {
		at := w.bucket(i)
		b := t.a.Line(at)
		for set := used(b); set != 0; set = rest(set) {
			slot := first(set)
			e, err := t.checkRecord(at, slot)
			if err != nil {
				return fmt.Errorf("bucket %d, slot %d: %w", i, slot, err)
			}
			h := e.hash()
			if p.depth > 0 && h>>(64-p.depth) != p.prefix>>(64-p.depth) {
				return fmt.Errorf("key %q has the hash %#x", e.Key(), h)
			}
			for j := homeOf(h, n); j != i; j = (j + 1) % n {
				overflow[j]++
			}
			count++
			if e.Expiry() != 0 {
				expires++
			}
		}
		if stray := expiring(b) &^ slotMask(used(b)); stray != 0 {
			return fmt.Errorf("bucket %d: empty slots %#x expire", i, stray)
		}
	}
	for i := range n {
		if got := int(t.a.Line(w.bucket(i))[metaAt]); got != overflow[i] && got != maxOverflow {
			return fmt.Errorf("bucket %d: overflow count %d, found %d", i, got, overflow[i])
		}
	}
	head := t.a.Line(w.ref())
	if count != countOf(head) || expires != expiringOf(head) {
		return fmt.Errorf("count %d, expiring %d; found %d and %d", countOf(head), expiringOf(head), count, expires)
	}
	return nil
}

// slotMask is a set of slots as a bitmap in their order.
func slotMask(set uint64) (m uint32) {
	for ; set != 0; set = rest(set) {
		m |= 1 << first(set)
	}
	return m
}

// checkRecord verifies one record and that a search finds it.
func (t *Table) checkRecord(at arena.Ref, slot int) (e Entry, err error) {
	b := t.a.Line(at)
	rec := t.a.Bytes(refAt(b, slot))
	if p := parse(rec, t.base); p.end > len(rec) || arena.Capacity(p.end) != len(rec) {
		return e, fmt.Errorf("record of %d bytes in a cell of %d", p.end, len(rec))
	}
	t.open(&e, at, slot)
	if flagged := expiring(b)>>slot&1 == 1; flagged != (e.Expiry() != 0) {
		return e, fmt.Errorf("expiry %d, flagged %v", e.Expiry(), flagged)
	}
	if b[slot] != tagOf(e.hash()) {
		return e, fmt.Errorf("tag %#x of hash %#x", b[slot], e.hash())
	}
	var found Entry
	if !t.Find(e.hash(), e.Key(), &found) || found.ref != e.ref || found.bucket != at || found.slot != slot {
		return e, fmt.Errorf("key %q is not found", e.Key())
	}
	return e, nil
}
