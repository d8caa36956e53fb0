//go:build !linux

package server

import (
	"net"
	"time"
)

// loop is Linux's event loop; other systems have none.
type loop struct{ bytes traffic }

// spreading has nothing to spread.
type spreading struct{}

func (*loop) stop()                      {}
func (*loop) setKeepAlive(time.Duration) {}

func (*Server) balance(time.Duration) {}

func (*Server) serveLoops(*endpoint) (bool, error) { return false, nil }

// closed is for listeners in the hands of loops.
func closed(net.Listener) bool { return false }
