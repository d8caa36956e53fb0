package command_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/larderdb/larder/store"
)

// TestScriptStrings holds the short ways of a script against the commands that they stand for, and against the journal.
func TestScriptStrings(t *testing.T) {
	a, b := newRig(t), newRig(t)
	var j recorder
	a.Engine.SetJournal(&j)
	a.main.want("OK", "SET", "k", "0123456789")
	a.main.want("(1)", "HSET", "h", "f", "v")
	run := func(readOnly bool, body func(tx store.StringTx) error) error {
		s := &store.Script{Name: "test", Lua: fmt.Sprint(readOnly), ReadOnly: readOnly, Go: func(tx store.Tx, _, _ []string) store.Reply {
			return store.Fail(body(tx.(store.StringTx)))
		}}
		return a.main.s.Run(s, []string{"k", "h", "none"}, nil).Err()
	}
	buf := []byte("keep ")
	err := run(true, func(tx store.StringTx) error {
		for _, test := range []struct {
			key     string
			from, n int
			want    string
			size    int
		}{
			{"k", 0, 100, "0123456789", 10}, {"k", 2, 3, "234", 10}, {"k", 9, 5, "9", 10}, {"k", 10, 5, "", 10}, {"k", 99, 5, "", 10},
			{"k", 3, 0, "", 10}, {"none", 0, 5, "", 0},
		} {
			part, size, err := tx.GetRange(test.key, test.from, test.n, buf)
			if string(part) != "keep "+test.want || size != test.size || err != nil {
				t.Errorf("GetRange(%q, %d, %d): %q, %d, %v", test.key, test.from, test.n, part, size, err)
			}
		}
		if _, _, err := tx.GetRange("h", 0, 1, nil); !errors.Is(err, store.ErrWrongType) {
			t.Errorf("GetRange of a hash: %v", err)
		}
		return tx.SetString("k", []byte("x"), 0)
	})
	if err == nil || err.Error() != "ERR Write commands are not allowed from read-only scripts." {
		t.Errorf("a write in a read-only script: %v", err)
	}
	value := []byte("first")
	err = run(false, func(tx store.StringTx) error {
		err := errors.Join(tx.SetString("k", value, 5000), tx.SetString("h", value, 0))
		copy(value, "XXXXX") // the store has copied it
		return errors.Join(err, tx.Do("APPEND", "k", "!").Err())
	})
	if err != nil {
		t.Error(err)
	}
	a.main.want("first!", "GET", "k")
	a.main.want("(5000)", "PTTL", "k")
	a.main.want("first", "GET", "h")
	j.replay(t, b)
	if got, want := b.dump(), a.dump(); got != want {
		t.Errorf("the journal gives\n%s\nwant\n%s", got, want)
	}
}
