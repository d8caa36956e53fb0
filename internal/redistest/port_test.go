package redistest

import (
	"net"
	"testing"
)

func TestFreePort(t *testing.T) {
	var reserved int
	t.Run("while its test runs", func(t *testing.T) {
		reserved = FreePort(t)
		if !free(reserved) {
			t.Error("nobody can listen on a free port")
		}
		if mark, err := net.ListenPacket("udp4", address(reserved)); err == nil {
			_ = mark.Close()
			t.Error("somebody else could reserve it")
		}
		l, err := net.Listen("tcp4", address(reserved))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if free(reserved) {
			t.Error("a port that somebody listens on is free")
		}
	})
	mark, err := net.ListenPacket("udp4", address(reserved))
	if err != nil {
		t.Fatalf("it is still reserved: %v", err)
	}
	_ = mark.Close()
}

// TestRestartWaitsForItsPort has somebody else listen there until the server has failed to start once.
func TestRestartWaitsForItsPort(t *testing.T) {
	s := Start(t)
	s.Stop()
	l := Listen(t, s.Addr)
	if err := s.launch(); err == nil || !inUse(err) {
		t.Fatalf("started where somebody else listens: %v", err)
	}
	left := make(chan struct{})
	go func() { defer close(left); _ = l.Close() }()
	s.Restart()
	<-left
	if got := s.Do("PING"); got != "PONG" {
		t.Error(got)
	}
}
