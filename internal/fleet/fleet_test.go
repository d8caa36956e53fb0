package fleet

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/store"
)

// ask runs a command that has to succeed.
func ask(t testing.TB, st store.Store, args ...string) string {
	t.Helper()
	text, _, err := st.Do(t.Context(), args...).Lookup()
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return text
}

func TestEach(t *testing.T) {
	var names []string
	Each(t, func(t *testing.T, s *Store) {
		names = append(names, s.Name())
		if !strings.HasSuffix(t.Name(), "/"+s.Name()) {
			t.Errorf("%s runs in %s", s.Name(), t.Name())
		}
		a, b := s.Open(t), s.Open(t)
		ask(t, a, "SET", "k", "v")
		if got := ask(t, b, "GET", "k"); got != "v" {
			t.Errorf("another client reads %q", got)
		}
		script := &store.Script{
			Name: "fleet.echo", Lua: `return ARGV[1]`,
			Go: func(_ store.Tx, _, args []string) store.Reply { return store.Bulk(args[0]) },
		}
		s.Register(script)
		for range 2 {
			if got, err := a.Run(t.Context(), script, []string{"k"}, "x").Text(); err != nil || got != "x" {
				t.Errorf("script: %q, %v", got, err)
			}
			s.FlushScripts()
		}
		if n := s.Blocked(); n != 0 {
			t.Errorf("%d clients wait for nothing", n)
		}
		popped := make(chan error, 1)
		go func() { popped <- b.Do(t.Context(), "BLPOP", "{k}list", "0").Err() }()
		if s.Can(CanBlock) {
			Eventually(t, "a client to wait", func() bool { return s.Blocked() == 1 })
		}
		ask(t, a, "RPUSH", "{k}list", "x")
		if err := <-popped; err != nil {
			t.Errorf("BLPOP: %v", err)
		}
		_ = b.Close()
		ask(t, s.Open(t), "SET", "k", "again")
	})
	if len(names) != 7 && !t.Failed() {
		t.Logf("ran on %v only", names)
	}
}

func TestEachLeavesOut(t *testing.T) {
	for _, test := range []struct {
		needs []Ability
		want  []Kind
	}{
		{[]Ability{CanRestart}, []Kind{Larder, Redis, Sentinel, Cluster, REST, RESTRedis}},
		{[]Ability{CanStall, CanKeep}, []Kind{Redis, Sentinel, Cluster, REST, RESTRedis}},
		{[]Ability{CanBlock}, []Kind{Embedded, Larder, Redis, Sentinel, Cluster}},
		{[]Ability{CanFailover}, []Kind{Sentinel, Cluster}},
		{[]Ability{CanMove}, []Kind{Cluster}},
	} {
		for _, kind := range []Kind{Embedded, Larder, Redis, Sentinel, Cluster, REST, RESTRedis} {
			want := slices.Contains(test.want, kind)
			if got := can(kind, test.needs); got != want {
				t.Errorf("%s can %v: %v", kind, test.needs, got)
			}
		}
	}
}

// eventually asks again until the store serves.
func eventually(t testing.TB, st store.Store, args ...string) (text string) {
	t.Helper()
	Eventually(t, "the store to serve", func() (ok bool) {
		var err error
		text, _, err = st.Do(t.Context(), args...).Lookup()
		return err == nil
	})
	return text
}

// TestDisturb makes one store of each kind go through everything that can be done to it.
func TestDisturb(t *testing.T) {
	Together(t, func(t *testing.T, s *Store) {
		for _, test := range []struct {
			name string
			need Ability
			run  func(t *testing.T, s *Store)
		}{
			{"Stall", CanStall, testStall}, {"MoveSlot", CanMove, testMoveSlot}, {"Failover", CanFailover, testFailover}, {"Restart", CanRestart, testRestart},
		} {
			if s.Can(test.need) {
				t.Run(test.name, func(t *testing.T) { test.run(t, s) })
			}
		}
	}, CanRestart)
}

func testRestart(t *testing.T, s *Store) {
	st := s.Open(t, "timeout=500ms")
	ask(t, st, "SET", "k", "v")
	s.Stop()
	if err := st.Do(t.Context(), "GET", "k").Err(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("stopped: %v", err)
	}
	s.Start()
	if got := eventually(t, st, "GET", "k"); got != "" {
		t.Errorf("survived: %q", got)
	}
	if s.Can(CanKeep) {
		eventually(t, st, "SET", "k", "w")
		s.RestartKeeping()
		if got := eventually(t, st, "GET", "k"); got != "w" {
			t.Errorf("after RestartKeeping: %q", got)
		}
	}
}

func testFailover(t *testing.T, s *Store) {
	st := s.Open(t)
	ask(t, st, "SET", "k", "v")
	begin := time.Now()
	s.Switchover("k")
	t.Logf("switchover took %v", time.Since(begin).Round(time.Millisecond))
	if got := eventually(t, st, "GET", "k"); got != "v" {
		t.Errorf("after a switchover: %q", got)
	}
	eventually(t, st, "SET", "k", "v")
	for round := range 2 {
		s.Settle()
		start := time.Now()
		s.Failover("k")
		t.Logf("failover %d took %v", round, time.Since(start).Round(time.Millisecond))
		if got := eventually(t, st, "GET", "k"); got != "v" {
			t.Errorf("after failover %d: %q", round, got)
		}
		eventually(t, st, "SET", "k", "v")
	}
}

func testMoveSlot(t *testing.T, s *Store) {
	st := s.Open(t)
	for i := range 30 {
		ask(t, st, "SET", "{k}"+strconv.Itoa(i), strconv.Itoa(i))
	}
	c := s.servers.(*cluster).c
	before := c.Owner("k")
	finish := s.BeginMove("k")
	for i := range 30 { // half way
		if got := ask(t, st, "GET", "{k}"+strconv.Itoa(i)); got != strconv.Itoa(i) {
			t.Errorf("half way key %d is %q", i, got)
		}
	}
	ask(t, st, "SET", "{k}new\r\n", "n")
	finish()
	if c.Owner("k") == before {
		t.Error("the slot did not move")
	}
	for i := range 30 {
		if got := ask(t, st, "GET", "{k}"+strconv.Itoa(i)); got != strconv.Itoa(i) {
			t.Errorf("key %d is %q", i, got)
		}
	}
	if got := ask(t, st, "GET", "{k}new\r\n"); got != "n" {
		t.Errorf("a key that was written half way is %q", got)
	}
	s.MoveSlot("k")
}

func testStall(t *testing.T, s *Store) {
	st := s.Open(t)
	ask(t, st, "SET", "k", "v")
	over := s.Stall(500 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := st.Do(ctx, "GET", "k").Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen: %v", err)
	}
	<-over
	if got := eventually(t, st, "GET", "k"); got != "v" {
		t.Errorf("after a stall: %q", got)
	}
}

// TestTilt has the sentinel itself stand still before and during a failover.
func TestTilt(t *testing.T) {
	s := Start(t, Sentinel)
	w := s.servers.(*watched)
	w.sentinel.Pause()
	<-time.After(2200 * time.Millisecond) // the sentinel takes nothing less for a reason
	w.sentinel.Resume()
	Eventually(t, "the sentinel to be in tilt", func() bool {
		return strings.Contains(w.sentinel.Do("INFO", "sentinel"), "sentinel_tilt:1")
	})
	s.Failover("k")
	ask(t, s.Open(t), "SET", "k", "v")
}
