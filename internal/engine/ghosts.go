package engine

// ghosts remember keys that were evicted of late, as 32 bits of their hashes, to tell when one is missed: regret. They
// are buckets of four, oldest last. A key is forgotten when four others of its bucket were evicted after it: with the
// 2,048 places of a shard, after about 2,048 evictions there, 131,072 in all. A key that was not evicted is taken for one
// that was with a chance of 4 in 2^32 a miss. The zero value remembers nothing and takes no memory.
//
// The ghosts of an eviction policy (history.Ghosts) are others: they are sized by the keys that there are, know when a key went, and
// may be wrong once in two thousand, which a policy can bear and a figure that is shown cannot.
type ghosts struct{ marks []uint32 }

const (
	ghostBucket = 4
	ghostPlaces = 2048 // a power of two; 8 KiB a shard, from its first eviction on
)

// bucket is the places of a hash and its mark. Low bits of the hash choose the shard.
func (g *ghosts) bucket(h uint64) (places []uint32, mark uint32) {
	i := int(h>>6) & (ghostPlaces/ghostBucket - 1) * ghostBucket
	return g.marks[i : i+ghostBucket], uint32(h>>32) | 1
}

func (g *ghosts) add(h uint64) {
	if g.marks == nil {
		g.marks = make([]uint32, ghostPlaces)
	}
	places, mark := g.bucket(h)
	copy(places[1:], places)
	places[0] = mark
}

// take tells whether a key was evicted, and forgets that.
func (g *ghosts) take(h uint64) bool {
	if g.marks == nil {
		return false
	}
	places, mark := g.bucket(h)
	for i, m := range places {
		if m == mark {
			copy(places[i:], places[i+1:])
			places[ghostBucket-1] = 0
			return true
		}
	}
	return false
}
