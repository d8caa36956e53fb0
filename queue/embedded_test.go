package queue_test

import (
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func redis(t testing.TB) store.Store {
	t.Helper()
	st := fleet.Start(t, fleet.Redis).Open(t)
	return st
}

// TestBodiesAgree holds the Lua bodies on Redis against the Go bodies on the engine. Ids count from 1 before 2026.
func TestBodiesAgree(t *testing.T) {
	db := fleet.NewClockedAt(t, time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC))
	g := &queue.Random{Base: db.Now}
	storetest.Scripts(t, db, redis(t), queue.AllScripts(), g.Call)
}
