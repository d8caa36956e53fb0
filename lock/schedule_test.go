package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// world is a random schedule: processes, each with a Locker and some workers, that take one lock in every way while
// faults and deaths befall them.
type world struct {
	t    *testing.T
	seed uint64
	kind string // "mutex", "semaphore", "rw"

	mu     sync.Mutex
	rand   *rand.Rand
	live   map[*lock.Lease]bool // that nobody has released yet; true: exclusive
	tokens map[int64]bool
	last   int64
	gained int
	lost   int
}

const places = 3 // of the semaphore

func (w *world) n(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *world) span(most time.Duration) time.Duration {
	return time.Duration(w.n(int(most/time.Millisecond))) * time.Millisecond
}

func (w *world) fail(format string, args ...any) {
	w.t.Errorf("LARDER_SEED=%d: %s: %s", w.seed, w.kind, fmt.Sprintf(format, args...))
}

// gain checks what must hold when a lease begins: whoever else holds, and has not been told that it is over, is
// compatible.
func (w *world) gain(le *lock.Lease, exclusive bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gained++
	others, alone := 0, false
	for other, x := range w.live {
		if other.Context().Err() == nil {
			others++
			alone = alone || x
		}
	}
	switch {
	case alone || exclusive && others > 0:
		w.fail("token %d was given beside %d others", le.Token(), others)
	case w.kind == "semaphore" && others >= places:
		w.fail("token %d is the holder after %d others", le.Token(), others)
	}
	if w.tokens[le.Token()] {
		w.fail("token %d was given twice", le.Token())
	}
	if w.kind == "mutex" && le.Token() <= w.last {
		w.fail("token %d after %d", le.Token(), w.last)
	}
	w.tokens[le.Token()], w.last = true, le.Token()
	w.live[le] = exclusive
}

func (w *world) work(ctx context.Context, l *lock.Locker, rounds int) {
	for range rounds {
		<-time.After(w.span(300 * time.Millisecond))
		k, exclusive := l.Mutex("x"), true
		switch {
		case w.kind == "semaphore":
			k, exclusive = l.Semaphore("x", places), false
		case w.kind == "rw" && w.n(3) > 0:
			k, exclusive = l.Reader("x"), false
		case w.kind == "rw":
			k = l.Writer("x")
		}
		var le *lock.Lease
		var err error
		switch w.n(5) {
		case 0:
			le, err = k.Try(ctx)
		case 1:
			le, err = k.AcquireWithin(ctx, w.span(time.Second))
		case 2:
			leaving, cancel := context.WithTimeout(ctx, w.span(time.Second))
			switch le, err := k.Acquire(leaving); {
			case err == nil && leaving.Err() == nil:
				w.hold(leaving, le, exclusive)
			case err == nil: // served and out of time at once: the lease's context has ended with its parent's
				_ = le.Release(ctx)
			}
			cancel()
			continue
		default:
			le, err = k.Acquire(ctx)
		}
		switch {
		case err == nil:
			w.hold(ctx, le, exclusive)
		case errors.Is(err, lock.ErrHeld), errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		default:
			w.fail("%v", err)
		}
	}
}

// hold holds for a random time, or until the lease ends.
func (w *world) hold(ctx context.Context, le *lock.Lease, exclusive bool) {
	w.gain(le, exclusive)
	select {
	case <-le.Context().Done():
	case <-time.After(w.span(2 * time.Second)):
	}
	w.mu.Lock()
	delete(w.live, le)
	w.mu.Unlock()
	if err := le.Release(ctx); errors.Is(err, lock.ErrLost) {
		w.mu.Lock()
		w.lost++
		w.mu.Unlock()
	} else if err != nil && !errors.Is(err, store.ErrUnavailable) {
		w.fail("release: %v", err)
	}
}

// trouble befalls a process now and then, until ctx ends. It leaves everybody healthy.
func (w *world) trouble(ctx context.Context, all []*process) {
	for ctx.Err() == nil {
		<-time.After(w.span(time.Second))
		p := all[w.n(len(all))]
		switch w.n(5) {
		case 0:
			p.die()
		case 1:
			p.Fail(1 + w.n(5))
		case 2:
			p.Hang(-1)
		case 3:
			p.Forget(1 + w.n(5))
		case 4:
			p.dead.Store(true) // deaf: messages are lost, nothing else
		}
		<-time.After(w.span(4 * time.Second))
		p.live()
	}
}

func TestRandomSchedules(t *testing.T) {
	for _, kind := range []string{"mutex", "semaphore", "rw"} {
		gained, lost := 0, 0
		for _, seed := range storetest.Seeds(20) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, seed: seed, kind: kind, rand: rand.New(rand.NewPCG(seed, 0)), live: map[*lock.Lease]bool{}, tokens: map[int64]bool{}}
				w.run()
				gained, lost = gained+w.gained, lost+w.lost
			})
		}
		t.Logf("%s: %d leases, %d lost", kind, gained, lost)
		if gained < 100 {
			t.Errorf("%s: only %d leases: the schedules show nothing", kind, gained)
		}
	}
}

func (w *world) run() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	began := time.Now()
	ctx := context.Background()
	troubled, calm := context.WithCancel(ctx)
	var all []*process
	var lockers []*lock.Locker
	var workers, chaos sync.WaitGroup
	for range 4 {
		p := mortal(db)
		l, err := lock.New(p, lock.Options{TTL: 600 * time.Millisecond})
		if err != nil {
			w.t.Fatal(err)
		}
		all, lockers = append(all, p), append(lockers, l)
		for range 3 {
			workers.Go(func() { w.work(ctx, l, 12) })
		}
	}
	for i := range 2 { // of two halves, so that what ends one trouble does not end the other
		chaos.Go(func() { w.trouble(troubled, all[2*i:2*i+2]) })
	}
	ended := make(chan struct{})
	go func() {
		workers.Wait()
		close(ended)
	}()
	select {
	case <-ended: // nobody waits for ever
	case <-time.After(10 * time.Minute):
		s, err := lockers[0].Mutex("x").Inspect(ctx)
		w.fail("somebody waits for ever: %+v, %v", s, err)
	}
	calm()
	chaos.Wait()
	for _, l := range lockers {
		if err := l.Close(ctx); err != nil {
			w.fail("close: %v", err)
		}
		if s := l.Stats(); s.Holding != 0 || s.Waiting != 0 {
			w.fail("left behind: %+v", s)
		}
	}
	if testing.Verbose() {
		w.t.Logf("seed %d took %v", w.seed, time.Since(began))
	}
}
