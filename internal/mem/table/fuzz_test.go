package table

import (
	"bytes"
	"testing"
)

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
