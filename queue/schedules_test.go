package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store/storetest"
)

// task is what a job of the simulation is told to do, by attempts.
type task struct {
	N      int
	Unique string
	Due    int64 // ms by the store's clock; 0: none
	Fate   []string
}

// world is a queue on a store with a fake clock, workers that fail and die, and what is known about each job.
type world struct {
	*testing.T
	seed  uint64
	r     *rand.Rand // of the driver
	store fleet.Clocked
	opts  queue.Options
	q     *queue.Queue[task] // without faults

	mu     sync.Mutex
	jobs   map[string]*fact // by id
	active map[string]*turnAt
	hosts  []*host
}

// fact is what happened to a job.
type fact struct {
	task    task
	done    int
	failed  int
	dropped bool
}

// turnAt is an attempt under way.
type turnAt struct {
	ctx  context.Context
	host *host
}

// host is a process: when it dies its calls fail for ever, and nothing that it does counts.
type host struct {
	faulty *storetest.Faulty
	dead   bool // guarded by world.mu
	cancel context.CancelFunc
	ended  chan struct{}
}

const (
	worldLease    = 3 * time.Second
	worldAttempts = 3
)

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		T: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), store: fleet.NewClockedAt(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)),
		jobs: map[string]*fact{}, active: map[string]*turnAt{},
	}
	w.opts = queue.Options{
		Name: "w", Lease: worldLease, MaxAttempts: worldAttempts, Timeout: 20 * time.Millisecond, Clock: w.store.Fake,
		Backoff: queue.Exponential(100*time.Millisecond, 2*time.Second), PerKey: queue.Limit{Concurrency: 2},
	}
	w.q = newQueue[task](t, w.store, w.opts)
	return w
}

func (w *world) errorf(format string, args ...any) {
	w.Helper()
	w.Errorf("LARDER_SEED=%d: %s", w.seed, fmt.Sprintf(format, args...))
}

// spawn starts a process.
func (w *world) spawn() {
	h := &host{faulty: storetest.NewFaulty(w.store.DB), ended: make(chan struct{})}
	q := newQueue[task](w.T, h.faulty, w.opts)
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	w.mu.Lock()
	w.hosts = append(w.hosts, h)
	w.mu.Unlock()
	go func() {
		defer close(h.ended)
		_ = q.Work(ctx, queue.Workers{Concurrency: 3, Prefetch: 4, Grace: time.Second}, func(ctx context.Context, j *queue.Job[task]) error {
			return w.handle(ctx, h, j)
		})
	}()
}

// kill makes a process vanish in the midst of whatever it does.
func (w *world) kill(h *host) {
	h.faulty.Fail(-1)
	w.mu.Lock()
	h.dead = true
	w.mu.Unlock()
	h.cancel()
}

var errTask = errors.New("told to fail")

