package kvstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/store"
)

// Options are what a URL cannot say. The zero value is fine.
type Options struct {
	// Client makes the requests; nil is one of this package, with as many connections as it needs. Its Timeout must leave room
	// for subscriptions, which last: zero is right.
	Client *http.Client

	// Poll is how often, at the least, a command that blocks (BLPOP, XREAD BLOCK, ...) asks whether there is something; at first it
	// asks more often. Each time is a request, which a service may charge for. Default DefaultPoll; negative: commands that
	// block are ErrUnsupported.
	Poll time.Duration

	// Logger gets a line when a subscription is lost and when it is back. Nil logs nothing.
	Logger *slog.Logger
}

// DefaultPoll is how often somebody who waits in a command that blocks asks.
const DefaultPoll = 500 * time.Millisecond

// Store is a store.Store over HTTP. Make one with Open.
type Store struct {
	cfg    store.Config
	base   *url.URL
	token  string
	client *http.Client
	own    *http.Transport // to be closed; nil: the client is the caller's
	log    *slog.Logger

	poll    time.Duration // less than zero: do not
	timeout *store.CallTimeout
	sync    atomic.Pointer[string] // the last sync token
	bytes   atomic.Bool            // the server takes bytes in JSON
	life    context.Context        // ends with Close
	end     context.CancelFunc

	batches batcher
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Transactor = (*Store)(nil)
)

// requests is how many are under way at a time. What comes while there are that many waits, and goes together.
const requests = 8

// Open prepares a Store for cfg, whose target is store.REST, without a request. The token is the user or the password of the
// URL, or its parameter "token".
func Open(cfg store.Config, o Options) (*Store, error) {
	if cfg.Target != store.REST || len(cfg.Addrs) != 1 {
		return nil, fmt.Errorf("kvstore: %w: %s is not the address of a REST API", store.ErrInvalid, cfg)
	}
	for name := range cfg.Params {
		if name != "token" && name != "_token" {
			return nil, fmt.Errorf("kvstore: %w: unknown parameter %q", store.ErrInvalid, name)
		}
	}
	s := &Store{cfg: cfg, log: o.Logger, token: firstOf(cfg.Password, cfg.Username, cfg.Params.Get("token"), cfg.Params.Get("_token"))}
	if s.token == "" {
		return nil, fmt.Errorf("kvstore: %w: no token: write https://TOKEN@host", store.ErrInvalid)
	}
	if strings.ContainsFunc(s.token, func(r rune) bool { return r <= ' ' || r > '~' }) { // such as the line's end of a file
		return nil, fmt.Errorf("kvstore: %w: the token has a space, a line's end or what is no ASCII, which no header can bring", store.ErrInvalid)
	}
	if s.poll = o.Poll; s.poll == 0 {
		s.poll = DefaultPoll
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	scheme := "http"
	if cfg.TLS {
		scheme = "https"
	}
	s.base = &url.URL{Scheme: scheme, Host: cfg.Addrs[0], Path: strings.TrimSuffix(cfg.Path, "/")}
	if s.cfg.DialTimeout <= 0 {
		s.cfg.DialTimeout = store.DefaultDialTimeout
	}
	if s.cfg.Timeout <= 0 {
		s.cfg.Timeout = store.DefaultTimeout
	}
	if s.cfg.Retries == 0 {
		s.cfg.Retries = store.DefaultRetries
	}
	s.timeout = store.NewCallTimeout(s.cfg.Timeout)
	var client http.Client
	if o.Client != nil {
		client = *o.Client
	} else {
		s.own = s.transport()
		client.Transport = s.own
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token is for this host
	s.client = &client
	s.life, s.end = context.WithCancel(context.Background())
	s.batches.s = s
	return s, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (s *Store) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: s.cfg.DialTimeout, KeepAlive: s.cfg.KeepAlive}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 4 * requests, TLSHandshakeTimeout: s.cfg.DialTimeout,
	}
	if s.cfg.TLS {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.cfg.ServerName, InsecureSkipVerify: s.cfg.InsecureSkipVerify}
	}
	return t
}

// String names the store in logs, without the token.
func (s *Store) String() string { return s.cfg.String() }

// Close ends subscriptions and makes later calls fail. See store.Store.
func (s *Store) Close() error {
	s.end()
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	return nil
}

