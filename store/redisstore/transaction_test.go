package redisstore_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store"
)

func TestTransaction(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		st, ok := s.Open(t).(store.Transactor)
		if !ok {
			t.Fatal("it has no transactions")
		}
		testTransaction(t, st.(store.Store), st)
		testTransactionsTogether(t, st.(store.Store), st)
	}, fleet.CanTrack)
}

func testTransaction(t *testing.T, st store.Store, tx store.Transactor) {
	ctx := t.Context()
	replies, err := tx.Transaction(ctx, store.Cmd{"SET", "{tx}a", "1"}, store.Cmd{"LPUSH", "{tx}a", "x"}, store.Cmd{"INCR", "{tx}a"}, store.Cmd{"PING"}, store.Cmd{"GET", "{tx}none"})
	if err != nil || len(replies) != 5 {
		t.Fatal(replies, err)
	}
	if n, err := replies[2].Int64(); n != 2 || err != nil || !errors.Is(replies[1].Err(), store.ErrWrongType) || !replies[4].IsNil() {
		t.Error(replies)
	}
	for _, c := range []struct {
		cmds []store.Cmd
		want string
	}{
		{[]store.Cmd{{"SET", "{tx}a", "5"}, {"NOSUCH"}}, "EXECABORT"}, {[]store.Cmd{{"SET", "{tx}a", "5"}, {"GET"}}, "EXECABORT"},
		{[]store.Cmd{{"SET", "{tx}a", "5"}, {}}, "name"}, {[]store.Cmd{{"SET", "{tx}a", "5"}, {"WATCH", "{tx}b"}}, "WATCH"},
		{[]store.Cmd{{"SET", "{tx}a", "5"}, {"exec"}}, "exec"},
	} {
		if _, err := tx.Transaction(ctx, c.cmds...); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
			t.Errorf("%v: %v", c.cmds, err)
		}
	}
	if got, err := st.Do(ctx, "GET", "{tx}a").Text(); got != "2" || err != nil {
		t.Errorf("after transactions that were refused: %s, %v", got, err)
	}
	if replies, err := tx.Transaction(ctx); len(replies) != 0 || err != nil {
		t.Error(replies, err)
	}
	if replies, err := tx.Transaction(ctx, store.Cmd{"BLPOP", "{tx}none", "0"}); err != nil || !replies[0].IsNil() {
		t.Error("one that would block elsewhere:", replies, err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := tx.Transaction(over, store.Cmd{"SET", "{tx}a", "6"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Transactions of many callers do not mix.
func testTransactionsTogether(t *testing.T, st store.Store, tx store.Transactor) {
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for range 20 {
				replies, err := tx.Transaction(t.Context(), store.Cmd{"INCR", "{tx}n"}, store.Cmd{"APPEND", "{tx}log", strconv.Itoa(g)}, store.Cmd{"APPEND", "{tx}log", strconv.Itoa(g)}, store.Cmd{"INCR", "{tx}n"})
				if err != nil {
					t.Error(err)
					return
				}
				first, _ := replies[0].Int64()
				if second, _ := replies[3].Int64(); second != first+1 {
					t.Errorf("%d, then %d", first, second)
				}
			}
		})
	}
	wait.Wait()
	log, _ := st.Do(t.Context(), "GET", "{tx}log").Text()
	for i := 0; i < len(log); i += 2 {
		if len(log) != 320 || log[i] != log[i+1] {
			t.Fatalf("%q", log)
		}
	}
}

// A slot that moves, and a failover, are waited for; a transaction runs once.
func TestTransactionIsDisturbed(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t, "timeout=10s")
		tx, _ := st.(store.Transactor)
		incr := func(want int64) {
			t.Helper()
			replies, err := tx.Transaction(t.Context(), store.Cmd{"INCR", "{tx}n"}, store.Cmd{"RPUSH", "{tx}l", "x"}, store.Cmd{"LLEN", "{tx}l"})
			if err != nil {
				t.Fatal(err)
			}
			n, _ := replies[0].Int64()
			if l, _ := replies[2].Int64(); n != want || l != want {
				t.Errorf("%d and %d, want %d", n, l, want)
			}
		}
		incr(1)
		s.Settle()
		s.MoveSlot("{tx}")
		incr(2)
		s.Failover("{tx}")
		incr(3)
		if _, err := tx.Transaction(t.Context(), store.Cmd{"SET", "a", "1"}, store.Cmd{"SET", "b", "2"}); err == nil || !strings.HasPrefix(errorText(err), "CROSSSLOT") {
			t.Error(err)
		}
	}, fleet.CanMove)
}

func errorText(err error) string {
	var e store.ServerError
	if errors.As(err, &e) {
		return string(e)
	}
	return err.Error()
}

// Who may not MULTI runs nothing at all.
func TestTransactionOfUserWithoutMulti(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		if s.Kind != fleet.Redis && s.Kind != fleet.Larder {
			t.Skip("one server is enough")
		}
		admin := s.Open(t)
		if err := admin.Do(t.Context(), "ACL", "SETUSER", "default", "-multi").Err(); err != nil {
			t.Fatal(err)
		}
		defer admin.Do(t.Context(), "ACL", "SETUSER", "default", "+multi")
		tx, _ := admin.(store.Transactor)
		if _, err := tx.Transaction(t.Context(), store.Cmd{"SET", "a", "1"}); err == nil || !strings.HasPrefix(errorText(err), "NOPERM") {
			t.Error(err)
		}
		if n, err := admin.Do(t.Context(), "EXISTS", "a").Int64(); n != 0 || err != nil {
			t.Error(n, err)
		}
	}, fleet.CanRestart|fleet.CanTrack)
}

func TestMonitor(t *testing.T) {
	leaktest.Check(t)
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t)
		m, ok := st.(store.Monitor)
		if !ok {
			t.Skip("it has no MONITOR")
		}
		ctx, cancel := context.WithCancel(t.Context())
		lines := make(chan string, 1000)
		ended := make(chan error, 1)
		go func() { ended <- m.Monitor(ctx, func(line string) { lines <- line }) }()
		if line := <-lines; line != "OK" {
			t.Fatal(line)
		}
		long := strings.Repeat("x", 1<<20)
		st.Do(t.Context(), "SET", "{m}a", "x\r\n\xff")
		st.Do(t.Context(), "SET", "{m}b", long)
		st.Do(t.Context(), "GET", "{m}c")
		for _, want := range []string{`] "SET" "{m}a" "x\r\n\xff"`, `] "SET" "{m}b" "xxxxxxx`, `] "GET" "{m}c"`} {
			for line := range lines {
				if strings.Contains(line, want) {
					break
				}
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { ended <- m.Monitor(t.Context(), func(line string) { lines <- line }) }()
		for line := range lines {
			if line == "OK" {
				break
			}
		}
		_ = st.Close()
		if err := <-ended; !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
		if err := m.Monitor(t.Context(), func(string) {}); !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	}, fleet.CanTrack)
}
