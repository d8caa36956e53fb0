package redisstore

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sentinelRefresh is how often the sentinels are asked for the primary, besides listening to what they announce: a
// missed announcement would bind the client to a demoted server for good.
const sentinelRefresh = 5 * time.Second

// quiet is how long a failing address stays silent in the log after a line.
const quiet = time.Second

// events reports what happens to connections.
type events struct {
	log       *slog.Logger
	onConnect func(string)
	onError   func(string, error)

	mu   sync.Mutex
	held map[string]*held // by address; guarded by mu
}

// held counts the failures of one address that were not logged.
type held struct {
	since time.Time // the last line
	more  int
}

func newEvents(o Options) *events {
	e := &events{log: o.Logger, onConnect: o.OnConnect, onError: o.OnError, held: map[string]*held{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	return e
}

func (e *events) connected(addr string) {
	e.mu.Lock()
	delete(e.held, addr)
	e.mu.Unlock()
	e.log.Info("redis connected", "addr", addr)
	if e.onConnect != nil {
		e.onConnect(addr)
	}
}

func (e *events) failed(addr string, err error) {
	if e.onError != nil {
		e.onError(addr, err)
	}
	e.mu.Lock()
	h := e.held[addr]
	if h != nil && time.Since(h.since) < quiet {
		h.more++
		e.mu.Unlock()
		return
	}
	more := 0
	if h != nil {
		more = h.more
	}
	e.held[addr] = &held{since: time.Now()}
	e.mu.Unlock()
	attrs := []slog.Attr{slog.String("addr", addr), slog.Any("err", err)}
	if more > 0 {
		attrs = append(attrs, slog.Int("unreported", more))
	}
	e.log.LogAttrs(context.Background(), slog.LevelError, "redis connection failed", attrs...)
}

func (e *events) lost(addr string, err error) {
	e.log.Warn("redis connection lost", "addr", addr, "err", err)
	if e.onError != nil {
		e.onError(addr, err)
	}
}
