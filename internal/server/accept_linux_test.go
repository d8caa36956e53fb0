package server

import (
	"bufio"
	"context"
	"net"
	"testing"
)

// TestEndOfAListener: when Serve returns, the address is free, and who had connected before is served.
func TestEndOfAListener(t *testing.T) {
	r := newRig(t, "pipe", nil)
	addr := "127.0.0.1:0"
	for range 100 {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		addr = ln.Addr().String()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- r.Serve(ctx, ln) }()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		if late, err := net.Dial("tcp", addr); err == nil {
			late.Close()
			t.Fatal("somebody still listens")
		}
		p := &peer{t, conn, bufio.NewReader(conn)}
		p.send("PING\r\n")
		p.expect("+PONG\r\n")
		conn.Close()
	}
}
