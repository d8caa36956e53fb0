package redisstore

import (
	"context"
	"net"
	"testing"
)

// TestWatchAfterTheEnd: a connection that comes when its owner, or the Store, has gone already is closed. That happens on
// goroutines that begin before watch has returned.
func TestWatchAfterTheEnd(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 {
		s := &Store{life: over}
		ours, theirs := net.Pipe()
		s.watch(over, "", ours)
		if _, err := theirs.Read(make([]byte, 1)); err == nil {
			t.Fatal("the connection lives")
		}
		_ = theirs.Close()
	}
}
