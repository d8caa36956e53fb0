package server

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The event loop
//
// A loop is one goroutine with an epoll instance. Its sockets are registered edge-triggered: a wake-up means that bytes
// came since the last one, and costs no further call to re-arm. A turn reads once; a read that fills its buffer, or a
// peer that has hung up, leaves the socket on the list of those that may hold more (again), which is gone through once
// between polls, so that a busy peer takes turns with the others.
//
// System calls on sockets never block, so they bypass the scheduler (RawSyscall): telling it costs as much as the call
// for small reads. Only a loop that has found nothing to do waits in a call that the scheduler knows of.
//
// Other goroutines reach a loop through its mailbox: woken lists connections to serve, joining those to take over. An
// eventfd interrupts the wait; it is only written to when the loop says that it is going to sleep.

const (
	eventsPerPoll = 256
	writePiece    = 256 << 10 // bytes given to one write: longer ones would hold up the garbage collector

	readEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
)

type loop struct {
	srv *Server
	ep  int // epoll
	ev  int // eventfd

	// The loop's own.
	s       *scratch
	bytes   traffic
	sockets []*socket // by file descriptor
	again   []*socket // may have more to read

	// Shared.
	load     atomic.Int64 // number of sockets
	sleeping atomic.Bool
	mu       sync.Mutex
	woken    []*socket
	joining  []*socket
	accepts  map[int]*acceptor
	done     bool
}

// socket is a connection that a loop serves.
type socket struct {
	conn
	loop *loop
	sys  int // file descriptor

	readable bool // there may be input
	hup      bool // the peer has closed its side at least: reads go on until they say so
	dead     bool // both sides are closed, or an error is pending
	queued   bool // on loop.again
	writing  bool // registered for EPOLLOUT
}

// acceptor is a listening socket, a duplicate of the one in net's hands.
type acceptor struct {
	*endpoint
	sys   int
	addr  net.Addr
	spare int // a descriptor to give up when there are none left, so that the next peer can be turned away
}

// startLoops makes the loops on first use. srv.mu is held.
func (s *Server) startLoops() error {
	if s.closing {
		return net.ErrClosed
	}
	for len(s.loops) < s.numLoops {
		l, err := newLoop(s)
		if err != nil {
			return err
		}
		s.loops = append(s.loops, l)
		s.wg.Add(1)
		go l.run()
	}
	return nil
}

func newLoop(s *Server) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	ev, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, err
	}
	l := &loop{srv: s, ep: ep, ev: ev, accepts: make(map[int]*acceptor)}
	l.s = newScratch(&l.bytes)
	if err := l.register(unix.EPOLL_CTL_ADD, ev, unix.EPOLLIN, 0); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// serveLoops hands a listener to the loops, if it is of a kind they can serve.
func (s *Server) serveLoops(e *endpoint) (bool, error) {
	switch e.ln.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return false, nil
	}
	sys, err := duplicate(e.ln)
	if err != nil {
		return false, err
	}
	a := &acceptor{endpoint: e, sys: sys, addr: e.ln.Addr(), spare: spareDescriptor()}
	if _, ok := e.ln.(*net.TCPListener); ok {
		listenOptions(sys, s.limits.Load().KeepAlive)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.startLoops(); err != nil {
		a.release()
		return false, err
	}
	l := s.loops[len(s.listeners)%len(s.loops)]
	return true, l.listen(a)
}

