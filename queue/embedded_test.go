package queue_test

import (
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
	"github.com/larderdb/larder/store/storetest"
)

// clocked is an embedded store whose clock the test moves.
type clocked struct {
	*larder.DB
	*clock.Fake
}

func embedded(t testing.TB, at time.Time) clocked {
	t.Helper()
	fake := clock.NewFake(at)
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return clocked{db, fake}
}

func redis(t testing.TB) store.Store {
	t.Helper()
	cfg, err := store.ParseURL(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	st, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// TestBodiesAgree holds the Lua bodies on Redis against the Go bodies on the engine. Ids count from 1 before 2026.
func TestBodiesAgree(t *testing.T) {
	db := embedded(t, time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC))
	g := &queue.Random{Base: db.Now}
	storetest.Scripts(t, db, redis(t), queue.AllScripts(), g.Call)
}
