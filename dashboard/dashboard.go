package dashboard

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// DefaultEvery is how often figures are taken.
const DefaultEvery = 2 * time.Second

// Options of a dashboard. The zero value serves this machine, and changes nothing.
type Options struct {
	// Password is what people log in with. Without one only requests from this machine are answered.
	Password string

	// NoLogin answers everybody who reaches the handler: the program has asked who they are. It excludes Password.
	NoLogin bool

	// Writable allows what changes the store: deleting keys, setting TTLs, and what Queue and Sessions offer.
	Writable bool

	// Every is how often figures are taken from the store. Default DefaultEvery, at least 100 ms.
	Every time.Duration

	// Queue, if set, makes the handle of a queue whose keys begin with PREFIX{NAME}, for what the page does to queues:
	//
	//	func(prefix, name string) (dashboard.Queue, error) {
	//		return queue.New[string](st, queue.Options{Prefix: prefix, Name: name})
	//	}
	Queue func(prefix, name string) (Queue, error)

	// Sessions, if set, makes the handle of the sessions with a prefix, for logging users out:
	//
	//	func(prefix string) (dashboard.Sessions, error) { return session.New(st, session.Options{Prefix: prefix}) }
	Sessions func(prefix string) (Sessions, error)

	// Limiters tell for ids with their Prefix whether they are being limited. The store holds only what was used.
	Limiters []Limiter

	// Counters are what patterns of this process count, shown in the view of their pattern.
	Counters []Counters

	// Logger gets one line per log-in, refused log-in and change; nil: nothing is logged.
	Logger *slog.Logger

	// Clock, if set, is where time comes from, for tests of this module.
	Clock clock.Clock
}

// Queue is what the dashboard does to a queue. A *queue.Queue[T] of any T is one.
type Queue interface {
	// Replay makes dead letters ready again and tells how many; ReplayAll does so with all.
	Replay(ctx context.Context, ids ...string) (int, error)
	ReplayAll(ctx context.Context) (int, error)
	// Cancel deletes a job. The dashboard calls it for dead letters only.
	Cancel(ctx context.Context, id string) (found bool, err error)
	// Pause lets no process take jobs until Resume.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// Sessions is what the dashboard does to sessions. A *session.Manager is one.
type Sessions interface {
	// Revoke ends one session of a user; RevokeAll all but some, and tells how many.
	Revoke(ctx context.Context, user, id string) (bool, error)
	RevokeAll(ctx context.Context, user string, except ...string) (int, error)
}

// Limiter tells about the ids of one limit.
type Limiter struct {
	Prefix string // of the keys: "rl:log:"

	// Peek tells where an id stands, without counting. It is called for up to 100 ids of a page.
	Peek func(ctx context.Context, id string) (Standing, error)
}

// Standing is how much of its limit an id has left.
type Standing struct {
	Limit      int64         // units per window
	Remaining  int64         // units that would pass right now; 0: the id is being limited
	RetryAfter time.Duration // until one more would pass; 0: now
}

// Counters are figures of this process.
type Counters struct {
	Pattern string // the view they belong to: "cache", "ratelimit", "queue", "session", "leaderboard" or "lock"
	Name    string // what they count: "product:"

	// Read returns a struct of exported numbers, such as what the Stats method of a pattern returns.
	Read func() any
}

// Dashboard is an http.Handler, made by Handler. It is safe for concurrent use.
type Dashboard struct {
	st    store.Store
	o     Options
	clock clock.Clock
	log   *slog.Logger
	files map[string]asset
	api   map[string]endpoint
	gate  *gate
	slots chan struct{} // who asks the store

	history history
	close   sync.Once
	stop    context.CancelFunc
	ended   chan struct{} // closed when the sampler has ended
}

// atOnce bounds how many requests ask the store at a time; more wait.
const atOnce = 8

// Handler makes a dashboard of st. It starts the goroutine that takes figures; Close ends it. It fails only for options that make
// no sense. The paths of requests begin at the dashboard's own root: use http.StripPrefix to put it below another.
func Handler(st store.Store, o Options) (*Dashboard, error) {
	if err := o.complete(st); err != nil {
		return nil, fmt.Errorf("dashboard: %w: %w", store.ErrInvalid, err)
	}
	files, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	d := &Dashboard{
		st: st, o: o, clock: o.Clock, log: o.Logger, files: files, gate: newGate(&o), slots: make(chan struct{}, atOnce),
		history: newHistory(o.Every), stop: stop, ended: make(chan struct{}),
	}
	d.api = d.endpoints()
	go d.sample(ctx)
	return d, nil
}

func (o *Options) complete(st store.Store) error {
	switch {
	case st == nil:
		return fmt.Errorf("no Store")
	case o.NoLogin && o.Password != "":
		return fmt.Errorf("both a Password and NoLogin")
	case o.Every == 0:
		o.Every = DefaultEvery
	case o.Every < 100*time.Millisecond || o.Every > time.Minute:
		return fmt.Errorf("Every %v, want 100ms to 1m", o.Every)
	}
	for _, l := range o.Limiters {
		if l.Peek == nil {
			return fmt.Errorf("the Limiter of %q has no Peek", l.Prefix)
		}
	}
	for _, c := range o.Counters {
		if c.Read == nil {
			return fmt.Errorf("the Counters %q have no Read", c.Name)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	return nil
}

// Close ends the goroutine that takes figures, and waits for it. Requests are answered all the same, with the history as it was
// then. Closing twice is a no-op. It does not close the Store.
func (d *Dashboard) Close() error {
	d.close.Do(d.stop)
	<-d.ended
	return nil
}

// secret is a random text that nobody guesses.
func secret() string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// answerTimeout is how long the store may take for one request.
const answerTimeout = 10 * time.Second

// ServeHTTP answers with the page, its parts, and the JSON they ask for.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if r.ContentLength != 0 { // net/http reads what is left of a body after a refusal, too
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // what has none is no network's
	}
	if !d.gate.mayTalk(r) {
		http.Error(w, "this dashboard has no password, so it answers this machine only, by localhost or by number", http.StatusForbidden)
		return
	}
	name := r.URL.Path
	if len(name) > 0 && name[0] == '/' {
		name = name[1:]
	}
	if e, ok := d.api[name]; ok {
		d.call(w, r, name, e)
		return
	}
	d.serveAsset(w, r, name)
}
