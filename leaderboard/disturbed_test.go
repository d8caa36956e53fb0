package leaderboard_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/store"
)

// TestDisturbed does to the store what happens to stores, and looks at what is left of a board.
func TestDisturbed(t *testing.T) {
	if testing.Short() {
		t.Skip("servers are killed and awaited")
	}
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t, "timeout=500ms")
		b := board(t, st, leaderboard.Options{Name: "x", TTL: time.Hour, Ranking: leaderboard.Dense})
		add := func(t *testing.T, member string, n int64) {
			t.Helper()
			fleet.Eventually(t, "the store serves", func() bool { _, err := b.Size(t.Context()); return err == nil })
			_, err := b.Add(t.Context(), member, n)
			must(t, err)
		}
		n := int64(0)
		stays := func(t *testing.T) { // ann has what she had, and the tie with bob is as it was
			t.Helper()
			n++
			add(t, "ann", 1)
			add(t, "bob", 1)
			want := fmt.Sprintf("1:ann=%d 1:bob=%d ", n, n)
			if list, err := b.Top(t.Context(), 9); err != nil || show(list) != want {
				t.Errorf("%s, %v; want %s", show(list), err, want)
			}
		}
		stays(t)
		t.Run("scripts forgotten", func(t *testing.T) { s.FlushScripts(); stays(t) })
		if s.Can(fleet.CanMove) {
			t.Run("slot moved", func(t *testing.T) {
				s.MoveSlot("board:{x}")
				stays(t)
			})
		}
		if s.Can(fleet.CanFailover) {
			t.Run("failed over", func(t *testing.T) {
				s.Settle()
				s.Failover("board:{x}")
				stays(t)
			})
		}
		if s.Can(fleet.CanKeep) {
			t.Run("restarted with its data", func(t *testing.T) { s.RestartKeeping(); stays(t) })
		}
		if s.Can(fleet.CanStall) {
			t.Run("stalled", func(t *testing.T) {
				quick, err := leaderboard.New(st, leaderboard.Options{Name: "x", TTL: time.Hour, Timeout: 200 * time.Millisecond, Ranking: leaderboard.Dense})
				must(t, err)
				over := s.Stall(2 * time.Second)
				begin := time.Now()
				_, err = quick.Top(t.Context(), 1)
				if took := time.Since(begin); !errors.Is(err, store.ErrUnavailable) || took > time.Second {
					t.Errorf("%v after %v", err, took)
				}
				<-over
				stays(t)
			})
		}
		if s.Can(fleet.CanRestart) {
			t.Run("restarted empty", func(t *testing.T) {
				s.Restart()
				n = 0
				stays(t)
			})
		}
	})
}

// TestKilledWhileWriting: a server that is killed among updates leaves each of them whole or not at all, also over boards.
func TestKilledWhileWriting(t *testing.T) {
	if testing.Short() {
		t.Skip("servers are killed and awaited")
	}
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		st := s.Open(t, "timeout=500ms", "retries=0")
		o := leaderboard.Options{Group: "g", Name: "a", TTL: time.Hour}
		a := board(t, st, o)
		o.Name = "b"
		b := board(t, st, o)
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
				}
				var batch leaderboard.Batch
				for i := range 5 {
					batch.Add(a, fmt.Sprint("m", i), 1)
					batch.Add(b, fmt.Sprint("m", i), 1)
				}
				_, _ = batch.Run(t.Context())
			}
		}()
		fleet.Eventually(t, "updates", func() bool { n, err := a.Size(t.Context()); return err == nil && n == 5 })
		s.RestartKeeping()
		fleet.Eventually(t, "the store serves", func() bool { n, err := a.Size(t.Context()); return err == nil && n == 5 })
		close(stop)
		<-done
		x, err := a.Top(t.Context(), 9)
		must(t, err)
		y, err := b.Top(t.Context(), 9)
		must(t, err)
		if show(x) != show(y) || len(x) != 5 || x[0].Score != x[4].Score || x[0].Score < 1 {
			t.Errorf("half a batch: %s / %s", show(x), show(y))
		}
	}, fleet.CanKeep)
}