// Do runs one command. See store.Store.
func (s *Store) Do(ctx context.Context, args ...string) store.Reply {
	if err := check(args); err != nil {
		return store.Fail(err)
	}
	if store.TraitsOf(args).Blocks {
		if s.poll < 0 {
			return store.Fail(blocks(args))
		}
		return s.block(ctx, args)
	}
	return s.batches.run(ctx, []store.Cmd{args})[0]
}

// Pipe sends commands together. See store.Store.
func (s *Store) Pipe(ctx context.Context, cmds ...store.Cmd) []store.Reply {
	replies := make([]store.Reply, len(cmds))
	good, at := make([]store.Cmd, 0, len(cmds)), make([]int, 0, len(cmds))
	for i, c := range cmds {
		err := check(c)
		if err == nil && store.TraitsOf(c).Blocks {
			err = blocks(c)
		}
		if err != nil {
			replies[i] = store.Fail(err)
			continue
		}
		good, at = append(good, c), append(at, i)
	}
	for len(good) > 0 {
		n := fitting(good)
		for k, r := range s.batches.run(ctx, good[:n]) {
			replies[at[k]] = r
		}
		good, at = good[n:], at[n:]
	}
	return replies
}

// Bounds of the requests that a long Pipe is cut into. Services take up to 10 MB.
const (
	maxCommands = 10_000
	maxBytes    = 8 << 20
)

// fitting is how many of the commands go into one request, at least one.
func fitting(cmds []store.Cmd) int {
	size := 0
	for i, c := range cmds {
		for _, w := range c {
			size += textLen(w)
		}
		if i == maxCommands || size > maxBytes && i > 0 {
			return i
		}
	}
	return len(cmds)
}

// Run executes a script by its SHA, and by its text when the server does not have it yet.
func (s *Store) Run(ctx context.Context, script *store.Script, keys []string, args ...string) store.Reply {
	words := make([]string, 3, 3+len(keys)+len(args))
	words[0], words[1], words[2] = "EVALSHA", script.SHA(), fmt.Sprint(len(keys))
	if script.ReadOnly {
		words[0] = "EVALSHA_RO"
	}
	words = append(append(words, keys...), args...)
	r := s.batches.run(ctx, []store.Cmd{words})[0]
	if errors.Is(r.Err(), store.ErrNoScript) {
		words[0], words[1] = strings.Replace(words[0], "SHA", "", 1), script.Lua
		r = s.batches.run(ctx, []store.Cmd{words})[0]
	}
	return r
}

// Transaction runs commands as one; see store.Transactor.
func (s *Store) Transaction(ctx context.Context, cmds ...store.Cmd) ([]store.Reply, error) {
	for _, c := range cmds {
		if err := check(c); err != nil {
			return nil, err
		}
		if store.TraitsOf(c).Blocks {
			return nil, blocks(c)
		}
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	return s.batches.transaction(ctx, cmds)
}

// check refuses what cannot be sent.
func check(words []string) error {
	switch {
	case len(words) == 0 || words[0] == "":
		return fmt.Errorf("kvstore: %w: a command without a name", store.ErrInvalid)
	case store.Stateful(words):
		return &refused{strings.ToUpper(words[0]), "changes the state of a connection, of which there is none here: use a Script, or Subscribe"}
	case strings.EqualFold(words[0], "SPUBLISH"):
		return &refused{"SPUBLISH", "is for sharded channels, to which nobody can listen here: use PUBLISH"}
	}
	return nil
}

func blocks(words []string) error {
	return &refused{strings.ToUpper(words[0]), "blocks, which a REST API does not do: call it alone, by Do, with Options.Poll not negative, or ask without waiting"}
}

// refused is an ErrUnsupported that names the command.
type refused struct{ name, why string }

func (e *refused) Error() string { return "kvstore: " + e.name + " " + e.why }
func (e *refused) Unwrap() error { return store.ErrUnsupported }

// over is why a call has ended, if it has: the Store's end, or the caller's.
func (s *Store) over(ctx context.Context) error {
	if s.life.Err() != nil {
		return fmt.Errorf("kvstore: %w", store.ErrClosed)
	}
	return store.Unavailable(ctx.Err())
}
