package lock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// locker makes a Locker that is closed at the end of the test.
func locker(t testing.TB, st store.Store, o lock.Options) *lock.Locker {
	t.Helper()
	l, err := lock.New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return l
}

// bounded is a ctx for what should be quick.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// must is must(l.Try(ctx, name))(t): the lease, or the end of the test.
func must(le *lock.Lease, err error) func(testing.TB) *lock.Lease {
	return func(t testing.TB) *lock.Lease {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return le
	}
}

// queue waits until so many wait for a lock.
func queue(t testing.TB, k *lock.Lock, n int) {
	t.Helper()
	fleet.Eventually(t, fmt.Sprintf("%d to wait for %s", n, k.Name()), func() bool {
		s, err := k.Inspect(bounded(t))
		return err == nil && len(s.Waiters) == n
	})
}

// got is the outcome of an Acquire that runs elsewhere.
type got struct {
	who int
	le  *lock.Lease
	err error
}

func acquire(ctx context.Context, k *lock.Lock, who int, to chan<- got) {
	go func() {
		le, err := k.Acquire(ctx)
		to <- got{who, le, err}
	}()
}

func TestStores(t *testing.T) {
	leaktest.Check(t, "github.com/larderdb/larder/lock.")
	fleet.Each(t, func(t *testing.T, s *fleet.Store) {
		t.Parallel() // they wait for leases to end, mostly
		s.Register(lock.Scripts()...)
		for _, c := range []struct {
			name string
			run  func(t *testing.T, s *fleet.Store)
		}{
			{"Basics", testBasics}, {"Queue", testQueue}, {"Dead", testDead}, {"Cancelled", testCancelled}, {"Semaphore", testSemaphore},
			{"ReadWrite", testReadWrite}, {"Election", testElection}, {"With", testWith}, {"All", testAll}, {"Guard", testGuard}, {"Close", testClose},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, s) })
		}
	})
}

func testBasics(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	a, b := locker(t, s.Open(t), lock.Options{Owner: "a"}), locker(t, s.Open(t), lock.Options{Owner: "b"})
	last := int64(0)
	for range 3 {
		le := must(a.Try(ctx, "basics"))(t)
		if le.Token() <= last {
			t.Errorf("token %d after %d", le.Token(), last)
		}
		last = le.Token()
		if _, err := b.Try(ctx, "basics"); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("Try of a lock that is held: %v", err)
		}
		if _, err := b.Mutex("basics").AcquireWithin(ctx, 5*time.Millisecond); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("AcquireWithin of a lock that is held: %v", err)
		}
		if token, ok := lock.TokenOf(le.Context()); !ok || token != last {
			t.Errorf("TokenOf: %d, %v", token, ok)
		}
		st, err := b.Inspect(ctx, "basics")
		if err != nil || len(st.Holders) != 1 || st.Holders[0].Owner != "a" || st.Holders[0].Token != last || st.Token != last || st.Holders[0].TTL <= 0 {
			t.Errorf("Inspect: %+v, %v", st, err)
		}
		if le.Remaining() <= 0 || le.Context().Err() != nil {
			t.Error("a fresh lease is over")
		}
		for range 2 {
			if err := le.Release(ctx); err != nil {
				t.Error(err)
			}
		}
		if !errors.Is(context.Cause(le.Context()), lock.ErrReleased) || le.Remaining() != 0 {
			t.Errorf("after Release: %v", context.Cause(le.Context()))
		}
	}
	if st, err := a.Inspect(ctx, "basics"); err != nil || len(st.Holders) != 0 || st.Token != last {
		t.Errorf("Inspect of a free lock: %+v, %v", st, err)
	}
	if st, err := a.Inspect(ctx, "unheard of"); err != nil || len(st.Holders)+len(st.Waiters) != 0 || st.Token != 0 {
		t.Errorf("Inspect of an unknown lock: %+v, %v", st, err)
	}
}

