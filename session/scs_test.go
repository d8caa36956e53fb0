package session_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

var (
	_ scs.Store            = (*session.SCS)(nil)
	_ scs.CtxStore         = (*session.SCS)(nil)
	_ scs.IterableStore    = (*session.SCS)(nil)
	_ scs.IterableCtxStore = (*session.SCS)(nil)
)

func newSCS(t testing.TB, st store.Store) *session.SCS {
	t.Helper()
	s, err := session.NewSCS(st, session.SCSOptions{Prefix: fmt.Sprintf("scs%x:", rand.Uint64()), Timeout: 10 * time.Second})
	must(t, err)
	return s
}

// scsStore holds an SCS to what scs's Store asks, and to what it promises beyond.
func scsStore(t *testing.T, st store.Store) {
	s, soon := newSCS(t, st), time.Now().Add(time.Hour)
	if _, found, err := s.Find("nobody"); found || err != nil {
		t.Error(found, err)
	}
	if all, err := s.All(); all == nil || len(all) != 0 || err != nil {
		t.Error(all, err)
	}
	must(t, s.Commit("t1", []byte("one"), soon))
	must(t, s.Commit("t1", []byte("uno"), soon))
	must(t, s.Commit("t2", nil, soon))
	if b, found, err := s.Find("t1"); string(b) != "uno" || !found || err != nil {
		t.Error(string(b), found, err)
	}
	if b, found, err := s.Find("t2"); len(b) != 0 || !found || err != nil {
		t.Error(b, found, err)
	}
	must(t, s.Delete("t1"))
	must(t, s.Delete("never"))
	must(t, s.Commit("t1", []byte("late"), soon))
	if _, found, err := s.Find("t1"); found || err != nil {
		t.Error("a late commit brought a deleted session back", err)
	}
	must(t, s.Commit("t3", []byte("old"), time.Now().Add(-time.Second)))
	if _, found, _ := s.Find("t3"); found {
		t.Error("found a session that had expired before it was stored")
	}
	for i := range 3000 {
		must(t, s.Commit(fmt.Sprint("many", i), []byte(fmt.Sprint(i)), soon))
	}
	all, err := s.All()
	if err != nil || len(all) != 3001 {
		t.Fatal(len(all), err)
	}
	seen := map[string]bool{}
	for handle, b := range all {
		if strings.Contains(handle, "many") {
			t.Fatal("All knows tokens")
		}
		if got, found, err := s.Find(handle); !found || err != nil || !bytes.Equal(got, b) {
			t.Fatal("a handle does not find its session", err)
		}
		if _, found, _ := newSCS(t, st).Find(handle); found {
			t.Fatal("a handle is good for another process")
		}
		seen[string(b)] = true
		if len(seen) == 50 {
			break
		}
	}
}

// TestSCSManager drives scs itself: the anchor's own cycle of a session, hashed twice, too.
func TestSCSManager(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		m := scs.New()
		m.Store, m.HashTokenInStore = newSCS(t, fleet.NewClocked(t)), hashed
		load := func(token string) context.Context {
			ctx, err := m.Load(t.Context(), token)
			must(t, err)
			return ctx
		}
		commit := func(ctx context.Context) string {
			token, _, err := m.Commit(ctx)
			must(t, err)
			return token
		}
		ctx := load("")
		m.Put(ctx, "user", "ann")
		token := commit(ctx)
		if ctx = load(token); m.GetString(ctx, "user") != "ann" {
			t.Error("lost")
		}
		late := load(token)
		must(t, m.RenewToken(ctx))
		renewed := commit(ctx)
		m.Put(late, "user", "eve")
		commit(late)
		if m.Exists(load(token), "user") {
			t.Error("the old token came back")
		}
		if m.GetString(load(renewed), "user") != "ann" {
			t.Error("renewal lost the data")
		}
		n := 0
		must(t, m.Iterate(t.Context(), func(ctx context.Context) error {
			n++
			if hashed {
				return nil // scs hashes its own hash then, and destroys nothing
			}
			return m.Destroy(ctx)
		}))
		if n != 1 || !hashed && m.Exists(load(renewed), "user") {
			t.Errorf("hashed %v: iterated over %d, and destroyed none", hashed, n)
		}
	}
}

func TestSCSExpiry(t *testing.T) {
	db := fleet.NewClocked(t)
	s, err := session.NewSCS(db, session.SCSOptions{Clock: db.Fake, Tombstone: time.Minute})
	must(t, err)
	for i := range 200 {
		must(t, s.Commit(fmt.Sprint(i), []byte("x"), db.Now().Add(time.Duration(1+i)*time.Second)))
	}
	db.Advance(100500 * time.Millisecond)
	if all, err := s.All(); len(all) != 100 || err != nil {
		t.Errorf("%d sessions live, %v; want 100", len(all), err)
	}
	must(t, s.Delete("150"))
	db.Advance(59 * time.Second)
	must(t, s.Commit("150", []byte("late"), db.Now().Add(time.Hour)))
	if _, found, _ := s.Find("150"); found {
		t.Error("back within the tombstone's time")
	}
}

func TestSCSOptions(t *testing.T) {
	for _, o := range []session.SCSOptions{{Prefix: "a{b}"}, {Tombstone: -1}, {Tombstone: 1}} {
		if _, err := session.NewSCS(fleet.NewClocked(t), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
