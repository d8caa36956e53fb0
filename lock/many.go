package lock

import (
	"context"
	"errors"
	"slices"
)

// Leases are several locks held at once. The last one's context ends when any of them does.
type Leases []*Lease

// AcquireAll takes several mutexes, as Acquire does, one after another in the order of their names. As everybody takes
// them in the same order, nobody waits for each other in a circle. A name given twice counts once. If one cannot be
// taken, those taken before are released. It is a round trip for each.
func (l *Locker) AcquireAll(ctx context.Context, names ...string) (Leases, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	all := make(Leases, 0, len(names))
	inner := ctx
	for _, name := range names {
		le, err := l.Acquire(inner, name)
		if err != nil {
			if ctx.Err() == nil && inner.Err() != nil {
				err = errors.Join(context.Cause(inner), err) // one that was taken before is lost
			}
			return nil, errors.Join(err, all.Release(ctx))
		}
		all = append(all, le)
		inner = le.Context()
	}
	return all, nil
}

// Context ends when the first of the leases is lost or released. It is nil without leases.
func (all Leases) Context() context.Context {
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1].Context()
}

// Release releases all, the last taken first, and joins the errors.
func (all Leases) Release(ctx context.Context) error {
	var errs []error
	for _, le := range slices.Backward(all) {
		errs = append(errs, le.Release(ctx))
	}
	return errors.Join(errs...)
}
