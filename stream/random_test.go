package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/store/storetest"
	"github.com/larderdb/larder/stream"
)

// TestRandomSchedules lets consumers come, work, fail, stall, be cut short and go, over a store that fails, hangs and
// forgets, on a clock that runs in leaps. At the end, when all is quiet, every entry has been handled or is a dead letter,
// no entry was handed to handlers more often than MaxDeliveries, dead letters are there once, and nothing is pending.
func TestRandomSchedules(t *testing.T) {
	for _, seed := range storetest.Seeds(4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			leaktest.Check(t, "larder/stream")
			newChaos(t, seed).run()
		})
	}
}

const chaosDeliveries = 4

type chaos struct {
	t      *testing.T
	r      *rand.Rand // of the goroutine of the test
	clock  *clock.Fake
	faulty *storetest.Faulty
	s      *stream.Stream[order]
	stop   chan struct{} // closed: the clock stands still again

	mu       sync.Mutex
	rnd      *rand.Rand     // of handlers
	attempts map[string]int // by entry: how often a handler was called
	handled  map[string]int // how often one said nil
	calm     bool           // handlers succeed
}

func newChaos(t *testing.T, seed uint64) *chaos {
	fake := clock.NewFake(storetest.NewMemory().Now())
	db, err := larder.Open(larder.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c := &chaos{t: t, r: rand.New(rand.NewPCG(seed, 1)), rnd: rand.New(rand.NewPCG(seed, 2)), clock: fake, faulty: storetest.NewFaulty(db),
		stop: make(chan struct{}), attempts: map[string]int{}, handled: map[string]int{}}
	c.s, err = stream.New[order](c.faulty, stream.Options{Name: "orders", NoTrim: true, Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	c.s = c.s.KeyBy(func(o order) string { return o.Customer })
	return c
}

func (c *chaos) group() stream.Group {
	return stream.Group{
		Name: "billing", Concurrency: 1 + c.r.IntN(4), Prefetch: c.r.IntN(8) - 1, Ordered: c.r.IntN(3) == 0, MaxDeliveries: chaosDeliveries,
		ClaimIdle: 4 * time.Second, Backoff: stream.Exponential(200*time.Millisecond, 5*time.Second), Drain: time.Duration(c.r.IntN(3)-1) * time.Second,
	}
}

// handle succeeds, fails, panics, and takes its time, which may be longer than ClaimIdle.
func (c *chaos) handle(ctx context.Context, m *stream.Message[order]) error {
	c.mu.Lock()
	c.attempts[m.ID]++
	what, calm := c.rnd.IntN(20), c.calm
	slow := time.Duration(c.rnd.IntN(6000)) * time.Millisecond
	c.mu.Unlock()
	if m.Deliveries > chaosDeliveries {
		c.t.Errorf("delivery %d of order %d", m.Deliveries, m.Value.ID)
	}
	if !calm {
		switch {
		case what < 4:
			return errors.New("not now")
		case what == 4:
			panic("boom")
		case what == 5:
			return fmt.Errorf("never: %w", stream.ErrDead)
		case what < 9:
			timer := c.clock.NewTimer(slow)
			defer timer.Stop()
			select {
			case <-timer.C():
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	c.mu.Lock()
	c.handled[m.ID]++
	c.mu.Unlock()
	return nil
}

// tick lets the clock run, a hundred times as fast as the machine's, for as long as the test does.
func (c *chaos) tick() *sync.WaitGroup {
	var wg sync.WaitGroup
	wg.Go(func() {
		pace := time.NewTicker(200 * time.Microsecond)
		defer pace.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-pace.C:
				c.clock.Advance(20 * time.Millisecond)
			}
		}
	})
	return &wg
}

func (c *chaos) run() {
	t := c.t
	ticking := c.tick()
	defer ticking.Wait()
	defer close(c.stop)
	const n = 150
	var running []*consuming
	for id := 1; id <= n; {
		switch c.r.IntN(12) {
		case 0, 1:
			if len(running) < 4 {
				running = append(running, consume(t, c.s, c.group(), c.handle))
			}
		case 2:
			if len(running) > 0 {
				i := c.r.IntN(len(running))
				running[i].cancel()
				wait(t, running[i].ended)
				running = append(running[:i], running[i+1:]...)
			}
		case 3:
			c.faulty.Fail(c.r.IntN(4))
		case 4:
			c.faulty.Forget(c.r.IntN(3))
		case 5:
			c.faulty.Heal()
		default:
			if _, err := c.s.Publish(t.Context(), order{id, "c" + strconv.Itoa(id%5)}); err == nil {
				id++
			}
		}
	}
	c.faulty.Heal()
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	running = append(running, consume(t, c.s, c.group(), c.handle))
	c.quiet(int64(len(running)))
	for _, one := range running {
		one.stop()
	}
	c.check(n)
}

// quiet waits until nothing is left to do, and those who left with something pending are forgotten.
func (c *chaos) quiet(consumers int64) {
	fleet.Eventually(c.t, "nothing waiting, nothing pending, nobody remembered", func() bool {
		lag, err := c.s.Lag(c.t.Context(), "billing")
		return err == nil && lag.Waiting == 0 && lag.Pending == 0 && lag.Consumers == consumers
	})
}

func (c *chaos) check(published int) {
	t := c.t
	all, err := c.s.Range(t.Context(), "", "", 10*published)
	if err != nil || len(all) < published {
		t.Fatalf("%d entries of %d, %v", len(all), published, err)
	}
	letters, err := c.s.DeadLetters("billing").Range(t.Context(), "", 10*published)
	if err != nil {
		t.Fatal(err)
	}
	dead := map[string]int{}
	for _, d := range letters {
		if dead[d.Entry]++; dead[d.Entry] > 1 {
			t.Errorf("%s is a dead letter %d times", d.Entry, dead[d.Entry])
		}
	}
	for _, m := range all {
		if c.handled[m.ID] == 0 && dead[m.ID] == 0 {
			t.Errorf("%s was lost after %d attempts", m.ID, c.attempts[m.ID])
		}
		if c.attempts[m.ID] > chaosDeliveries {
			t.Errorf("%s was handed to handlers %d times", m.ID, c.attempts[m.ID])
		}
	}
	if lag, err := c.s.Lag(t.Context(), "billing"); err != nil || lag.Consumers != 0 {
		t.Errorf("at the end: %+v, %v", lag, err)
	}
	n := c.s.Stats()
	if len(letters) == 0 || n.Retried == 0 || n.Claimed == 0 || n.StoreErrors == 0 {
		t.Logf("a dull round: %d dead letters, %+v", len(letters), n)
	}
}
