package server

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
)

// Pipe returns the two ends of an in-memory connection: a buffered full-duplex byte stream like a socket pair, and unlike
// net.Pipe, whose every Write waits for a Read. Each end is a net.Conn, deadlines included. Of what one end writes,
// pipeBuffer bytes may wait to be read, after which Write waits. After Close of one end, the other reads what was
// written before, then io.EOF, and its Write gives io.ErrClosedPipe.
//
// Deadlines are times of the real world, and so run on the system's clock.
func Pipe() (net.Conn, net.Conn) {
	a, b := newPipeHalf(), newPipeHalf()
	return &pipeConn{in: a, out: b}, &pipeConn{in: b, out: a}
}

// pipeBuffer is what a pipe holds in each direction, in bytes, at most; it holds as much as is written.
const pipeBuffer = 256 << 10

// pipeConn is one end.
type pipeConn struct{ in, out *pipeHalf }

func (p *pipeConn) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipeConn) Write(b []byte) (int, error) { return p.out.write(b) }

// TryWrite writes as much of b as there is room for, and does not wait.
func (p *pipeConn) TryWrite(b []byte) (int, error) { return p.out.tryWrite(b) }

func (p *pipeConn) Close() error {
	p.in.close(true)
	p.out.close(false)
	return nil
}

func (p *pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

func (p *pipeConn) SetDeadline(t time.Time) error {
	if err := p.SetReadDeadline(t); err != nil {
		return err
	}
	return p.SetWriteDeadline(t)
}

func (p *pipeConn) SetReadDeadline(t time.Time) error  { return p.in.setDeadline(&p.in.readEnd, t) }
func (p *pipeConn) SetWriteDeadline(t time.Time) error { return p.out.setDeadline(&p.out.writeEnd, t) }

// pipeAddr reads like a client on this machine, for those who look for a loopback address.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "127.0.0.1:0" }

// pipeHalf is one direction: a ring of bytes that grows, with a reading and a writing end.
type pipeHalf struct {
	clock clock.Clock // the system's: immutable

	mu       sync.Mutex
	ring     []byte
	start, n int // the n bytes from start on, wrapping round
	readEnd  pipeEnd
	writeEnd pipeEnd
}

// pipeEnd is guarded by pipeHalf.mu.
type pipeEnd struct {
	ready   sync.Cond // the other end has done something, or the deadline has passed
	closed  bool
	expired bool
	timer   clock.Timer
	set     int // counts setDeadline: a timer that was replaced too late does nothing
}

func newPipeHalf() *pipeHalf {
	h := &pipeHalf{clock: clock.System()}
	h.readEnd.ready.L, h.writeEnd.ready.L = &h.mu, &h.mu
	return h
}

func (h *pipeHalf) tryWrite(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(len(b), pipeBuffer-h.n)
	switch {
	case h.writeEnd.closed, h.readEnd.closed:
		return 0, io.ErrClosedPipe
	case n == 0:
		return 0, nil
	}
	return h.put(b[:n]), nil
}

func (h *pipeHalf) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readEnd.closed:
			return 0, io.ErrClosedPipe
		case h.readEnd.expired:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case h.n > 0:
			return h.take(b), nil
		case h.writeEnd.closed:
			return 0, io.EOF
		}
		h.readEnd.ready.Wait()
	}
}

// take moves bytes from the ring to b.
func (h *pipeHalf) take(b []byte) int {
	n := copy(b, h.ring[h.start:min(h.start+h.n, len(h.ring))])
	if n < len(b) && n < h.n {
		n += copy(b[n:], h.ring[:h.n-n])
	}
	h.n -= n
	h.start = (h.start + n) % len(h.ring)
	if h.n == 0 {
		h.start = 0
		if len(h.ring) > smallRing {
			h.ring = nil
		}
	}
	h.writeEnd.ready.Broadcast()
	return n
}

// smallRing is the size up to which an empty ring is kept, in bytes.
const smallRing = 4 << 10

func (h *pipeHalf) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	total := 0
	for {
		switch {
		case h.writeEnd.closed, h.readEnd.closed:
			return total, io.ErrClosedPipe
		case h.writeEnd.expired:
			return total, os.ErrDeadlineExceeded
		case total == len(b):
			return total, nil
		case h.n < pipeBuffer:
			total += h.put(b[total:min(len(b), total+pipeBuffer-h.n)])
			continue
		}
		h.writeEnd.ready.Wait()
	}
}

// put appends b, for which there is room, to the ring.
func (h *pipeHalf) put(b []byte) int {
	if h.n+len(b) > len(h.ring) {
		ring := make([]byte, min(pipeBuffer, max(2*len(h.ring), h.n+len(b), 512)))
		kept := copy(ring, h.ring[min(h.start, len(h.ring)):min(h.start+h.n, len(h.ring))])
		copy(ring[kept:], h.ring[:h.n-kept])
		h.ring, h.start = ring, 0
	}
	end := (h.start + h.n) % len(h.ring)
	n := copy(h.ring[end:], b)
	copy(h.ring, b[n:])
	h.n += len(b)
	h.readEnd.ready.Broadcast()
	return len(b)
}

// close closes one end. What was written stays readable unless the reading end closes.
func (h *pipeHalf) close(reading bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := &h.writeEnd
	if reading {
		end = &h.readEnd
		h.ring, h.start, h.n = nil, 0, 0
	}
	end.closed = true
	if end.timer != nil {
		end.timer.Stop()
	}
	h.readEnd.ready.Broadcast()
	h.writeEnd.ready.Broadcast()
}

func (h *pipeHalf) setDeadline(end *pipeEnd, t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if end.closed {
		return io.ErrClosedPipe
	}
	if end.timer != nil {
		end.timer.Stop()
		end.timer = nil
	}
	end.set++
	end.expired = false
	if t.IsZero() {
		return nil
	}
	wait := t.Sub(h.clock.Now())
	if wait <= 0 {
		end.expired = true
		end.ready.Broadcast()
		return nil
	}
	set := end.set
	end.timer = h.clock.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if end.set == set {
			end.expired = true
			end.ready.Broadcast()
		}
	})
	return nil
}
