package cache

import "sync/atomic"

// Stats counts what a Cache did in this process since it was made.
type Stats struct {
	Hits         uint64 // reads that found a value in the store
	NearHits     uint64 // reads that found a value in this process
	NegativeHits uint64 // reads that found a remembered absence
	StaleHits    uint64 // reads that found a value past its TTL, within Options.Stale
	Misses       uint64 // reads that found nothing of use
	FailSafe     uint64 // misses for which the source failed and Options.FailSafe had a value
	Loads        uint64 // calls of loaders
	LoadErrors   uint64 // loaders that failed, ErrNotFound not counted, panics included
	Refreshes    uint64 // loads begun in the background, early or for stale values
	Shared       uint64 // callers who got the answer of another's loader in this process
	Waits        uint64 // times that a caller waited for another process's load
	Refused      uint64 // loads that were not stored: an invalidation had come between
	StoreErrors  uint64 // calls to the store that failed; where it was a read, the loader answered
	DecodeErrors uint64 // entries that could not be decoded; they count as misses too
}

// HitRatio is hits of all kinds as a share of all reads; 0 before the first.
func (s Stats) HitRatio() float64 {
	hits := s.Hits + s.NearHits + s.NegativeHits + s.StaleHits
	if all := hits + s.Misses; all > 0 {
		return float64(hits) / float64(all)
	}
	return 0
}

// Stats is a snapshot of the counters.
func (c *Cache[T]) Stats() Stats {
	n := &c.n
	return Stats{
		Hits: n.hits.Load(), NearHits: n.nearHits.Load(), NegativeHits: n.negativeHits.Load(), StaleHits: n.staleHits.Load(),
		Misses: n.misses.Load(), FailSafe: n.failSafe.Load(),
		Loads: n.loads.Load(), LoadErrors: n.loadErrors.Load(), Refreshes: n.refreshes.Load(), Shared: n.shared.Load(),
		Waits: n.waits.Load(), Refused: n.refused.Load(),
		StoreErrors: n.storeErrors.Load(), DecodeErrors: n.decodeErrors.Load(),
	}
}

type counters struct {
	hits, nearHits, negativeHits, staleHits, misses, failSafe, loads, loadErrors, refreshes, shared, waits, refused,
	storeErrors, decodeErrors atomic.Uint64
}
