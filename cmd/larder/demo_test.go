package main

import "testing"

func TestDemoRefuses(t *testing.T) {
	for _, args := range [][]string{{"--duration", "1ms"}, {"--products", "1"}, {"--clients", "0"}, {"--connections", "0"}, {"extra"}} {
		if _, err := command(t, append([]string{"demo"}, args...)...); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
