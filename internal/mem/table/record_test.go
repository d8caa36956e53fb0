package table

import (
	"bytes"
	"testing"
)

func TestVarints(t *testing.T) {
	buf := make([]byte, 16)
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1 << 21, 1<<28 - 1, 1 << 28, 512 << 20} {
		p := putVarint(buf, 3, n)
		if p-3 != varintLen(n) {
			t.Errorf("%d takes %d bytes, varintLen says %d", n, p-3, varintLen(n))
		}
		if got, q := getVarint(buf, 3); got != n || q != p {
			t.Errorf("%d was read as %d, %d bytes", n, got, q-3)
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
