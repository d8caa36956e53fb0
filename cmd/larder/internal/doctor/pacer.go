package doctor

import (
	"context"
	"time"

	"github.com/larderdb/larder/internal/clock"
)

// pacer spreads keys evenly over time. It saves nothing up: after a slow answer the rate is the same, not higher.
type pacer struct {
	clock clock.Clock
	every time.Duration // for one key; 0 is no bound
	free  time.Duration // on the monotonic clock: when the next page may begin
}

func newPacer(c clock.Clock, rate int) *pacer {
	p := &pacer{clock: c}
	if rate > 0 {
		p.every = time.Second / time.Duration(rate)
	}
	return p
}

// spend notes that n keys begin to be looked at now.
func (p *pacer) spend(n int) {
	p.free = max(p.free, p.clock.Monotonic()) + time.Duration(n)*p.every
}

// wait returns when what was spent is paid for, or ctx ends.
func (p *pacer) wait(ctx context.Context) error {
	d := p.free - p.clock.Monotonic()
	if d <= 0 || p.every == 0 {
		return context.Cause(ctx)
	}
	t := p.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return context.Cause(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
