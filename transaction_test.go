package larder_test

import (
	"errors"
	"io"
	"strconv"
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

// Commands that wait for EXEC are memory of their connection: INFO tells it, and maxmemory is held against it.
func TestQueuedCommandsAreMemory(t *testing.T) {
	db := open(t, larder.Options{})
	conn, err := db.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(words, want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.WriteString(conn, words); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	const size = 1 << 20
	clients := func() (bytes int64) {
		text, err := db.Do(t.Context(), "INFO", "memory").Text()
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(text, "mem_clients_normal:")
		line, _, _ := strings.Cut(after, "\r\n")
		bytes, err = strconv.ParseInt(line, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	say("MULTI\r\n", "+OK\r\n")
	say("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n"+strings.Repeat("x", size)+"\r\n", "+QUEUED\r\n")
	if n := clients(); n < size || n > 3*size {
		t.Errorf("mem_clients_normal is %d with a MiB that waits for EXEC", n)
	}
	say("DISCARD\r\n", "+OK\r\n")
	if n := clients(); n >= size {
		t.Errorf("mem_clients_normal is %d after DISCARD", n)
	}
}
