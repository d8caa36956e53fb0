package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// Subscribe listens on a connection of its own, on a Cluster on one more for each slot of sub.Shards, and makes a new
// one whenever it is lost. See store.Store.
//
// When ctx ends Subscribe waits for a running OnMessage, so nothing is delivered after it has returned.
func (s *Store) Subscribe(ctx context.Context, sub store.Subscription) error {
	if len(sub.Channels)+len(sub.Patterns)+len(sub.Shards) == 0 || sub.OnMessage == nil {
		return fmt.Errorf("redisstore: subscribe: %w: no channel and no pattern, or no OnMessage", store.ErrInvalid)
	}
	ctx, cancel := s.whileOpen(ctx)
	defer cancel()
	parts := s.parts(sub)
	a := &audience{sub: sub, missing: len(parts)}
	ended := make(chan error, len(parts))
	for _, p := range parts[1:] {
		go func() { ended <- s.keepListening(ctx, a, p) }()
	}
	err := s.keepListening(ctx, a, parts[0])
	cancel() // one that is refused ends all
	for range parts[1:] {
		if e := <-ended; errors.Is(err, context.Canceled) && !errors.Is(e, context.Canceled) {
			err = e
		}
	}
	return err
}

// audience is a subscription, which may have several connections. They take turns with its callbacks.
type audience struct {
	sub store.Subscription

	mu      sync.Mutex
	missing int  // parts that are not confirmed
	resumed bool // whether OnReady was called before
}

// part is what one connection listens to.
type part struct {
	channels, patterns, shards []string
}

func (p part) size() int { return len(p.channels) + len(p.patterns) + len(p.shards) }

// parts divides a subscription: on a Cluster, a sharded channel is heard only where its slot is.
func (s *Store) parts(sub store.Subscription) []part {
	if s.cfg.Target != store.Cluster || len(sub.Shards) == 0 {
		return []part{{sub.Channels, sub.Patterns, sub.Shards}}
	}
	var parts []part
	if len(sub.Channels)+len(sub.Patterns) > 0 {
		parts = append(parts, part{channels: sub.Channels, patterns: sub.Patterns})
	}
	places := map[int]int{} // by slot
	for _, c := range sub.Shards {
		at, ok := places[slotOf(c)]
		if !ok {
			at = len(parts)
			places[slotOf(c)] = at
			parts = append(parts, part{})
		}
		parts[at].shards = append(parts[at].shards, c)
	}
	return parts
}

func (a *audience) message(m rueidis.PubSubMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sub.OnMessage(store.Message{Channel: m.Channel, Pattern: m.Pattern, Payload: m.Message})
}

// confirmed notes that a part listens.
func (a *audience) confirmed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missing--; a.missing > 0 {
		return
	}
	if a.sub.OnReady != nil {
		a.sub.OnReady(a.resumed)
	}
	a.resumed = true
}

// lost notes that a part which was confirmed listens no more.
func (a *audience) lost() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missing++
}

// keepListening subscribes again and again until ctx ends, or the server says no for good.
func (s *Store) keepListening(ctx context.Context, a *audience, p part) error {
	for failures := 0; ; {
		confirmed, err := s.listen(ctx, a, p)
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

// errMoved means that the channels' slot has another owner now.
var errMoved = errors.New("the slot of the sharded channels moved")

// listen subscribes once and returns when the connection is lost or ctx ends. confirmed tells whether all channels
// had been.
func (s *Store) listen(ctx context.Context, a *audience, p part) (confirmed bool, err error) {
	client, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	conn, err := dedicate(ctx, client)
	if err != nil {
		return false, err
	}
	defer conn.release()
	missing := p.size()
	moved := make(chan struct{}, missing)
	gone := conn.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: a.message,
		// Called from the goroutine that calls OnMessage, so the order of the two is that of the connection.
		OnSubscription: func(sub rueidis.PubSubSubscription) {
			if sub.Kind == "sunsubscribe" { // nobody here asks for that
				select {
				case moved <- struct{}{}:
				default:
				}
			} else if missing--; missing == 0 {
				a.confirmed()
			}
		},
	})
	defer func() {
		conn.Close()
		<-gone //nolint:errcheck // closing is what was asked for
		if confirmed = missing <= 0; confirmed {
			a.lost()
		}
	}()
	if err := subscribe(ctx, conn, p); err != nil {
		return false, err
	}
	select {
	case err := <-gone:
		return true, err
	case <-moved:
		return true, errMoved
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// line is a connection of one's own.
type line struct {
	rueidis.DedicatedClient
	release func()
}

// dedicate makes one. rueidis knows no ctx for that.
func dedicate(ctx context.Context, client rueidis.Client) (line, error) {
	made := make(chan line)
	go func() {
		conn, release := client.Dedicate()
		select {
		case made <- line{conn, release}:
		case <-ctx.Done():
			conn.Close()
			release()
		}
	}()
	select {
	case l := <-made:
		return l, nil
	case <-ctx.Done():
		return line{}, ctx.Err()
	}
}

func subscribe(ctx context.Context, conn rueidis.DedicatedClient, p part) error {
	if len(p.channels) > 0 {
		if err := conn.Do(ctx, conn.B().Subscribe().Channel(p.channels...).Build()).Error(); err != nil {
			return err
		}
	}
	if len(p.patterns) > 0 {
		if err := conn.Do(ctx, conn.B().Psubscribe().Pattern(p.patterns...).Build()).Error(); err != nil {
			return err
		}
	}
	if len(p.shards) > 0 {
		return conn.Do(ctx, conn.B().Ssubscribe().Channel(p.shards...).Build()).Error()
	}
	return nil
}

// answer tells what the server said (no permission, wrong password) from failures that pass.
func answer(err error) error {
	var answered *rueidis.RedisError
	if errors.As(err, &answered) {
		return serverText(answered)
	}
	return err
}
