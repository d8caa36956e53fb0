package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Defaults of Options.
const (
	DefaultJitter     = 0.1
	DefaultTimeout    = 100 * time.Millisecond
	DefaultLease      = 3 * time.Second
	DefaultRetryAfter = time.Second
	DefaultNearTTL    = time.Second
)

// Errors of loaders and of those who wait for them.
var (
	// ErrNotFound is what a loader returns (itself, or wrapped) when the source has no such thing. With
	// Options.NegativeTTL that is remembered, and Get and GetOrLoad return an error that is ErrNotFound.
	ErrNotFound = errors.New("not found")

	// ErrLoadTimeout says that a loader took longer than Options.LoadTimeout. It also is context.DeadlineExceeded.
	ErrLoadTimeout = fmt.Errorf("the loader took longer than LoadTimeout: %w", context.DeadlineExceeded)

	// ErrSoftTimeout is the Cause of a stale Result whose loader is still at work.
	ErrSoftTimeout = errors.New("the loader took longer than SoftTimeout; it goes on")

	// ErrHeld is the Cause of a stale Result when the source failed less than Options.RetryAfter ago, here or in another
	// process, and was not asked again.
	ErrHeld = errors.New("the source failed a moment ago")
)

// Options of a Cache. Prefix and TTL are required; everything that is not set is off, or has the default that it names.
type Options struct {
	// Prefix begins every key in the store: "product:". It separates this cache from everything else there.
	Prefix string

	// TTL is how long an entry is fresh. There is no entry without one.
	TTL time.Duration

	// Jitter is the share of TTL by which an entry may live shorter, at random, so that what was written at the same
	// time is not loaded at the same time again. Default DefaultJitter; negative for none; at most 0.9.
	Jitter float64

	// NegativeTTL is how long ErrNotFound is remembered; 0 for not at all. Choose it short: what comes into being
	// meanwhile stays invisible until then, unless Set or Delete is called for it.
	NegativeTTL time.Duration

	// Stale is for how long after its TTL an entry is still served while one caller's loader refreshes it in the
	// background (stale-while-revalidate). Results say that they are stale. An entry that was invalidated is never
	// served so.
	Stale time.Duration

	// FailSafe is for how long after its TTL an entry is kept for the case that the source fails: loaders that return
	// an error (ErrNotFound is none), panic or are too late. The old value is served then, and the Result says so. Entries
	// that were invalidated by tag or by Clear serve for it too; deleted ones are gone.
	FailSafe time.Duration

	// RetryAfter is for how long after a failure that FailSafe covered the source is not asked again for that key, by any
	// process. Default DefaultRetryAfter.
	RetryAfter time.Duration

	// SoftTimeout is after how long a caller for whom FailSafe has a value takes that instead of waiting for its loader,
	// which goes on in the background. 0 for never.
	SoftTimeout time.Duration

	// LoadTimeout is how long a load may take: then the loader's ctx ends, and who waits for it gets ErrLoadTimeout, or
	// the value that FailSafe has, even if the loader does not heed its ctx. 0 for no limit.
	LoadTimeout time.Duration

	// EarlyRefresh makes single callers refresh an entry in the background before its TTL ends, with a chance that grows
	// towards the end and with what the load cost (XFetch): 1 is what its authors recommend, more is earlier. Keys that are
	// read often are then never waited for. 0 for never.
	EarlyRefresh float64

	// Tags gives the tags of a key, in the same order each time, at most 64: InvalidateTags makes all their entries
	// misses. It runs with every operation and should be quick. A read fetches the epochs of the tags along with the entry.
	Tags func(key string) []string

	// Lease is how long others wait for a loader whose process has died; as long as that lives, the lease is renewed.
	// Default DefaultLease.
	Lease time.Duration

	// CompressAbove compresses values of more bytes than this, with S2, where it makes them smaller. 0 for never. Processes
	// read what others have compressed, whatever their own setting.
	CompressAbove int

	// Near is how many bytes of values to keep in this process besides, decoded, so that reading them takes no call to
	// the store; 0 for none. They are kept coherent: doc.go says how, and what that promises. A Cache with Near must
	// be closed, and its values must not be changed by those who get them.
	Near int64

	// NearTTL bounds how long what is near is believed while the store cannot tell of changes. Default DefaultNearTTL.
	NearTTL time.Duration

	// Codec turns values into bytes and back. Default: strings and []byte as they are, everything else MessagePack.
	Codec Codec

	// Schema names the form of the entries. By default it is derived from the fields of T. Set it to share entries
	// between programs whose types differ, or to make old entries invalid when only the meaning of T has changed.
	Schema string

	// Timeout is how long one call to the store may take; default DefaultTimeout, negative for no limit but the ctx's.
	// A store in this process needs none and gets none.
	Timeout time.Duration

	// Observer hears of operations: "get" (results hit, near-hit, miss, stale, negative, error) and "load" (ok, negative,
	// error), and of the events "refused" (a load was overtaken by an invalidation and not stored), "wait" (for another
	// process's load) and "refresh".
	Observer observe.Observer

	// OnError, if set, hears of every failure that callers do not see: the store's, and entries that cannot be decoded.
	// OnLoad hears of every call of a loader when it is done. They run on the goroutine at work and should be quick.
	OnError func(ctx context.Context, key string, err error)
	OnLoad  func(ctx context.Context, key string, took time.Duration, err error)

	// Clock, if set, is where time comes from, for tests of this module.
	Clock clock.Clock
}

