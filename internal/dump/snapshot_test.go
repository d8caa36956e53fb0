package dump_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
)

func digest(tx *engine.Tx) (d dump.Digest) {
	for db := range tx.Engine().Databases() {
		tx.Use(db)
		d.MixDatabase(db)
		tx.Keys(func(key []byte, r *table.Entry) { d.AddKey(key, r) })
	}
	tx.Use(0)
	return d
}

func TestSnapshot(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 7))
	e := open(t)
	tx := e.NewTx()
	tx.Begin(0)
	tx.LockAll()
	defer tx.End()
	const keys = 120
	for i := range keys {
		tx.Use(i % 5)
		k := []engine.Kind{engine.String, engine.List, engine.Set, engine.ZSet, engine.Hash, engine.Stream}[i%6]
		r := build(tx, fmt.Appendf(nil, "key%d", i), k, 1+rng.IntN(200), rng)
		if i%3 == 0 {
			r.SetExpiry(tx.Now() + int64(i) + 1)
		}
	}
	before := digest(tx)
	var file bytes.Buffer
	if err := dump.Save(&file, tx, dump.Snapshot{Server: "0", Functions: [][]byte{[]byte("code")}, Compress: true}); err != nil {
		t.Fatal(err)
	}
	if n, err := dump.LoadSnapshot(bytes.NewReader(file.Bytes()), tx, dump.LoadOptions{}); !errors.Is(err, dump.ErrExists) {
		t.Errorf("%d keys over those that are there: %v", n, err)
	}
	if n, err := dump.LoadSnapshot(bytes.NewReader(file.Bytes()), tx, dump.LoadOptions{Replace: true}); err != nil || n != keys {
		t.Errorf("replacing: %d keys, %v", n, err)
	}
	tx.Flush(-1)
	var code string
	n, err := dump.LoadSnapshot(bytes.NewReader(file.Bytes()), tx, dump.LoadOptions{
		Function: func(b []byte) error { code = string(b); return nil }})
	if err != nil || n != keys || code != "code" {
		t.Errorf("seed %d: %d keys, functions %q, %v", seed, n, code, err)
	}
	if got := digest(tx); got != before {
		t.Errorf("seed %d: digest %x, was %x", seed, got, before)
	}
	for i := range 20 {
		tx.Flush(-1)
		bad := bytes.Clone(file.Bytes())
		if i%2 == 0 {
			bad = bad[:rng.IntN(len(bad))]
		} else {
			bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		}
		if _, err := dump.LoadSnapshot(bytes.NewReader(bad), tx, dump.LoadOptions{}); err == nil {
			t.Errorf("seed %d: a file that was changed is loaded", seed)
		}
	}
	tx.Flush(-1)
}

func TestSnapshotOfALaterVersion(t *testing.T) {
	tx := open(t).NewTx()
	tx.Begin(0)
	tx.LockAll()
	defer tx.End()
	for text, want := range map[string]error{
		"REDIS0099": rdb.ErrVersion, "VALKEY080": rdb.ErrMagic, "REDIS0010": rdb.ErrTruncated, "": rdb.ErrTruncated,
		"REDIS0010\xff\x00\x00\x00\x00\x00\x00\x00\x01": rdb.ErrChecksum, "REDIS0010\xff\x00\x00\x00\x00\x00\x00\x00\x00": nil,
	} {
		if _, err := dump.LoadSnapshot(bytes.NewReader([]byte(text)), tx, dump.LoadOptions{}); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// FuzzSnapshot loads any bytes. What could be loaded must be sound.
func FuzzSnapshot(f *testing.F) {
	e := open(f)
	tx := e.NewTx()
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 6 {
		tx.Begin(0)
		tx.LockAll()
		k := []engine.Kind{engine.String, engine.List, engine.Set, engine.ZSet, engine.Hash, engine.Stream}[i]
		build(tx, []byte("key"), k, 1+rng.IntN(5), rng).SetExpiry(1_800_000_000_000)
		var file bytes.Buffer
		if err := dump.Save(&file, tx, dump.Snapshot{Server: "0", Functions: [][]byte{[]byte("code")}}); err != nil {
			f.Fatal(err)
		}
		f.Add(append(file.Bytes()[:file.Len()-8], make([]byte, 8)...)) // without a checksum, so that changes come through
		tx.Flush(-1)
		tx.End()
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		tx.Begin(0)
		tx.LockAll()
		defer tx.End()
		_, _ = dump.LoadSnapshot(bytes.NewReader(b), tx, dump.LoadOptions{Replace: len(b)%2 == 0})
		for db := range e.Databases() {
			tx.Use(db)
			tx.Keys(func(key []byte, r *table.Entry) {
				if err := engine.CheckValue(r); err != nil {
					t.Errorf("%q: %v", key, err)
				}
			})
		}
		tx.Use(0)
		tx.Flush(-1)
	})
}
