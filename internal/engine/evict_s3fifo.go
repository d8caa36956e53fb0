package engine

import (
	"github.com/larderdb/larder/internal/mem/history"
	"github.com/larderdb/larder/internal/mem/table"
)

// S3-FIFO (Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023) keeps a tenth of the records
// young. The one that waited longest goes, unless it was used meanwhile: then it joins the others. A key that comes back
// after it went joins them at once. Three things differ from the paper:
//
//   - The others are not a second queue: as under allkeys-lru, the one that was used longest ago goes, of a sample and of
//     those sampled before. That costs no bytes.
//   - One use among the young is enough.
//   - Who comes back joins the others only if it was away for less time than one of them has not been used. Without that,
//     a loop over more keys than there is room for drives all of them out before their turn comes, and every access
//     misses, as under LRU.
const youngPart = 10 // of the records: one of so many is young

const ghostMask = 1<<history.StampBits - 1

// proven tells whether a key that comes back has been away for less time than the idlest of a few records of its shard.
func (e *Engine) proven(s *shard, db int, g history.Ghost, now uint32) bool {
	away, idle := (now-g.Stamp)&ghostMask, uint32(0)
	s.dbs[db].Sample(e.Random(), e.Limits().Samples, func(r *table.Entry) {
		if state := r.Clock(); state&youngBit == 0 {
			idle = max(idle, ageOf(state, now))
		}
	})
	return idle > away
}

// judgeYoung sees to the record that was queued first in a shard: it goes or, used since, joins the others. gone: one went.
func (e *Engine) judgeYoung(i int, l *Limits) (gone bool) {
	e.atHead(i, l, func(tx *Tx, key []byte, r *table.Entry) (stays bool) {
		if r.Clock()&touchedBit != 0 {
			e.settleDown(r)
			return false
		}
		e.evictQueuedKey(tx, i, l, r, key, fromYoung)
		gone = true
		return false
	})
	return gone
}