// duplicate is a listener's file descriptor, non-blocking, in our own hands.
func duplicate(ln net.Listener) (int, error) {
	rc, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	sys := -1
	var dupErr error
	err = rc.Control(func(fd uintptr) { sys, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = dupErr
	}
	return sys, err
}

// listenOptions sets what accepted sockets inherit.
func listenOptions(sys int, keepAlive time.Duration) {
	_ = unix.SetsockoptInt(sys, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if keepAlive <= 0 {
		_ = unix.SetsockoptInt(sys, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
		return
	}
	_ = unix.SetsockoptInt(sys, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(sys, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(max(keepAlive/time.Second, 1)))
	_ = unix.SetsockoptInt(sys, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(probeInterval(keepAlive)/time.Second))
	_ = unix.SetsockoptInt(sys, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes)
}

// setKeepAlive changes what connections that are yet to come inherit.
func (l *loop) setKeepAlive(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for sys, a := range l.accepts {
		if _, ok := a.ln.(*net.TCPListener); ok {
			listenOptions(sys, d)
		}
	}
}

func spareDescriptor() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// listen begins to accept from a, until its endpoint ends.
func (l *loop) listen(a *acceptor) error {
	l.mu.Lock()
	l.accepts[a.sys] = a
	l.mu.Unlock()
	if err := l.register(unix.EPOLL_CTL_ADD, a.sys, unix.EPOLLIN, 0); err != nil {
		l.unlisten(a)
		return err
	}
	l.srv.wg.Go(func() {
		<-a.done
		l.unlisten(a)
	})
	return nil
}

func (l *loop) unlisten(a *acceptor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.accepts, a.sys)
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, a.sys, nil) // the original may outlive the duplicate
	a.release()
}

func (a *acceptor) release() {
	_ = unix.Close(a.sys)
	if a.spare >= 0 {
		_ = unix.Close(a.spare)
	}
}

// register adds or changes what epoll watches. tag comes back with the events, to tell a descriptor from an earlier one
// of the same number.
func (l *loop) register(op, fd int, events uint32, tag int32) error {
	return unix.EpollCtl(l.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd), Pad: tag})
}

func (l *loop) run() {
	defer l.srv.wg.Done()
	defer l.release()
	var events [eventsPerPoll]unix.EpollEvent
	for {
		for _, e := range events[:l.poll(events[:])] {
			l.event(int(e.Fd), e.Events, e.Pad)
		}
		l.readAgain()
		if l.mail() {
			return
		}
	}
}

// poll returns the number of events. It waits for the first one only if there is nothing else to do.
func (l *loop) poll(events []unix.EpollEvent) int {
	if n := pollNow(l.ep, events); n > 0 || len(l.again) > 0 {
		return n
	}
	l.sleeping.Store(true)
	n := 0
	if !l.hasMail() { // looked at after sleeping was set: whoever writes later will see that it is
		n = pollWait(l.ep, events)
	}
	l.sleeping.Store(false)
	return n
}

func (l *loop) event(fd int, events uint32, tag int32) {
	if fd == l.ev {
		var b [8]byte
		_, _ = readNow(l.ev, b[:])
		return
	}
	if fd >= len(l.sockets) || l.sockets[fd] == nil {
		l.accept(fd)
		return
	}
	k := l.sockets[fd]
	if int32(k.id) != tag {
		return
	}
	if events&^unix.EPOLLOUT != 0 {
		k.readable = true
		k.hup = k.hup || events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		k.dead = k.dead || events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	if events&unix.EPOLLOUT != 0 && k.out.size > 0 && k.flush() {
		k.serve(l.s)
	}
	l.advance(k)
}

// readAgain gives each socket that may hold more input one more turn.
func (l *loop) readAgain() {
	list := l.again
	l.again = nil
	for i, k := range list {
		list[i] = nil
		k.queued = false
		l.advance(k)
	}
	if l.again == nil {
		l.again = list[:0]
	}
}

// advance reads if that makes sense now, and ends what is over.
func (l *loop) advance(k *socket) {
	if k.ended {
		return
	}
	if k.readable && k.ready() && !k.eof {
		k.read()
	}
	if k.hup && k.has(flagBlocked) {
		k.eof = true // nobody waits for the reply any more
	}
	if k.dead && !k.ready() {
		k.flags.Or(flagKilled)
	}
	if k.over() {
		l.drop(k)
		return
	}
	if k.readable && k.ready() && !k.eof && !k.queued {
		k.queued = true
		l.again = append(l.again, k)
	}
}

// read takes one read's worth of input.
func (k *socket) read() {
	b := k.space(k.loop.s)
	n, errno := readNow(k.sys, b)
	switch {
	case n > 0:
		k.readable = n == len(b) || k.hup
		k.received(k.loop.s, n)
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
	if k.out.size == 0 {
		n := k.write(b)
		if n == len(b) || k.has(flagKilled) {
			s.w.Reset(keepWriter)
			return
		}
		b = b[n:]
	}
	n := len(b)
	if k.out.add(b) {
		s.w.Take()
	}
	s.w.Reset(keepWriter)
	k.conn.queued(n)
	k.watchWrite(true)
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
	k.loop.bytes.out.Add(int64(sent))
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
	events := uint32(readEvents)
	if on {
		events |= unix.EPOLLOUT
	}
	_ = k.loop.register(unix.EPOLL_CTL_MOD, k.sys, events, int32(k.id))
}

// wake implements transport.
func (k *socket) wake() {
	l := k.loop
	l.mu.Lock()
	l.woken = append(l.woken, k)
	l.mu.Unlock()
	l.interruptWait()
}

func (l *loop) interruptWait() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = writeNow(l.ev, one[:])
	}
}

