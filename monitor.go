package larder

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/store"
)

var _ store.Monitor = (*DB)(nil)

// watcher is one running Monitor.
type watcher struct {
	account *acl.Account // in whose name; nil: the program's own
	wake    chan struct{}

	mu    sync.Mutex
	queue []string
	size  int   // bytes of the queue
	err   error // why it has ended
}

var errSlowMonitor = errors.New("the lines of MONITOR were not taken fast enough")

// Account implements command.Tap.
func (w *watcher) Account() *acl.Account { return w.account }

// Expel implements command.Tap.
func (w *watcher) Expel(reason string) { w.end(expelled(reason)) }

// Feed implements command.Tap.
func (w *watcher) Feed(line []byte) {
	w.mu.Lock()
	full := len(w.queue) >= backlog || w.size+len(line) > backlogBytes && w.size > 0
	if w.err == nil && !full {
		w.queue, w.size = append(w.queue, string(line)), w.size+len(line)
	}
	w.mu.Unlock()
	if full {
		w.end(store.Unavailable(errSlowMonitor))
		return
	}
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// end makes run return.
func (w *watcher) end(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err, w.queue, w.size = err, nil, 0
	}
	w.mu.Unlock()
	w.signal()
}

// take empties the queue.
func (w *watcher) take() (lines []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, err = w.queue, w.err
	w.queue, w.size = nil, 0
	return lines, err
}

// Monitor calls fn with OK and then one line per command until ctx ends, as MONITOR shows them; see [store.Monitor]. Not shown are
// GetBytes, SetBytes, ReplaceBytes and Run, which are no commands. Who is slow to take the lines is cut off (store.ErrUnavailable)
// as a client would be, at 65,536 lines or 32 MiB that wait. While one runs every command costs some 100 ns and an allocation
// more.
func (db *DB) Monitor(ctx context.Context, fn func(line string)) error {
	return db.monitor(ctx, fn, nil)
}

// Monitor is [DB.Monitor] if the user may run MONITOR.
func (u *User) Monitor(ctx context.Context, fn func(line string)) error {
	return u.db.monitor(ctx, fn, u)
}

func (db *DB) monitor(ctx context.Context, fn func(line string), u *User) error {
	if fn == nil {
		return fmt.Errorf("%w: nobody to tell the lines to", store.ErrInvalid)
	}
	w := &watcher{wake: make(chan struct{}, 1), account: u.acts()}
	leave, err := db.register(w, u)
	if err != nil {
		return err
	}
	defer leave()
	defer db.proc.AddTap(w)()
	if u != nil {
		if err := u.permit([]string{"MONITOR"}); err != nil { // only now: who removes the user from now on finds w
			return err
		}
	}
	fn("OK")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		}
		lines, err := w.take()
		if err != nil {
			return err
		}
		for _, line := range lines {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fn(line)
		}
	}
}
