package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/types/hash"
)

// watching watches a key and reports, when it is called, whether the watch is broken.
func (b *bench) watching(db int, key string) (broken func() bool) {
	b.t.Helper()
	w := new(Watch)
	b.do(db, []string{key}, func(tx *Tx) { tx.Watch(w, []byte(key)) })
	return func() (broken bool) {
		tx := b.NewTx()
		tx.Begin(0)
		tx.LockMask(tx.WatchMask(w))
		broken = tx.Broken(w)
		tx.End()
		b.Unwatch(w)
		return broken
	}
}

func TestWhatBreaksAWatch(t *testing.T) {
	type world struct {
		*bench
		other string // a key of another shard
	}
	cases := []struct {
		name   string
		broken bool
		before func(w world) // the key is k of database 0
		do     func(w world)
	}{
		{"nothing", false, nil, func(world) {}},
		{"a write", true, nil, func(w world) { w.put(0, "k", "v", 0) }},
		{"a write of the same value", true, func(w world) { w.put(0, "k", "v", 0) }, func(w world) { w.put(0, "k", "v", 0) }},
		{"a write in another database", false, nil, func(w world) { w.put(1, "k", "v", 0) }},
		{"a write of another key", false, nil, func(w world) { w.put(0, w.other, "v", 0) }},
		{"a look", false, func(w world) { w.put(0, "k", "v", 0) }, func(w world) { w.want(0, "k", "string v") }},
		{"a deletion", true, func(w world) { w.put(0, "k", "v", 0) }, func(w world) {
			w.do(0, []string{"k"}, func(tx *Tx) { tx.Delete([]byte("k")) })
		}},
		{"a deletion of nothing", false, nil, func(w world) { w.do(0, []string{"k"}, func(tx *Tx) { tx.Delete([]byte("k")) }) }},
		{"its time", true, func(w world) { w.put(0, "k", "v", w.in(time.Second)) }, func(w world) { w.clock.Advance(time.Hour) }},
		{"its time, and the cycle", true, func(w world) { w.put(0, "k", "v", w.in(time.Second)) }, func(w world) {
			w.clock.Advance(time.Hour)
			w.Tick(time.Minute)
		}},
		{"its time before the watch", false, func(w world) {
			w.put(0, "k", "v", w.in(time.Second))
			w.clock.Advance(time.Hour)
		}, func(w world) { w.Tick(time.Minute) }},
		{"a field's time", true, func(w world) { w.putHash(0, "k", 4, w.in(time.Second)) }, func(w world) { w.clock.Advance(time.Hour) }},
		{"a field's time before the watch", false, func(w world) {
			w.putHash(0, "k", 4, w.in(time.Second))
			w.clock.Advance(time.Hour)
		}, func(w world) { w.Tick(time.Minute) }},
		{"a flush", true, func(w world) { w.put(0, "k", "v", 0) }, func(w world) { w.flush(0) }},
		{"a flush of all", true, func(w world) { w.put(0, "k", "v", 0) }, func(w world) { w.flush(-1) }},
		{"a flush where it is missing", false, nil, func(w world) { w.flush(0) }},
		{"a flush of another database", false, func(w world) { w.put(0, "k", "v", 0) }, func(w world) { w.flush(1) }},
		{"a swap", true, func(w world) { w.put(0, "k", "v", 0) }, func(w world) { w.swap(0, 1) }},
		{"a swap that brings it", true, func(w world) { w.put(1, "k", "v", 0) }, func(w world) { w.swap(0, 1) }},
		{"a swap where it is nowhere", false, nil, func(w world) { w.swap(0, 1) }},
		{"a swap that brings it after its time", false, func(w world) {
			w.put(1, "k", "v", w.in(time.Second))
			w.clock.Advance(time.Hour)
		}, func(w world) { w.swap(0, 1) }},
		{"a swap of both after their time", false, func(w world) {
			w.put(0, "k", "v", w.in(time.Second))
			w.put(1, "k", "v", w.in(time.Second))
			w.clock.Advance(time.Hour)
		}, func(w world) { w.swap(0, 1) }},
		{"a swap after its time, which was to come", true, func(w world) { w.put(0, "k", "v", w.in(time.Second)) }, func(w world) {
			w.clock.Advance(time.Hour)
			w.swap(0, 1)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			keys, _ := b.apart(2)
			w := world{b, keys[0]}
			if shardOf(b.Hash([]byte("k"))) == shardOf(b.Hash([]byte(w.other))) {
				w.other = keys[1]
			}
			if c.before != nil {
				c.before(w)
			}
			broken := b.watching(0, "k")
			c.do(w)
			if broken() != c.broken {
				t.Errorf("broken: %v", !c.broken)
			}
			if n := b.observers.Load(); n != 0 {
				t.Errorf("%d observers are left", n)
			}
		})
	}
}

func (b *bench) flush(db int) {
	tx := b.NewTx()
	tx.Begin(0)
	tx.LockAll()
	tx.Flush(db)
	tx.End()
}

func (b *bench) swap(x, y int) {
	tx := b.NewTx()
	tx.Begin(0)
	tx.LockAll()
	tx.Swap(x, y)
	tx.End()
}

// TestWatchersAreForgotten: however clients watch and go, nothing of them stays behind.
func TestWatchersAreForgotten(t *testing.T) {
	b := newBench(t)
	watches := make([]Watch, 50)
	for i := range watches {
		for k := range 20 {
			key := fmt.Sprintf("k%d", (i+k)%30)
			for range 2 { // twice is once
				b.do(i%2, []string{key}, func(tx *Tx) { tx.Watch(&watches[i], []byte(key)) })
			}
		}
		if watches[i].Len() != 20 {
			t.Fatalf("%d keys are watched", watches[i].Len())
		}
	}
	b.put(0, "k1", "v", 0)
	for i := range watches {
		b.Unwatch(&watches[i])
	}
	for i := range b.shards {
		if n := len(b.shards[i].watchers); n != 0 {
			t.Errorf("shard %d has %d watched keys", i, n)
		}
	}
	if n := b.observers.Load(); n != 0 {
		t.Errorf("%d observers are left", n)
	}
	if broken := b.watching(0, "k1"); broken() {
		t.Error("a new watch was broken by an old change")
	}
}

// TestNobodyListensNothingIsKept: without observers a change leaves no note.
func TestNobodyListensNothingIsKept(t *testing.T) {
	b := newBench(t)
	b.do(0, []string{"k"}, func(tx *Tx) {
		put(tx, "k", "v", 0)
		if len(tx.changes) != 0 || len(tx.effects) != 0 || tx.dirty != 1 {
			t.Errorf("%d changes and %d effects are noted", len(tx.changes), len(tx.effects))
		}
		e := tx.Replace([]byte("k"), Hash, hash.InitLen)
		hash.Init(e)
		tx.Finish(e, []byte("k"), EventHDel) // empty: the key goes
	})
	b.want(0, "k", "")
	if b.Dirty() != 2 {
		t.Errorf("%d changes are counted", b.Dirty())
	}
}
