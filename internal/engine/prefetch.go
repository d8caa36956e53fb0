package engine

// Prefetch warms the caches for look-ups of these key hashes. A look-up waits
// for memory twice, for its bucket and for its record; asking for all buckets
// first, then for all records, lets a batch wait for all of them together. Of a
// shard that is enclosed it asks for nothing: a hint is not worth a wait.
func (e *Engine) Prefetch(db int, hashes []uint64) {
	for _, h := range hashes {
		if s := &e.shards[shardOf(h)]; s.mu.enter() == nil {
			s.dbs[db].Touch1(h)
			s.mu.Unlock()
		}
	}
	for _, h := range hashes {
		if s := &e.shards[shardOf(h)]; s.mu.enter() == nil {
			s.dbs[db].Touch2(h)
			s.mu.Unlock()
		}
	}
}
