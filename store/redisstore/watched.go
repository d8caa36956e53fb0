package redisstore

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// watched is a connection that reports its loss, once, unless this side closed it, and that notices before the first
// write after a rest whether it was lost meanwhile.
//
// The latter matters because rueidis reads a connection only while it waits for replies, as long as one caller at a time uses
// it. A server that restarted, or a firewall that dropped an idle connection, would show only when the next command was
// written and got no answer: a write that might have run, and so is not repeated. Found before, it is one that certainly did not.
//
// That conclusion needs that nothing else is under way. So it is drawn only where a reply was read since the last
// write, and never on a connection that was once read and written at the same time: there a reader waits all the time, and
// notices by itself.
type watched struct {
	net.Conn
	addr  string
	store *Store
	over  atomic.Bool

	reading atomic.Bool  // a Read is under way
	shared  atomic.Bool  // a Write met a Read
	rested  atomic.Int64 // when the last Read ended, in Unix nanoseconds; 0 after a Write
}

// rest is how long nothing was read before a connection is looked at before it is written to. A look costs about a microsecond.
const rest = 10 * time.Millisecond

// staleConnection is a connection that was lost while nobody used it. What was to be written has not been.
type staleConnection struct{ cause error }

func (e *staleConnection) Error() string {
	return "the connection was lost while idle: " + e.cause.Error()
}
func (e *staleConnection) Unwrap() error { return e.cause }

func (w *watched) Read(b []byte) (int, error) {
	w.reading.Store(true)
	n, err := w.Conn.Read(b)
	w.reading.Store(false)
	if err != nil {
		w.note(err)
	}
	if !w.shared.Load() {
		w.rested.Store(time.Now().UnixNano())
	}
	return n, err
}

func (w *watched) Write(b []byte) (int, error) {
	if err := w.look(); err != nil {
		w.note(err)
		return 0, &staleConnection{err}
	}
	n, err := w.Conn.Write(b)
	if err != nil {
		w.note(err)
	}
	return n, err
}

// look finds out whether a connection that rested was lost.
func (w *watched) look() error {
	if w.shared.Load() {
		return nil
	}
	if w.reading.Load() {
		w.shared.Store(true)
		return nil
	}
	since := w.rested.Swap(0)
	if since == 0 || time.Now().UnixNano()-since < int64(rest) {
		return nil
	}
	return lost(w.Conn)
}

func (w *watched) Close() error {
	w.over.Store(true)
	return w.Conn.Close()
}

func (w *watched) note(err error) {
	if !w.over.Swap(true) && !w.store.isClosed() {
		if errors.Is(err, io.EOF) {
			err = errors.New("closed by the server")
		}
		w.store.events.lost(w.addr, err)
	}
}
