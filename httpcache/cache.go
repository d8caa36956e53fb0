package httpcache

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Cache keeps HTTP responses in a store. It is safe for concurrent use: make one with New, and from it a Handler around
// a service's handlers, a Transport for its client, or both. Close ends its work in the background.
type Cache struct {
	config
	st   store.Store
	gens string // key of the generations
	seed maphash.Seed

	askGens store.Cmd // that reads them

	ctx    context.Context // of work in the background; ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	flights map[string]*flight // by key of base or variant
	landed  [runways]uint64    // how many flights have ended

	hints  hints
	groups groupTable
	outage outage
	n      counters
}

// New makes a Cache on st. It does not touch the store; it fails only for options that make no sense.
func New(st store.Store, o Options) (*Cache, error) {
	cfg, err := newConfig(st, o)
	if err != nil {
		return nil, err
	}
	c := &Cache{config: cfg, st: st, gens: o.Prefix + "{generations}", seed: maphash.MakeSeed(), flights: map[string]*flight{}}
	c.askGens = store.Cmd{"HGET", c.gens, ""}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close ends the background's revalidations, and waits until ctx ends for them and for a Transport's responses whose
// bodies are still being read. Handlers and Transports go on without work in the background. The store stays open.
func (c *Cache) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	done := make(chan struct{})
	go func() { c.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// background runs f on a goroutine that Close waits for; not after Close.
func (c *Cache) background(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// token is what a lookup saw: a response that is fetched after it is stored only if nothing was purged since, and
// requests share one fetch only if they saw the same.
type token struct {
	epoch, soft     string
	generation, era uint64
	known           bool // the store answered
}

// view is what a lookup found.
type view struct {
	token
	entry  *entry // the stored response that matches, fresh or not; nil if there is none
	specs  []string
	flight string // by what requests that want the same are told
}

// lookup reads what is stored for a request: one round trip, two when the URL's Vary or its groups' generations are not
// known in this process.
func (c *Cache) lookup(ctx context.Context, t *target, q *request) (view, error) {
	if !c.mayAsk() {
		return view{}, errOut
	}
	bounded, cancel := c.timeout.Bound(ctx)
	defer cancel()
	v, err := c.look(bounded, t, q)
	c.heard(ctx, bounded, err)
	return v, err
}

func (c *Cache) look(ctx context.Context, t *target, q *request) (view, error) {
	guess := c.hints.specs(t.base)
	if guess == nil && t.implied != "" {
		guess = []string{""}
	}
	cmds := make([]store.Cmd, 0, 2+len(guess))
	cmds = append(cmds, store.Cmd{"GET", t.base}, c.askGens)
	for _, spec := range guess {
		cmds = append(cmds, store.Cmd{"GET", t.variantKey(spec, q.header)})
	}
	replies := c.st.Pipe(ctx, cmds...)
	text, _, err := replies[0].Lookup()
	if err != nil {
		return view{}, err
	}
	b, err := parseBase(text)
	if err != nil {
		return view{}, err
	}
	gen, err := c.generation(ctx, replies[1])
	if err != nil {
		return view{}, err
	}
	variants, err := c.variants(ctx, t, q, b.specs, guess, replies[2:])
	if err != nil {
		return view{}, err
	}
	v := view{token: token{b.epoch, b.soft, gen.seq, gen.era, true}, specs: b.specs, flight: t.base}
	if len(b.specs) > 0 && (b.entry == "" || t.implied != "") {
		v.flight = t.variantKey(b.specs[0], q.header)
	} else if t.implied != "" {
		v.flight = t.variantKey("", q.header)
	}
	if b.entry != "" && t.implied == "" {
		v.consider(decodeEntry(b.entry))
	}
	for _, s := range variants {
		if s = variantOf(s, b.born); s != "" {
			v.consider(decodeEntry(s))
		}
	}
	return v, c.check(ctx, t, &v, gen)
}

// variants reads what the guess has left out. The answers are in the order of specs.
func (c *Cache) variants(ctx context.Context, t *target, q *request, specs, guess []string, have []store.Reply) ([]string, error) {
	if len(specs) == 0 {
		if len(guess) > 0 {
			c.hints.learn(t.base, nil)
		}
		return nil, nil
	}
	if !slices.Equal(specs, guess) {
		c.hints.learn(t.base, specs)
		cmds := make([]store.Cmd, len(specs))
		for i, spec := range specs {
			cmds[i] = store.Cmd{"GET", t.variantKey(spec, q.header)}
		}
		have = c.st.Pipe(ctx, cmds...)
	}
	out := make([]string, len(specs))
	for i, r := range have {
		var err error
		if out[i], _, err = r.Lookup(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// consider takes the newer of two entries.
func (v *view) consider(e *entry) {
	if e != nil && (v.entry == nil || e.received >= v.entry.received) {
		v.entry = e
	}
}

// check drops an entry that was invalidated or has outlived its time, and marks one that was purged softly.
func (c *Cache) check(ctx context.Context, t *target, v *view, gen generations) error {
	e := v.entry
	if e == nil {
		return nil
	}
	if e.until <= c.Clock.Now().UnixMilli() || e.era != gen.era || e.generation < gen.all {
		v.entry = nil
		return nil
	}
	e.softPurged = e.soft != v.soft || e.generation < gen.stale
	if len(e.groups) == 0 {
		return nil
	}
	names := make([]string, len(e.groups))
	for i, g := range e.groups {
		names[i] = groupName(t.host, g)
	}
	hardGen, softGen, err := c.groupGenerations(ctx, gen, names)
	if err != nil {
		return err
	}
	if e.generation < hardGen {
		v.entry = nil
	}
	e.softPurged = e.softPurged || e.generation < softGen
	return nil
}

// keep stores a response that was asked for when a lookup gave tok, of which its soft and generation are. It tells whether
// the store took it.
func (c *Cache) keep(ctx context.Context, t *target, q *request, tok token, e *entry) bool {
	now := c.Clock.Now()
	ttl := e.until - now.UnixMilli()
	if !tok.known || ttl <= 0 || now.Sub(q.began) > fillMost || c.outage.on() {
		return false
	}
	keys := []string{t.base}
	if e.spec != "" || t.implied != "" {
		keys = append(keys, t.variantKey(e.spec, q.header))
	}
	ctx = context.WithoutCancel(ctx)
	bounded, cancel := c.timeout.Bound(ctx)
	defer cancel()
	stored, err := c.st.Run(bounded, keepScript, keys, tok.epoch+tok.soft, newNonce(), itoa(ttl), e.encode(), e.spec).Bool()
	c.heard(ctx, bounded, err)
	if err != nil {
		c.failed(ctx, "keep", t.base, err)
		return false
	}
	if !stored {
		c.n.refused.Add(1)
		c.count(ctx, "refused")
		return false
	}
	if len(keys) == 2 {
		c.hints.add(t.base, e.spec)
	}
	c.n.stored.Add(1)
	return true
}

// newNonce is 8 random bytes that are not zeros.
func newNonce() string {
	var b [nonceSize]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] |= 1
	return string(b[:])
}

// failed counts and reports a failure that no caller sees. A caller that left is none.
func (c *Cache) failed(ctx context.Context, op, key string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if errors.Is(err, errOut) {
		c.n.storeSkipped.Add(1)
		return
	}
	c.n.storeErrors.Add(1)
	c.count(ctx, "store error")
	if c.OnError != nil {
		c.OnError(ctx, store.Wrap("httpcache", op, key, err))
	}
}

func (c *Cache) count(ctx context.Context, event string) {
	observe.Count(ctx, c.Observer, c.op(event, ""), 1)
}

func (c *Cache) op(verb, key string) observe.Op {
	return observe.Op{Pattern: "httpcache", Name: c.Prefix, Verb: verb, Key: key}
}

// millis of a time, as the store takes it.
func millis(d time.Duration) string { return itoa(d.Milliseconds()) }
