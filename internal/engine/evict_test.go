package engine

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
)

// script is a journal that keeps copies of the effects, and can replay them: of the commands that these tests cause.
type script struct {
	t       testing.TB
	effects []Effect
}

func (j *script) Append(effects []Effect) {
	for _, e := range effects {
		args := make([][]byte, len(e.Args))
		for i, a := range e.Args {
			args[i] = append([]byte(nil), a...)
		}
		j.effects = append(j.effects, Effect{DB: e.DB, Args: args, Alone: e.Alone})
	}
}

// replay brings an empty engine to where the journal's is.
func (j *script) replay(b *bench) {
	for _, e := range j.effects {
		key := string(e.Args[1])
		b.do(e.DB, []string{key}, func(tx *Tx) {
			switch name := string(e.Args[0]); name {
			case "SET":
				put(tx, key, string(e.Args[2]), 0)
			case "SETEX":
				seconds, _ := strconv.Atoi(string(e.Args[3]))
				put(tx, key, string(e.Args[2]), b.in(time.Duration(seconds)*time.Second))
			case "DEL", "UNLINK":
				tx.Delete([]byte(key))
			case "HDEL":
				r := tx.Edit([]byte(key))
				for _, f := range e.Args[2:] {
					if !hash.Delete(r, f) {
						j.t.Errorf("%s has no field %s", key, f)
					}
				}
				tx.Finish(r, []byte(key), EventHDel)
			default:
				j.t.Fatalf("the effect is %s", name)
			}
		})
	}
}

func (b *bench) bound(bytes int64, policy config.Policy) {
	l := *b.Limits()
	l.MaxMemory, l.Policy = bytes, policy
	b.SetLimits(&l)
}

// set is a write of a client: it makes room, changes the key, and tells the journal.
func (b *bench) set(db int, key, value string, seconds int) (ok bool) {
	b.t.Helper()
	if !b.MakeRoom() {
		return false
	}
	b.do(db, []string{key}, func(tx *Tx) {
		tx.StartCommand()
		args := [][]byte{[]byte("SET"), []byte(key), []byte(value)}
		expiry := int64(0)
		if seconds > 0 {
			expiry = b.in(time.Duration(seconds) * time.Second)
			args[0] = []byte("SETEX")
			args = append(args, strconv.AppendInt(nil, int64(seconds), 10))
		}
		put(tx, key, value, expiry)
		tx.FinishCommand(db, args)
	})
	return true
}

// TestEvictionIsJournaled: under every policy the bound holds, and replaying the journal gives the same keyspace.
func TestEvictionIsJournaled(t *testing.T) {
	for _, policy := range []config.Policy{config.AllKeysLRU, config.AllKeysLFU, config.AllKeysRandom,
		config.VolatileLRU, config.VolatileLFU, config.VolatileRandom, config.VolatileTTL,
		config.AllKeysS3FIFO, config.AllKeysTinyLFU, config.VolatileS3FIFO, config.VolatileTinyLFU} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			b := newBench(t)
			j := &script{t: t}
			b.SetJournal(j)
			bound := b.Overhead() + b.Used() + 200_000
			b.bound(bound, policy)
			random := rand.New(rand.NewPCG(3, 3))
			for i := range 6000 {
				seconds := 0
				if policy.Volatile() || i%2 == 0 {
					seconds = 1 + random.IntN(5000)
				}
				if !b.set(i%3, fmt.Sprintf("key:%d", random.IntN(5000)), fmt.Sprintf("%0*d", random.IntN(100), i), seconds) {
					t.Fatal("nothing could be evicted")
				}
				if used := b.Used() + b.Overhead(); used > bound+2000 {
					t.Fatalf("%d bytes over the bound", used-bound)
				}
			}
			if b.Stats().Evicted == 0 {
				t.Fatal("nothing was evicted: the test tests nothing")
			}
			other := newBench(t)
			j.replay(other)
			for db := range 3 {
				if x, y := b.all(db), other.all(db); x != y {
					t.Errorf("database %d differs after a replay", db)
				}
			}
		})
	}
}

// TestVolatilePoliciesSpareTheRest: what has no time to live stays, and without any that has the write is refused.
func TestVolatilePoliciesSpareTheRest(t *testing.T) {
	b := newBench(t)
	for i := range 500 {
		b.set(0, fmt.Sprintf("stays:%d", i), "value", 0)
		b.set(0, fmt.Sprintf("goes:%d", i), "value", 100)
	}
	b.bound(1, config.VolatileLRU)
	if b.MakeRoom() {
		t.Error("there was room within one byte")
	}
	stays := 0
	tx := b.NewTx()
	tx.Begin(0)
	tx.Keys(func(key []byte, _ *table.Entry) {
		if stays++; string(key[:4]) == "goes" {
			t.Errorf("%s is still there", key)
		}
	})
	tx.End()
	if stays != 500 {
		t.Errorf("%d keys stayed", stays)
	}
	b.bound(1, config.NoEviction)
	if b.MakeRoom() || b.Stats().Evicted != 500 {
		t.Errorf("noeviction evicted: %d went", b.Stats().Evicted)
	}
}

// TestEvictionTakesTheColdest: keys that are read stay, those that are not go.
func TestEvictionTakesTheColdest(t *testing.T) {
	b := newBench(t)
	const n = 2000
	for i := range n {
		b.set(0, fmt.Sprintf("key:%d", i), "a value of some bytes", 0)
	}
	b.clock.Advance(time.Hour)
	b.Tick(time.Second)
	for i := range n / 2 {
		b.get(0, fmt.Sprintf("key:%d", i))
	}
	b.bound(b.Overhead()+b.Used()-b.Used()/4, config.AllKeysLRU)
	if !b.MakeRoom() {
		t.Fatal("there is no room")
	}
	hot := 0
	for i := range n / 2 {
		if b.get(0, fmt.Sprintf("key:%d", i)) != "" {
			hot++
		}
	}
	if evicted := b.Stats().Evicted; evicted == 0 || hot < n/2-n/50 {
		t.Errorf("%d keys went, and %d of %d that were in use are left", evicted, hot, n/2)
	}
}
