package larder_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
)

func TestTransaction(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	replies, err := db.Transaction(ctx, store.Cmd{"SET", "a", "1"}, store.Cmd{"LPUSH", "a", "x"}, store.Cmd{"INCR", "a"}, store.Cmd{"BLPOP", "none", "0"})
	if err != nil || len(replies) != 4 {
		t.Fatal(replies, err)
	}
	if n, err := replies[2].Int64(); n != 2 || err != nil || !errors.Is(replies[1].Err(), store.ErrWrongType) || !replies[3].IsNil() {
		t.Errorf("%v", replies)
	}
	for _, cmds := range [][]store.Cmd{
		{{"SET", "a", "3"}, {"NOSUCH"}}, {{"SET", "a", "3"}, {"GET"}}, {{"SET", "a", "3"}, {"WATCH", "a"}}, {{"SET", "a", "3"}, {}},
	} {
		if replies, err := db.Transaction(ctx, cmds...); err == nil {
			t.Errorf("%v: %v", cmds, replies)
		}
	}
	if got, _ := db.Do(ctx, "GET", "a").Text(); got != "2" {
		t.Errorf("a refused transaction left %q", got)
	}
	if replies, err := db.Transaction(ctx); err != nil || len(replies) != 0 {
		t.Errorf("nothing to do: %v, %v", replies, err)
	}
}

// Two keys that always change together are never seen apart.
func TestTransactionIsAtomic(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if _, err := db.Transaction(t.Context(), store.Cmd{"INCR", "x"}, store.Cmd{"INCR", "y"}); err != nil {
					t.Error(err)
				}
				both, err := db.Transaction(t.Context(), store.Cmd{"GET", "x"}, store.Cmd{"GET", "y"})
				if err != nil || both[0].String() != both[1].String() {
					t.Error(both, err)
				}
			}
		})
	}
	wg.Wait()
	if got, _ := db.Do(t.Context(), "MGET", "x", "y").Strings(); strings.Join(got, " ") != "2000 2000" {
		t.Error(got)
	}
}
