package queue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// deafToTurns is a store that fails all turns of workers while deaf, and nothing else.
type deafToTurns struct {
	store.Store
	deaf atomic.Bool
	told atomic.Int64 // turns that failed
}

func (d *deafToTurns) Run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	if s.Name == "queue.turn" && d.deaf.Load() {
		d.told.Add(1)
		return store.Fail(storetest.ErrDown)
	}
	return d.Store.Run(ctx, s, keys, args...)
}

// TestPartsWithUntoldEnds shuts a worker down that cannot tell the store of a job's end, but can still say goodbye: the job must not
// stay with a session that is gone.
func TestPartsWithUntoldEnds(t *testing.T) {
	db := fleet.NewClocked(t)
	deaf := &deafToTurns{Store: db.DB}
	o := queue.Options{Clock: db.Fake, Lease: 30 * time.Second}
	leaving, q := newQueue[int](t, deaf, o), newQueue[int](t, db.DB, o)
	began := make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- leaving.Work(ctx, queue.Workers{Grace: time.Second}, func(ctx context.Context, _ *queue.Job[int]) error {
			close(began)
			<-ctx.Done()
			return nil
		})
	}()
	add(t, q, 1)
	<-began
	deaf.deaf.Store(true)
	leave()
	fleet.Eventually(t, "the worker to have left", func() bool {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Work: %v", err)
			}
			return true
		default:
			db.Advance(100 * time.Millisecond)
			return false
		}
	})
	if deaf.told.Load() == 0 {
		t.Fatal("the store was never told of the end")
	}
	if d, err := q.Depth(t.Context()); d.Active != 0 || d.Ready+d.Delayed != 1 || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
	again := make(chan int, 1)
	work(t, q, queue.Workers{}, func(_ context.Context, j *queue.Job[int]) error { again <- j.Attempt(); return nil })
	fleet.Eventually(t, "another worker to do it", func() bool { db.Advance(100 * time.Millisecond); return len(again) > 0 })
}
