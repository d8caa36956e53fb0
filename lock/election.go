package lock

import (
	"context"
	"errors"
	"time"

	"github.com/larderdb/larder/store"
)

// Election lets one of many lead: run the scheduler, own the port, write the report. It is a mutex whose changes are
// announced. It is safe for concurrent use.
type Election struct{ lock *Lock }

// Leader is who leads. The zero Leader means that nobody does.
type Leader struct {
	Owner string // as in Options: choose it such that it tells how to reach the leader
	Token int64  // greater than that of every leader before
	Since time.Time
}

// Election is the election of a name.
func (l *Locker) Election(name string) *Election { return &Election{l.lock(name, ":leader", "l", 0)} }

// Campaign waits until this process leads, or ctx ends. It leads until the lease is released (which resigns: the next
// candidate leads at once) or lost (its context ends before anybody else can lead).
func (e *Election) Campaign(ctx context.Context) (*Lease, error) {
	return e.lock.take(ctx, "campaign", forever)
}

// Run campaigns and, whenever this process leads, calls lead with a context that ends when it no longer does. When lead
// returns, Run resigns and returns its error. When leadership is lost, Run waits for lead to return and campaigns again,
// also while the store is out. It returns ctx's error when ctx ends while it waits. When lead panics, it resigns as well.
func (e *Election) Run(ctx context.Context, lead func(ctx context.Context) error) error {
	for failures := 0; ; {
		le, err := e.Campaign(ctx)
		if err != nil {
			if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
				return err
			}
			if failures++; !e.pause(ctx, backoff(failures)) {
				return ctx.Err()
			}
			continue
		}
		failures = 0
		if lost, err := e.lead(ctx, le, lead); !lost || ctx.Err() != nil {
			return err
		}
	}
}

// lead calls lead and resigns, also when it panics.
func (e *Election) lead(ctx context.Context, le *Lease, lead func(ctx context.Context) error) (lost bool, err error) {
	defer func() { lost = errors.Is(le.Release(ctx), ErrLost) }()
	return false, lead(le.Context())
}

// pause waits. false: ctx or the Locker ended.
func (e *Election) pause(ctx context.Context, d time.Duration) bool {
	l := e.lock.l
	timer := l.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
	case <-l.ctx.Done():
	}
	return false
}

// Leader tells who leads now. One round trip.
func (e *Election) Leader(ctx context.Context) (Leader, error) {
	leader, _, err := e.leader(ctx)
	return leader, err
}

func (e *Election) leader(ctx context.Context) (_ Leader, ttl time.Duration, _ error) {
	s, err := e.lock.Inspect(ctx)
	if err != nil || len(s.Holders) == 0 {
		return Leader{}, 0, err
	}
	h := s.Holders[0]
	return Leader{Owner: h.Owner, Token: h.Token, Since: h.Since}, h.TTL, nil
}

// Observe calls changed with the leader of now, and again whenever another leads or nobody does, until ctx ends; then it
// returns ctx's error. Changes that follow each other quickly may be told as one. It listens on a subscription of its
// own, and looks by itself when the leader's lease should have ended. While the store is out the last leader stands.
func (e *Election) Observe(ctx context.Context, changed func(Leader)) error {
	l := e.lock.l
	if err := e.lock.check(); err != nil {
		return e.lock.wrap("observe", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	look, deaf := make(chan struct{}, 1), make(chan error, 1)
	notice := func() {
		select {
		case look <- struct{}{}:
		default:
		}
	}
	started := l.spawn(func() {
		deaf <- l.st.Subscribe(ctx, store.Subscription{
			Channels:  []string{e.lock.keys[0] + changes},
			OnMessage: func(store.Message) { notice() },
			OnReady:   func(bool) { notice() },
		})
	})
	if !started {
		return e.lock.wrap("observe", store.ErrClosed)
	}
	return e.follow(ctx, changed, look, deaf)
}

func (e *Election) follow(ctx context.Context, changed func(Leader), look <-chan struct{}, deaf <-chan error) error {
	l := e.lock.l
	timer := l.clock.NewTimer(time.Hour)
	defer timer.Stop()
	last, known, polls, failures := Leader{}, false, false, 0
	for {
		select {
		case <-look:
		case <-timer.C():
		case <-deaf: //nolint:errcheck // whatever it was: nobody tells of changes
			polls = true
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ctx.Done():
			return e.lock.wrap("observe", store.ErrClosed)
		}
		now, ttl, err := e.leader(ctx)
		if err != nil {
			failures++
			timer.Reset(backoff(failures))
			continue
		}
		if failures = 0; !known || now.Token != last.Token {
			last, known = now, true
			changed(now)
		}
		switch {
		case polls:
			timer.Reset(pollTime)
		case ttl > 0:
			timer.Reset(ttl + time.Millisecond)
		default:
			timer.Stop() // whoever comes to lead is announced
		}
	}
}

// backoff is the pause after so many failures in a row.
func backoff(failures int) time.Duration {
	return min(50*time.Millisecond<<min(failures, 5), time.Second)
}
