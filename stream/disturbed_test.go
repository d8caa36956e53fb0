package stream_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/stream"
)

// TestDisturbed goes on publishing and consuming while things happen to the store. Afterwards everything that the store
// still has was handled; what it confirmed and has no more is counted, and is nothing where nothing may be lost.
func TestDisturbed(t *testing.T) {
	for _, test := range []struct {
		name  string
		need  fleet.Ability
		event func(t *testing.T, s *fleet.Store, key string)
		loses bool
	}{
		{"scripts forgotten", fleet.CanRestart, func(_ *testing.T, s *fleet.Store, _ string) { s.FlushScripts() }, false},
		{"stall of 2 s", fleet.CanStall, func(t *testing.T, s *fleet.Store, _ string) { wait(t, s.Stall(2*time.Second)) }, false},
		{"slot moved", fleet.CanMove, func(_ *testing.T, s *fleet.Store, key string) { s.MoveSlot(key) }, false},
		{"restart with data", fleet.CanKeep, func(_ *testing.T, s *fleet.Store, _ string) { s.RestartKeeping() }, true},
		{"failover", fleet.CanFailover, func(_ *testing.T, s *fleet.Store, key string) { s.Settle(); s.Failover(key) }, true},
		{"restart without data", fleet.CanRestart, func(_ *testing.T, s *fleet.Store, _ string) { s.Restart() }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaktest.Check(t, "larder/stream")
			fleet.Together(t, func(t *testing.T, f *fleet.Store) {
				disturb(t, f, test.loses, func(key string) { test.event(t, f, key) })
			}, test.need)
		})
	}
}

func disturb(t *testing.T, f *fleet.Store, loses bool, event func(key string)) {
	if f.Kind == fleet.Larder {
		f.Register(stream.Scripts()...)
	}
	quiet := func(o *stream.Options) { o.Name, o.OnError, o.Timeout = "orders", nil, 500*time.Millisecond }
	s := orders(t, f.Open(t), quiet)
	var mu sync.Mutex
	handled := map[string]bool{}
	var running []*consuming
	for range 2 {
		mine := orders(t, f.Open(t), quiet)
		running = append(running, consume(t, mine, stream.Group{Name: "billing", Concurrency: 4, ClaimIdle: 400 * time.Millisecond}, func(_ context.Context, m *stream.Message[order]) error {
			mu.Lock()
			defer mu.Unlock()
			handled[m.ID] = true
			return nil
		}))
	}
	confirmed := map[string]bool{}
	publishOne := func() {
		if id, err := s.Publish(context.Background(), order{ID: 1}); err == nil {
			confirmed[id] = true
		}
	}
	for range 50 {
		publishOne()
	}
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	var publisher sync.WaitGroup
	publisher.Go(func() {
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-stop:
				return
			case <-pace.C:
				publishOne()
			}
		}
	})
	event("orders")
	end()
	publisher.Wait()
	fleet.Eventually(t, "the store takes entries again", func() bool {
		id, err := s.Publish(t.Context(), order{ID: 2})
		return err == nil && id != ""
	})
	fleet.Eventually(t, "everything is handled", func() bool {
		lag, err := s.Lag(t.Context(), "billing")
		return err == nil && lag.Waiting == 0 && lag.Pending == 0
	})
	for _, c := range running {
		c.stop()
	}
	all, err := s.Range(t.Context(), "", "", 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		delete(confirmed, m.ID)
		if !handled[m.ID] {
			t.Errorf("%s is in the stream and was never handled", m.ID)
		}
	}
	unhandled := 0
	for id := range confirmed {
		if !handled[id] {
			unhandled++
		}
	}
	t.Logf("%d entries; %d were confirmed and lost by the store, %d of those before anybody handled them", len(all), len(confirmed), unhandled)
	if len(confirmed) > 0 && !loses {
		t.Error("nothing may be lost here")
	}
}
