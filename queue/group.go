package queue

import (
	"context"
	"fmt"
	"runtime"
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
	if err := ctx.Err(); err != nil {
		return "", store.Unavailable(err)
	}
	b, i, first := g.join(ctx, c, job)
	if first {
		// Calls that are about to come, such as those that the last batch has woken, come with this one. It costs a call
		// that is alone some 100 ns.
		runtime.Gosched()
		if g.seal(b) == 1 {
			g.send(ctx, c, b)
			return b.id(i)
		}
		go g.send(context.WithoutCancel(ctx), c, b)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return "", store.Unavailable(ctx.Err())
	}
	return b.id(i)
}

// id is what came of the i-th job of a batch that is done.
func (b *batch) id(i int) (string, error) {
	if b.err != nil {
		return "", b.err
	}
	return b.ids[i], nil
}

// join puts a job into the newest batch, or a new one. The first of a new one has to see to it if none is under way.
func (g *group) join(ctx context.Context, c *core, job []string) (b *batch, i int, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b = g.last
	if b == nil || b.sealed || len(b.args) >= 3*mostBatch || b.bytes > maxBatchBytes {
		first = b == nil
		before := b
		b = &batch{done: make(chan struct{})}
		g.last = b
		if !first {
			// It goes on when this call's ctx ends: others may be in it.
			go g.lead(context.WithoutCancel(ctx), c, b, before.done)
		}
	}
	i = len(b.args) / 3
	b.args = append(b.args, job...)
	b.bytes += len(job[2])
	return b, i, first
}

// seal keeps others out and tells how many jobs are in.
func (g *group) seal(b *batch) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	b.sealed = true
	return len(b.args) / 3
}

// lead sends a batch when the one before has ended.
func (g *group) lead(ctx context.Context, c *core, b *batch, before <-chan struct{}) {
	<-before
	runtime.Gosched() // as in add
	g.seal(b)
	g.send(ctx, c, b)
}

// send sends a sealed batch.
func (g *group) send(ctx context.Context, c *core, b *batch) {
	b.ids, b.err = c.send(ctx, b.args)
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
