package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// Subscribe listens on a connection of its own, and makes a new one whenever it is lost. See store.Store.
//
// When ctx ends Subscribe waits for a running OnMessage, so nothing is delivered after it has returned.
func (s *Store) Subscribe(ctx context.Context, sub store.Subscription) error {
	if len(sub.Channels)+len(sub.Patterns) == 0 || sub.OnMessage == nil {
		return fmt.Errorf("redisstore: subscribe: %w: no channel and no pattern, or no OnMessage", store.ErrInvalid)
	}
	ctx, cancel := s.whileOpen(ctx)
	defer cancel()
	ready := false // whether OnReady was called before
	for failures := 0; ; {
		confirmed, err := s.listen(ctx, sub, &ready)
		if s.isClosed() {
			return fmt.Errorf("redisstore: subscribe: %w", store.ErrClosed)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err = answer(err); errors.Is(err, store.ErrDenied) || errors.Is(err, store.ErrUnsupported) {
			return fmt.Errorf("redisstore: subscribe: %w", err)
		}
		if failures++; confirmed {
			failures = 1
		}
		s.sleep(ctx, backoff(failures))
	}
}

// listen subscribes once and returns when the connection is lost or ctx ends. confirmed tells whether all channels
// had been.
func (s *Store) listen(ctx context.Context, sub store.Subscription, ready *bool) (confirmed bool, err error) {
	client, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	conn, release := client.Dedicate()
	defer release()
	missing := len(sub.Channels) + len(sub.Patterns)
	gone := conn.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: func(m rueidis.PubSubMessage) {
			sub.OnMessage(store.Message{Channel: m.Channel, Pattern: m.Pattern, Payload: m.Message})
		},
		// Called from the goroutine that calls OnMessage, so the order of the two is that of the connection.
		OnSubscription: func(rueidis.PubSubSubscription) {
			if missing--; missing == 0 {
				if sub.OnReady != nil {
					sub.OnReady(*ready)
				}
				*ready = true
			}
		},
	})
	defer func() {
		conn.Close()
		<-gone //nolint:errcheck // closing is what was asked for
		confirmed = missing <= 0
	}()
	if len(sub.Channels) > 0 {
		if err := conn.Do(ctx, conn.B().Subscribe().Channel(sub.Channels...).Build()).Error(); err != nil {
			return false, err
		}
	}
	if len(sub.Patterns) > 0 {
		if err := conn.Do(ctx, conn.B().Psubscribe().Pattern(sub.Patterns...).Build()).Error(); err != nil {
			return false, err
		}
	}
	select {
	case err := <-gone:
		return true, err
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// answer tells what the server said (no permission, wrong password) from failures that pass.
func answer(err error) error {
	var answered *rueidis.RedisError
	if errors.As(err, &answered) {
		return serverText(answered)
	}
	return err
}