func (w *world) handle(ctx context.Context, h *host, j *queue.Job[task]) error {
	p := j.Payload
	w.mu.Lock()
	if h.dead {
		w.mu.Unlock()
		return errTask
	}
	f := w.jobs[j.ID()]
	if f == nil { // its Enqueue is still on the way back, or was forgotten
		f = &fact{task: p}
		w.jobs[j.ID()] = f
	}
	if now := w.store.Now().UnixMilli(); now < p.Due {
		w.errorf("job %d runs %d ms early", p.N, p.Due-now)
	}
	if j.Attempt() > worldAttempts {
		w.errorf("job %d has attempt %d", p.N, j.Attempt())
	}
	if p.Unique != "" {
		if other := w.active[p.Unique]; other != nil && !other.host.dead && other.ctx.Err() == nil {
			w.errorf("two of unique key %s at a time", p.Unique)
		}
		w.active[p.Unique] = &turnAt{ctx, h}
	}
	w.mu.Unlock()
	fate := p.Fate[min(j.Attempt()-1, len(p.Fate)-1)]
	if fate == "slow" {
		timer := w.store.NewTimer(2 * worldLease)
		defer timer.Stop()
		select {
		case <-timer.C():
		case <-ctx.Done():
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Unique != "" && w.active[p.Unique] != nil && w.active[p.Unique].ctx == ctx {
		delete(w.active, p.Unique)
	}
	if h.dead {
		return errTask
	}
	switch fate {
	case "fail":
		f.failed++
		return errTask
	case "panic":
		f.failed++
		panic(errTask)
	case "drop":
		f.dropped = true
		return queue.Drop(errTask)
	case "slow":
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	f.done++
	return nil
}

// enqueue adds a random job.
func (w *world) enqueue(n int) {
	t := task{N: n}
	for range 1 + w.r.IntN(4) {
		t.Fate = append(t.Fate, pick(w.r, "ok", "ok", "ok", "fail", "panic", "slow", "drop"))
	}
	var opts []queue.Option
	if w.r.IntN(3) == 0 {
		t.Unique = pick(w.r, "a", "b", "c")
		opts = append(opts, queue.Unique(t.Unique, time.Duration(w.r.IntN(2)*w.r.IntN(5000))*time.Millisecond))
	}
	if w.r.IntN(3) == 0 {
		d := time.Duration(w.r.IntN(4000)) * time.Millisecond
		t.Due = w.store.Now().Add(d).UnixMilli()
		opts = append(opts, queue.In(d))
	}
	if w.r.IntN(3) == 0 {
		opts = append(opts, queue.Key(pick(w.r, "x", "y")))
	}
	opts = append(opts, queue.Priority(queue.Level(w.r.IntN(7)-3)))
	id, err := w.q.Enqueue(w.Context(), t, opts...)
	if errors.Is(err, queue.ErrDuplicate) {
		return
	}
	if err != nil {
		w.errorf("enqueue: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs[id] == nil {
		w.jobs[id] = &fact{task: t}
	}
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// disturb does something bad to a process, or ends it.
func (w *world) disturb() {
	var living []*host
	for _, h := range w.hosts {
		if !h.dead {
			living = append(living, h)
		}
	}
	h := living[w.r.IntN(len(living))]
	switch n := 1 + w.r.IntN(4); w.r.IntN(16) {
	case 0:
		h.faulty.Fail(n)
	case 1, 2, 3, 4:
		h.faulty.Forget(n)
	case 5:
		h.faulty.Hang(n)
	case 6, 7, 8, 9: // cut off; perhaps for longer than a lease
		h.faulty.Fail(-1)
	case 10, 11, 12, 13:
		h.faulty.Heal()
	case 14:
		w.kill(h)
		w.spawn()
	case 15:
		h.cancel() // shuts down as it should
		w.spawn()
	}
}

// TestSchedules runs random schedules. See world.handle and world.check for what must hold.
func TestSchedules(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for i := range rounds {
		seed := rand.Uint64()
		if s, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
			seed = s
		}
		t.Run(strconv.Itoa(i), func(t *testing.T) { newWorld(t, seed).run() })
	}
}

func (w *world) run() {
	for range 4 {
		w.spawn()
	}
	for n := range 250 {
		switch w.r.IntN(5) {
		case 0, 1, 2:
			w.enqueue(n)
		case 3:
			w.store.Advance(time.Duration(w.r.IntN(800)) * time.Millisecond)
		case 4:
			w.disturb()
		}
	}
	for _, h := range w.hosts {
		if !h.dead {
			h.faulty.Heal()
		}
	}
	w.spawn() // one that nothing happens to
	var depth queue.Depth
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("LARDER_SEED=%d: what is left: %+v", w.seed, depth)
		}
	})
	fleet.Eventually(w, fmt.Sprintf("LARDER_SEED=%d: the end of all jobs", w.seed), func() bool {
		w.store.Advance(worldLease / 5)
		var err error
		depth, err = w.q.Depth(w.Context())
		return err == nil && depth.Ready+depth.Delayed+depth.Active+depth.Parked == 0
	})
	for _, h := range w.hosts {
		h.cancel()
	}
	for _, h := range w.hosts {
		w.await(h)
	}
	w.check()
}

func (w *world) await(h *host) {
	fleet.Eventually(w, "the end of a worker", func() bool {
		w.store.Advance(200 * time.Millisecond)
		select {
		case <-h.ended:
			return true
		default:
			return false
		}
	})
}

// check holds what is left against what happened.
func (w *world) check() {
	dead, err := w.q.List(w.Context(), queue.DeadLetter, 0, 1000)
	if err != nil {
		w.errorf("%v", err)
	}
	graves := map[string]queue.Info[task]{}
	for _, d := range dead {
		graves[d.ID] = d
	}
	for id, f := range w.jobs {
		grave, buried := graves[id]
		switch {
		case !buried && f.done == 0:
			w.errorf("job %d is lost: %+v", f.task.N, f)
		case buried && grave.Attempts != worldAttempts && !f.dropped:
			w.errorf("job %d is dead after %d attempts: %+v", f.task.N, grave.Attempts, f)
		case !buried && f.failed >= worldAttempts+3:
			w.errorf("job %d failed %d times and is not dead", f.task.N, f.failed)
		}
	}
	for _, key := range []string{"jobs", "ready", "delayed", "held", "groups", "parked", "notes", "unique", "holders"} {
		n := w.size(key)
		switch {
		case key == "jobs" || key == "notes":
			if n != int64(len(dead)) {
				w.errorf("%d left in %q, %d dead letters", n, key, len(dead))
			}
		case key == "unique": // those that are taken for a time
		case n != 0:
			w.errorf("%d left in %q", n, key)
		}
	}
}

func (w *world) size(key string) int64 {
	key = "queue:{w}:" + key
	kind, _ := w.store.Do(w.Context(), "TYPE", key).Text()
	n, _ := w.store.Do(w.Context(), map[string]string{"hash": "HLEN", "zset": "ZCARD", "list": "LLEN", "set": "SCARD"}[kind], key).Int64()
	return n
}
