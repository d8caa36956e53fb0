package leaktest

import (
	"testing"
	"time"
)

// probe is a testing.TB that keeps cleanups and failures to itself.
type probe struct {
	testing.TB
	cleanup []func()
	failed  bool
}

func (p *probe) Helper()               {}
func (p *probe) Cleanup(f func())      { p.cleanup = append(p.cleanup, f) }
func (p *probe) Errorf(string, ...any) { p.failed = true }

func TestCheck(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	p := &probe{TB: t}
	check(p, 50*time.Millisecond, nil)
	p.cleanup[0]()
	if p.failed {
		t.Error("found a leak where there is none")
	}
	go func() { <-stop }()
	p.cleanup[0]()
	if !p.failed {
		t.Error("missed a leak")
	}
}
