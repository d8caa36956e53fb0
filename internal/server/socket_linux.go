package server

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// socket is a connection that a loop serves.
type socket struct {
	conn
	sys  int                  // file descriptor
	loop atomic.Pointer[loop] // who owns it; changes when it moves

	readable bool // there may be input
	hup      bool // the peer has closed its side at least: reads go on until they say so
	dead     bool // both sides are closed, or an error is pending
	queued   bool // on loop.again
	writing  bool // registered for EPOLLOUT
	late     bool // has a reply on loop.late
}

// read takes one read's worth of input.
func (k *socket) read() {
	s := k.loop.Load().s
	b := k.space(s)
	n, errno := readNow(k.sys, b)
	switch {
	case n > 0:
		k.readable = n == len(b) || k.hup
		k.received(s, n)
	case errno == unix.EINTR:
	case errno == unix.EAGAIN:
		k.readable = false
	case n == 0 && errno == 0:
		k.eof, k.readable = true, false
	default:
		k.flags.Or(flagKilled)
	}
}

// send implements transport.
func (k *socket) send(s *scratch) {
	b := s.w.Bytes()
	if len(b) == 0 {
		return
	}
	l := k.loop.Load()
	if k.late { // what came first goes first
		l.settle(k)
	}
	if k.out.size == 0 && len(b) <= lateBytes {
		l.sendLater(k, b)
	} else if k.sendNow(b) {
		s.w.Take()
	}
	s.w.Reset(keepWriter)
}

// sendNow sends what the kernel takes and queues the rest. It reports whether it has kept b.
func (k *socket) sendNow(b []byte) (kept bool) {
	if k.out.size == 0 {
		n := k.write(b)
		if n == len(b) || k.has(flagKilled) {
			return false
		}
		b = b[n:]
	}
	n := len(b)
	kept = k.out.add(b)
	k.conn.queued(n)
	k.watchWrite(true)
	return kept
}

// write sends as much of b as the kernel takes, and returns how much that is. A broken connection is marked.
func (k *socket) write(b []byte) (sent int) {
	for sent < len(b) {
		piece := b[sent:min(len(b), sent+writePiece)]
		n, errno := writeNow(k.sys, piece)
		switch {
		case n > 0:
			sent += n
			if n == len(piece) {
				continue
			}
		case errno == unix.EINTR:
			continue
		case errno != unix.EAGAIN:
			k.flags.Or(flagKilled)
		}
		break
	}
	k.wrote(&k.loop.Load().bytes, sent)
	return sent
}

// flush sends queued output, and reports whether the connection was on hold and is no more.
func (k *socket) flush() bool {
	total := 0
	for k.out.size > 0 {
		b := k.out.first()
		n := k.write(b)
		total += n
		if n > 0 {
			k.out.sent(n)
		}
		if n < len(b) {
			break
		}
	}
	if k.out.size == 0 {
		k.watchWrite(false)
	}
	return k.conn.queued(-total)
}

func (k *socket) watchWrite(on bool) {
	if k.writing == on {
		return
	}
	k.writing = on
	_ = k.loop.Load().register(unix.EPOLL_CTL_MOD, k.sys, k.events(), int32(k.id))
}

// events are what epoll is to report.
func (k *socket) events() uint32 {
	if k.writing {
		return readEvents | unix.EPOLLOUT
	}
	return readEvents
}

// wake implements transport.
func (k *socket) wake() { k.loop.Load().post(k) }

// post has the loop serve a socket soon.
func (l *loop) post(k *socket) {
	l.mu.Lock()
	l.woken = append(l.woken, k)
	l.mu.Unlock()
	l.interruptWait()
}

// interrupt implements transport: nothing of a socket ever waits.
func (k *socket) interrupt() {}

func (k *socket) fd() int { return k.sys }
