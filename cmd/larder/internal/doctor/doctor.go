// Package doctor is a check-up of a running server: Larder, Redis or Valkey, alone, behind Sentinel, as a Cluster, or over
// REST as far as that answers. It reads what the server tells of itself, looks at keys at a bounded rate, and says what is
// wrong, by which figure, why that matters and what to do.
//
// It only reads: the commands it sends are those of allowed, and a test holds it to them. Most leave the keys' access
// clocks alone (TYPE, PTTL, MEMORY USAGE, OBJECT); the few that do not are sent over connections in no-touch mode where the
// server has one (7.2 and later), else for a few keys of each namespace only.
//
// Memory is bounded whatever the keyspace holds: namespaces, the biggest and the hottest keys are kept in tables of fixed
// size, see Keyspace.
//
// The flow is one way: a Target is read into Facts (collect.go, scan.go), checks turn Facts into Findings (checks.go, which
// lists them all), and a Report holds what is to be printed.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// Defaults of Options.
const (
	DefaultRate      = 10_000  // keys a second
	DefaultSample    = 100_000 // keys
	DefaultSeparator = ":"
	DefaultDepth     = 1
)

// Options say how to look.
type Options struct {
	Rate      int           // keys looked at per second, over all servers; 0 is DefaultRate, negative no bound
	Sample    int64         // keys to look at, at most; 0 is DefaultSample, negative all
	Timeout   time.Duration // for the whole scan; 0 is no bound
	Match     string        // only keys that match this glob pattern; empty for all
	Separator string        // between the segments of a key; empty is DefaultSeparator
	Depth     int           // leading segments that make a namespace; 0 is DefaultDepth
	Ignore    []string      // checks not to run

	Progress func(done float64, note string) // called from the goroutine of Run, a few times a second; may be nil
	Clock    clock.Clock                     // nil is the machine's
	Host     fs.FS                           // the machine's root folder, looked at if the server runs on it; nil for none
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Depth < 0 || o.Depth > 16:
		return o, fmt.Errorf("a depth of %d: 1 to 16 are possible", o.Depth)
	case o.Rate > 10_000_000:
		return o, fmt.Errorf("a rate of %d keys/s is more than any server answers", o.Rate)
	case o.Timeout < 0:
		return o, fmt.Errorf("a timeout of %v", o.Timeout)
	}
	for _, id := range o.Ignore {
		if _, ok := find(id); !ok {
			return o, fmt.Errorf("there is no check %q; these are: %s", id, knownIDs())
		}
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Sample == 0 {
		o.Sample = DefaultSample
	}
	if o.Separator == "" {
		o.Separator = DefaultSeparator
	}
	if o.Depth == 0 {
		o.Depth = DefaultDepth
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	return o, nil
}

// errTimeout ends a scan that Options.Timeout bounds.
var errTimeout = errors.New("--timeout passed")

// Run looks at t and reports. A scan that ends early (ctx ended, Options.Timeout, a server that died) makes a report of what
// was seen until then, which says so in Scan.Stopped. An error means that nothing could be read, or that o is wrong.
func Run(ctx context.Context, t *Target, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	began, monotonic := o.Clock.Now(), o.Clock.Monotonic()
	facts := &Facts{Target: t.Facts}
	for _, n := range t.Nodes {
		facts.Servers = append(facts.Servers, readServer(ctx, n, o.Clock))
	}
	if err := facts.unreadable(); err != nil {
		return nil, err
	}
	if err := facts.sentinel(); err != nil {
		return nil, err
	}
	if t.Facts.Local && o.Host != nil {
		facts.Host = readHost(o.Host)
	}
	scanCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.Timeout > 0 {
		defer o.Clock.AfterFunc(o.Timeout, func() { cancel(errTimeout) }).Stop()
	}
	facts.Keys = newScan(t, o, facts.Servers).run(scanCtx)
	if err := facts.empty(); err != nil {
		return nil, err
	}
	for i, n := range t.Nodes {
		readAgain(ctx, n, facts.Servers[i], o.Clock)
	}
	r := examine(facts, o.Ignore)
	r.Target, r.Started, r.Seconds = t.Name, began.UTC(), (o.Clock.Monotonic() - monotonic).Seconds()
	return r, nil
}

// unreadable is why there is nothing to report on: no server told anything of itself.
func (f *Facts) unreadable() error {
	var why error
	for _, s := range f.Servers {
		if !s.Info.Empty() {
			return nil
		}
		if err := s.failure; err != nil {
			why = err
		}
		if why == nil || !errors.Is(why, store.ErrUnavailable) && !errors.Is(why, context.Canceled) && s.reachable {
			return nil
		}
	}
	if why == nil {
		return errors.New("no server to look at")
	}
	if hint := store.Hint(why); hint != "" {
		return fmt.Errorf("%w (%s)", why, hint)
	}
	return why
}

// sentinel refuses a Sentinel that was taken for a server: it holds no data, so a report on it would praise it.
func (f *Facts) sentinel() error {
	for _, s := range f.Servers {
		if s.text("redis_mode") != "sentinel" {
			continue
		}
		master := "NAME"
		if one, ok := s.Info.Parts("master0").Text("name"); ok {
			master = one
		}
		return fmt.Errorf("%w: %s is a Sentinel, which holds no data: redis+sentinel://%s/%s examines its primary", store.ErrInvalid, clean(s.Name), clean(s.Name), clean(master))
	}
	return nil
}

// empty is why there is nothing to report on: neither INFO nor SCAN was answered.
func (f *Facts) empty() error {
	for _, s := range f.Servers {
		if !s.Info.Empty() || f.Keys.Missing[fromScan] == nil {
			return nil
		}
	}
	return fmt.Errorf("nothing could be read: INFO: %w; SCAN: %w", f.Servers[0].failure, f.Keys.Missing[fromScan])
}
