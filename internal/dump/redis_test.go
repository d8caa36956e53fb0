package dump_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
	"github.com/larderdb/larder/internal/redistest"
)

// debugDigest is what Redis answers to DEBUG DIGEST for the same data: empty databases leave no trace.
func debugDigest(tx *engine.Tx) string {
	var d dump.Digest
	for db := range tx.Engine().Databases() {
		if tx.Use(db); tx.Len() != 0 {
			d.MixDatabase(db)
			tx.Keys(func(key []byte, r *table.Entry) { d.AddKey(key, r) })
		}
	}
	tx.Use(0)
	return hex.EncodeToString(d[:])
}

// fill makes keys of all kinds whose digest does not depend on the version: scores are whole numbers.
func fill(tx *engine.Tx, rng *rand.Rand) {
	for i := range 90 {
		tx.Use(i % 3)
		k := []engine.Kind{engine.String, engine.List, engine.Set, engine.Hash, engine.Stream}[i%5]
		n := 1 + rng.IntN([]int{5, 200, 1500}[i%3])
		if k == engine.Hash && n%3 == 0 {
			n++ // no fields that expire
		}
		r := build(tx, fmt.Appendf(nil, "key%d", i), k, n, rng)
		if i%4 == 0 {
			r.SetExpiry(4_000_000_000_000 + int64(i))
		}
	}
	tx.Use(0)
}

// TestRedisLoadsSnapshots starts a real server on a file of ours.
func TestRedisLoadsSnapshots(t *testing.T) {
	seed := rand.Uint64()
	for _, compress := range []bool{false, true} {
		tx := open(t).NewTx()
		tx.Begin(0)
		tx.LockAll()
		defer tx.End()
		fill(tx, rand.New(rand.NewPCG(seed, 3)))
		var file bytes.Buffer
		if err := dump.Save(&file, tx, dump.Snapshot{Server: "7.0.0", Compress: compress, Version: rdb.Version7}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		s := redistest.Start(t, "--dir", dir, "--enable-debug-command", "yes", "--sanitize-dump-payload", "yes")
		if got, want := s.Do("DEBUG", "DIGEST"), debugDigest(tx); got != want {
			t.Errorf("seed %d: digest %s, want %s", seed, got, want)
		}
	}
}

// TestLoadsSnapshotsOfRedis loads a file that a real server has written.
func TestLoadsSnapshotsOfRedis(t *testing.T) {
	dir := t.TempDir()
	s := redistest.Start(t, "--dir", dir, "--enable-debug-command", "yes", "--maxmemory-policy", "allkeys-lru")
	rng := rand.New(rand.NewPCG(rand.Uint64(), 4))
	for db := range 3 {
		for _, c := range []string{"RPUSH", "SADD", "HSET", "ZADD", "XADD"} {
			for _, n := range []int{1, 30, 900} {
				key := fmt.Sprintf("%s:%d", c, n)
				s.Do(commandFor(rng, c, key, n)...)
				if n == 30 {
					s.Do("PEXPIRE", key, "100000000")
				}
			}
		}
		s.Do("SET", "string", string(word(rng)))
		s.Do("SADD", "ints", "1", "-70000", "9223372036854775807")
		s.Do("SWAPDB", "0", fmt.Sprint(db+1))
	}
	want := s.Do("DEBUG", "DIGEST")
	if reply := s.Do("SAVE"); reply != "OK" {
		t.Fatal(reply)
	}
	file, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	tx := open(t).NewTx()
	tx.Begin(0)
	tx.LockAll()
	defer tx.End()
	if n, err := dump.LoadSnapshot(bytes.NewReader(file), tx, dump.LoadOptions{}); err != nil {
		t.Fatalf("after %d keys: %v", n, err)
	}
	if got := debugDigest(tx); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// commandFor is a command with n elements; scores are whole numbers.
func commandFor(rng *rand.Rand, name, key string, n int) []string {
	words := []string{name, key}
	if name == "XADD" {
		words = append(words, "*")
	}
	for range n {
		switch name {
		case "ZADD":
			words = append(words, fmt.Sprint(rng.IntN(1000)))
		case "HSET", "XADD":
			words = append(words, string(word(rng)))
		}
		words = append(words, string(word(rng)))
	}
	return words
}
