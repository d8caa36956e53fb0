// Package cache keeps what is slow to get close at hand: cache-aside, typed.
//
//	products, err := cache.New[Product](st, cache.Options{Prefix: "product:", TTL: 5 * time.Minute})
//	...
//	p, err := products.GetOrLoad(ctx, id, func(ctx context.Context) (Product, error) {
//		return db.Product(ctx, id)
//	})
//
// That is all of the common case. After a change in the database, Delete:
//
//	err := products.Delete(ctx, id)
//
// # What it promises
//
//   - An invalidation wins, in all processes: a load that began before a Delete, Set, InvalidateTags or Clear is not
//     stored, or not taken, after it, and callers who come after it has returned do not get its value. The one exception
//     is Options.FailSafe, whose results are marked. lease.go and epoch.go say how.
//   - One load at a time per key, in all processes: of a thousand callers who miss together one loads, the others wait for
//     its answer. A process that dies while it loads is waited for no longer than Options.Lease.
//   - Callers do not harm each other. A caller whose ctx ends leaves alone; the load goes on for those who stay, and is
//     cancelled when nobody does. A loader's panic reaches only its own caller, as a *PanicError; others load anew.
//   - A store that is down does not take the service down: the loader answers, and Stats.StoreErrors counts. A network
//     store has Options.Timeout per call. What was loaded without the store's lease is not stored.
//   - Every entry has a TTL. Entries written together do not expire together: see Options.Jitter.
//   - "There is no such thing" can be remembered too: return ErrNotFound from the loader and set Options.NegativeTTL.
//   - A deploy that changes the type does not read the old one's entries: each carries a fingerprint of the type's
//     fields, and one that differs is a miss.
//   - What the cache did not write, it does not overwrite: a key that holds something else is reported, and loads go on
//     without the store.
//
// # Options worth knowing
//
// Stale serves an entry for a while after its TTL, and refreshes it in the background. FailSafe keeps it for when the
// source fails; SoftTimeout and LoadTimeout say when a slow source counts as such. EarlyRefresh refreshes what is read
// often before its TTL ends. Tags make many keys invalid at once. Near keeps decoded values in this process.
//
// Near is kept coherent by the store's tracking of changes (embedded, Larder, Redis, Valkey), else by messages between the
// caches, else by NearTTL. This process's own invalidations take effect at once. Those of others take as long as their
// message: none on the embedded store, the way from the server to this process on others. If the connection dies without a sign, up to 2 s pass before
// that is noticed and all copies are dropped.
//
// # Values and codecs
//
// Values are encoded as MessagePack unless Options.Codec says JSON{} or another; strings and []byte are stored as they
// are. Each caller of a miss that is shared, or of a value that is near, gets the same value: a T that contains pointers,
// maps or slices must not be changed by those who get it.
//
// # Cost
//
// A hit is one GET and one decoding, some 1 to 2 microseconds on the embedded store for a struct of 200 bytes in
// MessagePack, twice that in JSON; tags come along in the same round trip. A hit near takes some 100 nanoseconds. A miss is
// two round trips beside the load where misses are frequent, else three. An entry takes 15 bytes besides the encoded value,
// 29 more with any of Stale, FailSafe, EarlyRefresh and Near, and 8 per tag.
package cache
