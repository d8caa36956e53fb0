package engine

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLockersDoNotBlockEachOther: transactions over overlapping sets of shards, named in any order, all come to an end,
// and none sees another's work half done.
func TestLockersDoNotBlockEachOther(t *testing.T) {
	b := newBench(t)
	keys, _ := b.apart(8)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(worker)))
			tx := b.NewTx()
			for range 500 {
				tx.Begin(0)
				if random.IntN(20) == 0 {
					tx.LockAll()
				}
				var mask uint64
				picked := random.Perm(len(keys))[:1+random.IntN(4)]
				for _, i := range picked {
					mask |= tx.Mask([]byte(keys[i]))
				}
				tx.LockMask(mask)
				if !tx.Holds(mask) || !tx.Locked() {
					t.Error("the shards are not held")
				}
				first := ""
				for n, i := range picked { // all keys of a transaction get the same value
					put(tx, keys[i], strings.Repeat("x", worker+1), 0)
					if got := string(tx.Find([]byte(keys[i])).Value()); n == 0 {
						first = got
					} else if got != first {
						t.Errorf("%q beside %q", got, first)
					}
				}
				tx.End()
				if tx.Locked() {
					t.Error("locks are left")
				}
			}
		})
	}
	wg.Wait()
}

func TestMaskOfHeldShardsIsNoLock(t *testing.T) {
	b := newBench(t)
	keys, near := b.apart(2)
	tx := b.NewTx()
	tx.Begin(0)
	tx.LockMask(tx.Mask([]byte(keys[0])) | tx.Mask([]byte(keys[1])))
	tx.LockKey([]byte(near)) // would wait for itself if it locked again
	tx.LockMask(tx.Mask([]byte(keys[1])))
	tx.End()
	tx.Begin(0)
	tx.LockAll()
	tx.LockMask(tx.Mask([]byte(keys[1])))
	tx.End()
}

func TestExpiryAtLookup(t *testing.T) {
	b := newBench(t)
	b.put(0, "k", "v", b.in(100*time.Millisecond))
	b.clock.Advance(100 * time.Millisecond)
	b.want(0, "k", "string v until 100") // up to and with its last millisecond
	b.do(0, []string{"k"}, func(tx *Tx) {
		before := tx.Now()
		b.clock.Advance(time.Hour)
		if tx.Now() != before || tx.Find([]byte("k")) == nil {
			t.Error("a key expired in the middle of a transaction")
		}
	})
	tx := b.NewTx()
	tx.Begin(0)
	if tx.Len() != 1 {
		t.Error("nobody met the key, and it is gone")
	}
	tx.End()
	b.want(0, "k", "")
	if s := b.Stats(); s.Expired != 1 || s.Hits != 2 || s.Misses != 1 {
		t.Errorf("the counters are %+v", s)
	}
}

func TestKeepTTL(t *testing.T) {
	b := newBench(t)
	b.put(0, "k", "v", b.in(time.Second))
	b.put(0, "k", "longer than it was", KeepTTL)
	b.want(0, "k", "string longer than it was until 1000")
	b.put(0, "k", "v", 0)
	b.want(0, "k", "string v")
	b.put(0, "k", "v", KeepTTL)
	b.want(0, "k", "string v")
	b.put(0, "new", "v", KeepTTL)
	b.want(0, "new", "string v")
	b.put(0, "k", "v", b.in(time.Second))
	b.clock.Advance(2 * time.Second)
	b.put(0, "k", "w", KeepTTL) // what expired leaves no time behind
	b.want(0, "k", "string w")
	b.putSet(0, "k", 1000)
	b.put(0, "k", "v", KeepTTL) // over a value of another type, large at that
	b.want(0, "k", "string v")
}

// TestTransfer moves and copies values of every form between keys, shards and databases.
func TestTransfer(t *testing.T) {
	values := map[string]struct {
		make func(b *bench, db int, key string)
		want string
	}{
		"string":     {func(b *bench, db int, key string) { b.put(db, key, "value", b.in(time.Minute)) }, "string value until 60000"},
		"small hash": {func(b *bench, db int, key string) { b.putHash(db, key, 5, b.in(time.Minute)) }, "hash 5"},
		"large hash": {func(b *bench, db int, key string) { b.putHash(db, key, 700, b.in(time.Minute)) }, "hash 700"},
		"plain hash": {func(b *bench, db int, key string) { b.putHash(db, key, 600, 0) }, "hash 600"},
		"large set":  {func(b *bench, db int, key string) { b.putSet(db, key, 1000) }, "set 1000"},
	}
	for name, v := range values {
		for _, over := range []string{"nothing", "string", "large hash"} {
			for _, move := range []bool{false, true} {
				t.Run(name+" over "+over, func(t *testing.T) {
					b := newBench(t)
					keys, near := b.apart(2)
					for _, to := range []struct {
						key string
						db  int
					}{{keys[1], 0}, {near, 0}, {keys[0], 3}, {keys[1], 3}, {near, 3}} {
						v.make(b, 0, keys[0])
						if over != "nothing" {
							values[over].make(b, to.db, to.key)
						}
						b.do(0, []string{keys[0], to.key}, func(tx *Tx) {
							tx.Transfer([]byte(keys[0]), []byte(to.key), to.db, move)
							if tx.DB() != 0 {
								t.Error("the transaction is on another database")
							}
							tx.Changed([]byte(keys[0]), EventRenameFrom)
						})
						b.want(to.db, to.key, v.want)
						if move {
							b.want(0, keys[0], "")
						} else {
							b.want(0, keys[0], v.want)
						}
					}
				})
			}
		}
	}
}

func TestStepEndsEntries(t *testing.T) {
	b := newBench(t)
	keys, _ := b.apart(12)
	b.do(0, keys, func(tx *Tx) {
		for i, k := range keys { // more entries than a transaction keeps
			put(tx, k, strings.Repeat("v", i+1), 0)
		}
		for i, k := range keys {
			tx.Step()
			if got := len(tx.Find([]byte(k)).Value()); got != i+1 {
				t.Errorf("%s is %d long", k, got)
			}
		}
		first := tx.Find([]byte(keys[0]))
		for _, k := range keys[1:] {
			tx.Find([]byte(k))
		}
		if string(first.Key()) != keys[0] {
			t.Error("an entry was handed out twice in one step")
		}
	})
}
