package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
)

// Every kind of server that can be reached by an address is examined to the end.
func TestEveryKind(t *testing.T) {
	fleet.Together(t, func(t *testing.T, s *fleet.Store) {
		if !slices.Contains([]fleet.Kind{fleet.Larder, fleet.Redis, fleet.Sentinel, fleet.Cluster}, s.Kind) {
			return
		}
		st := s.Open(t)
		var cmds []store.Cmd
		for i := range 500 {
			cmds = append(cmds, store.Cmd{"SET", fmt.Sprintf("json:%d", i), fmt.Sprintf(`{"id":%d,"name":"n"}`, i)})
		}
		pipe(t, st, cmds...)
		target := open(t, clusterURL(t, st))
		recorders := recorded(target)
		r := examineAll(t, target, nil)
		if !r.Scan.Complete || r.Scan.Seen != 500 || r.Scan.Stopped != "" {
			t.Errorf("%+v", r.Scan)
		}
		mustFind(t, r, "json-strings", `"json:*"`)
		mustFind(t, r, "maxmemory", "")
		for _, rec := range recorders {
			rec.commands(t)
		}
	})
}

// Over REST what the service answers is checked, and the rest has its reason.
func TestREST(t *testing.T) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mistakes(t, db, 8)
	h, err := rest.Handler(db, rest.Options{Token: "secret-word", ReadOnlyToken: "read-word"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	srv := httptest.NewServer(h)
	defer srv.Close()
	at := func(token string) *Target {
		return open(t, strings.Replace(srv.URL, "http://", "http://"+token+"@", 1))
	}
	target := at("secret-word")
	recorders := recorded(target)
	r := examineAll(t, target, nil)
	for _, m := range keyMistakes {
		mustFind(t, r, m.check, m.subject)
	}
	mustFind(t, r, "maxmemory", "")
	recorders[0].commands(t)
	if text := shows(t, r); strings.Contains(text, "secret-word") {
		t.Errorf("the token is in the report:\n%s", text)
	}
	// Those services let a token for reading neither SCAN nor INFO.
	if r, err := Run(t.Context(), at("read-word"), Options{}); !errors.Is(err, store.ErrDenied) || strings.Contains(err.Error(), "read-word") {
		t.Error(r, err)
	}
}

// A check-up does not count as use of the keys: of none where the server has a no-touch mode, else of the few that were read.
func TestAccessCountersStay(t *testing.T) {
	const keys = 3000
	counters := func(st store.Store) (n []int64) {
		cmds := make([]store.Cmd, keys)
		for i := range cmds {
			cmds[i] = store.Cmd{"OBJECT", "FREQ", fmt.Sprintf("k:%d", i)}
		}
		for _, r := range st.Pipe(t.Context(), cmds...) {
			c, err := r.Int64()
			if err != nil {
				t.Fatal(err)
			}
			n = append(n, c)
		}
		return n
	}
	check := func(t *testing.T, st store.Store, url string) {
		pipe(t, st, store.Cmd{"CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"}, store.Cmd{"CONFIG", "SET", "lfu-log-factor", "0"}, store.Cmd{"CONFIG", "SET", "lfu-decay-time", "0"})
		for i := range keys {
			pipe(t, st, store.Cmd{"SET", fmt.Sprintf("k:%d", i), "x"})
		}
		before := counters(st)
		r := examineAll(t, open(t, url), nil)
		moved := 0
		for i, c := range counters(st) {
			if c != before[i] {
				moved++
			}
		}
		if r.Scan.Touched == 0 || r.Scan.NoTouch && moved > 0 || moved > readsPerType || int64(moved) > r.Scan.Touched {
			t.Errorf("the counters of %d keys moved, %d were read; no-touch %v", moved, r.Scan.Touched, r.Scan.NoTouch)
		}
		t.Logf("no-touch %v: %d keys read, the counters of %d moved", r.Scan.NoTouch, r.Scan.Touched, moved)
	}
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t)
		check(t, fill(t, s.URL()), s.URL())
	})
	t.Run("larder", func(t *testing.T) {
		s := fleet.Start(t, fleet.Larder)
		st := s.Open(t)
		check(t, st, clusterURL(t, st))
	})
}

// A store that changes between readings is no reason to fail: keys come, go and change their type while they are looked at.
func TestWhileOthersWrite(t *testing.T) {
	s := redistest.Start(t)
	st := fill(t, s.URL())
	mistakes(t, st, 9)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			k := fmt.Sprintf("json:%d", i%1500)
			st.Pipe(ctx, store.Cmd{"DEL", k}, store.Cmd{"RPUSH", k, "a", "b"}, store.Cmd{"PEXPIRE", k, "1"})
		}
	}()
	for range 3 {
		r := examineAll(t, open(t, s.URL()), nil)
		if !r.Scan.Complete || slices.ContainsFunc(r.Skipped, func(s Skip) bool { return strings.Contains(s.Reason, "WRONGTYPE") }) {
			t.Error(shows(t, r))
		}
	}
	cancel()
	<-done
}
