package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
)

// Duels hold Larder's patterns against the libraries that do the same on Redis: the same operation by 64 goroutines, on
// the same redis-server, in turn; then embedded; and the round trips of an operation, counted by a proxy for one
// goroutine, so that pipelining hides none.

const (
	duelWorkers  = 64
	duelReach    = 1.5  // times the rival's throughput, on the same Redis
	embeddedWins = 20.0 // times the rival's on Redis, embedded
)

// A duel is an operation, ours and theirs.
type duel struct {
	name  string
	ours  func(st store.Store) (*fighter, error) // on Redis and embedded
	alone bool                                   // ours is not measured embedded
	// trips says that round trips are compared; some operations have none to compare
	trips  bool
	rivals []rival
	plain  []plainDuel // what is asked of ours besides
}

type rival struct {
	name string
	open func(addr string) (*fighter, error)
}

// plainDuel asks for a rate of ours that has no rival.
type plainDuel struct {
	what     string
	embedded bool
	reach    float64
}

// fighter is a library that is ready to do an operation.
type fighter struct {
	do    func(ctx context.Context, worker, i int) error
	drain func(ctx context.Context) error // waits for what do has only begun; may be nil
	close func()
}

func (f *fighter) end() {
	if f.close != nil {
		f.close()
	}
}

// corner is a fighter with its name and what it has done.
type corner struct {
	name  string
	open  func() (*fighter, error)
	rates []float64
	cpu   []float64 // microseconds of processor time an operation, of this process and the server
	trips float64
}

func (d duel) measure(ctx context.Context, o options, dir string) ([]line, error) {
	redis, err := startServer(ctx, "redis", o.redis, dir)
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	corners := d.corners(ctx, redis.addr)
	for round := range max(1, o.rounds) {
		for i := range corners {
			c := corners[(i+round)%len(corners)]
			if err := d.round(ctx, o, c, redis); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	if d.trips {
		if err := d.countTrips(ctx, redis.addr, corners); err != nil {
			return nil, err
		}
	}
	return d.lines(corners), nil
}

// corners are ours on Redis, ours embedded, and the rivals.
func (d duel) corners(ctx context.Context, addr string) []*corner {
	all := []*corner{
		{name: "larder", open: func() (*fighter, error) { return onRedis(ctx, addr, d.ours) }},
	}
	if !d.alone {
		all = append(all, &corner{name: "embedded", open: func() (*fighter, error) {
			db, err := larder.Open(larder.Options{})
			if err != nil {
				return nil, err
			}
			return owning(db, d.ours)
		}})
	}
	for _, r := range d.rivals {
		all = append(all, &corner{name: r.name, open: func() (*fighter, error) { return r.open(addr) }})
	}
	return all
}

func onRedis(ctx context.Context, addr string, ours func(store.Store) (*fighter, error)) (*fighter, error) {
	st, err := larder.Connect(ctx, "redis://"+addr)
	if err != nil {
		return nil, err
	}
	return owning(st, ours)
}

// owning makes a fighter that closes its store.
func owning(st store.Store, ours func(store.Store) (*fighter, error)) (*fighter, error) {
	f, err := ours(st)
	if err != nil {
		_ = st.Close()
		return nil, err
	}
	inner := f.close
	f.close = func() {
		if inner != nil {
			inner()
		}
		_ = st.Close()
	}
	return f, nil
}

// round lets one fight for a second, after a short warm-up, and notes operations per second and what each cost.
func (d duel) round(ctx context.Context, o options, c *corner, redis *server) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	defer f.end()
	long := time.Second
	if o.quick {
		long /= 4
	}
	if _, _, err := f.fight(ctx, long/5, 0); err != nil {
		return err
	}
	before, err := spent(redis)
	if err != nil {
		return err
	}
	n, took, err := f.fight(ctx, long, 1<<20)
	if err != nil {
		return err
	}
	after, err := spent(redis)
	c.rates = append(c.rates, float64(n)/took.Seconds())
	c.cpu = append(c.cpu, float64(after-before)/float64(time.Microsecond)/float64(n))
	return err
}

// spent is the processor time of this process and the server so far. On a machine that is busy otherwise it says more
// than rates do.
func spent(redis *server) (time.Duration, error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0, err
	}
	theirs, err := redis.cpu()
	return theirs + time.Duration(own.Utime.Nano()+own.Stime.Nano()), err
}

