package redistest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"testing"
)

// FreePort is a port of 127.0.0.1 that nobody listens on. No other caller, in this process or in that of another package's tests, gets
// it before the test has ended, so that a server may leave its port and come back to it. It is below those that systems give to
// outgoing connections, so that none of these takes it meanwhile either.
func FreePort(t testing.TB) int {
	t.Helper()
	const lowest, highest = 10000, 32000
	for range 1000 {
		port := lowest + rand.IntN(highest-lowest)
		// The UDP port of the same number, which nobody needs, is what says to others that it is taken: it needs no folder that all
		// processes share, and the system gives it back however a process ends.
		mark, err := net.ListenPacket("udp4", address(port))
		if err != nil {
			continue
		}
		if free(port) {
			t.Cleanup(func() { _ = mark.Close() })
			return port
		}
		_ = mark.Close()
	}
	t.Fatal("redistest: no free port")
	return 0
}

// free tells whether somebody could listen on a port.
func free(port int) bool {
	// A process that is being started meanwhile would have the listener as well, until it runs a program of its own.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp4", address(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Listen takes an address of FreePort that has been listened on before. A process that a test is just starting has, until it runs a
// program of its own, all that this one had open, and with that a listener that was closed here: it is waited for.
func Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	Eventually(t, addr+" to be free", func() bool {
		var err error
		if l, err = net.Listen("tcp", addr); err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("redistest: %v", err)
		}
		return err == nil
	})
	return l
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
