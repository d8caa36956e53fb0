package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

var (
	_ scs.Store            = (*session.SCS)(nil)
	_ scs.CtxStore         = (*session.SCS)(nil)
	_ scs.IterableStore    = (*session.SCS)(nil)
	_ scs.IterableCtxStore = (*session.SCS)(nil)
)

func newSCS(t testing.TB, st store.Store) *session.SCS {
	t.Helper()
	return processes(t, st, 1)[0]
}

// processes are several that share their sessions.
func processes(t testing.TB, st store.Store, n int) (all []*session.SCS) {
	t.Helper()
	o := session.SCSOptions{Prefix: fmt.Sprintf("scs%x:", rand.Uint64()), Timeout: 10 * time.Second}
	if c, ok := st.(fleet.Clocked); ok {
		o.Clock = c.Fake
	}
	for range n {
		s, err := session.NewSCS(st, o)
		must(t, err)
		all = append(all, s)
	}
	return all
}

// scsDeleted: requests in two processes commit a session all the while that it is deleted, and as often afterwards as
// they like. It does not come back.
func scsDeleted(t *testing.T, st store.Store) {
	both, soon := processes(t, st, 2), time.Now().Add(time.Hour)
	for i := range 10 {
		token := fmt.Sprint("token", i)
		must(t, both[0].Commit(token, []byte("x"), soon))
		var deleted atomic.Bool
		var begun, ended sync.WaitGroup
		begun.Add(len(both))
		for _, s := range both {
			ended.Go(func() {
				for n, after := 0, 0; after < 3; n++ {
					if n == 2 {
						begun.Done()
					}
					if deleted.Load() {
						after++
					}
					_, found, err := s.Find(token)
					if err != nil || found && after > 0 {
						t.Errorf("found after its end: %v, %v", found, err)
					}
					if err := s.Commit(token, []byte("x"), soon); err != nil {
						t.Error(err)
					}
				}
			})
		}
		begun.Wait()
		must(t, both[i%2].Delete(token))
		deleted.Store(true)
		ended.Wait()
		if _, found, err := both[0].Find(token); found || err != nil {
			t.Error("a late commit brought it back", err)
		}
	}
	if all, err := both[1].All(); len(all) != 0 || err != nil {
		t.Error(len(all), err)
	}
}

// TestSCSRoundTrips is what the page on sessions says.
func TestSCSRoundTrips(t *testing.T) {
	db := fleet.NewClocked(t)
	faulty := storetest.NewFaulty(db)
	o := session.SCSOptions{Clock: db.Fake}
	one, err := session.NewSCS(faulty, o)
	must(t, err)
	other, err := session.NewSCS(db, o)
	must(t, err)
	costs := func(what string, want int, do func() error) {
		t.Helper()
		before := faulty.Calls()
		must(t, do())
		if calls := faulty.Calls() - before; calls != want {
			t.Errorf("%s: %d round trips, want %d", what, calls, want)
		}
	}
	find := func() error { _, _, err := one.Find("token"); return err }
	commit := func() error { return one.Commit("token", []byte("x"), db.Now().Add(time.Hour)) }
	costs("find nothing", 1, find)
	costs("new", 1, commit)
	for range 20 { // listed anew where that is due
		db.Advance(10 * time.Minute)
		costs("find", 1, find)
		costs("commit", 1, commit)
	}
	must(t, other.Delete("token"))
	costs("a commit that another process's delete overtook", 2, commit)
	costs("find nothing", 1, find)
	costs("delete", 1, func() error { return one.Delete("token") })
	costs("a commit after a delete", 1, commit)
	must(t, one.Commit("second", []byte("x"), db.Now().Add(time.Hour)))
	must(t, db.Do(t.Context(), "FLUSHALL").Err())
	costs("a commit after the store lost everything", 2, func() error { return one.Commit("second", []byte("x"), db.Now().Add(time.Hour)) })
	if all, err := other.All(); len(all) != 1 || err != nil {
		t.Error("it is not listed anew:", len(all), err)
	}
	must(t, db.Do(t.Context(), "FLUSHALL").Err())
	costs("all, of none", 1, func() error { all, err := one.All(); return errors.Join(err, unless(len(all) == 0)) })
}

func unless(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("no")
}

// TestSCSModel: whatever three processes do, with times to live of seconds or minutes, each finds what was committed last
// until it ends, All has just the sessions that live, and the store keeps nothing for ever. Times to live are odd and
// steps of the clock even, so that nothing happens just when a session ends.
func TestSCSModel(t *testing.T) {
	type truth struct {
		data string
		end  time.Time
	}
	for range 20 {
		seed := rand.Uint64()
		r, db := rand.New(rand.NewPCG(seed, 0)), fleet.NewClocked(t)
		all, tokens, last := processes(t, db, 3), map[string]truth{}, 0
		alive := func(token string) bool { s, ok := tokens[token]; return ok && s.end.After(db.Now()) }
		for step := range 400 {
			s, token := all[r.IntN(len(all))], fmt.Sprint(last-r.IntN(12))
			switch r.IntN(8) {
			case 0:
				last++
				token = fmt.Sprint(last)
				fallthrough
			case 1, 2, 3:
				if s, ok := tokens[token]; ok && s.data == "" {
					break // deleted; the tombstone's time may be over
				}
				data, end := fmt.Sprint("data", step), db.Now().Add(time.Duration(1+2*r.IntN(pick(r, 5000, 300_000)))*time.Millisecond)
				must(t, s.Commit(token, []byte(data), end))
				tokens[token] = truth{data, end}
			case 4:
				must(t, s.Delete(token))
				tokens[token] = truth{}
			case 5:
				db.Advance(time.Duration(2*r.IntN(pick(r, 5000, 120_000))) * time.Millisecond)
			default:
				b, found, err := s.Find(token)
				if err != nil || found != alive(token) || string(b) != tokens[token].data && found {
					t.Errorf("%s: %q, %v, %v; want %+v", token, b, found, err, tokens[token])
				}
			}
			have, err := s.All()
			want := 0
			for token := range tokens {
				if alive(token) {
					want++
				}
			}
			if err != nil || len(have) != want {
				t.Errorf("%d of %d sessions, %v", len(have), want, err)
			}
			if t.Failed() {
				t.Fatalf("seed %d step %d", seed, step)
			}
		}
		keys, err := db.Do(t.Context(), "KEYS", "*").Strings()
		must(t, err)
		for _, key := range keys {
			if ttl, err := db.Do(t.Context(), "PTTL", key).Int64(); ttl < 0 || err != nil {
				t.Errorf("%s has no TTL: %d, %v", key, ttl, err)
			}
		}
	}
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
