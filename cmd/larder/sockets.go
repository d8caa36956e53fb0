package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/config"
)

// sockets are the listeners of a server. CONFIG SET of port and bind opens others and closes those that are not wanted
// any more; connections live on.
type sockets struct {
	db     server
	tls    *tls.Config
	failed chan error // why a socket that nobody closed has ended; the first one
	wg     sync.WaitGroup

	mu   sync.Mutex
	open []*socket
}

// socket is a listener that is served.
type socket struct {
	net.Listener
	addr  string // as asked for, see endpoint.name; empty: not of TCP
	tls   bool
	stop  context.CancelFunc // nil before start
	ended chan struct{}
}

func newSockets(db server, listeners []net.Listener, conf *tls.Config) *sockets {
	s := &sockets{db: db, tls: conf, failed: make(chan error, 1)}
	for _, l := range listeners {
		s.open = append(s.open, newSocket(l))
	}
	return s
}

func newSocket(l net.Listener) *socket {
	k := &socket{Listener: l, ended: make(chan struct{})}
	if _, ok := l.Addr().(*net.TCPAddr); ok {
		k.addr = l.Addr().String()
	}
	_, k.tls = l.(secured)
	return k
}

// name is the address of an endpoint as its listener tells it.
func (e endpoint) name() string {
	host := e.host
	switch host {
	case "*":
		host = "0.0.0.0"
	case "::*":
		host = "::"
	}
	if host == "0.0.0.0" || host == "::" {
		return net.JoinHostPort(host, strconv.Itoa(e.port))
	}
	if addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, strconv.Itoa(e.port))); err == nil {
		return addr.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(e.port))
}

// start serves all sockets.
func (s *sockets) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.open {
		s.serve(k)
	}
}

// serve answers the clients of a socket, on a goroutine. mu is held.
func (s *sockets) serve(k *socket) {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	s.wg.Go(func() {
		defer close(k.ended)
		if err := s.db.ServeContext(ctx, k.Listener); err != nil && ctx.Err() == nil {
			s.fail(err)
		}
	})
}

// fail says that a socket has ended. Of several the first is enough.
func (s *sockets) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// wait waits until no socket is served any more, after the server was closed.
func (s *sockets) wait() { s.wg.Wait() }

// Errors of CONFIG SET, Redis's words.
var (
	errPort = errors.New("Unable to listen on this port. Check server logs.")
	errBind = errors.New("Failed to bind to specified addresses.")
)

// follow makes the sockets those that the settings ask for, or leaves them as they are. New ones open before old ones
// close, except where the old stand in the way: the same port at other addresses.
func (s *sockets) follow(want *config.Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]bool) // of the wanted, to whether they are of TLS
	var missing []endpoint
	for _, e := range endpoints(want) {
		name := e.name()
		names[name] = e.secure
		if !slices.ContainsFunc(s.open, func(k *socket) bool { return k.addr == name && k.tls == e.secure }) {
			missing = append(missing, e)
		}
	}
	unwanted := func(k *socket) bool {
		secure, wanted := names[k.addr]
		return k.addr != "" && (!wanted || secure != k.tls)
	}
	stays := samePort(s.open, want.Port) || samePort(s.open, want.TLS.Port)
	added, err := s.openAll(missing)
	if stays && errors.As(err, new(inUseError)) {
		added, err = s.replace(missing, unwanted)
	}
	switch {
	case err != nil && stays:
		return errBind
	case err != nil:
		return errPort
	}
	s.drop(unwanted)
	for _, k := range added {
		s.open = append(s.open, k)
		s.serve(k)
	}
	return nil
}

// samePort reports whether the sockets of TCP listen at a port already.
func samePort(open []*socket, port int) bool {
	return slices.ContainsFunc(open, func(k *socket) bool {
		addr, ok := k.Addr().(*net.TCPAddr)
		return ok && addr.Port == port
	})
}

// openAll opens endpoints, or none.
func (s *sockets) openAll(list []endpoint) (added []*socket, err error) {
	for _, e := range list {
		l, err := e.listen(context.Background(), s.tls)
		if err != nil {
			for _, k := range added {
				_ = k.Close()
			}
			return nil, err
		}
		if l != nil {
			added = append(added, newSocket(l))
		}
	}
	return added, nil
}

// drop closes sockets and waits until they are not served any more.
func (s *sockets) drop(unwanted func(k *socket) bool) (dropped []*socket) {
	s.open = slices.DeleteFunc(s.open, func(k *socket) bool {
		if !unwanted(k) {
			return false
		}
		k.stop()
		<-k.ended
		dropped = append(dropped, k)
		return true
	})
	return dropped
}

// releaseTries is how many milliseconds the system may take to free the port of a socket that was closed.
const releaseTries = 1000

// replace closes the unwanted sockets first. If the missing ones cannot be opened then, it opens the closed ones again.
func (s *sockets) replace(missing []endpoint, unwanted func(k *socket) bool) (added []*socket, err error) {
	dropped := s.drop(unwanted)
	added, err = s.openFreed(missing)
	if err == nil {
		return added, nil
	}
	for _, k := range dropped {
		host, port, splitErr := net.SplitHostPort(k.addr)
		n, numErr := strconv.Atoi(port)
		if splitErr != nil || numErr != nil {
			continue
		}
		again, againErr := s.openFreed([]endpoint{{host: host, port: n, secure: k.tls}})
		if againErr != nil {
			continue // somebody was faster: the others go on
		}
		s.open = append(s.open, again...)
		for _, k := range again {
			s.serve(k)
		}
	}
	return nil, err
}

// openFreed is openAll for addresses that a closed socket may still keep for a moment.
func (s *sockets) openFreed(list []endpoint) (added []*socket, err error) {
	again := clock.System().NewTicker(time.Millisecond)
	defer again.Stop()
	for range releaseTries {
		added, err = s.openAll(list)
		if !errors.As(err, new(inUseError)) {
			break
		}
		<-again.C()
	}
	return added, err
}
