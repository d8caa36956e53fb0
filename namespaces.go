package larder

import (
	"time"

	"github.com/larderdb/larder/store"
)

// Namespace is what the store has counted of the keys that share a prefix, in all databases. Which keys do is up to
// the directive "namespaces" (Options.Settings, CONFIG SET): by default what stands before the first colon names a
// namespace.
//
// Keys, Bytes, NoTTL and TTL tell what is there now. The others are counters since Open, CONFIG RESETSTAT or the last change
// of the directive.
type Namespace struct {
	// Name is the prefix without its separator, or the pattern. Keys without a separator have the name "", and those
	// for which there was no room among namespaces-max have [OtherNamespace].
	Name string

	Keys  int64 // those past their time that nobody has met yet included
	Bytes int64 // what MEMORY USAGE counts of these keys, and what of deleted ones is still to be freed
	NoTTL int64 // keys that never expire

	// TTL is how many keys have how long to live. It is exact while up to some 30,000 keys of the store have a TTL, and
	// estimated from a sample of so many beyond that; the parts add up to Keys - NoTTL where any was looked at.
	TTL []TTLShare

	Hits, Misses int64 // reads that found a key, and that did not: as keyspace_hits and keyspace_misses
	Evicted      int64 // keys removed to stay within maxmemory
	Expired      int64 // keys removed because their time had come
	Deleted      int64 // keys removed by commands

	// Regret is how many misses were of keys that had been evicted not long before, within about 130,000 evictions:
	// a larger maxmemory, or another policy, might have spared these. One in a billion misses is taken for one by mistake.
	Regret int64
}

// TTLShare is a number of keys that expire within a time, and not within that of the share before.
type TTLShare struct {
	Within time.Duration // 0: beyond all others
	Keys   int64
}

// OtherNamespace is the [Namespace] of all keys that have none of their own.
const OtherNamespace = "(other)"

// Namespaces gives the figures of all namespaces, sorted by name, [OtherNamespace] last; none where the directive
// "namespaces" is off. The slice is the caller's. It fails with [store.ErrClosed] after Close. INFO namespaces gives the
// same over any connection.
//
// Cost: O(namespaces), and a look at up to 30,000 keys with a TTL, 2 ms; shards are locked one after the other. The
// first call after a change of the directive counts all keys.
func (db *DB) Namespaces() ([]Namespace, error) {
	if db.closed.Load() {
		return nil, store.ErrClosed
	}
	tx := db.engine.NewTx()
	tx.Begin(0)
	defer tx.End()
	within := [...]time.Duration{time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 0}
	counted := tx.Namespaces()
	list := make([]Namespace, len(counted))
	for i, n := range counted {
		list[i] = Namespace{
			Name: n.Name, Keys: n.Keys, Bytes: n.Bytes, NoTTL: n.Lasting, Hits: n.Hits, Misses: n.Misses,
			Evicted: n.Evicted, Expired: n.Expired, Deleted: n.Deleted, Regret: n.Regret,
			TTL: make([]TTLShare, len(within)),
		}
		for j := range within {
			list[i].TTL[j] = TTLShare{within[j], n.TTL[j]}
		}
	}
	return list, nil
}
