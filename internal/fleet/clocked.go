package fleet

import (
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store/storetest"
)

// Clocked is an embedded store whose clock the test moves.
type Clocked struct {
	*larder.DB
	*clock.Fake
}

// NewClocked opens one for the length of the test, at the time at which a storetest.Memory begins.
func NewClocked(t testing.TB) Clocked {
	t.Helper()
	return NewClockedAt(t, storetest.NewMemory().Now())
}

// NewClockedAt opens one at a time of the test's choice.
func NewClockedAt(t testing.TB, at time.Time) Clocked {
	t.Helper()
	fake := clock.NewFake(at)
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return Clocked{db, fake}
}
