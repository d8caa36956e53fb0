package ratelimit_test

import (
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store/storetest"
)

// TestBodiesAgreeEmbedded is TestBodiesAgree with the real engine under the Go bodies.
func TestBodiesAgreeEmbedded(t *testing.T) {
	lua := fleet.Start(t, fleet.Redis).Open(t)
	db := fleet.NewClocked(t)
	for _, c := range ratelimit.Calls() {
		storetest.Scripts(t, db, lua, c.Script, c.Generate)
	}
}
