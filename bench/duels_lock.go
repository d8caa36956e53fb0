package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/store"
)

// goRedis is the client that most rivals stand on, with a connection for every worker.
func goRedis(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, PoolSize: duelWorkers})
}

// names of something that each worker has for itself.
func names(prefix string) []string {
	all := make([]string, duelWorkers)
	for i := range all {
		all[i] = fmt.Sprintf("%s:%d", prefix, i)
	}
	return all
}

// lockDuel takes and releases locks that nobody else wants.
func lockDuel() duel {
	const ttl = 15 * time.Second
	mine := names("mine")
	return duel{
		name: "lock: take and release", trips: true,
		ours: func(st store.Store) (*fighter, error) {
			l, err := lock.New(st, lock.Options{TTL: ttl})
			if err != nil {
				return nil, err
			}
			locks := make([]*lock.Lock, len(mine))
			for i, name := range mine {
				locks[i] = l.Mutex(name)
			}
			return &fighter{do: func(ctx context.Context, w, _ int) error {
				le, err := locks[w].Acquire(ctx)
				if err != nil {
					return err
				}
				return le.Release(ctx)
			}, close: func() { _ = l.Close(context.Background()) }}, nil
		},
		rivals: []rival{
			{"redsync", func(addr string) (*fighter, error) {
				client := goRedis(addr)
				rs := redsync.New(redsyncpool.NewPool(client))
				return &fighter{do: func(ctx context.Context, w, _ int) error {
					m := rs.NewMutex("redsync:"+mine[w], redsync.WithExpiry(ttl), redsync.WithTries(1))
					if err := m.LockContext(ctx); err != nil {
						return err
					}
					_, err := m.UnlockContext(ctx)
					return err
				}, close: func() { _ = client.Close() }}, nil
			}},
			{"redislock", func(addr string) (*fighter, error) {
				client := goRedis(addr)
				locker := redislock.New(client)
				return &fighter{do: func(ctx context.Context, w, _ int) error {
					l, err := locker.Obtain(ctx, "redislock:"+mine[w], ttl, nil)
					if err != nil {
						return err
					}
					return l.Release(ctx)
				}, close: func() { _ = client.Close() }}, nil
			}},
		},
	}
}

// measureHandover passes a lock from one client to another and back: from the call of Release to the return of the other
// one's Acquire.
func measureHandover(ctx context.Context, o options, dir string) ([]line, error) {
	server, err := startServer(ctx, "redis", o.redis, dir)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	var p50s, p99s []float64
	for range max(1, o.rounds) {
		p50, p99, err := handover(ctx, server.addr, o.scaled(5000))
		if err != nil {
			return nil, err
		}
		p50s, p99s = append(p50s, p50), append(p99s, p99)
	}
	return []line{
		plainLine("lock: hand-over on Redis, p99", "us", p99s, 1000, 0, false),
		plainLine("  p50", "us", p50s, 0, 0, false),
	}, nil
}

func handover(ctx context.Context, addr string, n int) (p50, p99 float64, err error) {
	var took []time.Duration
	var released time.Time
	done := make(chan error, 2)
	for range 2 {
		st, err := larder.Connect(ctx, "redis://"+addr)
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = st.Close() }()
		l, err := lock.New(st, lock.Options{})
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = l.Close(ctx) }()
		go func() {
			k := l.Mutex("ball")
			for {
				le, err := k.Acquire(ctx)
				if err != nil {
					done <- err
					return
				}
				over := len(took) >= n
				if !over {
					if !released.IsZero() {
						took = append(took, time.Since(released))
					} else {
						took = append(took, 0)
					}
					err = othersWait(ctx, k)
					released = time.Now()
				}
				if failed := le.Release(ctx); over || err != nil || failed != nil {
					done <- errorOf(err, failed)
					return
				}
			}
		}()
	}
	if err := errorOf(<-done, <-done); err != nil {
		return 0, 0, err
	}
	slices.Sort(took)
	micros := func(share int) float64 { return float64(took[len(took)*share/100]) / float64(time.Microsecond) }
	return micros(50), micros(99), nil
}

// othersWait returns once somebody waits for the lock, so that the release is a hand-over.
func othersWait(ctx context.Context, k *lock.Lock) error {
	for {
		if s, err := k.Inspect(ctx); err != nil || len(s.Waiters) > 0 {
			return err
		}
	}
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
