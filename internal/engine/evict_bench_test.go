package engine

import (
	"fmt"
	"testing"

	"github.com/larderdb/larder/internal/config"
)

// BenchmarkAccess is a look-up that hits, of one of 1,000 keys, so that it is the policy that counts and not the memory.
func BenchmarkAccess(b *testing.B) {
	for _, p := range []config.Policy{config.NoEviction, config.AllKeysLRU, config.AllKeysLFU, config.AllKeysS3FIFO, config.AllKeysTinyLFU} {
		b.Run(p.String(), func(b *testing.B) {
			e := newBench(b)
			e.bound(1<<30, p)
			keys := make([][]byte, 1000)
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "key:%d", i)
				e.put(0, string(keys[i]), "value", 0)
			}
			tx := e.NewTx()
			for i := 0; b.Loop(); i++ {
				key := keys[i%len(keys)]
				tx.Begin(0)
				tx.LockKey(key)
				if tx.Find(key) == nil {
					b.Fatal("gone")
				}
				tx.End()
			}
		})
	}
}

// BenchmarkReplace is a new key in a full store of about 100,000: one goes for it.
func BenchmarkReplace(b *testing.B) {
	for _, p := range []config.Policy{config.NoEviction, config.AllKeysRandom, config.AllKeysLRU, config.AllKeysS3FIFO, config.AllKeysTinyLFU} {
		b.Run(p.String(), func(b *testing.B) {
			e := newBench(b)
			n := 0
			next := func() { e.put(0, fmt.Sprintf("key:%08d", n), "a value of some bytes", 0); n++ }
			for range 100_000 {
				next()
			}
			if p != config.NoEviction {
				e.bound(e.Used()+e.Overhead(), p)
			}
			for b.Loop() {
				if !e.MakeRoom() {
					b.Fatal("there is no room")
				}
				next()
			}
		})
	}
}