// interrupt implements transport: nothing of a socket ever waits.
func (k *socket) interrupt() {}

func (k *socket) fd() int { return k.sys }

func (l *loop) hasMail() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.woken)+len(l.joining) > 0 || l.done
}

// mail does what other goroutines have asked for, and reports whether the loop is to end.
func (l *loop) mail() (done bool) {
	l.mu.Lock()
	woken, joining, done := l.woken, l.joining, l.done
	l.woken, l.joining = nil, nil
	l.mu.Unlock()
	for _, k := range joining {
		l.join(k)
	}
	for _, k := range woken {
		if !k.ended {
			k.serve(l.s)
			l.advance(k)
		}
	}
	return done
}

// join takes over a socket.
func (l *loop) join(k *socket) {
	for k.sys >= len(l.sockets) {
		l.sockets = append(l.sockets, make([]*socket, 64)...)
	}
	l.sockets[k.sys] = k
	if err := l.register(unix.EPOLL_CTL_ADD, k.sys, readEvents, int32(k.id)); err != nil {
		k.Close(false, "epoll: "+err.Error())
	}
}

// drop closes a socket.
func (l *loop) drop(k *socket) {
	l.sockets[k.sys] = nil
	l.load.Add(-1)
	_ = unix.Close(k.sys)
	k.readable = false
	k.finish()
}

// stop ends the loop, which has no sockets any more. Any goroutine may call it.
func (l *loop) stop() {
	l.mu.Lock()
	l.done = true
	l.mu.Unlock()
	l.interruptWait()
}

func (l *loop) release() {
	_ = unix.Close(l.ep)
	_ = unix.Close(l.ev)
}

// accept takes all connections that wait at a listening socket.
func (l *loop) accept(fd int) {
	for {
		l.mu.Lock()
		a := l.accepts[fd]
		if a == nil {
			l.mu.Unlock()
			return
		}
		sys, peer, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if (err == unix.EMFILE || err == unix.ENFILE) && a.spare >= 0 {
			l.turnAway(a)
			l.mu.Unlock()
			continue
		}
		l.mu.Unlock()
		switch err {
		case nil:
			l.srv.welcome(sys, peer, a.addr)
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return
		default:
			l.srv.log.Warn("cannot accept", "addr", a.addr.String(), "error", err)
			return
		}
	}
}

// turnAway closes the next waiting connection, which there is no descriptor for, by giving up the spare one for a moment.
// Otherwise it would wait there, and epoll would report it for ever. mu is held.
func (l *loop) turnAway(a *acceptor) {
	_ = unix.Close(a.spare)
	if sys, _, err := unix.Accept4(a.sys, unix.SOCK_CLOEXEC); err == nil {
		_ = unix.Close(sys)
	}
	a.spare = spareDescriptor()
	l.srv.refused.Add(1)
	l.srv.log.Warn("connection refused", "reason", "too many open files")
}

// welcome makes a connection of an accepted socket and gives it to the loop with the fewest.
func (s *Server) welcome(sys int, peer unix.Sockaddr, listening net.Addr) {
	k := &socket{sys: sys}
	k.tr = k
	local := true
	if u, ok := listening.(*net.UnixAddr); ok {
		k.remote = u.Name + ":0"
		k.local = k.remote
	} else {
		remote := addrPort(peer)
		k.remote, local = remote.String(), remote.Addr().IsLoopback()
		if own, err := unix.Getsockname(sys); err == nil {
			k.local = addrPort(own).String()
		}
	}
	k.loop = s.leastLoaded() // before admit: a session may be closed from elsewhere at once
	if refusal := s.admit(&k.conn, local); refusal != "" {
		_, _ = unix.Write(sys, []byte(refusal))
		_ = unix.Close(sys)
		return
	}
	l := k.loop
	l.load.Add(1)
	l.mu.Lock()
	l.joining = append(l.joining, k)
	l.mu.Unlock()
	l.interruptWait()
}

func (s *Server) leastLoaded() *loop {
	best := s.loops[0] // never changes once there are loops
	for _, l := range s.loops[1:] {
		if l.load.Load() < best.load.Load() {
			best = l
		}
	}
	return best
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
