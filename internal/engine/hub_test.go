package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// inbox keeps what a subscriber is told.
type inbox struct {
	mu   sync.Mutex
	mail []string
}

func (i *inbox) Deliver(pattern, channel, payload []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mail = append(i.mail, fmt.Sprintf("%s|%s|%s", pattern, channel, payload))
}

func (i *inbox) take() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := strings.Join(i.mail, " ")
	i.mail = nil
	return s
}

func TestHub(t *testing.T) {
	var h Hub
	h.init()
	var a, b inbox
	publish := func(channel string, want int, toA, toB string) {
		t.Helper()
		if n := h.Publish([]byte(channel), []byte("m")); n != want {
			t.Errorf("%s reached %d, want %d", channel, n, want)
		}
		if gotA, gotB := a.take(), b.take(); gotA != toA || gotB != toB {
			t.Errorf("%s brought %q and %q, want %q and %q", channel, gotA, gotB, toA, toB)
		}
	}
	publish("news", 0, "", "")
	h.Subscribe(&a, "news")
	h.Subscribe(&a, "news") // twice is once
	h.PSubscribe(&b, "n*")
	h.PSubscribe(&b, "*s")
	publish("other", 0, "", "")
	if n := h.Publish([]byte("news"), []byte("m")); n != 3 {
		t.Errorf("news reached %d", n)
	}
	got := strings.Fields(b.take())
	slices.Sort(got)
	if a.take() != "|news|m" || !slices.Equal(got, []string{"*s|news|m", "n*|news|m"}) {
		t.Errorf("the patterns brought %v", got)
	}
	h.PUnsubscribe(&b, "*s")
	h.PUnsubscribe(&b, "never subscribed")
	publish("news", 2, "|news|m", "n*|news|m")
	h.Unsubscribe(&a, "news")
	h.Unsubscribe(&a, "news")
	publish("news", 1, "", "n*|news|m")

	h.SSubscribe(&a, "news") // a space of names of its own
	publish("news", 1, "", "n*|news|m")
	if n := h.SPublish([]byte("news"), []byte("s")); n != 1 || a.take() != "|news|s" || b.take() != "" {
		t.Errorf("a sharded message reached %d", n)
	}
	h.SUnsubscribe(&a, "news")
	h.PUnsubscribe(&b, "n*")
	if channels, patterns, sharded := h.Counts(); channels+patterns+sharded != 0 {
		t.Errorf("%d channels, %d patterns and %d sharded channels are left", channels, patterns, sharded)
	}
}

// TestHubInParallel: who subscribes and goes while others publish gets nothing after it has gone.
func TestHubInParallel(t *testing.T) {
	var h Hub
	h.init()
	stop := make(chan struct{})
	var publishers sync.WaitGroup
	for range 2 {
		publishers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					h.Publish([]byte("c"), []byte("m"))
				}
			}
		})
	}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 300 {
				var box inbox
				h.Subscribe(&box, "c")
				h.PSubscribe(&box, "c*")
				h.Unsubscribe(&box, "c")
				h.PUnsubscribe(&box, "c*")
				box.take()
				if late := box.take(); late != "" {
					t.Errorf("came late: %s", late)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	publishers.Wait()
	if n := h.Subscribers("c"); n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
}
