package storetest

import (
	"context"
	"errors"
	"strconv"

	"github.com/larderdb/larder/store"
)

// listening is a subscription in the background.
type listening struct {
	messages chan store.Message
	ready    chan bool
	ended    chan error
	cancel   context.CancelFunc
}

// listen subscribes and waits until that is confirmed.
func (s *suite) listen(channels, patterns []string, shards ...string) *listening {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	l := &listening{make(chan store.Message, 1000), make(chan bool, 10), make(chan error, 1), cancel}
	go func() {
		l.ended <- s.st.Subscribe(ctx, store.Subscription{
			Channels: channels, Patterns: patterns, Shards: shards,
			OnMessage: func(m store.Message) { l.messages <- m },
			OnReady:   func(resumed bool) { l.ready <- resumed },
		})
	}()
	select {
	case resumed := <-l.ready:
		if resumed {
			s.Error("the first OnReady says resumed")
		}
	case err := <-l.ended:
		s.Fatalf("Subscribe ended: %v", err)
	case <-s.ctx.Done():
		s.Fatal("Subscribe was never ready")
	}
	return l
}

func (s *suite) next(l *listening) store.Message {
	s.Helper()
	select {
	case m := <-l.messages:
		return m
	case err := <-l.ended:
		s.Fatalf("Subscribe ended: %v", err)
	case <-s.ctx.Done():
		s.Fatal("no message")
	}
	return store.Message{}
}

func (s *suite) subscribe() {
	a, b, news := s.key("a"), s.key("b"), s.key("news.")
	l := s.listen([]string{a, b}, []string{news + "*"})
	for i := range 100 {
		s.must("PUBLISH", a, strconv.Itoa(i))
	}
	s.must("PUBLISH", s.key("unheard"), "x")
	s.must("PUBLISH", b, "\r\n\x00")
	s.must("PUBLISH", news+"sport", "goal")
	// The order holds per channel: in a Cluster different channels take different ways.
	got := map[string][]store.Message{}
	for range 102 {
		m := s.next(l)
		got[m.Channel] = append(got[m.Channel], m)
	}
	for i, m := range got[a] {
		if m != (store.Message{Channel: a, Payload: strconv.Itoa(i)}) {
			s.Fatalf("message %d: %+v", i, m)
		}
	}
	if m := got[b]; len(m) != 1 || m[0] != (store.Message{Channel: b, Payload: "\r\n\x00"}) {
		s.Errorf("binary payload: %+v", m)
	}
	if m := got[news+"sport"]; len(m) != 1 || m[0] != (store.Message{Channel: news + "sport", Pattern: news + "*", Payload: "goal"}) {
		s.Errorf("by pattern: %+v", m)
	}
	l.cancel()
	select {
	case err := <-l.ended:
		if !errors.Is(err, context.Canceled) {
			s.Errorf("Subscribe returned %v after cancel", err)
		}
	case <-s.ctx.Done():
		s.Fatal("Subscribe did not end with its ctx")
	}
	s.must("PUBLISH", a, "late")
	if len(l.messages) != 0 {
		s.Errorf("delivered after the end: %+v", <-l.messages)
	}
}

// subscribeShards listens to sharded channels of several slots and to an ordinary channel of the same name as one of them.
func (s *suite) subscribeShards() {
	if errors.Is(s.st.Do(s.ctx, "SPUBLISH", s.key("nobody"), "x").Err(), store.ErrUnsupported) {
		s.Skip("the store has no sharded channels")
	}
	shards := []string{s.key("a"), s.key("b"), s.key("c"), s.key("{a}2")}
	l := s.listen([]string{shards[0]}, []string{s.prefix + "*"}, shards...)
	defer l.cancel()
	for i := range 20 {
		for _, c := range shards {
			s.must("SPUBLISH", c, strconv.Itoa(i))
		}
	}
	s.must("SPUBLISH", s.key("unheard"), "x")
	next := map[string]int{} // the order holds per channel
	for range 20 * len(shards) {
		m := s.next(l)
		if m != (store.Message{Channel: m.Channel, Payload: strconv.Itoa(next[m.Channel])}) {
			s.Fatalf("got %+v, want message %d", m, next[m.Channel])
		}
		next[m.Channel]++
	}
	s.must("PUBLISH", shards[0], "ordinary")
	for range 2 { // by name and by pattern
		if m := s.next(l); m.Channel != shards[0] || m.Payload != "ordinary" {
			s.Errorf("on the ordinary channel: %+v", m)
		}
	}
	if len(l.messages) != 0 {
		s.Errorf("too many messages: %+v", <-l.messages)
	}
}

func (s *suite) subscribeRefuses() {
	for what, sub := range map[string]store.Subscription{
		"nothing to listen to": {OnMessage: func(store.Message) {}},
		"no OnMessage":         {Channels: []string{"c"}},
	} {
		if err := s.st.Subscribe(s.ctx, sub); !errors.Is(err, store.ErrInvalid) {
			s.Errorf("%s: %v", what, err)
		}
	}
}

func (s *suite) subscribeClose() {
	l := s.listen([]string{s.key("c")}, nil)
	defer l.cancel()
	if err := s.st.Close(); err != nil {
		s.Error(err)
	}
	select {
	case err := <-l.ended:
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("Subscribe returned %v after Close", err)
		}
	case <-s.ctx.Done():
		s.Fatal("Subscribe survived Close")
	}
}