// testQueue: waiters of several processes are served in the order in which they came.
func testQueue(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	var lockers []*lock.Locker
	for range 3 {
		lockers = append(lockers, locker(t, s.Open(t), lock.Options{}))
	}
	le := must(lockers[0].Acquire(ctx, "queue"))(t)
	const n = 12
	results := make(chan got, n)
	for i := range n {
		k := lockers[i%3].Mutex("queue")
		acquire(ctx, k, i, results)
		queue(t, k, i+1)
	}
	if _, err := lockers[1].Try(ctx, "queue"); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("Try: %v", err)
	}
	last := le.Token()
	for i := range n {
		if err := le.Release(ctx); err != nil {
			t.Error(err)
		}
		g := <-results
		if g.err != nil || g.who != i {
			t.Fatalf("served %d (%v), want %d", g.who, g.err, i)
		}
		if le = g.le; le.Token() <= last {
			t.Errorf("token %d after %d", le.Token(), last)
		}
		last = le.Token()
	}
	if err := le.Release(ctx); err != nil {
		t.Error(err)
	}
	if st := lockers[0].Stats(); st.Waited != 4 || st.Waiting != 0 || st.Holding != 0 || st.Lost+st.Failed != 0 {
		t.Errorf("stats: %+v", st)
	}
}

// testDead: the one behind a process that dies while it holds, and one that dies while it waits, gets the lock, and the dead
// holder knows before. TestDead says when.
func testDead(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	const ttl = time.Second
	o := lock.Options{TTL: ttl, Timeout: ttl / 2}
	holder, waiter := mortal(s.Open(t)), mortal(s.Open(t))
	a, b, c := locker(t, holder, o), locker(t, waiter, o), locker(t, s.Open(t), o)
	le := must(a.Acquire(ctx, "dead"))(t)
	results := make(chan got, 3)
	dying, die := context.WithCancel(ctx)
	defer die()
	acquire(dying, b.Mutex("dead"), 1, results)
	queue(t, c.Mutex("dead"), 1)
	acquire(dying, b.Mutex("dead"), 2, results)
	queue(t, c.Mutex("dead"), 2)
	acquire(ctx, c.Mutex("dead"), 3, results)
	queue(t, c.Mutex("dead"), 3)
	holder.die()
	waiter.die()
	g := <-results
	if g.who != 3 || g.err != nil {
		t.Fatalf("served: %+v", g)
	}
	if !errors.Is(context.Cause(le.Context()), lock.ErrLost) {
		t.Fatalf("the dead holder's context: %v", context.Cause(le.Context()))
	}
	if err := le.Release(ctx); !errors.Is(err, lock.ErrLost) {
		t.Errorf("releasing what was lost: %v", err)
	}
	if err := g.le.Release(ctx); err != nil {
		t.Error(err)
	}
	holder.live()
	waiter.live()
}

// process is a store as a process sees it that may die: its calls fail, and it hears nothing.
type process struct {
	*storetest.Faulty
	dead atomic.Bool
}

func mortal(st store.Store) *process { return &process{Faulty: storetest.NewFaulty(st)} }

func (p *process) die() {
	p.dead.Store(true)
	p.Fail(-1)
}

func (p *process) live() {
	p.Heal()
	p.dead.Store(false)
}

func (p *process) Subscribe(ctx context.Context, sub store.Subscription) error {
	hear := sub.OnMessage
	sub.OnMessage = func(m store.Message) {
		if !p.dead.Load() {
			hear(m)
		}
	}
	return p.Faulty.Subscribe(ctx, sub)
}

// testCancelled: who leaves the queue is not waited for, and who is served while leaving passes it on.
func testCancelled(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	a, b := locker(t, s.Open(t), lock.Options{}), locker(t, s.Open(t), lock.Options{})
	k := b.Mutex("cancelled")
	for round := range 5 {
		le := must(a.Acquire(ctx, "cancelled"))(t)
		results := make(chan got, 2)
		leaving, leave := context.WithCancel(ctx)
		acquire(leaving, k, 1, results)
		queue(t, k, 1)
		acquire(ctx, k, 2, results)
		queue(t, k, 2)
		if round%2 == 0 {
			leave()
			queue(t, k, 1)
		} else {
			go leave()
		}
		if err := le.Release(ctx); err != nil {
			t.Error(err)
		}
		for range 2 {
			switch g := <-results; {
			case g.err == nil:
				if err := g.le.Release(ctx); err != nil {
					t.Error(err)
				}
			case g.who != 1 || !errors.Is(g.err, context.Canceled):
				t.Errorf("%d: %v", g.who, g.err)
			}
		}
		leave()
	}
	fleet.Eventually(t, "the lock to be free", func() bool {
		st, err := k.Inspect(ctx)
		return err == nil && len(st.Holders)+len(st.Waiters) == 0
	})
}

