package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/types/hash"
)

// indexed counts the entries of the indexes of expiring fields.
func (b *bench) indexed() (n int) {
	for i := range b.shards {
		for d := range b.shards[i].fields.dbs {
			n += b.shards[i].fields.dbs[d].Len()
		}
	}
	return n
}

// TestFieldIndex: an entry lives as long as some field may expire or the hash is there, whatever ends it.
func TestFieldIndex(t *testing.T) {
	ends := map[string]func(b *bench){
		"deletion":    func(b *bench) { b.do(0, []string{"h"}, func(tx *Tx) { tx.Delete([]byte("h")) }) },
		"overwriting": func(b *bench) { b.put(0, "h", "v", 0) },
		"another set": func(b *bench) { b.putSet(0, "h", 10) },
		"flush":       func(b *bench) { b.flush(0) },
		"flush all":   func(b *bench) { b.flush(-1) },
		"its own time": func(b *bench) {
			b.do(0, []string{"h"}, func(tx *Tx) { tx.Edit([]byte("h")).SetExpiry(b.in(time.Second)) })
			b.clock.Advance(time.Minute)
			b.Tick(time.Minute)
		},
		"time of the fields": func(b *bench) {
			b.clock.Advance(2 * time.Hour)
			b.Tick(time.Minute)
		},
		"persistence, and time": func(b *bench) {
			b.do(0, []string{"h"}, func(tx *Tx) {
				r := tx.Edit([]byte("h"))
				for i := range hash.Len(r) {
					hash.SetExpiry(r, fmt.Appendf(nil, "f%d", i), 0)
				}
			})
			b.clock.Advance(2 * time.Hour)
			b.Tick(time.Minute)
		},
	}
	for name, end := range ends {
		for _, fields := range []int{1, 6, 600} {
			t.Run(fmt.Sprintf("%s of %d", name, fields), func(t *testing.T) {
				b := newBench(t)
				if b.put(5, "elsewhere", "v", 0); b.fieldTTLs.Load() {
					t.Error("there is an index before it is needed")
				}
				b.putHash(0, "h", fields, b.in(time.Hour))
				if b.indexed() != 1 {
					t.Fatalf("%d entries", b.indexed())
				}
				if end(b); b.indexed() != 0 {
					t.Errorf("%d entries are left", b.indexed())
				}
			})
		}
	}
}

// TestFieldsExpireInSteps: a large hash that loses fields is held for a batch at a time, and a short tick goes on where
// the last one ended.
func TestFieldsExpireInSteps(t *testing.T) {
	b := newBench(t)
	const n = 20 * expireBatch
	b.putHash(0, "h", 2*n, b.in(time.Second))
	j := &script{t: t}
	b.SetJournal(j)
	b.clock.Advance(time.Minute)
	tx := b.NewTx()
	i := shardOf(b.Hash([]byte("h")))
	if !b.expireFieldsOf(tx, i, 0, []byte("h")) {
		t.Fatal("the first step was the last")
	}
	if gone := b.Stats().ExpiredFields; gone != expireBatch {
		t.Fatalf("%d fields went in a step", gone)
	}
	b.Tick(time.Minute)
	b.want(0, "h", fmt.Sprintf("hash %d", n))
	if gone := b.Stats().ExpiredFields; gone != n {
		t.Errorf("%d fields went", gone)
	}
	fields := 0
	for _, e := range j.effects {
		if string(e.Args[0]) != "HDEL" || len(e.Args) > effectFields+1 {
			t.Fatalf("an effect of %d words: %s", len(e.Args), e.Args[0])
		}
		fields += len(e.Args) - 2
	}
	if fields != n {
		t.Errorf("the journal heard of %d fields", fields)
	}
	other := newBench(t)
	other.putHash(0, "h", 2*n, 0)
	j.replay(other)
	other.want(0, "h", fmt.Sprintf("hash %d", n))
}

// TestLookupJournalsManyFields: what a reader meets is removed at once, in effects of bounded length.
func TestLookupJournalsManyFields(t *testing.T) {
	b := newBench(t)
	b.putHash(0, "h", 5000, b.in(time.Second))
	j := &script{t: t}
	b.SetJournal(j)
	b.clock.Advance(time.Minute)
	b.want(0, "h", "hash 2500")
	if len(j.effects) != 3 {
		t.Errorf("%d effects", len(j.effects))
	}
	b.putHash(0, "gone", 1, b.in(time.Second))
	j.effects = nil
	b.clock.Advance(time.Minute)
	b.want(0, "gone", "")
	if len(j.effects) != 1 || string(j.effects[0].Args[0]) != "UNLINK" {
		t.Errorf("there are %d effects", len(j.effects))
	}
}
