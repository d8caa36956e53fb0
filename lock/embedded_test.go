package lock_test

import (
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/lock"
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

func TestBodiesAgree(t *testing.T) { lock.BodiesAgree(t, embedded(t)) }