func testSemaphore(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	lockers := []*lock.Locker{locker(t, s.Open(t), lock.Options{}), locker(t, s.Open(t), lock.Options{})}
	const n = 3
	var inside, most, done atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			k := lockers[i%2].Semaphore("semaphore", n)
			for range 5 {
				err := k.With(ctx, func(context.Context) error {
					now := inside.Add(1)
					for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
					}
					done.Add(1)
					inside.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > n || done.Load() != 60 {
		t.Errorf("%d at a time, %d in all", most.Load(), done.Load())
	}
	k := lockers[0].Semaphore("semaphore", n)
	var held lock.Leases
	for range n {
		held = append(held, must(k.Try(ctx))(t))
	}
	if _, err := k.Try(ctx); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("place %d of %d: %v", n+1, n, err)
	}
	if st, err := k.Inspect(ctx); err != nil || len(st.Holders) != n || !st.Holders[0].Shared || st.Holders[0].Token >= st.Holders[1].Token {
		t.Errorf("Inspect: %+v, %v", st, err)
	}
	if err := held.Release(ctx); err != nil {
		t.Error(err)
	}
}

func testReadWrite(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	l := locker(t, s.Open(t), lock.Options{})
	r, w := l.Reader("rw"), l.Writer("rw")
	r1, r2 := must(r.Try(ctx))(t), must(r.Try(ctx))(t)
	if _, err := w.Try(ctx); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("a writer beside readers: %v", err)
	}
	results := make(chan got, 4)
	acquire(ctx, w, 1, results)
	queue(t, w, 1)
	for i := range 2 { // readers that come after a writer wait behind it
		acquire(ctx, r, 2, results)
		queue(t, w, 2+i)
	}
	acquire(ctx, w, 3, results)
	queue(t, w, 4)
	if err := errors.Join(r1.Release(ctx), r2.Release(ctx)); err != nil {
		t.Error(err)
	}
	g := <-results
	if g.who != 1 {
		t.Fatalf("served %d first", g.who)
	}
	if _, err := r.Try(ctx); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("a reader beside a writer: %v", err)
	}
	if err := g.le.Release(ctx); err != nil {
		t.Error(err)
	}
	g1, g2 := <-results, <-results // both at once
	if g1.who != 2 || g2.who != 2 {
		t.Fatalf("served %d and %d, want the readers", g1.who, g2.who)
	}
	if err := errors.Join(g1.le.Release(ctx), g2.le.Release(ctx)); err != nil {
		t.Error(err)
	}
	if g := <-results; g.who != 3 || g.le.Release(ctx) != nil {
		t.Errorf("last: %+v", g)
	}
}

