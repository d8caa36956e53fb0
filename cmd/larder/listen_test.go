package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/redistest"
)

func settings(t *testing.T, args ...string) *config.Config {
	t.Helper()
	c := config.New()
	if err := c.LoadArgs(args, strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	return c
}

// freePort is a port that nobody else gets before the test has ended.
func freePort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(redistest.FreePort(t))
}

func TestListen(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "larder.sock")
	port := freePort(t)
	c := settings(t, "--port", port, "--bind", "127.0.0.1", "-203.0.113.1", "--unixsocket", socket, "--unixsocketperm", "700")
	listeners, err := listen(t.Context(), c.Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(listeners)
	if len(listeners) != 2 || listeners[0].Addr().String() != "127.0.0.1:"+port {
		t.Fatalf("%v", listeners)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info, err)
	}

	_, err = listen(t.Context(), settings(t, "--port", port).Settings(), nil)
	if err == nil || !strings.Contains(err.Error(), "port "+port+" on 127.0.0.1 is in use") || !strings.Contains(err.Error(), "--port") {
		t.Error(err)
	}
	_, err = listen(t.Context(), settings(t, "--port", "0", "--unixsocket", socket).Settings(), nil)
	if err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Error(err)
	}
	if _, err = listen(t.Context(), settings(t, "--port", port, "--bind", "203.0.113.1").Settings(), nil); err == nil {
		t.Error("bound an address that is not here")
	}
}

func TestListenReplacesDeadSocketOnly(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "larder.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	c := settings(t, "--port", "0", "--unixsocket", socket)
	listeners, err := listen(t.Context(), c.Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(listeners)
	if err := os.WriteFile(socket, []byte("a file of somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), c.Settings(), nil); err == nil {
		t.Error("replaced a file")
	}
}

func TestBindAddresses(t *testing.T) {
	if got := bindAddresses(nil); len(got) != 2 {
		t.Error(got)
	}
	l, err := listen(t.Context(), settings(t, "--port", freePort(t), "--bind", "").Settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(l)
}