// check refuses what makes no sense and fills defaults in.
func (o *Options) check() error {
	switch {
	case o.Prefix == "":
		return fmt.Errorf("cache: %w: no Prefix; choose one such as \"product:\"", store.ErrInvalid)
	case o.TTL <= 0:
		return fmt.Errorf("cache: %w: TTL %v, want more than 0", store.ErrInvalid, o.TTL)
	case o.Jitter > 0.9 || o.Jitter != o.Jitter:
		return fmt.Errorf("cache: %w: Jitter %v, want at most 0.9 of the TTL", store.ErrInvalid, o.Jitter)
	case o.EarlyRefresh < 0 || o.EarlyRefresh > 100 || o.EarlyRefresh != o.EarlyRefresh:
		return fmt.Errorf("cache: %w: EarlyRefresh %v, want 0 to 100; 1 is usual", store.ErrInvalid, o.EarlyRefresh)
	case o.CompressAbove < 0 || o.Near < 0:
		return fmt.Errorf("cache: %w: CompressAbove %d and Near %d are bytes, at least 0", store.ErrInvalid, o.CompressAbove, o.Near)
	case o.SoftTimeout > 0 && o.FailSafe == 0:
		return fmt.Errorf("cache: %w: SoftTimeout without FailSafe: there would be nothing to serve", store.ErrInvalid)
	}
	for _, d := range []struct {
		name string
		of   *time.Duration
		def  time.Duration
	}{
		{"NegativeTTL", &o.NegativeTTL, 0}, {"Stale", &o.Stale, 0}, {"FailSafe", &o.FailSafe, 0}, {"SoftTimeout", &o.SoftTimeout, 0},
		{"LoadTimeout", &o.LoadTimeout, 0}, {"RetryAfter", &o.RetryAfter, DefaultRetryAfter}, {"Lease", &o.Lease, DefaultLease},
		{"NearTTL", &o.NearTTL, DefaultNearTTL},
	} {
		if *d.of < 0 || *d.of > maxTTL {
			return fmt.Errorf("cache: %w: %s %v", store.ErrInvalid, d.name, *d.of)
		}
		if *d.of == 0 {
			*d.of = d.def
		}
	}
	if o.TTL > maxTTL {
		return fmt.Errorf("cache: %w: TTL %v, want at most %v", store.ErrInvalid, o.TTL, maxTTL)
	}
	if o.Jitter == 0 {
		o.Jitter = DefaultJitter
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	return nil
}

// maxTTL keeps sums of times far from overflowing.
const maxTTL = 10 * 365 * 24 * time.Hour