func (f *fighter) fight(ctx context.Context, long time.Duration, from int) (n int64, took time.Duration, err error) {
	var wg sync.WaitGroup
	var total atomic.Int64
	var failed atomic.Value
	start := time.Now()
	over := start.Add(long)
	for w := range duelWorkers {
		wg.Go(func() {
			n := 0
			for ; n%16 != 0 || time.Now().Before(over); n++ {
				if err := f.do(ctx, w, from+n); err != nil {
					failed.Store(err)
					break
				}
			}
			total.Add(int64(n))
		})
	}
	wg.Wait()
	if f.drain != nil {
		if err := f.drain(ctx); err != nil {
			return 0, 0, err
		}
	}
	err, _ = failed.Load().(error) //nolint:errcheck // none is nil
	return total.Load(), time.Since(start), err
}

// countTrips counts round trips per operation, of one goroutine.
func (d duel) countTrips(ctx context.Context, addr string, corners []*corner) error {
	p, err := startProxy(addr)
	if err != nil {
		return err
	}
	defer p.stop()
	for _, c := range corners {
		open := func() (*fighter, error) { return onRedis(ctx, p.addr, d.ours) }
		if c.name == "embedded" {
			continue
		}
		for _, r := range d.rivals {
			if r.name == c.name {
				open = func() (*fighter, error) { return r.open(p.addr) }
			}
		}
		f, err := open()
		if err != nil {
			return err
		}
		c.trips, err = f.countTrips(ctx, p)
		f.end()
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func (f *fighter) countTrips(ctx context.Context, p *proxy) (float64, error) {
	const warm, n = 50, 400
	run := func(from, n int) error {
		for i := range n {
			if err := f.do(ctx, 0, from+i); err != nil {
				return err
			}
		}
		if f.drain != nil {
			return f.drain(ctx)
		}
		return nil
	}
	if err := run(2<<20, warm); err != nil {
		return 0, err
	}
	before := p.trips.Load()
	err := run(3<<20, n)
	return float64(p.trips.Load()-before) / n, err
}

func (d duel) lines(corners []*corner) []line {
	ours, rivals := corners[0], corners[1:]
	var embedded *corner
	if !d.alone {
		embedded, rivals = corners[1], corners[2:]
	}
	var lines []line
	for _, r := range rivals {
		lines = append(lines, ratioLine(d.name+", to "+r.name, "/s", [2][]float64{ours.rates, r.rates}, duelReach, 0, true))
		lines = append(lines, ratioLine("  processor time, both sides", "us", [2][]float64{ours.cpu, r.cpu}, 0, 0, false))
		if d.trips {
			lines = append(lines, ratioLine("  round trips", "", [2][]float64{{ours.trips}, {r.trips}}, 1.01, 0, false))
		}
		if embedded != nil {
			lines = append(lines, ratioLine("  embedded, to it on Redis", "/s", [2][]float64{embedded.rates, r.rates}, embeddedWins, 0, true),
				ratioLine("  processor time", "us", [2][]float64{embedded.cpu, r.cpu}, 0, 0, false))
		}
	}
	for _, p := range d.plain {
		rates := ours.rates
		if p.embedded {
			rates = embedded.rates
		}
		lines = append(lines, plainLine(p.what, "/s", rates, p.reach, 0, true))
	}
	return lines
}

var errNoDuel = errors.New("the other side answers wrongly")
