package engine

import (
	"testing"
	"time"
)

// TestEnclose: who meets an enclosed shard waits for its end, or no longer than it is told to, and holds nothing.
func TestEnclose(t *testing.T) {
	e := New(Options{Seed: 42})
	defer e.Close()
	slow, key := e.NewTx(), []byte("k")
	slow.Begin(0)
	slow.LockKey(key)
	long := slow.Enclose()
	if slow.Enclose() != long {
		t.Fatal("enclosed twice")
	}

	patient, entered := e.NewTx(), make(chan struct{})
	patient.Begin(0)
	go func() {
		patient.LockAll()
		close(entered)
	}()
	impatient, refused := e.NewTx(), make(chan bool)
	impatient.Impatient = true
	impatient.Begin(0)
	go func() { refused <- impatient.LockAll() }()
	long.Long()
	if <-refused || impatient.Locked() {
		t.Fatal("the impatient waited")
	}
	if impatient.LockKey(key) || impatient.Locked() {
		t.Fatal("the impatient got an enclosed key")
	}
	other := []byte("other")
	if shardOf(e.Hash(other)) == shardOf(e.Hash(key)) {
		t.Fatal("choose another key")
	}
	if !impatient.LockKey(other) { // the patient one holds nothing while it waits
		t.Fatal("a free shard was refused")
	}
	impatient.End()
	select {
	case <-entered:
		t.Fatal("entered an enclosed shard")
	default:
	}
	slow.End()
	<-entered
	patient.End()
	impatient.Begin(0)
	if !impatient.LockAll() {
		t.Fatal("refused after the end")
	}
	impatient.End()
}

// TestTickPassesOverEnclosedShards: the periodic work goes on beside a script without end, and comes back to its shard
// when that is free.
func TestTickPassesOverEnclosedShards(t *testing.T) {
	b := newBench(t)
	for _, key := range []string{"kept", "other"} {
		b.do(0, []string{key}, func(tx *Tx) {
			tx.Create([]byte(key), String, 0, b.in(time.Second))
			tx.Changed([]byte(key), EventSet)
		})
	}
	b.clock.Advance(2 * time.Second)
	slow := b.NewTx()
	slow.Begin(0)
	slow.LockKey([]byte("kept"))
	slow.Enclose()
	b.Tick(time.Hour)
	slow.End()
	if n := b.Stats().Expired; n != 1 {
		t.Errorf("%d expired beside the enclosed shard, want 1", n)
	}
	b.Tick(time.Hour)
	if n := b.Stats().Expired; n != 2 {
		t.Errorf("%d expired after its end, want 2", n)
	}
}
