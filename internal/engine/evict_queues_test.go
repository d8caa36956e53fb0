package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/mem/table"
)

func queuedPolicies() []config.Policy {
	return []config.Policy{config.AllKeysS3FIFO, config.AllKeysTinyLFU, config.VolatileS3FIFO, config.VolatileTinyLFU}
}

// lost is the number of young records that no queue knows. There are some where the policy changed, and none else.
func (e *Engine) lost() (n int) {
	e.lock(allShards)
	defer e.unlock(allShards)
	for i := range e.shards {
		s := &e.shards[i]
		queued := map[uint64]bool{}
		for range s.recall.young.Len() { // once round
			entry, _ := s.recall.young.Pop()
			queued[entry] = true
			s.recall.young.Push(entry)
		}
		for db := range s.dbs {
			s.dbs[db].Each(func(r *table.Entry) bool {
				if state := r.Clock(); state&youngBit != 0 && !queued[entryOf(e.Hash(r.Key()), state)] {
					n++
				}
				return true
			})
		}
	}
	return n
}

func TestEntriesKeepHashAndStamp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		h, stamp := r.Uint64(), r.Uint32()
		entry := entryOf(h, stamp)
		if stampOf(entry) != stamp&stampMask || (entry^h)&hashMask != 0 {
			t.Fatalf("hash %x, stamp %x: entry %x, stamp %x", h, stamp, entry, stampOf(entry))
		}
	}
	if entryLow|entryHigh|hashMask != ^uint64(0) || hashMask&(entryLow|entryHigh) != 0 {
		t.Error("the parts of an entry overlap, or leave something out")
	}
}

func TestCountsHalve(t *testing.T) {
	var q queues
	q.init()
	q.period.Store(100)
	q.tick.Store(250)
	state := uint32(12<<countShift | 40)
	for _, want := range []struct{ stamp, count uint32 }{{250, 12}, {210, 12}, {199, 6}, {100, 6}, {99, 3}, {0, 3}} {
		if got := q.aged(state&^stampMask|want.stamp, 250); got != want.count {
			t.Errorf("12 of %d count as %d at 250, not %d", want.stamp, got, want.count)
		}
	}
	if got := q.used(state); got != 4<<countShift|250 {
		t.Errorf("a use makes it %x", got)
	}
	if got := q.used(youngBit | 15<<countShift | 40); got != youngBit|touchedBit|15<<countShift|40 {
		t.Errorf("a use among the young makes it %x", got)
	}
}

// TestScansPushNothingOut: of keys that are in use while four times as many others come once each, most stay, where LRU keeps few.
func TestScansPushNothingOut(t *testing.T) {
	kept := func(policy config.Policy) (n int) {
		b := newBench(t)
		const hot = 400
		b.bound(b.Overhead()+b.Used()+300_000, policy)
		value, scanned := strings.Repeat("v", 200), 0
		for round := range 30 {
			for i := range hot {
				key := fmt.Sprintf("hot:%d", i)
				if b.get(0, key) == "" {
					b.set(0, key, value, 100_000)
				}
			}
			if round > 5 {
				for range 4 * hot {
					b.set(0, fmt.Sprintf("scan:%d", scanned), value, 100_000)
					scanned++
				}
			}
			b.clock.Advance(time.Second)
			b.Tick(time.Millisecond)
		}
		for i := range hot {
			if b.get(0, fmt.Sprintf("hot:%d", i)) != "" {
				n++
			}
		}
		return n
	}
	if n := kept(config.AllKeysLRU); n > 200 {
		t.Errorf("LRU kept %d: this is no test", n)
	}
	for _, p := range queuedPolicies() {
		if n := kept(p); n < 380 {
			t.Errorf("%v kept %d of 400", p, n)
		}
	}
}

// TestNothingIsKeptForOthers: a policy that does not queue has no queues, and gets the memory of one that did.
func TestNothingIsKeptForOthers(t *testing.T) {
	b := newBench(t)
	fill := func(n int) {
		for i := range n {
			b.set(0, fmt.Sprintf("key:%d", i), "some value", 0)
		}
	}
	bound := b.Overhead() + b.Used() + 2_000_000
	b.bound(bound, config.AllKeysLRU)
	if fill(20_000); b.queues.bytes.Load() != 0 || b.queues.came.Load() != 0 {
		t.Error("LRU queues")
	}
	b.bound(bound, config.AllKeysTinyLFU)
	if fill(60_000); b.queues.bytes.Load() == 0 {
		t.Error("W-TinyLFU does not queue")
	}
	tx := b.NewTx()
	tx.Begin(0)
	keys := int64(tx.Len())
	tx.End()
	if per := b.queues.bytes.Load() / keys; per > 9 {
		t.Errorf("%d bytes a key", per)
	}
	b.bound(bound, config.AllKeysLRU)
	if b.Tick(time.Millisecond); b.queues.bytes.Load() != 0 || b.queues.waiting.Load() != 0 {
		t.Error("what W-TinyLFU remembered is still there")
	}
	b.bound(0, config.AllKeysS3FIFO)
	if fill(20_000); b.queues.bytes.Load() != 0 {
		t.Error("keys are queued though nothing will ever go")
	}
}

// TestQueuesAgainstEverything: whatever is done to keys, the bound holds, every structure is sound, and no young record is
// forgotten but by a change of the policy.
func TestQueuesAgainstEverything(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			storm(t, rand.New(rand.NewPCG(seed, seed)), queuedPolicies()[seed%4], 12_000, seed >= 4)
		})
	}
}

