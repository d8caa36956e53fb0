package queue

import "time"

// extended moves the end of the lease on.
func (w *worker) extended(until time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = until
	left := max(until-w.clock.Monotonic(), 1)
	if w.lease == nil {
		w.lease = w.clock.AfterFunc(left, w.leaseOver)
		return
	}
	w.lease.Reset(left)
}

// leaseOver is called when no turn has succeeded for a lease.
func (w *worker) leaseOver() {
	w.mu.Lock()
	over := w.clock.Monotonic() >= w.until
	w.mu.Unlock()
	if over {
		w.loseAll("the store did not answer for a lease")
	}
}

// loseAll ends all attempts: others may have the jobs.
func (w *worker) loseAll(why string) {
	w.mu.Lock()
	n := len(w.runs)
	for r := range w.runs {
		r.stop(ErrLeaseLost)
	}
	w.mu.Unlock()
	if n > 0 {
		w.log.Warn("queue: leases lost", "queue", w.core.o.Name, "jobs", n, "why", why)
	}
}

func (w *worker) cancelRuns(ids []string) {
	if len(ids) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		for r := range w.runs {
			if r.id == id {
				r.stop(ErrCancelled)
			}
		}
	}
}
