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
//   - One load at a time per key and process: of a thousand callers who miss together one loads, the others wait for
//     its answer.
//   - Callers do not harm each other. A caller whose ctx ends leaves alone; the load goes on for those who stay, and is
//     cancelled when nobody does. A loader's panic reaches only its own caller, as a *PanicError; others load anew.
//   - A store that is down does not take the service down: the loader answers, and Stats.StoreErrors counts. A network
//     store has Options.Timeout per call.
//   - In this process an invalidation wins: a load that began before a Delete or Set of its key is not stored after it.
//     (Other processes' loads may still store what they read before, until its TTL ends.)
//   - Every entry has a TTL. Entries written together do not expire together: see Options.Jitter.
//   - "There is no such thing" can be remembered too: return ErrNotFound from the loader and set Options.NegativeTTL.
//   - A deploy that changes the type does not read the old one's entries: each carries a fingerprint of the type's
//     fields, and one that differs is a miss.
//   - What the cache did not write, it does not overwrite: a key that holds something else is reported, and loads go on
//     without the store.
//
// # Values and codecs
//
// Values are encoded as MessagePack unless Options.Codec says JSON{} or another; strings and []byte are stored as they
// are. Each caller of a miss that is shared gets the same value: a T that contains pointers, maps or slices must not be
// changed by those who get it.
//
// # Cost
//
// A hit is one GET and one decoding, some 1 to 2 microseconds on the embedded store for a struct of 200 bytes in
// MessagePack, twice that in JSON. An entry takes 7 bytes besides the encoded value.
package cache
