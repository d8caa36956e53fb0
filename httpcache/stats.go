package httpcache

import "sync/atomic"

// Stats counts what a Cache did in this process since it was made.
type Stats struct {
	Hits          uint64 // answered with a fresh response
	StaleHits     uint64 // answered with a stale one: allowed by the request, while another was fetched, or on an error
	Misses        uint64 // went to the origin because nothing usable was stored
	Revalidations uint64 // went to the origin with a condition
	NotModified   uint64 // of these, were answered 304
	Shared        uint64 // answered with the response to another request that was under way
	Bypassed      uint64 // requests that the cache left alone
	Stored        uint64 // responses stored or renewed
	Refused       uint64 // responses not stored because of a purge meanwhile
	Purges        uint64 // URLs and groups purged, by calls and by unsafe requests
	StoreErrors   uint64 // calls to the store that failed
	StoreSkipped  uint64 // requests that did not ask the store because it had not answered others in time
	Background    uint64 // fetches in the background
	Panics        uint64 // of handlers in the background
}

// HitRatio is what was answered without the origin as a share of what could have been; 0 before the first.
func (s Stats) HitRatio() float64 {
	hits := s.Hits + s.StaleHits + s.Shared
	fetches := s.Misses + s.Revalidations
	fetches -= min(s.Background, fetches) // no request waited for those
	if all := hits + fetches; all > 0 {
		return float64(hits) / float64(all)
	}
	return 0
}

// Stats is a snapshot of the counters.
func (c *Cache) Stats() Stats {
	n := &c.n
	return Stats{
		Hits: n.hits.Load(), StaleHits: n.staleHits.Load(), Misses: n.misses.Load(), Revalidations: n.revalidations.Load(),
		NotModified: n.notModified.Load(), Shared: n.shared.Load(), Bypassed: n.bypassed.Load(), Stored: n.stored.Load(),
		Refused: n.refused.Load(), Purges: n.purges.Load(), StoreErrors: n.storeErrors.Load(), StoreSkipped: n.storeSkipped.Load(), Background: n.background.Load(),
		Panics: n.panics.Load(),
	}
}

type counters struct {
	hits, staleHits, misses, revalidations, notModified, shared, bypassed, stored, refused, purges, storeErrors, storeSkipped,
	background, panics atomic.Uint64
}
