package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

// TestDisturbed does to the store what happens to stores, and looks at what is left of sessions.
func TestDisturbed(t *testing.T) {
	if testing.Short() {
		t.Skip("servers are killed and awaited")
	}
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		d := desk{t, manager(t, s.Open(t, "timeout=500ms"), session.Options{Timeout: 5 * time.Second})}
		token, ended := d.begin("ann", "dark"), d.begin("eve", "dark")
		held := make([]*session.Session, 8) // requests that hold the session while it is revoked
		for i := range held {
			held[i] = d.load(ended)
			d.theme(held[i], "late")
		}
		_, err := d.RevokeAll(t.Context(), "eve")
		must(t, err)
		// survives says that the session is what it was, can be used, and that the one that ended has not come back.
		survives := func(t *testing.T) {
			t.Helper()
			d := desk{t, d.Manager}
			fleet.Eventually(t, "the store serves", func() bool { _, err := d.Load(t.Context(), token); return err == nil })
			d.wants(token, "dark")
			c := d.load(token)
			must(t, count.Set(c, time.Now().Nanosecond()))
			d.save(c)
			d.wants(ended, "")
			late := held[0]
			held = held[1:]
			if err := d.Save(t.Context(), late); !errors.Is(err, session.ErrGone) {
				t.Error("a late change of a session that was revoked:", err)
			}
			if list, err := d.List(t.Context(), "ann"); err != nil || len(list) != 1 {
				t.Error(list, err)
			}
		}
		t.Run("scripts forgotten", func(t *testing.T) { s.FlushScripts(); survives(t) })
		if s.Can(fleet.CanMove) {
			t.Run("slot moved", func(t *testing.T) {
				key := session.DefaultPrefix + "{" + token[:2] + "}"
				finish := s.BeginMove(key)
				d.wants(token, "dark")
				finish()
				survives(t)
			})
		}
		if s.Can(fleet.CanFailover) {
			t.Run("failed over", func(t *testing.T) {
				s.Settle()
				s.Failover(session.DefaultPrefix + "{" + token[:2] + "}")
				survives(t)
			})
		}
		if s.Can(fleet.CanKeep) {
			t.Run("restarted with its data", func(t *testing.T) { s.RestartKeeping(); survives(t) })
		}
		if s.Can(fleet.CanStall) {
			t.Run("stalled", func(t *testing.T) { stalled(t, s, token); survives(t) })
		}
		if s.Can(fleet.CanRestart) {
			t.Run("restarted empty", func(t *testing.T) {
				s.Restart()
				fleet.Eventually(t, "the store serves", func() bool { _, err := d.Load(t.Context(), token); return err == nil })
				d.wants(token, "") // everybody is logged out, nobody sees an error
				if err := d.Save(t.Context(), held[0]); !errors.Is(err, session.ErrGone) {
					t.Error(err)
				}
			})
		}
	})
}

// stalled: a store that does not answer costs a request its Timeout, and no more.
func stalled(t *testing.T, s *fleet.Store, token string) {
	m := manager(t, s.Open(t), session.Options{Timeout: 200 * time.Millisecond})
	if _, err := m.Load(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	over := s.Stall(2 * time.Second)
	begin := time.Now()
	_, err := m.Load(t.Context(), token)
	if took := time.Since(begin); !errors.Is(err, store.ErrUnavailable) || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
	<-over
}
