// Package larder is a performance layer for Go services: an in-memory data store
// that speaks Redis, embedded in the process or served to others, and the
// patterns that stand on it.
//
// [Open] starts an embedded store. It is a [store.Store], so caches, limiters and
// the other patterns run on it without a socket in between:
//
//	db, err := larder.Open(larder.Options{MaxMemory: 256 << 20, Policy: "allkeys-lru"})
//	products := cache.New[Product](db, cache.Options{Prefix: "product:", TTL: 5 * time.Minute})
//
// [DB.Serve] lets Redis clients in, [DB.Dial] gives one of them a connection in
// memory, and [Connect] reaches any other store by its URL: the code on top
// stays the same.
package larder
