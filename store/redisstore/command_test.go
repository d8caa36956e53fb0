package redisstore

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 50 * time.Millisecond, 3: 150 * time.Millisecond, 40: 2 * time.Second, 41: 2 * time.Second, 1e6: 2 * time.Second} {
		if got := backoff(n); got != want {
			t.Errorf("backoff(%d) = %v, want %v", n, got, want)
		}
	}
}
