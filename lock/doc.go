// Package lock is about who may: distributed locks, semaphores, read-write locks and leader election, on any store.
//
//	locks, err := lock.New(st, lock.Options{})
//	defer locks.Close(ctx)
//	...
//	err = locks.With(ctx, "stock:7", func(ctx context.Context) error {
//		// alone; ctx ends should the lock be lost
//		return sell(ctx)
//	})
//
// or, step by step:
//
//	le, err := locks.Acquire(ctx, "stock:7")    // waits; Try does not, AcquireWithin not for ever
//	if err != nil { ... }
//	defer le.Release(ctx)
//	work(le.Context(), le.Token())
//
// Semaphore, Reader, Writer and Election give the other kinds; AcquireAll takes several.
//
// # What it promises
//
// On one store that loses nothing:
//
//   - No two hold a lock within its TTL. A lease is extended automatically; one that cannot be extended ends, with its
//     context, before the store could give the lock to somebody else.
//   - First come, first served, over all processes. Who releases passes the lock on in the same atomic step, and the
//     next one is told at once: nobody polls, and Try does not push in. A waiter that has died delays those behind it
//     by 2 s at most (or a TTL if that is less), a holder that has died by its TTL.
//   - Each lease has a fencing token greater than those of all leases before it, also after the store has forgotten the
//     lock. A Guard refuses writes with an old one.
//   - Only the holder releases, and releasing twice does no harm.
//
// A store that fails over, is restarted without its data, evicts, or sets its clock forward can give a lock to two. The
// page docs/patterns/lock.md says for each kind of store what is left then. Where two at a time do damage, use the
// token.
//
// # Cost
//
// Acquire and Release of a lock that nobody else wants are one round trip each: a script of two or three commands on one small
// key. Who waits costs a call every 5 s. An extension is a call every third of a TTL. All waiters of a Locker share one
// subscription, made at the first wait. Every step is O(1) but for: the end of a shared lease that was not released, and
// Inspect, O(n) in holders and waiters. The store keeps some 100 bytes for each lock that is held, and nine for each that was,
// until Options.Retention after its last use.
//
// # What it needs
//
// The store must not evict: a lock that is evicted is free. The user needs publish and subscribe on the channels under
// Prefix; where the store refuses to subscribe, waiters look every 100 ms. Processes that share a lock must share Prefix;
// they need no common clock, and only the store's counts.
//
// # What it does not offer
//
// Re-entrancy: that a lock may be taken again by who holds it. Go has no identity of a goroutine to tell who that is; it
// would be the process, or whoever holds the context, and then two goroutines are inside at once, or an inner function
// releases what the outer one relies on. Pass the lease, or its context, to the functions that need it.
package lock
