package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/larderdb/larder/internal/config"
)

// site is an http.Handler that serve answers HTTP requests with, at an address of its own.
type site struct {
	name    string // the directive that asks for it
	addr    string // host:port
	handler http.Handler
	guarded bool   // the handler lets nobody in without a token or a log-in
	guard   string // the directive that would have it do so, for error messages
	cert    string // PEM files for TLS, read again when they change; empty: none
	key     string
	end     func() // if set, ends responses that last, such as streams of events, before the server waits for them

	listener net.Listener
	server   *http.Server
	patience time.Duration
	log      *slog.Logger
	ended    chan struct{} // closed when it is not served any more; nil before start
}

// Bounds on what clients may keep a connection busy with. There is none on the time of a response: events are responses
// that last. Bodies are the handlers' business, since they know how long those may be.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 5 * time.Minute
	maxHeader     = 256 << 10 // bytes; a path may hold a command
)

// open binds the site's address. Where nobody is asked for a password, as the handler is not guarded, it does so on this
// machine's own addresses only, unless protected mode is off.
func (w *site) open(ctx context.Context, log *slog.Logger, s *config.Settings) error {
	if !w.guarded && s.ProtectedMode && !isLoopback(w.addr) {
		return fmt.Errorf("%s %s: other machines could reach it, and it would ask nobody for a password: "+
			"set %s, choose an address such as 127.0.0.1, or turn protected-mode off", w.name, w.addr, w.guard)
	}
	w.log, w.patience = log.With("site", w.name), time.Duration(s.ShutdownTimeout)*time.Second
	w.server = &http.Server{
		Handler: w.handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ConnState: atMost(int64(s.MaxClients)),
		ErrorLog:  slog.NewLogLogger(w.log.Handler(), slog.LevelDebug), // whatever clients do wrong
	}
	if !w.guarded && isLoopback(w.addr) { // else it was opened to others on purpose, who have names for it
		w.server.Handler = sameMachine(w.handler)
	}
	if w.cert != "" || w.key != "" {
		pair, err := newRenewable(w.cert, w.key, w.log)
		if err != nil {
			return fmt.Errorf("%s: certificate and key: %w", w.name, err)
		}
		w.server.TLSConfig = &tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS12}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, family(w.addr), w.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return inUseError{fmt.Errorf("%s %s: the port is in use", w.name, w.addr)}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", w.name, w.addr, err)
	}
	w.listener = l
	return nil
}

// atMost closes connections past a number, since file descriptors that HTTP takes are none for Redis clients: maxclients bounds
// either.
func atMost(most int64) func(net.Conn, http.ConnState) {
	var open atomic.Int64
	return func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if open.Add(1) > most {
				_ = conn.Close() // it is told as closed in a moment
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}

// start answers requests, on a goroutine. fail is told if that ends before close.
func (w *site) start(fail func(error)) {
	w.ended = make(chan struct{})
	w.log.Info("listening", "addr", w.listener.Addr().String())
	go func() {
		defer close(w.ended)
		var err error
		if w.server.TLSConfig != nil {
			err = w.server.ServeTLS(w.listener, "", "")
		} else {
			err = w.server.Serve(w.listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("%s: %w", w.name, err))
		}
	}()
}

// close lets requests end for as long as shutdown-timeout says, and cuts off those that do not.
func (w *site) close() {
	if w.end != nil {
		w.end()
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.patience)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.log.Warn("requests were cut off", "err", err)
		_ = w.server.Close() // whatever is left
	}
	if w.ended == nil {
		_ = w.listener.Close() // nobody has served it
		return
	}
	<-w.ended
}

// closeSites closes all sites at once, since each may have requests to wait for.
func closeSites(sites []*site) {
	done := make(chan struct{})
	for _, w := range sites {
		go func() {
			w.close()
			done <- struct{}{}
		}()
	}
	for range sites {
		<-done
	}
}

// family is the network of an address: by itself Go takes 0.0.0.0 for all of IPv6, too.
func family(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.To4() != nil {
		return "tcp4"
	}
	return "tcp"
}

// isLoopback tells whether only this machine reaches an address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// sameMachine refuses requests that a browser sends for a page from elsewhere whose name was made to lead here (DNS
// rebinding): where nobody is asked for a password, the Host is an address or localhost.
func sameMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if host = strings.Trim(host, "[]"); net.ParseIP(host) == nil && !strings.EqualFold(host, "localhost") {
			http.Error(w, "this address is for this machine: ask for it by localhost or by number", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
