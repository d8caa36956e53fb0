package compat

import (
	"net"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
)

// wait bounds everything that waits for a server.
const wait = 10 * time.Second

// target is what a client talks to.
type target struct {
	addr string // what the client is told; nothing listens there when the connection is in memory
	dial func() (net.Conn, error)
}

// inMemory is the address of the target that nothing listens at.
const inMemory = "in-memory:0"

// onAll runs a flow against the three targets, each empty. Servers live as long as the flow.
func onAll(t *testing.T, flow func(t *testing.T, to target)) {
	t.Run("redis", func(t *testing.T) {
		addr := redistest.Start(t).Addr
		flow(t, target{addr, func() (net.Conn, error) { return net.Dial("tcp", addr) }})
	})
	t.Run("larder", func(t *testing.T) {
		addr := serve(t)
		flow(t, target{addr, func() (net.Conn, error) { return net.Dial("tcp", addr) }})
	})
	t.Run("embedded", func(t *testing.T) {
		flow(t, target{inMemory, open(t).Dial})
	})
}

// onServers is onAll for clients that need a port: they reach no connection in memory.
func onServers(t *testing.T, flow func(t *testing.T, port string)) {
	onAll(t, func(t *testing.T, to target) {
		if to.addr == inMemory {
			return
		}
		_, port, err := net.SplitHostPort(to.addr)
		if err != nil {
			t.Fatal(err)
		}
		flow(t, port)
	})
}

func open(t *testing.T) *larder.DB {
	t.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func serve(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	t.Cleanup(func() { // runs after the database has been closed
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	db := open(t)
	go func() { ended <- db.Serve(l) }()
	return l.Addr().String()
}

// receive takes the next value, or fails the test.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(wait):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// near says that a TTL is what was set, give or take the time the test took.
func near(got, want time.Duration) bool { return got <= want && got > want-wait }
