package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// Options are what a URL cannot say. The zero value is fine.
type Options struct {
	// Logger gets one line per connection made (Info), lost (Warn) or refused (Error, at most one a second for an
	// address). Nil logs nothing.
	Logger *slog.Logger

	// OnConnect and OnError, if set, are called for the same events, from the goroutine that met them. They must not
	// block. OnError is called each time, also where the log is held back.
	OnConnect func(addr string)
	OnError   func(addr string, err error)

	// Dial replaces the network: tests and the embedded store's Dial use it. TLS is not added to what it returns.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// NoTouch has the server leave the access clocks and counters of keys alone (CLIENT NO-TOUCH, Redis 7.2 and later), so
	// that what this Store reads does not count as use when the server evicts. Older servers, and users who may not send it,
	// get no connection.
	NoTouch bool
}

// Store is a store.Store over the network. Make one with Open.
type Store struct {
	cfg    store.Config // immutable, defaults filled in
	opts   Options
	events *events
	gate   gate

	timeout *store.CallTimeout
	flow    flow

	client atomic.Pointer[rueidis.Client] // nil until the first command
	life   context.Context                // ends with Close
	end    context.CancelFunc

	mu         sync.Mutex
	closed     bool        // guarded by mu
	connecting *connecting // guarded by mu; nil when nobody connects
}

// connecting is one attempt to connect that several callers wait for.
type connecting struct {
	done chan struct{}
	err  error // set before done is closed
}

var _ store.Store = (*Store)(nil)

var errNoCommand = fmt.Errorf("redisstore: %w: a command without a name", store.ErrInvalid)

// Open prepares a Store for cfg without connecting. It fails only for a cfg that makes no sense here.
func Open(cfg store.Config, opts Options) (*Store, error) {
	switch cfg.Target {
	case store.Single, store.Sentinel, store.Cluster:
	default:
		return nil, fmt.Errorf("redisstore: %w: %s is not a Redis address", store.ErrInvalid, cfg)
	}
	if len(cfg.Addrs) == 0 {
		return nil, fmt.Errorf("redisstore: %w: no address", store.ErrInvalid)
	}
	if cfg.Target == store.Sentinel && cfg.Master == "" {
		return nil, fmt.Errorf("redisstore: %w: no master name for the sentinels", store.ErrInvalid)
	}
	setDefault(&cfg.DialTimeout, store.DefaultDialTimeout)
	setDefault(&cfg.Timeout, store.DefaultTimeout)
	setDefault(&cfg.KeepAlive, store.DefaultKeepAlive)
	if cfg.Retries == 0 {
		cfg.Retries = store.DefaultRetries
	}
	cfg.Retries = max(cfg.Retries, 0)
	s := &Store{cfg: cfg, opts: opts, events: newEvents(opts), timeout: store.NewCallTimeout(cfg.Timeout)}
	s.flow.init(cfg.Target == store.Cluster)
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// String names the store in logs, without passwords.
func (s *Store) String() string { return s.cfg.String() }

// Do runs one command. See store.Store.
func (s *Store) Do(ctx context.Context, args ...string) store.Reply {
	if err := check(args); err != nil {
		return store.Fail(err)
	}
	return s.do(ctx, args, store.TraitsOf(args))
}

// Run executes a script by its SHA, and by its text when the server does not have it yet.
func (s *Store) Run(ctx context.Context, script *store.Script, keys []string, args ...string) store.Reply {
	if err := s.oneSlot(script.Name, keys); err != nil {
		return store.Fail(err)
	}
	words := make([]string, 3, 3+len(keys)+len(args))
	words[0], words[1], words[2] = "EVALSHA", script.SHA(), strconv.Itoa(len(keys))
	words = append(append(words, keys...), args...)
	tr := store.Traits{Reads: script.ReadOnly}
	if len(keys) > 0 {
		tr.Key = 3
	}
	r := s.do(ctx, words, tr)
	if r.Kind() == store.KindError && errors.Is(r.Err(), store.ErrNoScript) {
		words[0], words[1] = "EVAL", script.Lua
		r = s.do(ctx, words, tr)
	}
	return r
}

// do is one request: attempts with pauses in between.
func (s *Store) do(ctx context.Context, words []string, tr store.Traits) store.Reply {
	var p patience
	for {
		r, verdict := s.once(ctx, words, tr)
		if verdict == final || verdict == ambiguous && !tr.Reads || !s.pause(ctx, &p, r.Err()) {
			return r
		}
	}
}

// once is one attempt.
func (s *Store) once(ctx context.Context, words []string, tr store.Traits) (store.Reply, verdict) {
	client, err := s.connect(ctx)
	if err != nil {
		return s.failed(ctx, err)
	}
	bounded, cancel := s.bound(ctx, tr.Blocks)
	defer cancel()
	res, err := attend(&s.flow, bounded, s.flow.lane(words, tr), tr.Blocks, func(ctx context.Context) rueidis.RedisResult {
		return client.Do(ctx, build(client.B(), words, tr))
	})
	if err != nil {
		return s.failed(ctx, err)
	}
	return s.judge(ctx, res)
}

// judge turns what rueidis returned into a Reply and says whether it may be tried again.
func (s *Store) judge(ctx context.Context, res rueidis.RedisResult) (store.Reply, verdict) {
	if err := res.NonRedisError(); err != nil {
		return s.failed(ctx, err)
	}
	s.gate.answered()
	m, _ := res.ToMessage()
	r := convert(&m)
	if r.Kind() != store.KindError {
		return r, final
	}
	return r, s.refusal(r.Err())
}

// Pipe sends commands together. What may be tried again after a failure is, in order; the rest keeps its error.
func (s *Store) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	replies := make([]store.Reply, len(cmds))
	todo := make([]int, 0, len(cmds)) // indexes of what is not settled
	all := make([]store.Traits, len(cmds))
	for i, c := range cmds {
		if err := check(c); err != nil {
			replies[i] = store.Fail(err)
			continue
		}
		all[i] = store.TraitsOf(c)
		todo = append(todo, i)
	}
	var p patience
	for len(todo) > 0 {
		again := s.pipeOnce(ctx, cmds, all, todo, replies)
		if len(again) == 0 || !s.pause(ctx, &p, replies[again[0]].Err()) {
			break
		}
		todo = again
	}
	return replies
}

