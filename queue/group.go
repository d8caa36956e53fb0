package queue

import (
	"context"
	"fmt"
	"sync"

	"github.com/larderdb/larder/store"
)

// group lets calls of Enqueue share a script, as databases commit transactions in groups: while one script is under way the
// jobs of other calls gather, and all go with the next. A call that finds nobody under way waits for nobody.
type group struct {
	mu   sync.Mutex
	last *batch // guarded by mu: the newest; nil if none is under way
}

// maxBatchBytes bounds what gathers, so that a script never takes long.
const maxBatchBytes = 256 << 10

// batch is what goes with one script.
type batch struct {
	args   []string // guarded by group.mu until sealed
	bytes  int      // guarded by group.mu
	sealed bool     // guarded by group.mu: no more may come
	done   chan struct{}
	ids    []string // set before done is closed
	err    error    // the same
}

// add sends a job, and returns its id or what = stands before.
func (g *group) add(ctx context.Context, c *core, job []string) (string, error) {
	g.mu.Lock()
	b := g.last
	if b == nil {
		b = &batch{sealed: true, done: make(chan struct{})}
		g.last = b
		g.mu.Unlock()
		b.ids, b.err = c.send(ctx, job)
		g.end(b)
		if b.err != nil {
			return "", b.err
		}
		return b.ids[0], nil
	}
	if b.sealed || len(b.args) >= 3*mostBatch || b.bytes > maxBatchBytes {
		before := b.done
		b = &batch{done: make(chan struct{})}
		g.last = b
		// It goes on when this call's ctx ends: others may be in it.
		go g.lead(context.WithoutCancel(ctx), c, b, before)
	}
	i := len(b.args) / 3
	b.args = append(b.args, job...)
	b.bytes += len(job[2])
	g.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
		return "", store.Unavailable(ctx.Err())
	}
	if b.err != nil {
		return "", b.err
	}
	return b.ids[i], nil
}

// lead sends a batch when the one before has ended.
func (g *group) lead(ctx context.Context, c *core, b *batch, before <-chan struct{}) {
	<-before
	g.mu.Lock()
	b.sealed = true
	g.mu.Unlock()
	b.ids, b.err = c.send(ctx, b.args)
	g.end(b)
}

func (g *group) end(b *batch) {
	g.mu.Lock()
	if g.last == b {
		g.last = nil
	}
	g.mu.Unlock()
	close(b.done)
}

// send runs the script for some jobs, at most mostBatch.
func (c *core) send(ctx context.Context, args []string) ([]string, error) {
	ids, err := c.run(ctx, enqueueScript, c.keys[:enqueueKeys], args...).Strings()
	if err == nil && len(ids) != len(args)/3 {
		err = fmt.Errorf("%w: %d ids for %d jobs", store.ErrReply, len(ids), len(args)/3)
	}
	return ids, err
}
