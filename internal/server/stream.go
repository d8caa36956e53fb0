package server

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A stream is a connection served by goroutines over a net.Conn. One reads for as long as the connection lasts, into a
// small buffer while little comes. Whatever happens to the conn happens under mu, whose holder is the owner. What the
// peer does not take at once is queued and written by a second goroutine, which exists only while there is such output:
// a client that sends a long pipeline before it reads must not get stuck. (Over TLS there is no way to ask how much can be
// written at once, so all output goes through the second goroutine.)
type stream struct {
	conn
	nc  net.Conn
	try func([]byte) (int, error) // writes what goes without waiting; nil if nc cannot tell

	mu      sync.Mutex // makes its holder the owner of conn, and guards what follows
	changed *sync.Cond // something has been executed, sent or ended
	writing bool       // the writer exists
	closed  bool
}

const (
	idleRead   = 2 << 10  // bytes of read buffer while little comes
	blockedMax = 64 << 10 // bytes of input kept while commands may not run; more stays with the peer
)

var scratches = sync.Pool{New: func() any { return newScratch(nil) }}

func (s *Server) borrowScratch() *scratch {
	sc := scratches.Get().(*scratch)
	sc.bytes = &s.bytes
	return sc
}

// Dial returns an in-memory connection to the server.
func (s *Server) Dial() (net.Conn, error) {
	near, far := Pipe()
	st, err := s.newStream(far)
	if err == nil {
		go st.readAll()
	} else if errors.Is(err, net.ErrClosed) {
		return nil, err
	}
	return near, nil
}

// ServeConn serves one connection until it ends, and closes it.
func (s *Server) ServeConn(nc net.Conn) {
	if st, err := s.newStream(nc); err == nil {
		st.readAll()
	}
}

// errRefused says that a connection was told why it is not served, and closed.
var errRefused = errors.New("connection refused")

// newStream admits a connection, or closes it. The caller then calls readAll.
func (s *Server) newStream(nc net.Conn) (*stream, error) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	s.wg.Add(1) // until readAll ends
	s.mu.Unlock()
	st := &stream{nc: nc, try: tryWriter(nc)}
	st.changed = sync.NewCond(&st.mu)
	st.tr = st
	st.remote, st.local = addrText(nc.RemoteAddr(), nc.LocalAddr()), addrText(nc.LocalAddr(), nc.LocalAddr())
	keepAlive(nc, s.limits.Load().KeepAlive)
	if refusal := s.admit(&st.conn, isLocal(nc.RemoteAddr())); refusal != "" {
		if below(nc) == nc { // TLS would have to shake hands first
			_, _ = io.WriteString(nc, refusal)
		}
		_ = below(nc).Close()
		s.wg.Done()
		return nil, errRefused
	}
	return st, nil
}

// readAll reads until the connection ends.
func (st *stream) readAll() {
	defer st.srv.wg.Done()
	small := make([]byte, idleRead)
	buf := small
	var big *scratch
	for {
		n, err := st.nc.Read(buf)
		if !st.take(buf[:n], err) {
			break
		}
		switch {
		case n == len(buf) && big == nil:
			big = st.srv.borrowScratch()
			buf = big.buf
		case n < len(buf) && big != nil:
			scratches.Put(big)
			big, buf = nil, small
		}
	}
	if big != nil {
		scratches.Put(big)
	}
	st.end()
}

// take hands over what was read, and reports whether to read on.
func (st *stream) take(b []byte, err error) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	s := st.srv.borrowScratch()
	if len(b) > 0 {
		st.receivedCopy(s, b)
	}
	scratches.Put(s)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			st.flags.Or(flagKilled)
		}
		st.eof = true
	}
	for !st.over() && !st.eof && !st.ready() && len(st.rest) >= blockedMax {
		st.changed.Wait()
	}
	for st.eof && !st.over() {
		st.changed.Wait() // the replies are still on their way
	}
	return !st.over()
}

// end waits for the writer, and finishes.
func (st *stream) end() {
	st.hangUp()
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.writing {
		st.changed.Wait()
	}
	st.closed = true
	st.finish()
}

// send implements transport.
func (st *stream) send(s *scratch) {
	b := s.w.Bytes()
	if st.try != nil && len(b) > 0 && !st.writing && st.out.size == 0 {
		n, err := st.try(b)
		st.wrote(s.bytes, n)
		if err != nil {
			st.flags.Or(flagKilled)
		}
		b = b[n:]
	}
	if len(b) == 0 || st.has(flagKilled) {
		s.w.Reset(keepWriter)
		return
	}
	n := len(b)
	if st.out.add(b) {
		s.w.Take()
	}
	s.w.Reset(keepWriter)
	st.queued(n)
	if !st.writing {
		st.writing = true
		go st.writeAll()
	}
}

// tryWriter returns a function that writes as much as nc takes without waiting, or nil.
func tryWriter(nc net.Conn) func([]byte) (int, error) {
	if p, ok := nc.(*pipeConn); ok {
		return p.TryWrite
	}
	return trySyscall(nc)
}

// writeAll writes the output until there is none.
func (st *stream) writeAll() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.out.size > 0 && !st.has(flagKilled) {
		b := st.out.first()
		st.mu.Unlock()
		n, err := st.nc.Write(b)
		st.mu.Lock()
		st.wrote(&st.srv.bytes, n)
		st.out.sent(n)
		if err != nil {
			st.flags.Or(flagKilled)
		}
		if st.queued(-n) {
			st.serveRest()
		}
	}
	st.writing = false
	st.settle()
}

// wake implements transport.
func (st *stream) wake() {
	go func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		if !st.closed {
			st.serveRest()
			st.settle()
		}
	}()
}

func (st *stream) serveRest() {
	s := st.srv.borrowScratch()
	st.serve(s)
	scratches.Put(s)
	st.changed.Broadcast()
}

// settle makes the reader notice an end.
func (st *stream) settle() {
	st.changed.Broadcast()
	if st.over() {
		st.hangUp()
	}
}

// hangUp closes the net.Conn: politely, unless the connection was killed. A reader or writer that waits returns.
func (st *stream) hangUp() {
	if st.has(flagKilled) {
		st.interrupt()
		return
	}
	_ = st.nc.Close()
}

// interrupt implements transport. Over TLS it closes what lies below, because a farewell may have to wait for the peer.
func (st *stream) interrupt() { _ = below(st.nc).Close() }

// below is the connection that TLS runs over.
func below(nc net.Conn) net.Conn {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return nc
}

func (st *stream) fd() int { return -1 }

// keepAlive has the kernel probe a silent TCP peer after d, and give it up after three probes more.
func keepAlive(nc net.Conn, d time.Duration) {
	if tcp, ok := below(nc).(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: d > 0, Idle: d, Interval: probeInterval(d), Count: keepAliveProbes})
	}
}

const keepAliveProbes = 3

// probeInterval is a third of the interval, as in Redis, and at least a second.
func probeInterval(d time.Duration) time.Duration { return max(d/keepAliveProbes, time.Second) }
