package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Defaults of Options.
const (
	DefaultPrefix      = "session:"
	DefaultIdleTimeout = 30 * time.Minute
	DefaultLifetime    = 24 * time.Hour
	DefaultTombstone   = 10 * time.Minute
	DefaultMaxBytes    = 64 << 10
	DefaultTimeout     = time.Second
)

// touchShare is the part of IdleTimeout that TouchEvery defaults to.
const touchShare = 20

var (
	// ErrGone means that the session was destroyed, revoked, or given another token while this request held it. What
	// the request changed is not stored: a session that ended stays ended.
	ErrGone = errors.New("session is gone")

	// ErrTooLarge means that the session's fields exceed Options.MaxBytes. Nothing of the change is kept.
	ErrTooLarge = errors.New("session is too large")

	// ErrHeaderSent means that the client can no longer be told of a new token: the response's header is out.
	ErrHeaderSent = errors.New("the response's header is sent already")
)

// Options of a Manager. The zero value is right for a web application served over https.
type Options struct {
	// Prefix begins every key in the store; it has no braces. Default DefaultPrefix.
	Prefix string

	// IdleTimeout ends a session that nobody uses. Default DefaultIdleTimeout. As a use is written down once per
	// TouchEvery only, a session ends between IdleTimeout - TouchEvery and IdleTimeout after its last request.
	IdleTimeout time.Duration

	// Lifetime ends a session however much it is used, counted from its beginning or from Login. Default DefaultLifetime.
	Lifetime time.Duration

	// TouchEvery is how often at most the time of the last use is written. Default a twentieth of IdleTimeout.
	TouchEvery time.Duration

	// RotateEvery gives a session another token when its present one is this old; 0 never. RotateGrace is how long the
	// old token then still leads to the session, for requests that were under way. Login and Session.Rotate know
	// no grace.
	RotateEvery, RotateGrace time.Duration

	// Tombstone is how long the store remembers that a token was retired, to tell a token used again (Stats.Replayed)
	// from one that never was. Default DefaultTombstone. That an ended session stays ended does not depend on it.
	Tombstone time.Duration

	// MaxBytes bounds the names and values of a session's fields. Default DefaultMaxBytes.
	MaxBytes int

	// Timeout is how long one operation may take at the store; default DefaultTimeout, negative for no limit but the
	// ctx's. A store in this process needs none and gets none.
	Timeout time.Duration

	// Cookie says how Handler carries the token.
	Cookie Cookie

	// Client, if set, says what List shows of where a session began: DirectClient, or a func that knows which
	// proxies to believe. Default: nothing is recorded.
	Client func(*http.Request) (agent, addr string)

	// OnError answers a request whose session could not be loaded or stored. Default: 503 and a short text. The header is
	// not sent yet, unless err is ErrHeaderSent or comes of a change made after it; w then discards what is written.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Clock, if set, is where time comes from, for tests of this module. It says when to ask the store, and the
	// store's own clock decides.
	Clock clock.Clock

	// Observer hears of every load, save, list and revoke, and of the events garbage, ambiguous, replayed and refused.
	Observer observe.Observer
}

// Stats counts what a Manager did in this process since it was made.
type Stats struct {
	Loaded    uint64 // sessions found
	Missed    uint64 // well-formed tokens without a session: expired, or made up
	Garbage   uint64 // what cannot be a token; the store was not asked
	Ambiguous uint64 // requests with several different cookies of our name
	Replayed  uint64 // tokens used after they were retired: a thief, or a slow client
	Created   uint64
	Changed   uint64 // saves of changed fields
	Rotated   uint64 // tokens replaced, Login included
	Destroyed uint64 // sessions ended by Destroy or Revoke
	Refused   uint64 // changes that came after the session's end
	Failed    uint64 // calls that the store failed
}

type counters struct {
	loaded, missed, garbage, ambiguous, replayed, created, changed, rotated, destroyed, refused, failed atomic.Uint64
}

// Manager keeps sessions in a store. It is safe for concurrent use; make one with New.
type Manager struct {
	st      store.Store
	o       Options
	timeout *store.CallTimeout
	clock   clock.Clock
	ahead   atomic.Int64 // by how many ms the store's clock is ahead of clock.Monotonic; 0 for not known yet
	n       counters

	// arguments of scripts, in ms
	idle, life, touch, grace, tomb string
}

// New makes a Manager on st. It does not touch the store; it fails only for options that make no sense.
func New(st store.Store, o Options) (*Manager, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	m := &Manager{
		st: st, o: o, timeout: store.CallTimeoutFor(st, o.Timeout, DefaultTimeout),
		idle: millis(o.IdleTimeout), life: millis(o.Lifetime), touch: millis(o.TouchEvery),
		grace: millis(o.RotateGrace), tomb: millis(o.Tombstone),
	}
	if m.clock = o.Clock; m.clock == nil {
		m.clock = clock.System()
	}
	return m, nil
}