func testElection(t *testing.T, s *fleet.Store) {
	ctx, cancel := context.WithCancel(bounded(t))
	o := func(owner string) lock.Options { return lock.Options{Owner: owner, TTL: time.Second} }
	broken := storetest.NewFaulty(s.Open(t))
	a, b := locker(t, broken, o("a")), locker(t, s.Open(t), o("b"))
	watching := locker(t, s.Open(t), lock.Options{})
	leaders := make(chan lock.Leader, 10)
	ended := make(chan error, 2)
	go func() {
		ended <- watching.Election("boss").Observe(ctx, func(l lock.Leader) { leaders <- l })
	}()
	if l := <-leaders; l.Owner != "" {
		t.Errorf("at first %+v leads", l)
	}
	le := must(a.Election("boss").Campaign(ctx))(t)
	if l := <-leaders; l.Owner != "a" || l.Token != le.Token() {
		t.Errorf("%+v leads, want a", l)
	}
	leading := make(chan context.Context)
	go func() {
		ended <- b.Election("boss").Run(ctx, func(ctx context.Context) error {
			leading <- ctx
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	fleet.Eventually(t, "a candidate", func() bool { return b.Stats().Waiting == 1 })
	broken.Fail(-1)
	<-le.Context().Done()
	now := <-leading
	if token, _ := lock.TokenOf(now); token <= le.Token() || now.Err() != nil {
		t.Errorf("the next leader: token %d after %d, %v", token, le.Token(), now.Err())
	}
	for l := range leaders { // perhaps nobody in between
		if l.Owner == "b" {
			break
		}
	}
	if l, err := watching.Election("boss").Leader(ctx); err != nil || l.Owner != "b" {
		t.Errorf("Leader: %+v, %v", l, err)
	}
	broken.Heal()
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func testWith(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	l := locker(t, s.Open(t), lock.Options{})
	wrong := errors.New("wrong")
	err := l.With(ctx, "with", func(ctx context.Context) error {
		if _, err := l.Try(ctx, "with"); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("inside: %v", err)
		}
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = l.With(ctx, "with", func(context.Context) error { panic("x") })
	}()
	err = l.With(ctx, "with", func(ctx context.Context) error {
		le := l.Mutex("with")
		return s.Open(t).Do(ctx, "DEL", le.Key(), le.Key()+":body").Err() // the store forgets
	})
	if !errors.Is(err, lock.ErrLost) {
		t.Errorf("With of a lock that was lost: %v", err)
	}
}

func testAll(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	l := locker(t, s.Open(t), lock.Options{})
	var wg sync.WaitGroup
	for i := range 8 { // would deadlock if each took them in the order given
		names := strings.Fields("all:a all:b all:c all:a")
		names[0], names[i%3] = names[i%3], names[0]
		wg.Go(func() {
			all, err := l.AcquireAll(ctx, names...)
			if err != nil {
				t.Error(err)
				return
			}
			if len(all) != 3 || all.Context().Err() != nil {
				t.Errorf("%d locks, %v", len(all), all.Context().Err())
			}
			if err := all.Release(ctx); err != nil || all.Context().Err() == nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func testGuard(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	st := s.Open(t)
	g, err := lock.NewGuard(st, 0)
	if err != nil {
		t.Fatal(err)
	}
	key := []string{"stock:7"}
	for _, c := range []struct {
		token int64
		want  error
	}{{5, nil}, {5, nil}, {9, nil}, {8, lock.ErrFenced}, {9, nil}, {0, store.ErrInvalid}} {
		if err := g.Do(ctx, c.token, key, "INCR", "stock:7").Err(); !errors.Is(err, c.want) {
			t.Errorf("token %d: %v, want %v", c.token, err, c.want)
		}
	}
	if n, err := st.Do(ctx, "GET", "stock:7").Int64(); n != 4 {
		t.Errorf("stock: %d, %v", n, err)
	}
	if ttl, err := st.Do(ctx, "TTL", "{stock:7}:fence").Int64(); ttl < 600_000 {
		t.Errorf("the mark's TTL: %d, %v", ttl, err)
	}
	tagged := []string{"{shop}:x", "{shop}:y"}
	if err := g.Do(ctx, 1, tagged, "MSET", tagged[0], "1", tagged[1], "2").Err(); err != nil {
		t.Error(err)
	}
	for _, keys := range [][]string{nil, {""}, {"a}b"}} {
		if err := g.Do(ctx, 1, keys, "PING").Err(); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("keys %q: %v", keys, err)
		}
	}
}

func testClose(t *testing.T, s *fleet.Store) {
	ctx := bounded(t)
	a, b := locker(t, s.Open(t), lock.Options{}), locker(t, s.Open(t), lock.Options{})
	le := must(a.Acquire(ctx, "close"))(t)
	results := make(chan got, 2)
	acquire(ctx, a.Mutex("close"), 1, results)
	queue(t, a.Mutex("close"), 1)
	acquire(ctx, b.Mutex("close"), 2, results)
	queue(t, a.Mutex("close"), 2)
	if err := a.Close(ctx); err != nil {
		t.Error(err)
	}
	for range 2 {
		if g := <-results; g.who == 1 && !errors.Is(g.err, store.ErrClosed) || g.who == 2 && g.err != nil {
			t.Errorf("%d: %v", g.who, g.err)
		}
	}
	if le.Context().Err() == nil {
		t.Error("a lease that outlives its Locker")
	}
	if _, err := a.Try(ctx, "close"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Try after Close: %v", err)
	}
	if err := a.Close(ctx); err != nil {
		t.Error(err)
	}
}
