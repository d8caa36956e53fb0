package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// run is an attempt that this worker has taken.
type run struct {
	id, token, session string
	h                  header
	payload            string
	attempt            int
	fence              int64
	lastError          string
	output             string

	// guarded by worker.mu
	cause  error                   // why it must stop; nil as long as it need not
	cancel context.CancelCauseFunc // nil until it begins
}

// name is unique for the take, also when a session takes a job twice.
func (r *run) name() string { return r.token + ":" + r.id }

// owner is what the store says who holds it.
func (r *run) owner() string { return r.session + ":" + r.token }

// stop ends the attempt's ctx. worker.mu is held.
func (r *run) stop(cause error) {
	if r.cause != nil {
		return
	}
	r.cause = cause
	if r.cancel != nil {
		r.cancel(cause)
	}
}

// serve is a handler's goroutine. A handler that ends it, by runtime.Goexit as a test's FailNow does, gets another one.
func (w *worker) serve() {
	over := false
	defer func() {
		if !over {
			w.handlers.Go(w.serve)
		}
	}()
	for r := range w.jobs {
		w.attempt(r)
	}
	over = true
}

// attempt runs the handler, unless it must not begin any more, and notes the end for the next turn.
func (w *worker) attempt(r *run) {
	ctx, cancel := context.WithCancelCause(w.base)
	defer cancel(nil)
	began := w.clock.Monotonic()
	w.mu.Lock()
	if w.stopping != nil {
		r.stop(ErrDraining)
	} else if began >= w.until {
		r.stop(ErrLeaseLost)
	}
	r.cancel = cancel
	stopped := r.cause
	w.mu.Unlock()
	if stopped != nil {
		w.stats.given.Add(1)
		w.finish(end{run: r, what: 'b'}, 0)
		return
	}
	if r.h.timeout > 0 {
		timer := w.clock.AfterFunc(time.Duration(r.h.timeout)*time.Millisecond, func() { cancel(ErrRunTimeout) })
		defer timer.Stop()
	}
	w.stats.running.Add(1)
	if w.core.o.Extract != nil && r.h.headers != "" {
		ctx = w.extract(ctx, r)
	}
	ctx, done := observe.Begin(ctx, w.core.o.Observer, w.op("run", r.id))
	var result []byte
	err := errExited // unless call returns
	defer func() {
		e, said := w.judge(r, result, err, context.Cause(ctx))
		if said == observe.OK {
			err = nil
		}
		done(said, err)
		w.stats.running.Add(-1)
		w.finish(e, w.clock.Monotonic()-began)
	}()
	result, err = w.call(ctx, r)
}

var errExited = errors.New("the handler ended its goroutine")

// extract makes the handler's ctx from the job's headers. A panic there costs the job its trace, and nothing else.
func (w *worker) extract(ctx context.Context, r *run) (out context.Context) {
	defer func() {
		if p := recover(); p != nil {
			w.log.ErrorContext(ctx, "queue: Options.Extract panicked", "queue", w.core.o.Name, "job", r.id, "panic", p)
			out = ctx
		}
	}()
	return cmp.Or(w.core.o.Extract(ctx, decodeHeaders(r.h.headers)), ctx)
}

// call runs the handler and makes a panic an error.
func (w *worker) call(ctx context.Context, r *run) (result []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.stats.panics.Add(1)
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			w.log.ErrorContext(ctx, "queue: a handler panicked", "queue", w.core.o.Name, "job", r.id, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if result, err = w.handle(ctx, r); err != nil {
		_ = err.Error() // if that panics, as a nil pointer's may, it does so here
	}
	return result, err
}

// maxError bounds what is kept of a handler's error.
const maxError = 8 << 10 // bytes

// judge says what the handler's outcome means for the job.
func (w *worker) judge(r *run, result []byte, err, cause error) (e end, said string) {
	e = end{run: r, what: 'd'}
	if err == nil {
		if !r.h.isPlain() {
			e.what, e.text = 'D', string(result)
		}
		w.stats.done.Add(1)
		return e, observe.OK
	}
	switch {
	case errors.Is(cause, ErrDraining), errors.Is(cause, ErrLeaseLost), errors.Is(cause, ErrCancelled):
		e.what = 'b'
		w.stats.given.Add(1)
		switch {
		case errors.Is(cause, ErrLeaseLost):
			return e, Lost
		case errors.Is(cause, ErrCancelled):
			return e, Gone
		}
		return e, Given
	case errors.Is(cause, ErrRunTimeout):
		err = fmt.Errorf("%w: %w", ErrRunTimeout, err)
	}
	e.what, e.after = 'f', -1
	var v *verdict
	if errors.As(err, &v) {
		e.what, e.after = v.what, v.after
	}
	if e.what == 's' {
		w.stats.given.Add(1)
		return e, Given
	}
	if e.after < 0 {
		e.after = w.backoff(r)
	}
	e.after = min(max(e.after, 0), longest)
	e.text = strings.ToValidUTF8(clip(err.Error(), maxError), "?")
	w.stats.failed.Add(1)
	if e.what == 'x' || r.attempt >= r.h.max {
		w.stats.dead.Add(1)
		return e, Dead
	}
	w.stats.retried.Add(1)
	return e, Retried
}

// backoff is the pause after a failure. If Options.Backoff panics, it is what it would be without.
func (w *worker) backoff(r *run) (pause time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("queue: Options.Backoff panicked", "queue", w.core.o.Name, "job", r.id, "panic", p)
			pause = Exponential(time.Second, time.Hour)(r.attempt)
		}
	}()
	return w.core.o.Backoff(r.attempt)
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}

