package pubsub_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/pubsub"
)

// TestDisturbed: a subscription survives what happens to the store. Where the connection broke each subscriber is told of
// the gap, and then messages arrive again.
func TestDisturbed(t *testing.T) {
	for _, test := range []struct {
		name    string
		need    fleet.Ability
		event   func(t *testing.T, s *fleet.Store, key string)
		gap     bool
		sharded bool
	}{
		{"stall of 2 s", fleet.CanStall, func(t *testing.T, s *fleet.Store, _ string) { wait(t, s.Stall(2*time.Second)) }, false, false},
		{"restart", fleet.CanRestart, func(_ *testing.T, s *fleet.Store, _ string) { s.Restart() }, true, false},
		{"failover, sharded", fleet.CanFailover, func(_ *testing.T, s *fleet.Store, key string) { s.Failover(key) }, true, true},
		{"slot moved, sharded", fleet.CanMove, func(_ *testing.T, s *fleet.Store, key string) { s.MoveSlot(key) }, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaktest.Check(t, "larder/pubsub")
			fleet.Together(t, func(t *testing.T, f *fleet.Store) {
				topic := prices(t, f.Open(t), func(o *pubsub.Options) { o.Name, o.Sharded, o.Timeout = "prices", test.sharded, time.Second })
				var gaps [2]atomic.Int64
				var subs [2]*pubsub.Subscription[price]
				for i := range subs {
					subs[i] = open(t, topic, pubsub.Listener{OnGap: func(g pubsub.Gap) {
						if g.Resumed {
							gaps[i].Add(1)
						}
					}})
				}
				send(t, topic, 1, 3)
				for _, s := range subs {
					for i := 1; i <= 3; i++ {
						if m := next(t, s); m.Value.N != i {
							t.Errorf("%+v, want %d", m, i)
						}
					}
				}
				test.event(t, f, "prices")
				n := 100
				fleet.Eventually(t, "messages arrive again", func() bool {
					n++
					_, err := topic.Publish(t.Context(), price{N: n})
					return err == nil && subs[0].Figures().Queued > 0 && subs[1].Figures().Queued > 0
				})
				for i, s := range subs {
					if m := next(t, s); m.Value.N <= 100 {
						t.Errorf("%+v", m)
					}
					if got := gaps[i].Load(); (got > 0) != test.gap {
						t.Errorf("told of %d gaps", got)
					}
				}
			}, test.need)
		})
	}
}
