// Package leaktest finds goroutines that a test left behind.
package leaktest

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// Check fails the test if, some seconds after its end, goroutines run that did not run when Check was called. Only
// goroutines with one of the given import paths in their stack count; by default those of this module and of rueidis.
//
// Call it first in a test, so that its cleanup runs last. It does not suit parallel tests.
func Check(t testing.TB, paths ...string) {
	t.Helper()
	check(t, 5*time.Second, paths)
}

func check(t testing.TB, patience time.Duration, paths []string) {
	t.Helper()
	if len(paths) == 0 {
		paths = []string{"github.com/larderdb/larder", "github.com/redis/rueidis"}
	}
	before := map[string]bool{}
	for id := range running(paths) {
		before[id] = true
	}
	t.Cleanup(func() {
		var left []string
		// A goroutine that is about to end gives no event to wait for: look again until it has.
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			left = left[:0]
			for id, stack := range running(paths) {
				if !before[id] {
					left = append(left, stack)
				}
			}
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				break
			}
		}
		t.Errorf("leaktest: %d goroutines left:\n\n%s", len(left), strings.Join(left, "\n\n"))
	})
}

// running gives the stacks of interest by goroutine id. The caller's own is left out.
func running(paths []string) map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := map[string]string{}
	stacks := strings.Split(string(buf), "\n\n")
	for _, stack := range stacks[1:] { // the first is this goroutine
		if strings.Contains(stack, "/internal/redistest.") || strings.Contains(stack, "/internal/fleet.") {
			continue // servers that a test started end with it, which may be later
		}
		if strings.Contains(stack, "time.Sleep(") && strings.Contains(stack, "github.com/redis/rueidis.") {
			continue // it closes connections of a Cluster five seconds after it did without them, the client being closed or not
		}
		if strings.Contains(stack, "testing.(*T).Run") || strings.Contains(stack, "testing.RunTests") {
			continue
		}
		for _, p := range paths {
			if strings.Contains(stack, p) {
				id, _, _ := strings.Cut(stack, " [")
				found[id] = stack
				break
			}
		}
	}
	return found
}