// finish notes an end, and how long the handler took.
func (w *worker) finish(e end, took time.Duration) {
	w.mu.Lock()
	w.finished = append(w.finished, e)
	w.busy--
	if took > 0 {
		if w.average == unknown {
			w.average = took
		}
		w.average += (took - w.average) / 8
	}
	w.mu.Unlock()
	w.kick()
}

// turnArgs are the script's. It sorts the batch as the script wants it: what is simply done first.
func (w *worker) turnArgs(batch []end, want int, beat bool) []string {
	o := &w.core.o
	simple := 0
	for i := range batch {
		if batch[i].what == 'd' {
			batch[i], batch[simple] = batch[simple], batch[i]
			simple++
		}
	}
	w.seq++
	args := make([]string, turnArgs, turnArgs+simpleArgs*simple+endArgs*(len(batch)-simple))
	args[0], args[1], args[2], args[3] = w.session, ms(o.Lease), itoa(int64(want)), itoa(w.seq)
	args[4], args[5], args[6], args[7], args[8] = "0", itoa(int64(o.PerKey.Concurrency)), ms(w.gap), "0", itoa(int64(simple))
	if o.DeadRetention != NoTTL {
		args[4] = ms(o.DeadRetention)
	}
	if beat {
		args[7] = "1"
	}
	for _, e := range batch[:simple] {
		args = append(args, e.run.id, e.run.token)
	}
	for _, e := range batch[simple:] {
		args = append(args, string(e.what), e.run.id, e.run.token, ms(e.after), e.text)
	}
	return args
}

// answer is a turn's reply.
type answer struct {
	lost      bool
	wait      time.Duration // until something is due; -1: nothing is
	paused    bool
	refused   []int64 // the places in the batch of what was not this session's any more
	taken     []*run
	cancelled []string
	more      bool // is to be cleared up
}

func (w *worker) parse(r store.Reply, batch []end) (a answer, err error) {
	list, err := r.Array()
	if err != nil {
		return a, err
	}
	if len(list) != 9 {
		return a, fmt.Errorf("%w: %d elements of a turn", store.ErrReply, len(list))
	}
	var n [3]int64
	for i := range n {
		if n[i], err = list[i].Int64(); err != nil {
			return a, err
		}
	}
	a.lost, a.paused, a.wait = n[0] == 1, n[2] == 1, time.Duration(n[1])*time.Millisecond
	if a.refused, err = list[3].Ints(); err != nil {
		return a, err
	}
	for _, place := range a.refused {
		if place < 0 || place >= int64(len(batch)) {
			return a, fmt.Errorf("%w: end %d of %d", store.ErrReply, place, len(batch))
		}
	}
	if a.taken, err = w.takenOf(list[4], list[5], list[6]); err != nil {
		return a, err
	}
	if a.cancelled, err = list[7].Strings(); err != nil {
		return a, err
	}
	a.more, err = list[8].Bool()
	return a, err
}

// takenOf reads what was taken: ids and records, and what is known of some of them.
func (w *worker) takenOf(jobs, said, token store.Reply) ([]*run, error) {
	list, err := jobs.Array()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	known, err := said.Array()
	if err != nil {
		return nil, err
	}
	name, err := token.Text()
	if err != nil || len(list)%2 != 0 || len(known)%3 != 0 {
		return nil, fmt.Errorf("%w: %d and %d elements of jobs taken: %w", store.ErrReply, len(list), len(known), err)
	}
	fence, _ := strconv.ParseInt(name, 10, 64)
	runs, out := make([]run, len(list)/2), make([]*run, len(list)/2)
	for i := range runs {
		id, err1 := list[2*i].Text()
		record, err2 := list[2*i+1].Text()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		r := &runs[i]
		*r = run{id: id, token: name, session: w.session, attempt: 1, fence: fence}
		r.h, r.payload = headerAnd(record)
		out[i] = r
	}
	for ; len(known) > 0; known = known[3:] {
		place, err1 := known[0].Int64()
		notes, err2 := known[1].Text()
		output, err3 := known[2].Text()
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		if place < 0 || place >= int64(len(runs)) {
			return nil, fmt.Errorf("%w: notes of job %d of %d", store.ErrReply, place, len(runs))
		}
		r := &runs[place]
		r.output = output
		if notes != "" {
			r.attempt += int(attemptsOf(notes))
			_, r.lastError, _ = strings.Cut(notes, ";")
		}
	}
	return out, nil
}
