package larder

import (
	"context"
	"fmt"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/store"
)

var _ store.Tracker = (*DB)(nil)

// Track tells t of changes until ctx ends; see [store.Tracker]. A change is told before the call that makes it returns,
// while its keys are locked.
func (db *DB) Track(ctx context.Context, t store.Tracking) error {
	if len(t.Prefixes) == 0 || t.OnInvalidate == nil {
		return fmt.Errorf("larder: track: %w: no prefix, or no OnInvalidate", store.ErrInvalid)
	}
	if db.closed.Load() {
		return store.ErrClosed
	}
	var tracker engine.Tracker
	db.engine.Track(&tracker, invalidations(t.OnInvalidate), engine.TrackBroadcast, t.Prefixes...)
	defer db.engine.Untrack(&tracker)
	if t.OnReady != nil {
		t.OnReady()
	}
	if t.OnLost != nil {
		defer t.OnLost()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-db.stop:
		return store.ErrClosed
	}
}

// invalidations are an engine's messages as a Tracking takes them.
type invalidations func(keys []string)

// Invalidate implements engine.Invalidations.
func (f invalidations) Invalidate(keys [][]byte) {
	if keys == nil {
		f(nil)
		return
	}
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = string(k)
	}
	f(list)
}
