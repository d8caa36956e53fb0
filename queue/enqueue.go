package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// ErrDuplicate is what Enqueue returns, with the id of the job that is there, when a unique key is taken.
var ErrDuplicate = errors.New("a job with this unique key is there")

// Level is a priority: of the jobs that are ready, those of the highest are taken first, and among these the oldest.
// Nothing is reserved for low ones: they wait as long as higher ones keep all workers busy.
type Level int8

// From Lowest to Highest there are seven.
const (
	Lowest  Level = -3
	Low     Level = -1
	Normal  Level = 0
	High    Level = 1
	Highest Level = 3
)

// Option says something about one job.
type Option func(*settings)

// settings are what options say.
type settings struct {
	header
	when string // as the script takes it
	hold string
	each func(i int) []Option
	err  error
}

func (s *settings) refuse(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s", store.ErrInvalid, fmt.Sprintf(format, args...))
	}
}

// Priority sets the level; the default is Normal.
func Priority(l Level) Option {
	return func(s *settings) {
		if l < Lowest || l > Highest {
			s.refuse("Priority %d, want %d to %d", l, Lowest, Highest)
		}
		s.priority = int(Highest - l)
	}
}

// In makes the job wait for d, by the store's clock, before it can be taken.
func In(d time.Duration) Option {
	return func(s *settings) {
		if d < 0 || d > longest {
			s.refuse("In %v", d)
		}
		s.when = "+" + ms(d)
	}
}

// At makes the job wait until t. A time in the past is now.
func At(t time.Time) Option {
	return func(s *settings) {
		at := t.UnixMilli()
		if t.Nanosecond()%int(time.Millisecond) != 0 {
			at++ // never early
		}
		if at = max(at, 0); len(itoa(at)) > maxDigits {
			s.refuse("At %v", t)
		}
		s.when = itoa(at)
	}
}

// Unique refuses the job, with ErrDuplicate, if there is another one of this key that has not ended, or one that was
// enqueued less than d ago, ended or not. A d of 0 is until the other has ended. A dead letter has ended.
func Unique(key string, d time.Duration) Option {
	return func(s *settings) {
		if key == "" || len(key) > maxKey || d < 0 || d > longest {
			s.refuse("Unique key of %d bytes for %v, want 1 to %d bytes", len(key), d, maxKey)
		}
		s.unique, s.hold = key, ms(d)
	}
}

// Key puts the job under Options.PerKey, with others of the same key: a customer, a host.
func Key(key string) Option {
	return func(s *settings) {
		if key == "" || len(key) > maxKey || strings.IndexByte(key, 0) >= 0 {
			s.refuse("Key of %d bytes, want 1 to %d, none of them 0", len(key), maxKey)
		}
		s.key = key
	}
}

// Attempts is the job's own MaxAttempts.
func Attempts(n int) Option {
	return func(s *settings) {
		if n < 1 || n > maxAttempts {
			s.refuse("Attempts %d, want 1 to %d", n, maxAttempts)
		}
		s.max = n
	}
}

// Keep is the job's own Retention: for how long it and its result are kept when it is done.
func Keep(d time.Duration) Option {
	return func(s *settings) {
		if d < 0 || d > longest {
			s.refuse("Keep %v", d)
		}
		s.keep = store.Millis(d)
	}
}

// RunTimeout is the job's own Options.RunTimeout.
func RunTimeout(d time.Duration) Option {
	return func(s *settings) {
		if d < 0 || d > longest {
			s.refuse("RunTimeout %v", d)
		}
		s.timeout = store.Millis(d)
	}
}

// Each gives EnqueueMany options for its i-th job, beside those for all.
func Each(options func(i int) []Option) Option {
	return func(s *settings) { s.each = options }
}

// settle is what the queue, the ctx and the options say.
func (c *core) settle(ctx context.Context, opts []Option) settings {
	s := settings{header: header{
		priority: int(Highest), max: c.o.MaxAttempts, keep: store.Millis(c.o.Retention), timeout: store.Millis(c.o.RunTimeout),
	}}
	if c.o.Inject != nil {
		s.headers = encodeHeaders(c.o.Inject(ctx))
		if len(s.headers) > maxHeaders {
			s.err = fmt.Errorf("%w: headers of %d bytes, want at most %d", store.ErrInvalid, len(s.headers), maxHeaders)
		}
	}
	if len(opts) > 0 {
		s = s.with(opts)
	}
	return s
}

// with is apart from settle so that jobs without options need no room on the heap.
func (s settings) with(opts []Option) settings {
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return s
}