func FuzzQueues(f *testing.F) {
	f.Add(uint64(1), uint8(0), true)
	f.Fuzz(func(t *testing.T, seed uint64, policy uint8, switching bool) {
		storm(t, rand.New(rand.NewPCG(seed, seed)), queuedPolicies()[policy%4], 1500, switching)
	})
}

// storm does random things to the keys of three databases under a policy, which may change.
func storm(t *testing.T, r *rand.Rand, policy config.Policy, steps int, switching bool) {
	b := newBench(t)
	bound := b.Overhead() + b.Used() + 150_000
	b.bound(bound, policy)
	for step := range steps {
		db, key, other := r.IntN(3), fmt.Sprintf("key:%d", r.IntN(3000)), fmt.Sprintf("key:%d", r.IntN(3000))
		switch p := r.IntN(1000); {
		case p < 450:
			b.set(db, key, strings.Repeat("x", r.IntN(200)), r.IntN(2)*(1+r.IntN(500)))
		case p < 800:
			b.get(db, key)
		case p < 900:
			b.do(db, []string{key, other}, func(tx *Tx) { mishandle(tx, r.IntN(5), key, other, b.in(time.Minute)) })
		case p < 930:
			if b.MakeRoom() {
				b.putSet(db, key, 1+r.IntN(300))
			}
		case p < 990, p < 998 && !switching:
			b.clock.Advance(time.Duration(r.IntN(20)) * time.Second)
			b.Tick(time.Millisecond)
		case p < 998:
			l := []config.Policy{config.AllKeysLRU, config.VolatileLFU, config.AllKeysRandom, config.NoEviction}
			b.bound(bound, append(l, queuedPolicies()...)[r.IntN(8)])
		default:
			flushOrSwap(b, r)
		}
		if step%500 == 499 {
			verify(t, b, bound, switching)
		}
	}
	if b.Stats().Evicted == 0 && steps > 5000 && !policy.Volatile() {
		t.Error("nothing was evicted: the test tests nothing")
	}
}

// mishandle does what a policy must follow without being told.
func mishandle(tx *Tx, what int, key, other string, soon int64) {
	k, o := []byte(key), []byte(other)
	e := tx.Edit(k)
	switch {
	case e == nil:
	case what == 0:
		tx.Delete(k)
	case what == 1 && key != other:
		tx.Transfer(k, o, tx.DB(), true)
		tx.Changed(o, EventSet)
	case what == 2 && key != other:
		tx.Transfer(k, o, tx.DB(), false)
		tx.Changed(o, EventSet)
	case what == 3:
		e.SetExpiry(soon)
		tx.Changed(k, EventSet)
	default:
		e.SetExpiry(0)
		tx.Changed(k, EventSet)
	}
}

func flushOrSwap(b *bench, r *rand.Rand) {
	tx := b.NewTx()
	tx.Begin(0)
	tx.LockAll()
	switch r.IntN(3) {
	case 0:
		tx.Flush(r.IntN(3))
	case 1:
		tx.Flush(-1)
	default:
		tx.Swap(r.IntN(3), r.IntN(3))
	}
	tx.End()
}

func verify(t *testing.T, b *bench, bound int64, switching bool) {
	t.Helper()
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	if n := b.lost(); n > 0 && !switching {
		t.Fatalf("%d young records are in no queue", n)
	}
	if !b.MakeRoom() {
		return // noeviction, or nothing has a time to live
	}
	if over := b.Used() + b.Overhead() - bound; over > 0 {
		t.Fatalf("%d bytes over the bound", over)
	}
}

// TestQueuesAtOnce: the same from many goroutines, for the race detector.
func TestQueuesAtOnce(t *testing.T) {
	for _, policy := range queuedPolicies()[:2] {
		b := newBench(t)
		bound := b.Overhead() + b.Used() + 200_000
		b.bound(bound, policy)
		var wg sync.WaitGroup
		for g := range uint64(4) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(g, 9))
				for i := range 3000 {
					key := fmt.Sprintf("key:%d", r.IntN(4000))
					switch {
					case i%10 == 0:
						b.do(0, []string{key}, func(tx *Tx) { tx.Delete([]byte(key)) })
					case i%500 == 7:
						b.Tick(time.Millisecond)
					case r.IntN(2) == 0:
						b.get(0, key)
					case b.MakeRoom():
						b.put(0, key, strings.Repeat("x", r.IntN(100)), 0)
					}
				}
			})
		}
		wg.Go(func() {
			for i := range 40 {
				b.bound(bound, []config.Policy{policy, config.AllKeysLRU, policy, queuedPolicies()[1]}[i%4])
				b.Tick(time.Millisecond)
			}
			b.bound(bound, policy)
		})
		wg.Wait()
		verify(t, b, bound, true)
	}
}

// TestChangingThePolicyTakesNoBite: where memory is full, the first commands under a policy that remembers evict a few keys each for it, not all
// at once.
func TestChangingThePolicyTakesNoBite(t *testing.T) {
	for _, policy := range queuedPolicies()[:2] {
		b := newBench(t)
		n := 0
		add := func() { b.set(0, fmt.Sprintf("key:%06d", n), "some value", 0); n++ }
		for range 30_000 {
			add()
		}
		b.bound(b.Used()+b.Overhead(), policy)
		most := int64(0)
		for range 20_000 {
			before := b.Stats().Evicted
			add()
			most = max(most, b.Stats().Evicted-before)
		}
		if most > 150 { // LRU: 52, for the next larger segment of a table
			t.Errorf("%v: one command evicted %d keys", policy, most)
		}
		if b.queues.bytes.Load() < 50_000 {
			t.Errorf("%v remembers %d bytes", policy, b.queues.bytes.Load())
		}
	}
}
