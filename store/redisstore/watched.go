package redisstore

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// watched is a connection that reports its loss, once, unless this side closed it. Until the server has said something it is
// unproven: what fails then is the greeting, and no command was sent.
type watched struct {
	net.Conn
	addr   string
	store  *Store
	over   atomic.Bool
	proven atomic.Bool
	abort  func() bool // keeps the ctx of the one who made the connection from ending its greeting
	stop   func() bool // keeps Store.Close from closing it
}

// watch looks after a connection that ctx's owner has made.
func (s *Store) watch(ctx context.Context, addr string, conn net.Conn) *watched {
	w := &watched{Conn: conn, addr: addr, store: s}
	made := make(chan struct{}) // one that has ended already calls at once
	closed := func() {
		<-made
		_ = w.Close()
	}
	w.abort, w.stop = context.AfterFunc(ctx, closed), context.AfterFunc(s.life, closed)
	close(made)
	return w
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err == nil && !w.proven.Load() {
		w.prove()
	}
	if err != nil {
		err = w.failed(err)
	}
	return n, err
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	if err != nil {
		err = w.failed(err)
	}
	return n, err
}

// prove notes that the connection has answered, or that nobody expects it to any more.
func (w *watched) prove() {
	if !w.proven.Swap(true) {
		w.abort()
		w.store.flow.unproven.Add(-1)
	}
}

func (w *watched) failed(err error) error {
	proven := w.proven.Load()
	w.note(err)
	if proven {
		return err
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		err = errNoGreeting // rueidis would take it for the deadline of each who waits for the connection
	}
	return &dialFailure{w.addr, err}
}

func (w *watched) Close() error {
	w.over.Store(true)
	w.stop()
	err := w.Conn.Close()
	w.prove()
	return err
}

func (w *watched) note(err error) {
	if !w.over.Swap(true) && !w.store.isClosed() {
		if errors.Is(err, io.EOF) {
			err = errors.New("closed by the server")
		}
		w.store.events.lost(w.addr, err)
	}
}

// errNoGreeting is a connection on which nobody answers.
var errNoGreeting net.Error = noGreeting{}

type noGreeting struct{}

func (noGreeting) Error() string   { return "connected, but no answer" }
func (noGreeting) Timeout() bool   { return true }
func (noGreeting) Temporary() bool { return true }
