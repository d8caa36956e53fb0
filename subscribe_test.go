package larder_test

import (
	"context"
	"strings"
	"testing"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
)

// TestSlowSubscriberOfLargeMessages holds that messages which nobody takes do not pile up by the hundred megabytes, and
// that the subscriber is told of the gap.
func TestSlowSubscriberOfLargeMessages(t *testing.T) {
	db := open(t, larder.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	ready, first, published, ended := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan error)
	got, gap := 0, false
	go func() {
		ended <- db.Subscribe(ctx, store.Subscription{
			Channels: []string{"news"},
			OnReady: func(again bool) {
				if !again {
					close(ready)
				}
				gap = gap || again
			},
			OnMessage: func(m store.Message) {
				got++
				switch {
				case m.Payload == "first":
					close(first)
					<-published
				case m.Payload == "last":
					cancel()
				}
			},
		})
	}()
	<-ready
	db.Do(ctx, "PUBLISH", "news", "first")
	<-first
	large := strings.Repeat("x", 1<<20)
	for range 100 {
		db.Do(ctx, "PUBLISH", "news", large)
	}
	db.Do(ctx, "PUBLISH", "news", "last")
	close(published)
	<-ended
	if got > 40 || !gap {
		t.Errorf("%d of 102 messages came, told of a gap: %v", got, gap)
	}
}
