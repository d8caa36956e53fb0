package session_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
)

// TestRevokeAllMeetsRotations: sessions that change their tokens all the while do not slip through a revocation. Each worker
// holds a session and rotates it until it is gone; if one slipped through, its worker would never end.
func TestRevokeAllMeetsRotations(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		d := desk{t, manager(t, s.Open(t), session.Options{})}
		const workers = 8
		var rotating, ended sync.WaitGroup
		rotating.Add(workers)
		for i := range workers {
			token := d.begin("ann", fmt.Sprint(i))
			ended.Go(func() {
				for n := 0; ; n++ {
					if n == 3 {
						rotating.Done()
					}
					s, err := d.Load(t.Context(), token)
					if err != nil || s.ID() == "" {
						if err != nil || n < 3 {
							t.Errorf("round %d: %v", n, err)
						}
						return
					}
					if err := s.Rotate(); err != nil {
						t.Error(err)
					}
					if err := d.Save(t.Context(), s); errors.Is(err, session.ErrGone) {
						return
					} else if err != nil {
						t.Error(err)
					}
					token = s.Token()
				}
			})
		}
		rotating.Wait()
		if n, err := d.RevokeAll(t.Context(), "ann"); n != workers || err != nil {
			t.Errorf("revoked %d, %v; want %d", n, err, workers)
		}
		ended.Wait()
		if list, err := d.List(t.Context(), "ann"); len(list) != 0 || err != nil {
			t.Error(list, err)
		}
	})
}

// TestOneSessionManyGoroutines: a request's goroutines share its Session.
func TestOneSessionManyGoroutines(t *testing.T) {
	d := desk{t, manager(t, fleet.NewClocked(t), session.Options{})}
	s := d.load(d.begin("ann", "dark"))
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			f := session.Field[int](fmt.Sprint("f", i))
			for n := range 100 {
				if err := f.Set(s, n); err != nil {
					t.Error(err)
				}
				if n%10 == 0 {
					if err := d.Save(t.Context(), s); err != nil {
						t.Error(err)
					}
				}
				_, _, _ = theme.Get(s)
				_, _, _, _ = s.Token(), s.User(), s.Names(), s.Deadline()
			}
		})
	}
	done.Wait()
	s = d.load(d.save(s))
	for i := range 8 {
		if n, _, err := session.Field[int](fmt.Sprint("f", i)).Get(s); n != 99 || err != nil {
			t.Errorf("f%d is %d, %v", i, n, err)
		}
	}
}
