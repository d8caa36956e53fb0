package lock_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/store"
)

// ends waits for the end of a lease and gives the cause.
func ends(t testing.TB, le *lock.Lease) error {
	t.Helper()
	select {
	case <-le.Context().Done():
		return context.Cause(le.Context())
	case <-bounded(t).Done():
		t.Fatal("a lease without end")
		return nil
	}
}

// extended waits until a Locker has extended once more.
func extended(t testing.TB, l *lock.Locker) {
	t.Helper()
	before := l.Stats().Extended
	fleet.Eventually(t, "an extension", func() bool { return l.Stats().Extended > before })
}

// TestRestart kills a store that keeps nothing. The lock is forgotten: who held it is told, who waited gets it, and
// tokens grow all the same. The next holder may begin before the last one knows.
func TestRestart(t *testing.T) {
	t.Parallel() // like all of this file: they wait for processes
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(lock.Scripts()...)
		ctx := bounded(t)
		o := lock.Options{TTL: 3 * time.Second}
		a, b := locker(t, s.Open(t), o), locker(t, s.Open(t), o)
		le := must(a.Acquire(ctx, "restart"))(t)
		results := make(chan got, 1)
		acquire(ctx, b.Mutex("restart"), 1, results)
		queue(t, b.Mutex("restart"), 1)
		s.Restart()
		if cause := ends(t, le); !errors.Is(cause, lock.ErrLost) {
			t.Errorf("cause: %v", cause)
		}
		g := <-results
		if g.err != nil || g.le.Token() <= le.Token() {
			t.Fatalf("the waiter: %+v", g)
		}
		if err := g.le.Release(ctx); err != nil {
			t.Error(err)
		}
	}, fleet.CanRestart)
}

// TestRestartKeeping kills a store whose persistence loses nothing: the lease and the queue survive.
func TestRestartKeeping(t *testing.T) {
	t.Parallel()
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		ctx := bounded(t)
		a, b := locker(t, s.Open(t), lock.Options{}), locker(t, s.Open(t), lock.Options{})
		le := must(a.Acquire(ctx, "keep"))(t)
		results := make(chan got, 1)
		acquire(ctx, b.Mutex("keep"), 1, results)
		queue(t, b.Mutex("keep"), 1)
		s.RestartKeeping()
		fleet.Eventually(t, "the store", func() bool { _, err := b.Inspect(ctx, "keep"); return err == nil })
		if _, err := b.Try(ctx, "keep"); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("Try: %v", err)
		}
		fleet.Eventually(t, "the release", func() bool { return !errors.Is(le.Release(ctx), store.ErrUnavailable) })
		if g := <-results; g.err != nil || g.le.Token() <= le.Token() || g.le.Release(ctx) != nil {
			t.Errorf("the waiter: %+v", g)
		}
	}, fleet.CanKeep)
}

// TestStall freezes the store for 2 s: a lease that is longer survives, one that is shorter is given up in time.
func TestStall(t *testing.T) {
	t.Parallel()
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		s.Register(lock.Scripts()...)
		ctx := bounded(t)
		long := locker(t, s.Open(t), lock.Options{TTL: 5 * time.Second, Timeout: time.Second})
		short := locker(t, s.Open(t), lock.Options{TTL: 900 * time.Millisecond})
		kept, lost := must(long.Acquire(ctx, "kept"))(t), must(short.Acquire(ctx, "lost"))(t)
		results := make(chan got, 2)
		acquire(ctx, short.Mutex("kept"), 1, results)
		queue(t, long.Mutex("kept"), 1)
		start, gone := time.Now(), make(chan time.Duration, 1)
		context.AfterFunc(lost.Context(), func() { gone <- time.Since(start) })
		over := s.Stall(2 * time.Second)
		if _, err := long.Try(ctx, "other"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Try of a store that is frozen: %v", err)
		}
		if cause, after := ends(t, lost), <-gone; !errors.Is(cause, lock.ErrLost) || after > 1500*time.Millisecond { // 855 ms, on a quiet machine
			t.Errorf("the short lease ended after %v: %v", after, cause)
		}
		<-over
		extended(t, long)
		if kept.Context().Err() != nil {
			t.Error("the long lease is lost")
		}
		if err := kept.Release(ctx); err != nil {
			t.Error(err)
		}
		if g := <-results; g.err != nil || g.le.Release(ctx) != nil {
			t.Errorf("the waiter: %+v", g)
		}
	}, fleet.CanStall)
}

