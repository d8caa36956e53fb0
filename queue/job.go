package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larderdb/larder/store"
)

// Job is one attempt at a job, as a handler gets it.
type Job[T any] struct {
	Payload T
	run     *run
	core    *core
	result  []byte
}

// ID is what Enqueue returned.
func (j *Job[T]) ID() string { return j.run.id }

// Attempt is 1 the first time. Attempts whose worker died count, those that were given back do not.
func (j *Job[T]) Attempt() int { return j.run.attempt }

// MaxAttempts is after how many failures the job becomes a dead letter.
func (j *Job[T]) MaxAttempts() int { return j.run.h.max }

// Key is what the option Key said.
func (j *Job[T]) Key() string { return j.run.h.key }

// Enqueued is when the job was added, by the store's clock.
func (j *Job[T]) Enqueued() time.Time { return idTime(j.run.id) }

// LastError is what the attempt before said; empty if this is the first.
func (j *Job[T]) LastError() string { return j.run.lastError }

// Fence is a number that is higher for each further attempt at a job. What the handler writes elsewhere can be guarded
// with it: refuse what comes with a lower one than was seen. It is made from the store's clock, so it grows on after a failover,
// unless the new primary's clock is behind.
func (j *Job[T]) Fence() int64 { return j.run.fence }

// SetProgress tells others (Queue.Get) and later attempts (Progress) how far the job has come: one script. It returns
// ErrLeaseLost if the job is not this attempt's any more.
func (j *Job[T]) SetProgress(ctx context.Context, v any) error {
	b, err := j.core.encode(v)
	if err == nil && len(b) > j.core.o.MaxPayload {
		err = fmt.Errorf("%w: progress of %d bytes", store.ErrInvalid, len(b))
	}
	if err != nil {
		return j.core.wrap("progress", j.run.id, err)
	}
	keys := []string{j.core.keys[kHeld], j.core.keys[kOutput]}
	n, err := j.core.run(ctx, noteScript, keys, j.run.id, j.run.owner(), string(b)).Int64()
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return j.core.wrap("progress", j.run.id, err)
}

// Progress sets *v from what the last SetProgress of an attempt before this one told. ok is false if there was none.
func (j *Job[T]) Progress(v any) (ok bool, err error) {
	if j.run.output == "" {
		return false, nil
	}
	return true, j.core.wrap("progress", j.run.id, j.core.decode(j.run.output, v))
}

// SetResult is what Queue.Result gives once the handler has returned nil, for as long as the job is kept: Options.Retention
// or Keep. It costs no call.
func (j *Job[T]) SetResult(v any) error {
	b, err := j.core.encode(v)
	if err == nil && len(b) > j.core.o.MaxPayload {
		err = fmt.Errorf("%w: result of %d bytes", store.ErrInvalid, len(b))
	}
	if err != nil {
		return j.core.wrap("result", j.run.id, err)
	}
	j.result = b
	return nil
}

// Causes of the end of a job's ctx, for context.Cause.
var (
	// ErrLeaseLost means that the job may be somebody else's by now: stop, and leave no traces.
	ErrLeaseLost = errors.New("the job's lease was lost")

	// ErrCancelled means that Cancel was called.
	ErrCancelled = errors.New("the job was cancelled")

	// ErrDraining means that the worker shuts down. The job is given back when the handler returns an error.
	ErrDraining = errors.New("the worker shuts down")

	// ErrRunTimeout means that the attempt took too long. It is a failure, whatever the handler returns.
	ErrRunTimeout = errors.New("the attempt took too long")
)

// Results of "run" for an Observer, beside observe.OK.
const (
	Retried = "retried" // failed, and will be tried again
	Dead    = "dead"    // failed for good
	Given   = "given"   // given back
	Lost    = "lost"    // the lease was lost
	Gone    = "gone"    // cancelled
)

// verdict is an error of a handler that says what to do.
type verdict struct {
	err   error
	what  byte // as in the script
	after time.Duration
}

func (v *verdict) Error() string {
	if v.err == nil {
		return "once more after " + v.after.String()
	}
	return v.err.Error()
}

func (v *verdict) Unwrap() error { return v.err }

// Retry makes a handler's failure be retried after that time instead of the backoff's. It counts as an attempt.
func Retry(err error, after time.Duration) error { return &verdict{err, 'f', max(after, 0)} }

// Drop makes a handler's failure the last: the job becomes a dead letter at once.
func Drop(err error) error { return &verdict{err: err, what: 'x'} }

// Snooze makes the job come back after that time. It is no failure and counts as no attempt.
func Snooze(after time.Duration) error { return &verdict{nil, 's', max(after, 0)} }