// pipeOnce sends the commands listed in todo, sets their replies, and returns those that may be tried again.
func (s *Store) pipeOnce(ctx context.Context, cmds []store.Cmd, all []store.Traits, todo []int, replies []store.Reply) (again []int) {
	client, err := s.connect(ctx)
	blocks := false
	var results []rueidis.RedisResult
	if err == nil {
		built := make([]rueidis.Completed, len(todo))
		for k, i := range todo {
			built[k] = build(client.B(), cmds[i], all[i])
			blocks = blocks || all[i].Blocks
		}
		bounded, cancel := s.bound(ctx, blocks)
		defer cancel()
		lane := s.flow.lane(cmds[todo[0]], all[todo[0]])
		results, err = attend(&s.flow, bounded, lane, blocks, func(ctx context.Context) []rueidis.RedisResult { return client.DoMulti(ctx, built...) })
	}
	for k, i := range todo {
		var v verdict
		if err != nil {
			replies[i], v = s.failed(ctx, err)
		} else {
			replies[i], v = s.judge(ctx, results[k])
		}
		if v == unsent || v == ambiguous && all[i].Reads {
			again = append(again, i)
		}
	}
	return again
}

// bound gives a command its time limit. A blocking command has only the caller's, and ends when the Store is closed.
func (s *Store) bound(ctx context.Context, blocks bool) (context.Context, context.CancelFunc) {
	if !blocks {
		return s.timeout.Bound(ctx)
	}
	return s.whileOpen(ctx)
}

// whileOpen ends ctx also when the Store is closed.
func (s *Store) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// Close closes all connections. See store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.end()
	pending := s.connecting
	s.mu.Unlock()
	if pending != nil {
		<-pending.done
	}
	if c := s.client.Load(); c != nil {
		(*c).Close()
	}
	return nil
}

func (s *Store) isClosed() bool { return s.life.Err() != nil }

// failed turns a failure without an answer into a Reply.
func (s *Store) failed(ctx context.Context, err error) (store.Reply, verdict) {
	var answered *rueidis.RedisError
	var serverErr store.ServerError
	var shut *gateShut
	switch {
	case s.isClosed():
		return store.Fail(fmt.Errorf("redisstore: %w", store.ErrClosed)), final
	case over(ctx) != nil:
		if errors.Is(over(ctx), context.DeadlineExceeded) {
			s.giveUp(err) // if it ran out while connecting
		}
		return store.Fail(fmt.Errorf("redisstore: %s: %w", s.cfg, store.Unavailable(over(ctx)))), final
	case errors.As(err, &answered): // the server refused the connection: wrong password, loading
		serverErr = serverText(answered)
		return store.Fail(fmt.Errorf("redisstore: %s: %w", s.cfg, serverErr)), s.refusal(serverErr)
	case errors.As(err, &shut):
		// One caller of little patience shuts the gate for all. Where a failover may be under way, others wait at it.
		if s.cfg.Target != store.Single && shut.shut < s.cfg.Timeout {
			return store.Fail(err), unsent
		}
		return store.Fail(err), final
	case errors.As(err, new(*dialFailure)):
		return store.Fail(fmt.Errorf("redisstore: %w", store.Unavailable(err))), unsent
	case errors.Is(err, rueidis.ErrNoSlot): // between the failure of a primary and the promotion of its replica
		return store.Fail(fmt.Errorf("redisstore: %w", store.Unavailable(fmt.Errorf("%s: %w", s.cfg, err)))), unsent
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%s: no answer within %v: %w", s.cfg, s.cfg.Timeout, os.ErrDeadlineExceeded)
		return store.Fail(fmt.Errorf("redisstore: %w", store.Unavailable(err))), final
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("the server closed the connection: %w", err)
	}
	return store.Fail(fmt.Errorf("redisstore: %w", store.Unavailable(fmt.Errorf("%s: %w", s.cfg, err)))), ambiguous
}

// over is ctx's error. The connection's own timer may notice a deadline some microseconds before ctx's does.
func over(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
