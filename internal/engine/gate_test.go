package engine

import (
	"testing"
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
