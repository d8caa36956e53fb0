package engine

import (
	"fmt"
	"testing"
	"time"
)

// deaf is a journal that keeps nothing.
type deaf struct{ calls, effects int }

func (d *deaf) Append(effects []Effect) { d.calls++; d.effects += len(effects) }

// TestLongTransactionPinsNothing: after a script of many writes its session keeps neither the notes of them nor the
// arguments that they refer to.
func TestLongTransactionPinsNothing(t *testing.T) {
	b := newBench(t)
	var j deaf
	b.SetJournal(&j)
	tx := b.NewTx()
	for _, n := range []int{3, 50_000, 3} {
		j = deaf{}
		tx.Begin(0)
		tx.LockAll()
		for i := range n {
			tx.Step()
			tx.StartCommand()
			key := fmt.Sprintf("key:%d", i)
			put(tx, key, "v", 0)
			tx.FinishCommand(0, [][]byte{[]byte("SET"), []byte(key), []byte("v")})
		}
		tx.End()
		if j.calls != 1 || j.effects != n {
			t.Errorf("the journal heard of %d changes in %d calls, want %d in one", j.effects, j.calls, n)
		}
		if len(tx.changes)+len(tx.effects) != 0 || cap(tx.changes) > keptNotes || cap(tx.effects) > keptNotes {
			t.Errorf("%d writes: room for %d changes and %d effects is kept", n, cap(tx.changes), cap(tx.effects))
		}
		for _, c := range tx.changes[:cap(tx.changes)] {
			if c.key != nil {
				t.Fatal("the key of a change that was told is kept")
			}
		}
		for _, e := range tx.effects[:cap(tx.effects)] {
			if e.Args != nil {
				t.Fatal("the arguments of an effect that was told are kept")
			}
		}
	}
}

// TestEffectsOfACommand: a command is journaled as it was sent, unless it told its own effects or changed nothing.
func TestEffectsOfACommand(t *testing.T) {
	b := newBench(t)
	j := &script{t: t}
	b.SetJournal(j)
	sent := [][]byte{[]byte("SENT"), []byte("k")}
	cases := []struct {
		name string
		do   func(tx *Tx)
		want string
	}{
		{"changes nothing", func(*Tx) {}, ""},
		{"changes", func(tx *Tx) { put(tx, "k", "v", 0) }, "SENT k"},
		{"tells its effect", func(tx *Tx) {
			put(tx, "k", "v", 0)
			tx.Effect([]byte("OWN"), []byte("k"))
		}, "OWN k"},
		{"tells two", func(tx *Tx) {
			put(tx, "k", "v", 0)
			tx.Effect([]byte("ONE"), []byte("k"))
			tx.Effect([]byte("TWO"), []byte("k"))
		}, "ONE k; TWO k"},
		{"meets an expired key", func(tx *Tx) {
			tx.now = b.in(time.Hour)
			tx.Find([]byte("old"))
		}, "UNLINK old"},
		{"meets one and changes", func(tx *Tx) {
			tx.now = b.in(time.Hour)
			tx.Find([]byte("old"))
			put(tx, "k", "v", 0)
		}, "UNLINK old; SENT k"},
	}
	for _, c := range cases {
		b.put(0, "old", "v", b.in(time.Second))
		j.effects = nil
		b.do(0, []string{"k", "old"}, func(tx *Tx) {
			tx.StartCommand()
			c.do(tx)
			tx.FinishCommand(0, sent)
		})
		got := ""
		for i, e := range j.effects {
			if i > 0 {
				got += "; "
			}
			got += fmt.Sprintf("%s %s", e.Args[0], e.Args[1])
		}
		if got != c.want {
			t.Errorf("a command that %s has the effects %q, want %q", c.name, got, c.want)
		}
	}
}

// TestGrouped: removals that no command asked for need no transaction around them.
func TestGrouped(t *testing.T) {
	asked, alone := Effect{Args: [][]byte{[]byte("SET")}}, Effect{Args: [][]byte{[]byte("UNLINK")}, Alone: true}
	for _, c := range []struct {
		effects []Effect
		want    bool
	}{{nil, false}, {[]Effect{asked}, false}, {[]Effect{alone, alone, alone}, false}, {[]Effect{asked, asked}, true}, {[]Effect{alone, asked}, true}} {
		if Grouped(c.effects) != c.want {
			t.Errorf("%d effects: grouped %v", len(c.effects), !c.want)
		}
	}
}

// TestEndsAreAlone: what expired or was evicted, and fields of hashes, are told as effects that stand alone.
func TestEndsAreAlone(t *testing.T) {
	b := newBench(t)
	j := &script{t: t}
	b.SetJournal(j)
	b.put(0, "k", "v", b.in(time.Second))
	b.putHash(0, "h", 4, b.in(time.Second))
	b.clock.Advance(time.Hour)
	b.want(0, "k", "")
	b.want(0, "h", "hash 2")
	if len(j.effects) != 2 {
		t.Fatalf("%d effects", len(j.effects))
	}
	for _, e := range j.effects {
		if !e.Alone {
			t.Errorf("%s is not alone", e.Args[0])
		}
	}
}
