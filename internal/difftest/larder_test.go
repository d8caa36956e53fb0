package difftest_test

import (
	"net"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/difftest"
)

// embedded dials a store in this process, in memory.
func embedded(t *testing.T) difftest.Dialer {
	db, err := larder.Open(larder.Options{Settings: map[string]string{"enable-debug-command": "yes", "dir": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(tb testing.TB) net.Conn {
		tb.Helper()
		conn, err := db.Dial()
		if err != nil {
			tb.Fatal(err)
		}
		return conn
	}
}

// served listens on a port, as the server does: on Linux the event loops answer.
func served(t *testing.T) difftest.Dialer {
	db, err := larder.Open(larder.Options{Settings: map[string]string{"enable-debug-command": "yes", "dir": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- db.Serve(l) }()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return difftest.Port(l.Addr().String())
}

func TestScripts(t *testing.T) {
	difftest.Scripts(t, difftest.Oracle(t), served(t))
}

func TestSystematic(t *testing.T) {
	difftest.Systematic(t, difftest.Oracle(t), served(t))
}

func TestGenerated(t *testing.T) {
	difftest.Generated(t, difftest.Oracle(t), served(t), difftest.Options{Sequences: 20, Length: 150})
}

func TestGeneratedEmbedded(t *testing.T) {
	difftest.Generated(t, difftest.Oracle(t), embedded(t), difftest.Options{Sequences: 10, Length: 150})
}

func TestPayloads(t *testing.T) {
	difftest.Payloads(t, difftest.Oracle(t), served(t), 70)
}
