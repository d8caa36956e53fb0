package pubsub

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/larderdb/larder/store"
)

// ending is a ctx that ends after Err was asked once, without a word on Done: as one does that ends at the moment at which
// a message comes.
type ending struct {
	context.Context
	asked int
}

func (e *ending) Err() error {
	if e.asked++; e.asked > 1 {
		return context.Canceled
	}
	return nil
}

// nowhere is a store that nobody calls.
type nowhere struct{ store.Store }

// TestLeavingWakesAnother: of two in Next the one that is woken for a message finds its ctx ended. The message is for the
// other one.
func TestLeavingWakesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic, err := New[int](nowhere{}, Options{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		l := Listener{}
		if err := l.complete(false); err != nil {
			t.Fatal(err)
		}
		s := newSubscription(topic, l)
		left, got := make(chan error, 1), make(chan int, 1)
		go func() {
			_, err := s.Next(&ending{Context: t.Context()})
			left <- err
		}()
		synctest.Wait() // it waits, and is the first to be woken
		go func() {
			if m, err := s.Next(t.Context()); err == nil {
				got <- m.Value
			}
		}()
		synctest.Wait()
		s.offer(&Message[int]{Value: 7}, 1)
		synctest.Wait()
		if err := <-left; err != context.Canceled {
			t.Error(err)
		}
		select {
		case n := <-got:
			if n != 7 {
				t.Error(n)
			}
		default:
			t.Error("the message waits, and so does the other one")
			s.finish(store.ErrClosed)
		}
	})
}
