package engine

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/hash"
	"github.com/larderdb/larder/internal/types/set"
)

// bench is an engine with a fake clock, whose structures are verified when the test ends.
type bench struct {
	t testing.TB
	*Engine
	clock *clock.Fake
}

func newBench(t testing.TB) *bench {
	t.Helper()
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	e := New(Options{Clock: fake, Seed: 42})
	t.Cleanup(func() {
		if err := e.Check(); err != nil {
			t.Errorf("after the test: %v", err)
		}
		e.Close()
	})
	return &bench{t, e, fake}
}

func (b *bench) in(d time.Duration) int64 { return b.clock.Now().Add(d).UnixMilli() }

// do runs fn in a transaction of its own with the shards of some keys locked.
func (b *bench) do(db int, keys []string, fn func(tx *Tx)) {
	b.t.Helper()
	tx := b.NewTx()
	tx.Begin(db)
	var mask uint64
	for _, k := range keys {
		mask |= tx.Mask([]byte(k))
	}
	tx.LockMask(mask)
	fn(tx)
	tx.End()
}

func put(tx *Tx, key, value string, expiry int64) {
	copy(tx.Put([]byte(key), len(value), expiry).Value(), value)
	tx.Changed([]byte(key), EventSet)
}

func (b *bench) put(db int, key, value string, expiry int64) {
	b.t.Helper()
	b.do(db, []string{key}, func(tx *Tx) { put(tx, key, value, expiry) })
}

// putHash makes a hash of n fields, the first half of which expire.
func (b *bench) putHash(db int, key string, n int, expiry int64) {
	b.t.Helper()
	b.do(db, []string{key}, func(tx *Tx) {
		e := tx.Replace([]byte(key), Hash, hash.InitLen)
		hash.Init(e)
		for i := range n {
			field := fmt.Appendf(nil, "f%d", i)
			hash.Set(e, b.Limits().Hash, field, []byte("v"))
			if i < (n+1)/2 && expiry != 0 {
				hash.SetExpiry(e, field, expiry)
			}
		}
		tx.ExpectFields(e, []byte(key))
		tx.Changed([]byte(key), EventHSet)
	})
}

func (b *bench) putSet(db int, key string, n int) {
	b.t.Helper()
	b.do(db, []string{key}, func(tx *Tx) {
		e := tx.Replace([]byte(key), Set, set.InitLen)
		set.Init(e, b.Limits().Set, []byte("member 0"), n)
		for i := range n {
			set.Add(e, b.Limits().Set, fmt.Appendf(nil, "member %d", i))
		}
		tx.Changed([]byte(key), EventSAdd)
	})
}

// get describes what is at a key: type, size or value, and expiry; "" if nothing is.
func (b *bench) get(db int, key string) (s string) {
	b.t.Helper()
	b.do(db, []string{key}, func(tx *Tx) {
		if e := tx.Find([]byte(key)); e != nil {
			s = describe(e)
		}
	})
	return s
}

func describe(e *table.Entry) string {
	s := fmt.Sprintf("%s %d", Kind(e.Kind()), kinds[e.Kind()].len(e))
	if Kind(e.Kind()) == String {
		s = "string " + string(e.Value())
	}
	if at := e.Expiry(); at != 0 {
		s += fmt.Sprintf(" until %d", at-1_700_000_000_000)
	}
	return s
}

// all describes a database.
func (b *bench) all(db int) string {
	var lines []string
	tx := b.NewTx()
	tx.Begin(db)
	tx.Keys(func(key []byte, r *table.Entry) { lines = append(lines, string(key)+": "+describe(r)) })
	tx.End()
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (b *bench) want(db int, key, want string) {
	b.t.Helper()
	if got := b.get(db, key); got != want {
		b.t.Fatalf("%q of database %d is %q, want %q", key, db, got, want)
	}
}

// apart returns keys of n different shards; near, one more key of the first one's shard.
func (b *bench) apart(n int) (keys []string, near string) {
	taken := map[int]bool{}
	first := -1
	for i := 0; len(keys) < n || near == ""; i++ {
		key := fmt.Sprintf("key:%d", i)
		switch shard := shardOf(b.Hash([]byte(key))); {
		case !taken[shard] && len(keys) < n:
			taken[shard], keys = true, append(keys, key)
			if first < 0 {
				first = shard
			}
		case shard == first:
			near = key
		}
	}
	return keys, near
}

// TestStale holds the cycle's figures: what part of the keys was past its time, and that a cycle without time says so.
func TestStale(t *testing.T) {
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	e := New(Options{Clock: fake, Seed: 7})
	defer e.Close()
	tx := e.NewTx()
	for i := range 1000 {
		key := []byte("k" + strconv.Itoa(i))
		tx.Begin(0)
		tx.LockKey(key)
		tx.Create(key, String, 0, fake.Now().UnixMilli()+1+int64(i%2)*1_000_000)
		tx.End()
	}
	fake.Advance(time.Second)
	e.Tick(time.Second)
	if got := e.Stale(); math.Abs(got-0.05/2) > 1e-9 {
		t.Errorf("%g stale, want a half, weighed", got)
	}
	if e.ExpireCaps() != 0 {
		t.Errorf("%d cycles without time", e.ExpireCaps())
	}
	e.Tick(0)
	if e.ExpireCaps() != 1 {
		t.Errorf("%d cycles without time, want 1", e.ExpireCaps())
	}
}
