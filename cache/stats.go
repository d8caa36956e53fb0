package cache

import "sync/atomic"

// Stats counts what a Cache did in this process since it was made.
type Stats struct {
	Hits         uint64 // reads that found a value
	NegativeHits uint64 // reads that found a remembered absence
	Misses       uint64 // reads that found nothing of use
	Loads        uint64 // calls of loaders
	LoadErrors   uint64 // loaders that failed, ErrNotFound not counted, panics included
	Shared       uint64 // callers who got the answer of another's loader
	StoreErrors  uint64 // calls to the store that failed; where it was a read, the loader answered
	DecodeErrors uint64 // entries that could not be decoded; they count as misses too
}

// HitRatio is hits of both kinds as a share of all reads; 0 before the first.
func (s Stats) HitRatio() float64 {
	hits := s.Hits + s.NegativeHits
	if all := hits + s.Misses; all > 0 {
		return float64(hits) / float64(all)
	}
	return 0
}

// Stats is a snapshot of the counters.
func (c *Cache[T]) Stats() Stats {
	return Stats{
		Hits: c.n.hits.Load(), NegativeHits: c.n.negativeHits.Load(), Misses: c.n.misses.Load(),
		Loads: c.n.loads.Load(), LoadErrors: c.n.loadErrors.Load(), Shared: c.n.shared.Load(),
		StoreErrors: c.n.storeErrors.Load(), DecodeErrors: c.n.decodeErrors.Load(),
	}
}

type counters struct {
	hits, negativeHits, misses, loads, loadErrors, shared, storeErrors, decodeErrors atomic.Uint64
}
