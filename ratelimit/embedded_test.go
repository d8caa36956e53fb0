package ratelimit_test

import (
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
	"github.com/larderdb/larder/store/storetest"
)

// clocked is an embedded store whose clock the test moves.
type clocked struct {
	*larder.DB
	*clock.Fake
}

func embedded(t testing.TB) clocked {
	t.Helper()
	fake := clock.NewFake(storetest.NewMemory().Now())
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return clocked{db, fake}
}

// TestBodiesAgreeEmbedded is TestBodiesAgree with the real engine under the Go bodies.
func TestBodiesAgreeEmbedded(t *testing.T) {
	cfg, err := store.ParseURL(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	lua, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer lua.Close()
	db := embedded(t)
	for _, c := range ratelimit.Calls() {
		storetest.Scripts(t, db, lua, c.Script, c.Generate)
	}
}
