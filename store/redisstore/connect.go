package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// bufferBytes is the size of each of a connection's two buffers. rueidis's default of 512 KiB makes hundreds of
// blocked connections expensive and gains nothing for commands of ordinary size.
const bufferBytes = 64 << 10

// connect gives the client, making it if there is none yet. All who come meanwhile wait for the same attempt, each as
// long as its own ctx lives.
func (s *Store) connect(ctx context.Context) (rueidis.Client, error) {
	if s.isClosed() {
		return nil, store.ErrClosed
	}
	if err := s.gate.pass(); err != nil {
		return nil, err
	}
	if c := s.client.Load(); c != nil {
		return *c, nil
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, store.ErrClosed
	}
	if c := s.client.Load(); c != nil {
		s.mu.Unlock()
		return *c, nil
	}
	attempt := s.connecting
	if attempt == nil {
		attempt = &connecting{done: make(chan struct{})}
		s.connecting = attempt
		go s.dialFirst(attempt)
	}
	s.mu.Unlock()
	select {
	case <-attempt.done:
		if attempt.err != nil {
			return nil, attempt.err
		}
		return *s.client.Load(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dialFirst makes the client. rueidis wants to connect while it does so, bounded by DialTimeout.
func (s *Store) dialFirst(attempt *connecting) {
	client, err := rueidis.NewClient(s.options())
	if err != nil && client != nil {
		client.Close()
	}
	if err == nil {
		s.client.Store(&client)
	} else if !errors.As(err, new(*rueidis.RedisError)) {
		err = &dialFailure{s.cfg.String(), err}
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		s.giveUp(err) // whoever waited has most likely left before: let the next ones not wait as long
	}
	s.mu.Lock()
	attempt.err = err
	s.connecting = nil
	s.mu.Unlock()
	close(attempt.done)
}

func (s *Store) options() rueidis.ClientOption {
	o := rueidis.ClientOption{
		InitAddress:         s.cfg.Addrs,
		Username:            s.cfg.Username,
		Password:            s.cfg.Password,
		SelectDB:            s.cfg.DB,
		ClientName:          s.cfg.ClientName,
		ClientNoTouch:       s.opts.NoTouch,
		ClientSetInfo:       []string{"larder", "0"},
		TLSConfig:           s.tls(),
		ConnWriteTimeout:    s.cfg.Timeout,
		BlockingPoolSize:    s.cfg.PoolSize,
		ReadBufferEachConn:  bufferBytes,
		WriteBufferEachConn: bufferBytes,
		DisableRetry:        true, // ours knows what may be repeated
		DisableCache:        true,
		AlwaysRESP2:         s.cfg.Protocol == 2,
		ForceSingleClient:   s.cfg.Target == store.Single,
		PipelineMultiplex:   multiplex(runtime.GOMAXPROCS(0)),
		AlwaysPipelining:    true, // else who is alone can be neither cancelled nor outlived by those behind
		DialCtxFn:           s.dial,
	}
	o.Dialer.Timeout = s.cfg.DialTimeout
	o.Dialer.KeepAlive = min(s.cfg.KeepAlive, s.cfg.Timeout/3) // how often rueidis asks a silent connection for a sign of life
	if s.cfg.Target == store.Sentinel {
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: s.cfg.Master, Username: s.cfg.SentinelUsername, Password: s.cfg.SentinelPassword,
			Dialer: o.Dialer, TLSConfig: o.TLSConfig,
			TopologyRefreshInterval: sentinelRefresh,
		}
	}
	return o
}

// multiplex is the binary logarithm of how many connections share the commands that do not block; -1 means one. Fewer
// connections make longer pipelines: less work for the server, and fewer system calls on both sides. More let several
// processors read the replies.
func multiplex(processors int) int {
	switch {
	case processors <= 4:
		return -1
	case processors <= 16:
		return 1
	}
	return 2
}

func (s *Store) tls() *tls.Config {
	if !s.cfg.TLS {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.cfg.ServerName, InsecureSkipVerify: s.cfg.InsecureSkipVerify}
}

// dial makes every connection, reports it, and marks failures: what failed to connect was certainly not run.
func (s *Store) dial(ctx context.Context, addr string, dialer *net.Dialer, tlsConfig *tls.Config) (net.Conn, error) {
	s.flow.unproven.Add(1)
	ctx = ownerOf(ctx)
	bounded, cancel := context.WithTimeout(ctx, s.cfg.DialTimeout)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	conn, err := s.dialRaw(bounded, addr, dialer, tlsConfig)
	if err == nil {
		s.events.connected(addr)
		return s.watch(ctx, addr, conn), nil
	}
	s.flow.unproven.Add(-1)
	if bounded.Err() == nil || errors.Is(bounded.Err(), context.DeadlineExceeded) {
		s.events.failed(addr, err)
	}
	err = &dialFailure{addr, err}
	if errors.Is(over(ctx), context.DeadlineExceeded) {
		s.giveUp(err) // who asked for the connection may not wait for this any more
	}
	return nil, err
}

func (s *Store) dialRaw(ctx context.Context, addr string, dialer *net.Dialer, tlsConfig *tls.Config) (net.Conn, error) {
	network := "tcp"
	switch {
	case s.opts.Dial != nil:
		return s.opts.Dial(ctx, addr)
	case s.cfg.Unix:
		network = "unix"
	}
	own := *dialer
	own.KeepAlive = s.cfg.KeepAlive
	dialer = &own
	if tlsConfig == nil {
		return dialer.DialContext(ctx, network, addr)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: tlsConfig}).DialContext(ctx, network, addr)
}

// dialFailure is a connection that could not be made.
type dialFailure struct {
	addr  string
	cause error
}

func (e *dialFailure) Error() string { return fmt.Sprintf("cannot connect to %s: %v", e.addr, e.cause) }
func (e *dialFailure) Unwrap() error { return e.cause }