// TestFailover: a lease that the replica knows of survives a failover.
func TestFailover(t *testing.T) {
	t.Parallel()
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		ctx := bounded(t)
		a, b := locker(t, s.Open(t), lock.Options{TTL: 18 * time.Second}), locker(t, s.Open(t), lock.Options{})
		k := a.Mutex("failover")
		le := must(k.Acquire(ctx))(t)
		results := make(chan got, 1)
		acquire(ctx, b.Mutex("failover"), 1, results)
		queue(t, k, 1)
		s.Settle()
		s.Failover(k.Key())
		fleet.Eventually(t, "the release", func() bool {
			err := le.Release(ctx)
			if errors.Is(err, lock.ErrLost) {
				t.Fatal(err)
			}
			return err == nil
		})
		if g := <-results; g.err != nil || g.le.Token() <= le.Token() || g.le.Release(ctx) != nil {
			t.Errorf("the waiter: %+v", g)
		}
	}, fleet.CanFailover)
}

// TestFailoverLosesALock shows what asynchronous replication costs: the primary dies before the replica has heard of the
// lock, and two hold it at once, until the first one's next extension. Tokens still grow, so that a Guard refuses the
// first one's writes once the second has written. A primary that wants a replica (min-replicas-to-write) refuses locks
// while it has none.
func TestFailoverLosesALock(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.StartReplica(t, primary)
	sentinel := redistest.StartSentinel(t, primary)
	fleet.Eventually(t, "the sentinel to know the replica", func() bool {
		list, err := sentinel.Try("SENTINEL", "REPLICAS", "mymaster")
		return err == nil && strings.Contains(list, "master-link-status\nok")
	})
	open := func() store.Store { return fleet.Dial(t, "redis+sentinel://"+sentinel.Addr+"/mymaster") }
	ctx := bounded(t)
	o := lock.Options{TTL: 12 * time.Second}
	a, b := locker(t, open(), o), locker(t, open(), o)
	g, err := lock.NewGuard(open(), 0)
	if err != nil {
		t.Fatal(err)
	}
	must(a.Acquire(ctx, "warm-up"))(t)
	primary.Do("ACL", "SETUSER", "default", "-psync", "-sync") // cut the replica off
	primary.Do("CLIENT", "KILL", "TYPE", "replica")
	primary.Do("CONFIG", "SET", "min-replicas-to-write", "1")
	if _, err := a.Try(ctx, "stock"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a primary without its replica: %v", err)
	}
	primary.Do("CONFIG", "SET", "min-replicas-to-write", "0")
	first := must(a.Acquire(ctx, "stock"))(t)
	primary.Stop()
	sentinel.Do("SENTINEL", "SET", "mymaster", "down-after-milliseconds", "300")
	fleet.Eventually(t, "the replica's promotion", func() bool {
		role, err := replica.Try("ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
	var second *lock.Lease
	fleet.Eventually(t, "the second holder", func() bool {
		second, err = b.Acquire(ctx, "stock")
		return err == nil
	})
	if first.Context().Err() != nil {
		t.Fatal("the first holder knows already: the test shows nothing")
	}
	if second.Token() <= first.Token() {
		t.Errorf("token %d after %d", second.Token(), first.Token())
	}
	stock := []string{"stock:7"}
	if err := g.Do(ctx, second.Token(), stock, "SET", "stock:7", "second").Err(); err != nil {
		t.Error(err)
	}
	if err := g.Do(ctx, first.Token(), stock, "SET", "stock:7", "first").Err(); !errors.Is(err, lock.ErrFenced) {
		t.Errorf("the first holder's write: %v", err)
	}
	if cause := ends(t, first); !errors.Is(cause, lock.ErrLost) { // its next extension tells
		t.Errorf("cause: %v", cause)
	}
	if err := second.Release(ctx); err != nil {
		t.Error(err)
	}
}

// TestMoveSlot moves the lock to another primary while it is held and waited for, and makes the servers forget scripts.
func TestMoveSlot(t *testing.T) {
	t.Parallel()
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		ctx := bounded(t)
		a, b := locker(t, s.Open(t), lock.Options{TTL: 2 * time.Second}), locker(t, s.Open(t), lock.Options{})
		k := a.Mutex("moves")
		le := must(k.Acquire(ctx))(t)
		results := make(chan got, 1)
		acquire(ctx, b.Mutex("moves"), 1, results)
		queue(t, k, 1)
		s.MoveSlot(k.Key())
		s.FlushScripts()
		extended(t, a)
		if err := le.Release(ctx); err != nil {
			t.Error(err)
		}
		if g := <-results; g.err != nil || g.le.Token() <= le.Token() || g.le.Release(ctx) != nil {
			t.Errorf("the waiter: %+v", g)
		}
	}, fleet.CanMove)
}
