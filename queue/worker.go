package queue

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/observe"
)

// A worker is one call of Work: a loop that is the only one to talk to the store about jobs, by turns (see script_turn.go);
// handlers' goroutines, which get their jobs from a channel; and a listener that waits at the store for something to do.
// They tell the loop by a kick. The loop makes a turn when
//
//   - jobs have ended: whatever ended since the last turn began goes with this one;
//   - there is room and probably something to take ("hungry"): the last turn got all it asked for, the listener was woken,
//     or a delayed job is due;
//   - a third of the lease has passed.
//
// Only if it is not hungry and has room does it let the listener wait.
type worker struct {
	*core
	o        Workers
	handle   handler
	base     context.Context // of handlers: the values of Work's ctx
	session  string
	jobs     chan *run     // taken and not begun; has room for all that can be taken
	kicked   chan struct{} // something for the loop; room for one
	listen   chan struct{} // lets the listener wait once; room for one
	ended    chan struct{} // closed when Work returns
	handlers sync.WaitGroup
	err      error // set before ended is closed

	mu       sync.Mutex
	runs     map[*run]bool   // guarded by mu: taken and not settled
	finished []end           // guarded by mu: for the next turn
	spare    []end           // guarded by mu: room for finished
	busy     int             // guarded by mu: taken and not ended
	hungry   bool            // guarded by mu
	waits    bool            // guarded by mu: the listener is at the store
	urgent   bool            // guarded by mu: somebody cancelled a job
	stopping context.Context // guarded by mu: not nil when it shuts down; ends when handlers must stop
	average  time.Duration   // guarded by mu: of a handler
	lease    clock.Timer     // guarded by mu: fires when the lease is over, if no turn has moved it on
	until    time.Duration   // guarded by mu: the end of the lease, on the monotonic clock

	// of the loop alone
	seq      int64         // of the last call of turn or leave
	known    bool          // the store knows the session
	unsure   bool          // a turn failed: the store may think that this worker has jobs it does not know of
	nextBeat time.Duration // monotonic
	nextDue  time.Duration // monotonic; 0: nothing is delayed
	failures int
}

// end is a job that has ended, for the store.
type end struct {
	run    *run
	what   byte
	after  time.Duration
	text   string
	resent bool // a turn with it failed: it may have been applied
}

// handler is Work's handle without its type.
type handler func(ctx context.Context, r *run) (result []byte, err error)

const (
	// A worker counts its lease from before the turn, and this part of it shorter than the store does, whose clock may run
	// at another pace and counts whole milliseconds: attempts are told to stop before others may have the job.
	leaseMargin = 10

	aheadOf   = 10 * time.Millisecond // jobs that would start later than this are not prefetched
	firstWait = 50 * time.Millisecond // after a failed turn; doubles
	mostWait  = 2 * time.Second
	unknown   = time.Hour // the average before the first job
)

func newWorker(c *core, ctx context.Context, o Workers, handle handler) *worker {
	return &worker{
		core: c, o: o, handle: handle, base: context.WithoutCancel(ctx), session: newSession(),
		jobs: make(chan *run, o.Concurrency+max(o.Prefetch, 0)), kicked: make(chan struct{}, 1), listen: make(chan struct{}, 1),
		ended: make(chan struct{}), runs: map[*run]bool{}, hungry: true, average: unknown,
	}
}

func (w *worker) kick() {
	select {
	case w.kicked <- struct{}{}:
	default:
	}
}

// shutDown makes the loop end; handlers must stop when ctx ends. Of several calls the first counts.
func (w *worker) shutDown(ctx context.Context) {
	w.mu.Lock()
	if w.stopping == nil {
		w.stopping = ctx
	}
	w.mu.Unlock()
	w.kick()
}

// loop runs the worker until it has shut down.
func (w *worker) loop() error {
	ctx, cancel := context.WithCancel(w.base)
	var listener sync.WaitGroup
	for range w.o.Concurrency {
		w.handlers.Go(w.serve)
	}
	listener.Go(func() { w.listener(ctx) })
	listener.Go(func() { w.hear(ctx) })
	listener.Go(func() { w.warnOfEviction(ctx) })
	err := w.turns(ctx)
	cancel()
	listener.Wait()
	return w.drain(err)
}

// turns makes turns until it is time to shut down.
func (w *worker) turns(ctx context.Context) error {
	timer := w.clock.NewTimer(0)
	defer timer.Stop()
	for {
		// What is about to end, such as quick jobs that the last turn has started, ends with this turn.
		runtime.Gosched()
		now := w.clock.Monotonic()
		want, due := w.plan(now)
		if want < 0 {
			return nil
		}
		if due {
			if err := w.turn(ctx, now, want); err != nil {
				if hopeless(err) {
					return err
				}
				if !w.pause(timer) {
					return nil
				}
			}
			continue
		}
		timer.Reset(w.sleep(now))
		select {
		case <-w.kicked:
		case <-timer.C():
		}
	}
}

// plan says how many jobs to take, -1 when the worker shuts down, and whether a turn is due. If none is, and there is room,
// the listener is let go.
func (w *worker) plan(now time.Duration) (want int, due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopping != nil {
		return -1, false
	}
	want = min(w.o.Concurrency+w.ahead()-w.busy, mostBatch)
	if w.urgent {
		w.urgent, w.nextBeat = false, now
	}
	if now >= w.nextBeat || w.nextDue > 0 && now >= w.nextDue || want > 0 && w.hungry || len(w.finished) > 0 {
		w.hungry = w.hungry && want <= 0
		return max(want, 0), true
	}
	if want > 0 && !w.waits {
		w.waits = true
		w.listen <- struct{}{}
	}
	return max(want, 0), false
}

