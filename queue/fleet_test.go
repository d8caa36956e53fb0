package queue_test

import (
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

func TestFleet(t *testing.T) {
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(queue.Scripts()...) // TestDisturbed has the Lua bodies on a Larder server
		suite(t, func(t testing.TB) store.Store { return s.Open(t) })
	})
}
