package difftest

import (
	"net"
	"os"
	"testing"

	"github.com/larderdb/larder/internal/redistest"
)

// Dialer opens a connection to one side: a real server's port, a served engine or one in this process. It fails the
// test when it cannot.
type Dialer func(tb testing.TB) net.Conn

// ServerVariable names another server binary to be held against than redis-server.
const ServerVariable = "LARDER_DIFF_SERVER"

// Oracle starts the real server for this test. Without one installed the test is skipped; where CI is set, it fails.
func Oracle(tb testing.TB) Dialer {
	tb.Helper()
	if bin := os.Getenv(ServerVariable); bin != "" {
		tb.Setenv("LARDER_REDIS_SERVER", bin)
	}
	return Port(redistest.Start(tb, "--enable-debug-command", "yes").Addr)
}

// Port dials a TCP address.
func Port(addr string) Dialer {
	return func(tb testing.TB) net.Conn {
		tb.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			tb.Fatal(err)
		}
		return conn
	}
}
