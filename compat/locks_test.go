package compat

import (
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/go-redsync/redsync/v4"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
)

func TestRedsync(t *testing.T) {
	onAll(t, func(t *testing.T, to target) {
		ctx := t.Context()
		rs := redsync.New(redsyncgoredis.NewPool(newGoRedis(t, to, 3)))
		mine := rs.NewMutex("lock", redsync.WithExpiry(20*time.Second))
		if err := mine.LockContext(ctx); err != nil {
			t.Fatal(err)
		}
		theirs := rs.NewMutex("lock", redsync.WithTries(2), redsync.WithRetryDelay(5*time.Millisecond))
		if err := theirs.LockContext(ctx); err == nil {
			t.Error("two hold the lock")
		}
		if ok, err := mine.ExtendContext(ctx); !ok || err != nil {
			t.Error("extend:", ok, err)
		}
		if ok, err := mine.UnlockContext(ctx); !ok || err != nil {
			t.Error("unlock:", ok, err)
		}
		if err := theirs.LockContext(ctx); err != nil {
			t.Error("after the unlock:", err)
		}
		if ok, _ := mine.UnlockContext(ctx); ok {
			t.Error("unlocked another's lock")
		}
	})
}

func TestRedisRate(t *testing.T) {
	onAll(t, func(t *testing.T, to target) {
		ctx := t.Context()
		limiter := redis_rate.NewLimiter(newGoRedis(t, to, 3))
		limit := redis_rate.PerHour(3)
		for want := 2; want >= 0; want-- {
			r, err := limiter.Allow(ctx, "user", limit)
			if err != nil || r.Allowed != 1 || r.Remaining != want {
				t.Fatalf("%+v %v", r, err)
			}
		}
		r, err := limiter.Allow(ctx, "user", limit)
		if err != nil || r.Allowed != 0 || r.RetryAfter <= 0 || r.RetryAfter > time.Hour {
			t.Errorf("%+v %v", r, err)
		}
		if r, err = limiter.AllowN(ctx, "other", limit, 2); err != nil || r.Allowed != 2 || r.Remaining != 1 {
			t.Errorf("%+v %v", r, err)
		}
		if r, err = limiter.AllowAtMost(ctx, "other", limit, 5); err != nil || r.Allowed != 1 {
			t.Errorf("%+v %v", r, err)
		}
		if err := limiter.Reset(ctx, "user"); err != nil {
			t.Error(err)
		}
		if r, err = limiter.Allow(ctx, "user", limit); err != nil || r.Allowed != 1 {
			t.Errorf("%+v %v", r, err)
		}
	})
}