// ahead is how many jobs to have in memory beside those that run.
func (w *worker) ahead() int {
	if w.o.Prefetch <= 0 {
		return 0
	}
	return int(min(aheadOf*time.Duration(w.o.Concurrency)/max(w.average, time.Microsecond), time.Duration(w.o.Prefetch)))
}

// sleep is until when nothing has to be done without a kick.
func (w *worker) sleep(now time.Duration) time.Duration {
	at := w.nextBeat
	if w.nextDue > 0 {
		at = min(at, w.nextDue)
	}
	return max(at-now, time.Microsecond)
}

// pause waits after a failed turn, also through kicks. It is false when the worker shuts down.
func (w *worker) pause(timer clock.Timer) bool {
	w.failures++
	wait := Exponential(firstWait, mostWait)(w.failures)
	deadline := w.clock.Monotonic() + wait
	for {
		left := deadline - w.clock.Monotonic()
		if left <= 0 {
			return true
		}
		timer.Reset(left)
		select {
		case <-timer.C():
		case <-w.kicked:
			if w.isStopping() {
				return false
			}
		}
	}
}

func (w *worker) isStopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopping != nil
}

// takeFinished gives what has ended, at most a script's worth.
func (w *worker) takeFinished() []end {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.finished) <= mostBatch {
		batch := w.finished
		w.finished, w.spare = w.spare[:0], nil
		return batch
	}
	batch := w.finished[:mostBatch:mostBatch]
	w.finished = append([]end(nil), w.finished[mostBatch:]...)
	return batch
}

// turn makes one.
func (w *worker) turn(ctx context.Context, now time.Duration, want int) error {
	if w.unsure {
		if err := w.settle(ctx); err != nil {
			return w.failed(ctx, "settle", nil, err)
		}
	}
	beat := now >= w.nextBeat
	batch := w.takeFinished()
	reply := w.core.run(ctx, turnScript, w.keys, w.turnArgs(batch, want, beat)...)
	answer, err := w.parse(reply, batch)
	if err != nil {
		return w.failed(ctx, "turn", batch, err)
	}
	if answer.lost && w.known {
		w.loseAll("the store let others have them")
	}
	w.known, w.failures = true, 0
	if beat {
		w.nextBeat = now + w.core.o.Lease/3
		if answer.more {
			w.nextBeat = now
		} else {
			w.gauge(ctx)
		}
	}
	w.nextDue = 0
	if answer.wait >= 0 {
		w.nextDue = max(w.clock.Monotonic()+answer.wait, 1)
	}
	w.settled(ctx, batch, answer.refused)
	w.extended(now + w.core.o.Lease - w.core.o.Lease/leaseMargin)
	w.cancelRuns(answer.cancelled)
	w.start(answer, want)
	return nil
}

// failed keeps what the turn should have told for the next one.
func (w *worker) failed(ctx context.Context, what string, batch []end, err error) error {
	w.unsure = true
	w.stats.errors.Add(1)
	for i := range batch {
		batch[i].resent = true
	}
	w.mu.Lock()
	w.finished = append(batch, w.finished...)
	w.hungry = true
	w.mu.Unlock()
	w.log.WarnContext(ctx, "queue: the store failed", "queue", w.core.o.Name, "call", what, "error", err)
	return err
}

// settle gives back what the store thinks this worker has and it has not.
func (w *worker) settle(ctx context.Context) error {
	err := w.leave(ctx, "0")
	w.unsure = err != nil
	return err
}

// leave gives back what this worker has not; final ends the session, and gives back all: also what has ended without the store's
// knowing, which nobody would take from a session that is gone.
func (w *worker) leave(ctx context.Context, final string) error {
	w.seq++
	args := []string{w.session, final, itoa(int64(w.core.o.PerKey.Concurrency)), itoa(w.seq)}
	if final != "1" {
		w.mu.Lock()
		for r := range w.runs {
			args = append(args, r.name())
		}
		w.mu.Unlock()
	}
	return w.core.run(ctx, leaveScript, w.keys, args...).Err()
}

// settled does the bookkeeping of jobs that the store knows to have ended.
func (w *worker) settled(ctx context.Context, batch []end, refused []int64) {
	lost := 0
	for _, i := range refused {
		if !batch[i].resent {
			lost++
		}
	}
	w.mu.Lock()
	w.spare = batch
	for i := range batch {
		delete(w.runs, batch[i].run)
	}
	clear(batch)
	w.mu.Unlock()
	if lost > 0 {
		w.countLost(ctx, lost)
	}
}

func (w *worker) countLost(ctx context.Context, n int) {
	w.stats.lost.Add(uint64(n))
	observe.Count(ctx, w.core.o.Observer, w.op("lost", ""), int64(n))
}

// start hands what was taken to the handlers.
func (w *worker) start(a answer, want int) {
	w.mu.Lock()
	if len(a.taken) == want && want > 0 && !a.paused {
		w.hungry = true
	}
	w.busy += len(a.taken)
	for _, r := range a.taken {
		w.runs[r] = true
	}
	w.mu.Unlock()
	w.stats.taken.Add(uint64(len(a.taken)))
	for _, r := range a.taken {
		w.jobs <- r
	}
}

// gauge tells an Observer how much there is.
func (w *worker) gauge(ctx context.Context) {
	if w.core.o.Observer == nil {
		return
	}
	d, err := w.Depth(ctx)
	if err != nil {
		return
	}
	for _, g := range []struct {
		verb string
		n    int64
	}{{"ready", d.Ready}, {"delayed", d.Delayed}, {"active", d.Active}, {"dead", d.Dead}} {
		observe.Gauge(ctx, w.core.o.Observer, w.op(g.verb, ""), float64(g.n))
	}
}
