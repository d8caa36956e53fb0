package command

import (
	"runtime"
	"testing"
)

// TestCoroutinesAreKept: what is done is used again, up to a bound; what is closed ends.
func TestCoroutinesAreKept(t *testing.T) {
	var cs coroutines
	before := runtime.NumGoroutine()
	first := cs.take()
	cs.give(first)
	if cs.take() != first {
		t.Error("the idle coroutine was not used again")
	}
	for range maxCoroutines + 5 {
		cs.give(newCoroutine())
	}
	if len(cs.idle) != maxCoroutines {
		t.Errorf("%d are kept, want %d", len(cs.idle), maxCoroutines)
	}
	cs.close()
	cs.give(first)
	if len(cs.idle) != 0 || runtime.NumGoroutine() > before {
		t.Errorf("%d are kept after the end, %d goroutines more", len(cs.idle), runtime.NumGoroutine()-before)
	}
}
