package server

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptor is a listening socket, a duplicate of the one in net's hands.
type acceptor struct {
	*endpoint
	sys   int
	addr  net.Addr
	spare int // a descriptor to give up when there are none left, so that the next peer can be turned away
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
		l.accept(a.sys) // who has connected already would be cut off
		l.unlisten(a)
		close(a.released)
	})
	return nil
}

func (l *loop) unlisten(a *acceptor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.accepts, a.sys)
	if !l.done {
		l.unregister(a.sys) // the original may outlive the duplicate
	}
	a.release()
}

func (a *acceptor) release() {
	_ = unix.Close(a.sys)
	if a.spare >= 0 {
		_ = unix.Close(a.spare)
	}
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
		turned := err == unix.EMFILE || err == unix.ENFILE
		if turned {
			err = l.turnAway(a)
		}
		if err != nil && err != unix.EAGAIN && err != unix.EINTR && err != unix.ECONNABORTED {
			l.rest(a, err)
			err = unix.EAGAIN
		}
		l.mu.Unlock()
		switch {
		case err == unix.EAGAIN:
			return
		case err == nil && !turned:
			l.srv.welcome(sys, peer, a.addr)
		}
	}
}

// turnAway closes the next waiting connection, which there is no descriptor for, by giving up the spare one for a moment.
// Otherwise it would wait there, and epoll would report it for ever. The error is accept's: that there are no descriptors is
// said before it is looked whether anybody waits, and another part of the process may be quicker to take the spare one. mu is
// held.
func (l *loop) turnAway(a *acceptor) error {
	if a.spare < 0 {
		if a.spare = spareDescriptor(); a.spare < 0 {
			return unix.EMFILE
		}
	}
	_ = unix.Close(a.spare)
	sys, _, err := unix.Accept4(a.sys, unix.SOCK_CLOEXEC)
	if err == nil {
		_ = unix.Close(sys)
		l.srv.refused.Add(1)
		l.srv.log.Warn("connection refused", "reason", "too many open files")
	}
	a.spare = spareDescriptor()
	return err
}

// rest looks away from a listening socket for a while, as epoll would report forthwith who cannot be accepted. mu is held.
func (l *loop) rest(a *acceptor, why error) {
	l.srv.log.Warn("cannot accept", "addr", a.addr.String(), "error", why)
	l.unregister(a.sys)
	l.srv.clock.AfterFunc(acceptRetry, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.accepts[a.sys] != a || l.done {
			return
		}
		if err := l.register(unix.EPOLL_CTL_ADD, a.sys, unix.EPOLLIN, 0); err != nil {
			l.rest(a, err)
		}
	})
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
	l := s.leastLoaded()
	k.loop.Store(l) // before admit: a session may be closed from elsewhere at once
	if refusal := s.admit(&k.conn, local); refusal != "" {
		_, _ = unix.Write(sys, []byte(refusal))
		_ = unix.Close(sys)
		return
	}
	l.adopt(k)
}

// leastLoaded is the loop in use with the fewest sockets.
func (s *Server) leastLoaded() *loop {
	loops := s.loops[:s.active.Load()] // never changes once there are loops
	best := loops[0]
	for _, l := range loops[1:] {
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
