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
func (s *suite) listen(channels, patterns []string) *listening {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	l := &listening{make(chan store.Message, 1000), make(chan bool, 10), make(chan error, 1), cancel}
	go func() {
		l.ended <- s.st.Subscribe(ctx, store.Subscription{
			Channels: channels, Patterns: patterns,
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
