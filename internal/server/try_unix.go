//go:build unix

package server

import (
	"net"
	"syscall"
)

// trySyscall returns a function that writes to a socket once, without waiting, or nil if nc is none.
func trySyscall(nc net.Conn) func([]byte) (int, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var b []byte
	var n int
	once := func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), b)
		return true // whatever came of it
	}
	return func(p []byte) (int, error) {
		b = p
		if err := rc.Write(once); err != nil {
			return 0, err
		}
		b = nil
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return 0, nil
		}
		return max(n, 0), err
	}
}
