package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/larderdb/larder/internal/config"
)

// listen opens every socket that the settings ask for, or none. Those of tls-port speak TLS as conf says.
func listen(ctx context.Context, s *config.Settings, conf *tls.Config) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			closeAll(listeners)
			listeners = nil
		}
	}()
	for _, e := range endpoints(s) {
		l, err := e.listen(ctx, conf)
		if err != nil {
			return listeners, err
		}
		if l != nil {
			listeners = append(listeners, l)
		}
	}
	if s.UnixSocket != "" {
		l, err := listenUnix(ctx, s)
		if err != nil {
			return listeners, err
		}
		listeners = append(listeners, l)
	}
	if len(listeners) == 0 && s.REST == "" {
		return nil, errors.New("configured to listen nowhere: set port, tls-port or unixsocket")
	}
	return listeners, nil
}

// endpoint is an address to listen at.
type endpoint struct {
	host     string
	port     int
	optional bool // it is no fault if this machine has no such address
	secure   bool // TLS
}

// endpoints are those of TCP that the settings ask for.
func endpoints(s *config.Settings) (list []endpoint) {
	for _, addr := range bindAddresses(s.Bind) {
		host, optional := strings.CutPrefix(addr, "-")
		if s.Port != 0 {
			list = append(list, endpoint{host, s.Port, optional, false})
		}
		if s.TLS.Port != 0 {
			list = append(list, endpoint{host, s.TLS.Port, optional, true})
		}
	}
	return list
}

// listen opens an endpoint; nil where it is optional and there is no such address.
func (e endpoint) listen(ctx context.Context, conf *tls.Config) (net.Listener, error) {
	l, err := listenTCP(ctx, e.host, e.port)
	switch {
	case err == nil && e.secure:
		return secured{tls.NewListener(l, conf)}, nil
	case err == nil:
		return l, nil
	case e.optional && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
		return nil, nil
	}
	return nil, explainListen(err, e.host, e.port)
}

// bindAddresses spells out that no address at all means all of them.
func bindAddresses(bind []string) []string {
	if len(bind) == 0 {
		return []string{"*", "-::*"}
	}
	return bind
}

func listenTCP(ctx context.Context, host string, port int) (net.Listener, error) {
	network := "tcp4"
	switch {
	case host == "*":
		host = "0.0.0.0"
	case host == "::*":
		host, network = "::", "tcp6"
	case strings.Contains(host, ":"):
		network = "tcp6"
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(port)))
}

func explainListen(err error, host string, port int) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return inUseError{fmt.Errorf("port %d on %s is in use: is another Larder or Redis running? Stop it or choose another port with --port",
			port, host)}
	}
	return fmt.Errorf("bind %s: %w", host, err)
}

// inUseError is a port that somebody else listens at.
type inUseError struct{ error }

// listenUnix replaces a socket that a server which has gone has left behind, but nothing else.
func listenUnix(ctx context.Context, s *config.Settings) (net.Listener, error) {
	if info, err := os.Lstat(s.UnixSocket); err == nil && info.Mode()&os.ModeSocket != 0 {
		if conn, err := net.Dial("unix", s.UnixSocket); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("unixsocket %s is in use by another server", s.UnixSocket)
		}
		if err := os.Remove(s.UnixSocket); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", s.UnixSocket)
	if err != nil {
		return nil, err
	}
	if s.UnixSocketPerm != 0 {
		if err := os.Chmod(s.UnixSocket, s.UnixSocketPerm); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // it may be closed already
	}
}
