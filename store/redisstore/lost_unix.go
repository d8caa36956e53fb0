//go:build unix

package redisstore

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
)

// lost looks whether the other side closed or reset a connection, without reading from it. A connection that cannot be looked at,
// as one in memory, counts as alive.
func lost(conn net.Conn) error {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil //nolint:nilerr // a connection that cannot be looked at
	}
	var found error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK) // does not wait: Go's sockets never do
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR: //nolint:errorlint // a system call's own error
		case err != nil:
			found = err
		case n == 0:
			found = io.EOF
		}
		return true
	})
	if found == nil && err != nil {
		found = err // closed on this side
	}
	return found
}
