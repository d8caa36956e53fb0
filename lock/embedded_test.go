package lock_test

import (
	"testing"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/lock"
)

func TestBodiesAgree(t *testing.T) { lock.BodiesAgree(t, fleet.NewClocked(t)) }
