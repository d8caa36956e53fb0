package store

import "context"

// Tracker is optionally implemented by a Store that tells of every change to keys, as CLIENT TRACKING does: what a cache in
// this process needs to know when its copies are out of date. A Store that implements it may still answer
// ErrUnsupported or ErrDenied, when it is not the adapter but the server that cannot or will not.
type Tracker interface {
	// Track tells t of changes until ctx ends, then returns ctx's error. It blocks: callers start it in a goroutine. A lost
	// connection is restored; see Tracking.OnLost. It returns earlier only with ErrClosed, or when the store refuses.
	Track(ctx context.Context, t Tracking) error
}

// Tracking says what changes to tell of, and whom. The functions must not block, nor call the Store; they may be called
// while it holds locks, and OnInvalidate from several goroutines at once.
type Tracking struct {
	// Prefixes are those of the keys. None may be the beginning of another.
	Prefixes []string

	// OnInvalidate is told of keys that were changed, removed, evicted or found expired; nil means all keys. The caller's
	// own changes are told too. The slice is not kept by the Store.
	OnInvalidate func(keys []string)

	// OnReady is called when from now on every change is told. Copies that were made before are to be thrown away.
	OnReady func()

	// OnLost is called when changes may go untold until the next OnReady. A connection that dies without a sign is noticed
	// within two seconds.
	OnLost func()
}
