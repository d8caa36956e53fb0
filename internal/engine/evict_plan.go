package engine

import (
	"math/bits"
	"slices"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/mem/table"
)

// plan is what the evictor knows of records that are queued, under its mutex.
type plan struct {
	started bool
	policy  config.Policy // that it is for
	total   int           // records that may go, at the last census
	left    int           // evictions until the next
	window  float64       // part of the records that is to be young
	recency bool          // of those that compete the idler goes, not the less used
	elder   uint32        // how long the oldest young record has waited, in ticks

	seenHits, seenCame    int64   // hits, and keys that came, at the last census but one or some
	misses                float64 // part of the accesses that brought a key
	seenYoung, seenMain   int64   // how far backYoung and backMain have been read
	countYoung, countMain float64
}

// Where a key was when it went.
const (
	fromMain  = 0
	fromYoung = 1
)

// maxJudged bounds the young records that are looked at before one goes, whatever it is.
const maxJudged = 128

// evictQueued makes one record go. Cost: O(1) amortized: each young record is looked at once after each time it is queued.
func (e *Engine) evictQueued(l *Limits) bool {
	q, p := &e.queues, &e.evict.plan
	q.full.Store(true)
	e.takeCensus(l)
	p.left--
	for range maxJudged {
		i, age := q.oldest()
		p.elder = age
		if i < 0 || q.waiting.Load() <= int64(p.window*float64(p.total)) {
			break
		}
		if l.Policy.TinyLFU() {
			if e.compete(i, l) {
				return true
			}
		} else if e.judgeYoung(i, l) {
			return true
		}
	}
	for range 4 {
		if e.coldest(l) == nil {
			break
		}
		if e.evictColdest(l) {
			return true
		}
	}
	return e.anyShard(func(i int) bool { return e.evictHead(i, l) }) || e.evictRandom(l)
}

// takeCensus counts the records now and then, and learns.
func (e *Engine) takeCensus(l *Limits) {
	q, p := &e.queues, &e.evict.plan
	if !p.started || p.policy != l.Policy {
		*p = plan{started: true, policy: l.Policy, window: 1.0 / youngPart, misses: 1}
		if l.Policy.TinyLFU() {
			p.window = windowFirst
		}
		p.seenYoung, p.seenMain = q.backYoung.Load(), q.backMain.Load() // what came back before teaches nothing
		e.evict.pool = nil
	}
	if p.left <= 0 {
		total, hits := 0, int64(0)
		for i := range e.shards {
			if s := &e.shards[i]; s.mu.enter() == nil {
				total += s.count(l.Policy.Volatile())
				hits += s.stats.Hits
				s.mu.Unlock()
			}
		}
		p.total, p.left = total, max(total/censusPart, censusMin)
		unit := max(0, bits.Len(uint(total))-ticksATurn)
		q.unit.Store(uint32(unit))
		turn := max(total>>unit, 1)
		q.turn.Store(uint32(turn))
		q.period.Store(uint32(float64(turn) * p.halfTurns(hits, int64(q.came.Load()))))
	}
	if !l.Policy.TinyLFU() {
		return
	}
	p.learn(q)
	if recency := p.window >= windowRecency; recency != p.recency {
		p.recency, e.evict.pool = recency, e.evict.pool[:0]
	}
}

// halfTurns is in how many turns counts lose half their worth: when each record has been used halfUses times on the
// average, which takes the fewer turns the more accesses are hits.
func (p *plan) halfTurns(hits, came int64) float64 {
	h, c := hits-p.seenHits, came-p.seenCame
	if h < 0 || c < 0 { // CONFIG RESETSTAT
		p.seenHits, p.seenCame = hits, came
	} else if c >= int64(max(p.total, 1)) {
		p.misses = float64(c) / float64(h+c)
		p.seenHits, p.seenCame = hits, came
	}
	return max(halfUses*p.misses, leastHalf)
}

// atHead shows the record that was queued first in a shard, which it locks. fn tells whether that stays first; else it is
// not queued any more, as if it is gone or not among those that may go.
func (e *Engine) atHead(i int, l *Limits, fn func(tx *Tx, key []byte, r *table.Entry) (stays bool)) {
	tx, s := e.evict.tx, &e.shards[i]
	tx.Begin(0)
	if !tx.tryLock(i) {
		return
	}
	defer tx.End()
	entry, ok := s.recall.young.Peek()
	if !ok {
		return
	}
	var found table.Entry
	db, ok := s.find(entry, &found)
	if !ok {
		e.pop(s, i)
		return
	}
	tx.Use(db)
	key := slices.Clone(found.Key())
	r := tx.Lookup(key, NoStats|NoTouch)
	switch {
	case r == nil: // its time has come
	case l.Policy.Volatile() && !r.Flag(table.FlagExpiry):
		e.settleDown(r)
	case fn(tx, key, r):
		return
	}
	e.pop(s, i)
}

// evictHead makes the record go that was queued first in a shard.
func (e *Engine) evictHead(i int, l *Limits) (gone bool) {
	e.atHead(i, l, func(tx *Tx, key []byte, r *table.Entry) bool {
		e.evictQueuedKey(tx, i, l, r, key, fromYoung)
		gone = true
		return false
	})
	return gone
}

// evictQueuedKey removes a record and remembers it.
func (e *Engine) evictQueuedKey(tx *Tx, shard int, l *Limits, r *table.Entry, key []byte, origin uint8) {
	e.remember(&e.shards[shard], l, tx.hash(key), r.Clock(), origin)
	e.evictKey(tx, shard, r, key)
}

// isYoung tells whether a record is in a queue.
func (e *Engine) isYoung(r *table.Entry) bool {
	state := r.Clock()
	return state&youngBit != 0 && ageOf(state, e.queues.tick.Load()) <= e.evict.plan.elder
}

// coldnessOf ranks the records that are not young: by idleness or, of those that compete by counts, by count before that.
func (e *Engine) coldnessOf(r *table.Entry, l *Limits) int64 {
	q, state := &e.queues, r.Clock()
	now := q.tick.Load()
	age := int64(ageOf(state, now))
	if !l.Policy.TinyLFU() || e.evict.plan.recency {
		return age
	}
	return int64(countMax-q.aged(state, now))<<countShift | age
}

// coldest samples records that are not young and returns the coldest met so far, which stays in the pool; nil where there
// is none to be met.
func (e *Engine) coldest(l *Limits) *candidate {
	met := 0
	for range Shards {
		i := int(e.Random() % Shards)
		e.visit(i, l.Samples, l, func(db int, r *table.Entry) {
			if !e.isYoung(r) {
				met++
				e.offer(e.coldnessOf(r, l), i, db, r.Key())
			}
		})
		if met >= l.Samples {
			break
		}
	}
	if n := len(e.evict.pool); n > 0 {
		return &e.evict.pool[n-1]
	}
	return nil
}

// evictColdest takes the coldest record out of the pool and removes it, unless it was used since it was met.
func (e *Engine) evictColdest(l *Limits) bool {
	last := len(e.evict.pool) - 1
	c := e.evict.pool[last]
	e.evict.pool = e.evict.pool[:last]
	tx := e.evict.tx
	tx.Begin(c.db)
	if !tx.tryLock(c.shard) {
		return false
	}
	defer tx.End()
	r := tx.Lookup(c.key, NoStats|NoTouch)
	if r == nil || l.Policy.Volatile() && !r.Flag(table.FlagExpiry) || e.isYoung(r) || e.coldnessOf(r, l) < c.coldness {
		return false
	}
	e.evictQueuedKey(tx, c.shard, l, r, c.key, fromMain)
	return true
}