func (o *Options) setDefaults() {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = min(DefaultIdleTimeout, max(o.Lifetime, 1))
	}
	if o.TouchEvery == 0 {
		o.TouchEvery = max(o.IdleTimeout/touchShare, time.Millisecond)
	}
	if o.Tombstone == 0 {
		o.Tombstone = DefaultTombstone
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	o.Cookie.setDefaults()
}

// most bounds durations, so that no sum of times overflows what scripts count with.
const most = 20 * 365 * 24 * time.Hour

func (o *Options) check() error {
	for _, d := range []struct {
		name        string
		value, from time.Duration
	}{
		{"IdleTimeout", o.IdleTimeout, time.Millisecond},
		{"Lifetime", o.Lifetime, time.Millisecond},
		{"TouchEvery", o.TouchEvery, time.Millisecond},
		{"Tombstone", o.Tombstone, time.Millisecond},
		{"RotateEvery", o.RotateEvery, 0},
		{"RotateGrace", o.RotateGrace, 0},
	} {
		if d.value < d.from || d.value > most {
			return fmt.Errorf("%w: %s %v, want %v to %v", store.ErrInvalid, d.name, d.value, d.from, most)
		}
	}
	switch {
	case strings.ContainsAny(o.Prefix, "{}"):
		return fmt.Errorf("%w: Prefix %q has braces, which would be the keys' hash tag", store.ErrInvalid, o.Prefix)
	case o.IdleTimeout > o.Lifetime:
		return fmt.Errorf("%w: IdleTimeout %v is more than Lifetime %v", store.ErrInvalid, o.IdleTimeout, o.Lifetime)
	case o.TouchEvery > o.IdleTimeout/2 && o.TouchEvery > time.Millisecond:
		return fmt.Errorf("%w: TouchEvery %v is more than half of IdleTimeout %v", store.ErrInvalid, o.TouchEvery, o.IdleTimeout)
	case o.RotateGrace > o.Tombstone:
		return fmt.Errorf("%w: RotateGrace %v is more than Tombstone %v", store.ErrInvalid, o.RotateGrace, o.Tombstone)
	case o.MaxBytes < 0:
		return fmt.Errorf("%w: MaxBytes %d", store.ErrInvalid, o.MaxBytes)
	}
	return o.Cookie.check()
}

// Stats is a snapshot of the counters.
func (m *Manager) Stats() Stats {
	return Stats{
		Loaded: m.n.loaded.Load(), Missed: m.n.missed.Load(), Garbage: m.n.garbage.Load(),
		Ambiguous: m.n.ambiguous.Load(), Replayed: m.n.replayed.Load(), Created: m.n.created.Load(),
		Changed: m.n.changed.Load(), Rotated: m.n.rotated.Load(), Destroyed: m.n.destroyed.Load(),
		Refused: m.n.refused.Load(), Failed: m.n.failed.Load(),
	}
}

// key is where a session lies: {bucket} is the hash tag.
func (m *Manager) key(id string) string {
	return m.o.Prefix + "{" + id[:bucketLen] + "}" + id[bucketLen:]
}

// index is the list of a user's sessions. No session's key looks like it: hashes have no colon.
func (m *Manager) index(user string) string {
	return m.o.Prefix + "{" + bucketOf(user) + "}user:" + user
}

func (m *Manager) run(ctx context.Context, s *store.Script, keys []string, args ...string) store.Reply {
	ctx, cancel := m.timeout.Bound(ctx)
	defer cancel()
	return m.st.Run(ctx, s, keys, args...)
}

// begin tells the Observer of an operation. Ids are hashes, so they may be logged.
func (m *Manager) begin(ctx context.Context, verb, key string) (context.Context, observe.End) {
	return observe.Begin(ctx, m.o.Observer, observe.Op{Pattern: "session", Name: m.o.Prefix, Verb: verb, Key: key})
}

// event counts something that has no duration.
func (m *Manager) event(ctx context.Context, n *atomic.Uint64, name string) {
	n.Add(1)
	observe.Count(ctx, m.o.Observer, observe.Op{Pattern: "session", Name: m.o.Prefix, Verb: name}, 1)
}

// wrap counts and words a failure of the store. A caller that left is none, nor is a session's end.
func (m *Manager) wrap(op, id string, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrGone) && !errors.Is(err, ErrTooLarge) {
		m.n.failed.Add(1)
	}
	return store.Wrap("session", op, id, err)
}

func millis(d time.Duration) string { return strconv.FormatInt(store.Millis(d), 10) }
