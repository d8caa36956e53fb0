package engine

import (
	"github.com/larderdb/larder/internal/mem/history"
	"github.com/larderdb/larder/internal/mem/table"
)

// W-TinyLFU (Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy", 2017) lets the young
// record that waited longest and the coldest of the others compete: the one that was used more often stays. What differs:
//
//   - A record counts its own uses; the sketch keeps the counts of those that are gone. So a hit touches nothing but its
//     record.
//   - The others are sampled: the coldest is the one used least often and, of several, the idlest.
//   - How large a part is young is learned from the keys that come back soon after they went, as in ARC: of those that had
//     gone from among the young there should be no more than of the others. Climbing hills of the hit ratio takes tens of
//     turns. From 40 % on, recency decides instead of counts, which comes near LRU, for what is used while it is new.
//   - Who was used once has no chance, even against one that was not used for long.
const (
	windowFirst   = 0.10
	windowLeast   = 0.01
	windowMost    = 0.50
	windowRecency = 0.40
	learnRate     = 2 // records by which the border moves for each that came back
)

// tellBack counts a key that came back within a turn.
func (q *queues) tellBack(g history.Ghost, now uint32) {
	if (now-g.Stamp)&ghostMask > q.turn.Load() {
		return
	}
	if g.Origin == fromYoung {
		q.backYoung.Add(1)
	} else {
		q.backMain.Add(1)
	}
}

// learn moves the border between the young and the others by those that came back.
func (p *plan) learn(q *queues) {
	young, main := q.backYoung.Load(), q.backMain.Load()
	y, m := float64(young-p.seenYoung), float64(main-p.seenMain)
	if y == 0 && m == 0 {
		return
	}
	p.seenYoung, p.seenMain = young, main
	p.countYoung, p.countMain = p.countYoung+y, p.countMain+m
	step := y*max(1, p.countMain/max(1, p.countYoung)) - m*max(1, p.countYoung/max(1, p.countMain))
	p.window = min(max(p.window+learnRate*step/float64(p.total+1), windowLeast), windowMost)
	if p.countYoung+p.countMain > float64(p.total)/2 {
		p.countYoung, p.countMain = p.countYoung/2, p.countMain/2
	}
}

// compete lets the record that was queued first in a shard and the coldest of the others compete. gone: one of them went.
func (e *Engine) compete(i int, l *Limits) (gone bool) {
	var state uint32
	found := false
	e.atHead(i, l, func(tx *Tx, key []byte, r *table.Entry) (stays bool) {
		if state = r.Clock(); state&touchedBit != 0 { // what is used while it is young stays so, as in the LRU of the paper
			now := e.queues.tick.Load() & stampMask
			r.SetClock(state&^(touchedBit|stampMask) | now)
			e.push(&e.shards[i], i, entryOf(tx.hash(key), now))
			return false
		}
		found = true
		return true
	})
	if !found {
		return false
	}
	p, now := &e.evict.plan, e.queues.tick.Load()
	if rival := e.coldest(l); rival != nil {
		count := int64(e.queues.aged(state, now))
		wins := count >= 2 && count > countMax-rival.coldness>>countShift
		if p.recency {
			wins = int64(ageOf(state, now)) < rival.coldness
		}
		if wins {
			if !e.evictColdest(l) {
				return false // it was used just now, or is gone
			}
			e.atHead(i, l, func(_ *Tx, _ []byte, r *table.Entry) (stays bool) {
				e.settleDown(r)
				return false
			})
			return true
		}
	}
	e.atHead(i, l, func(tx *Tx, key []byte, r *table.Entry) (stays bool) {
		e.evictQueuedKey(tx, i, l, r, key, fromYoung)
		gone = true
		return false
	})
	return gone
}