// Enqueue adds a job and returns its id: one script, O(log n) of the jobs in its state. Calls that come while another one
// is under way go together in the next script.
//
// An error that is store.ErrUnavailable leaves open whether the job was added: to try again without doing it twice, make
// it Unique. With ErrDuplicate the id is the other job's.
func (q *Queue[T]) Enqueue(ctx context.Context, payload T, opts ...Option) (id string, err error) {
	ctx, end := observe.Begin(ctx, q.o.Observer, q.op("enqueue", ""))
	s := q.settle(ctx, opts)
	var room [3]string
	args, err := q.appendArgs(room[:0], &s, &payload)
	if err == nil {
		id, err = q.group.add(ctx, q.core, args)
	}
	if err != nil {
		err = q.wrap("enqueue", "", err)
		end(observe.Failed, err)
		return "", err
	}
	if other, taken := strings.CutPrefix(id, "="); taken {
		q.duplicate(ctx, 1)
		end(observe.Denied, nil)
		return other, q.wrap("enqueue", s.unique, ErrDuplicate)
	}
	q.stats.enqueued.Add(1)
	end(observe.OK, nil)
	return id, nil
}

func (c *core) duplicate(ctx context.Context, n int) {
	if n > 0 {
		c.stats.duplicates.Add(uint64(n))
		observe.Count(ctx, c.o.Observer, c.op("duplicate", ""), int64(n))
	}
}

// maxManyBytes is how much EnqueueMany sends at a time, but for the last job.
const maxManyBytes = 4 << 20

// EnqueueMany adds jobs in the order given: one script for each 500, or 4 MB. The options are for all of them; see Each. The ids come
// in the same order. If unique keys were taken, err is ErrDuplicate, and the ids of those jobs are ""; all others were
// added. With any other error the ids tell what is known to have been added: "" may or may not have been.
func (q *Queue[T]) EnqueueMany(ctx context.Context, payloads []T, opts ...Option) (ids []string, err error) {
	ctx, end := observe.Begin(ctx, q.o.Observer, q.op("enqueue", ""))
	all := q.settle(ctx, opts)
	args := make([]string, 0, 3*len(payloads))
	for i := range payloads {
		s := all
		if all.each != nil {
			s = s.with(all.each(i))
		}
		if args, err = q.appendArgs(args, &s, &payloads[i]); err != nil {
			err = q.wrap("enqueue", "", fmt.Errorf("job %d: %w", i, err))
			end(observe.Failed, err)
			return nil, err
		}
	}
	ids = make([]string, len(payloads))
	taken := 0
	for from, to := 0, 0; from < len(ids); from = to {
		for bytes := 0; to < len(ids) && to-from < mostBatch && bytes < maxManyBytes; to++ {
			bytes += len(args[3*to+2])
		}
		list, err := q.send(ctx, args[3*from:3*to])
		if err != nil {
			err = q.wrap("enqueue", "", err)
			end(observe.Failed, err)
			return ids, err
		}
		for i, id := range list {
			if strings.HasPrefix(id, "=") {
				taken++
			} else {
				ids[from+i] = id
			}
		}
	}
	q.stats.enqueued.Add(uint64(len(ids) - taken))
	if taken > 0 {
		q.duplicate(ctx, taken)
		end(observe.Denied, nil)
		return ids, q.wrap("enqueue", "", fmt.Errorf("%d of %d: %w", taken, len(ids), ErrDuplicate))
	}
	end(observe.OK, nil)
	return ids, nil
}

// appendArgs adds what the script takes for a job. payload is a *T.
func (c *core) appendArgs(args []string, s *settings, payload any) ([]string, error) {
	if s.err != nil {
		return args, s.err
	}
	room, _ := c.buffers.Get().(*[]byte)
	if room == nil {
		room = new([]byte)
	}
	b := s.append((*room)[:0], nil)
	head := len(b)
	b, err := c.codec.Append(b, payload)
	defer func() {
		if cap(b) <= maxBuffer {
			*room = b[:0]
			c.buffers.Put(room)
		}
	}()
	if err != nil {
		return args, fmt.Errorf("%w: payload: %w", store.ErrInvalid, err)
	}
	if len(b)-head > c.o.MaxPayload {
		return args, fmt.Errorf("%w: payload of %d bytes, MaxPayload is %d", store.ErrInvalid, len(b)-head, c.o.MaxPayload)
	}
	return append(args, s.when, s.hold, string(b)), nil
}

// maxBuffer bounds what is kept for use again.
const maxBuffer = 64 << 10 // bytes
