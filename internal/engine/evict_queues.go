package engine

import (
	"sync/atomic"

	"github.com/larderdb/larder/internal/mem/history"
	"github.com/larderdb/larder/internal/mem/table"
)

// The policies s3fifo and wtinylfu hold a new key for young until it has shown that it is used again; what is used once
// and never more, as by a scan, goes from among the young and pushes out nothing else. Both share what is in this file;
// what they differ in is in evict_s3fifo.go and evict_wtinylfu.go. ADR 22 has the reasons and the figures.
//
// A record keeps its state in the 24 bits that hold the access clock under the other policies, so it is not a byte longer:
//
//	bit 23     young: its hash waits in its shard's queue
//	bit 22     touched: a young record was used since it was queued
//	bits 18-21 count: how often it was used, halved as time goes on
//	bits 0-17  stamp: when it was queued, if it is young, or last used, if it is not
//
// Time is counted in keys that came (tick), so that nothing ages while no memory is asked for; a few hundred ticks are a
// turn, in which as many keys come as there are.
//
// Each shard has a queue of the hashes of its young records. A record that moves, is renamed or deleted need not tell it: who takes a hash out looks for a young record of that hash and stamp, and drops the hash if there is none. Which
// shard has the oldest head is read from 64 atomic words, so the young go in the order in which they came in all shards
// together. The others are sampled, as under the policies of Redis: no list through them.
//
// A record that claims to be young while no queue knows it (its bits are of another policy, or its queue was given up)
// is found out by its stamp: it does not lie between the oldest head's and now. Then it counts as one of the others.
const (
	youngBit   = 1 << 23
	touchedBit = 1 << 22
	countShift = 18
	countMax   = 15
	stampMask  = 1<<countShift - 1

	// A queue's entry is a hash that has a stamp in the place of bits 0-5, which say no more than the shard, and 30-41,
	// which lead to no bucket while a table has less than 2^22 segments.
	stampLow   = 6
	stampHigh  = 30
	entryLow   = 1<<stampLow - 1
	entryHigh  = (stampMask >> stampLow) << stampHigh
	hashMask   = ^uint64(entryLow | entryHigh)
	noHead     = 1 << 31 // of a queue without entries
	ticksATurn = 10      // a turn has less than 2^10 ticks, or one for each key that comes
	halfUses   = 10      // uses, for each record there is, after which a count is worth half,
	leastHalf  = 2       // but no sooner than in so many turns
	censusPart = 16      // a census is taken when this part of the keys has gone since the last,
	censusMin  = 64      // and so many at the least
)

// recall is what a shard remembers for these policies, guarded by its lock. The zero value is nothing.
type recall struct {
	young  history.Queue
	gone   history.Ghosts
	counts history.Sketch // of keys that are gone, for wtinylfu
	halved uint32         // periods that counts has been halved for
	keys   int            // records of the shard, about
	pushed int
	put    int   // keys put into gone since it has its size
	bytes  int64 // already added to queues.bytes
}

// queues is what the shards share. All of it is atomic.
type queues struct {
	heads   [Shards]atomic.Uint32 // stamp of the first entry of each shard's queue, or noHead
	waiting atomic.Int64          // entries in all queues
	bytes   atomic.Int64          // that the shards' recalls take
	came    atomic.Uint64         // keys
	tick    atomic.Uint32
	unit    atomic.Uint32 // log2 of the keys that come in a tick
	turn    atomic.Uint32 // ticks in which as many keys come as there are
	period  atomic.Uint32 // ticks in which a count loses half its worth
	full    atomic.Bool   // something had to go: until then the young need not go to make others young

	backYoung, backMain atomic.Int64 // keys that came back soon after they had gone from among the young, or the others
}

func (q *queues) init() {
	for i := range q.heads {
		q.heads[i].Store(noHead)
	}
	q.turn.Store(1 << ticksATurn) // until the first census
	q.period.Store(1 << ticksATurn)
}

// advance counts a key that comes and returns the time.
func (q *queues) advance() uint32 {
	if q.came.Add(1)&(1<<q.unit.Load()-1) == 0 {
		return q.tick.Add(1)
	}
	return q.tick.Load()
}

func ageOf(stamp, now uint32) uint32 { return (now - stamp) & stampMask }

// aged is the count of a state that was written when its stamp says, halved for every period that ended since.
func (q *queues) aged(state, now uint32) uint32 {
	count := state >> countShift & countMax
	age := ageOf(state, now)
	if age == 0 || count == 0 {
		return count
	}
	period := q.period.Load()
	return count >> min(now/period-(now-min(age, now))/period, 31)
}

// used is the state of a record after one use more.
func (q *queues) used(state uint32) uint32 {
	now := q.tick.Load()
	if state&youngBit != 0 {
		count := min(state>>countShift&countMax+1, countMax)
		return youngBit | touchedBit | count<<countShift | state&stampMask
	}
	return min(q.aged(state, now)+1, countMax)<<countShift | now&stampMask
}

// oldest is the shard whose queue's head has waited longest, and for how long; -1 where nothing waits.
func (q *queues) oldest() (shard int, age uint32) {
	shard, now := -1, q.tick.Load()
	for i := range q.heads {
		if stamp := q.heads[i].Load(); stamp != noHead {
			if a := ageOf(stamp, now); shard < 0 || a > age {
				shard, age = i, a
			}
		}
	}
	return shard, age
}

// queued tells whether records are to be queued: under noeviction, or without a bound, nothing ever goes.
func (l *Limits) queued() bool { return l.MaxMemory > 0 && l.Policy.Queued() }

func entryOf(hash uint64, stamp uint32) uint64 {
	s := uint64(stamp & stampMask)
	return hash&hashMask | s&entryLow | s>>stampLow<<stampHigh
}

func stampOf(entry uint64) uint32 {
	return uint32(entry&entryLow | (entry&entryHigh)>>stampHigh<<stampLow)
}

// enroll gives a new record its first state, and a place in its shard's queue if it is to be young.
func (tx *Tx) enroll(s *shard, h uint64, r *table.Entry) {
	e, l := tx.e, tx.e.Limits()
	q := &e.queues
	now := q.advance()
	word := uint32(1)<<countShift | now&stampMask
	r.SetClock(word)
	if !l.queued() {
		return
	}
	ghost, back := s.recall.gone.Take(h)
	if l.Policy.TinyLFU() {
		s.recall.halve(q, now)
		word = min(uint32(s.recall.counts.Estimate(h))+1, countMax)<<countShift | now&stampMask
		if back {
			q.tellBack(ghost, now)
		}
	} else if back && e.proven(s, tx.db, ghost, now) {
		return
	}
	if l.Policy.Volatile() && !r.Flag(table.FlagExpiry) {
		r.SetClock(word)
		return
	}
	r.SetClock(word | youngBit)
	e.push(s, shardOf(h), entryOf(h, now))
	s.recall.pushed++
	if s.recall.pushed%censusPart == 1 {
		if s.recall.keys = s.count(false); !q.full.Load() {
			s.recall.fit(shardOf(h), s.recall.keys, l.Policy.TinyLFU(), false)
			e.weigh(s)
		}
	}
	if n := s.recall.young.Len(); n > s.recall.keys+censusPart || !q.full.Load() && n > 1+s.recall.keys/youngPart {
		e.promote(s, shardOf(h)) // two, so that many get fewer
		e.promote(s, shardOf(h))
	}
}

// count is the number of the shard's records, or of those that expire.
func (s *shard) count(expiring bool) (n int) {
	for db := range s.dbs {
		if expiring {
			n += s.dbs[db].Expiring()
		} else {
			n += s.dbs[db].Len()
		}
	}
	return n
}

// push puts an entry into a shard's queue.
func (e *Engine) push(s *shard, i int, entry uint64) {
	s.recall.young.Push(entry)
	e.queues.waiting.Add(1)
	if s.recall.young.Len() == 1 {
		e.queues.heads[i].Store(stampOf(entry))
	}
	e.weigh(s)
}

// pop takes the first entry out of a shard's queue, which has one.
func (e *Engine) pop(s *shard, i int) {
	s.recall.young.Pop()
	e.queues.waiting.Add(-1)
	next := uint32(noHead)
	if entry, ok := s.recall.young.Peek(); ok {
		next = stampOf(entry)
	}
	e.queues.heads[i].Store(next)
	e.weigh(s)
}

// find positions r on the record that an entry stands for, and returns its database; false where it is gone, or young no
// longer.
func (s *shard) find(entry uint64, r *table.Entry) (db int, ok bool) {
	for db := range s.dbs {
		t := &s.dbs[db]
		if t.Len() > 0 && t.FindHash(entry, hashMask, r) {
			if state := r.Clock(); state&youngBit != 0 && (state^stampOf(entry))&stampMask == 0 {
				return db, true
			}
		}
	}
	return 0, false
}

// promote makes the shard's oldest young record one of the others.
func (e *Engine) promote(s *shard, i int) {
	entry, ok := s.recall.young.Peek()
	if !ok {
		return
	}
	e.pop(s, i)
	var r table.Entry
	if _, ok := s.find(entry, &r); ok {
		e.settleDown(&r)
	}
}

// settleDown makes a young record one of the others.
func (e *Engine) settleDown(r *table.Entry) {
	state := r.Clock()
	if state&touchedBit != 0 { // it was used since; when, nobody noted
		state = state&^stampMask | e.queues.tick.Load()&stampMask
	}
	r.SetClock(state &^ (youngBit | touchedBit))
}

// inherit gives a renamed or copied record the state of the one it comes from. What is young waits for itself.
func (tx *Tx) inherit(r *table.Entry, from uint32) {
	if !tx.e.Limits().Policy.Queued() {
		r.SetClock(from)
		return
	}
	count := from >> countShift & countMax << countShift
	if own := r.Clock(); own&youngBit != 0 && from&youngBit != 0 {
		r.SetClock(own&^(countMax<<countShift) | count)
	} else if own&youngBit == 0 {
		r.SetClock(own&stampMask | count)
	} else { // its entry in the queue is stale now
		r.SetClock(from)
	}
}

// remember notes a record that is about to be evicted.
func (e *Engine) remember(s *shard, l *Limits, h uint64, state uint32, origin uint8) {
	q, m := &e.queues, &s.recall
	now := q.tick.Load()
	m.fit(shardOf(h), s.count(false), l.Policy.TinyLFU(), true)
	m.put++
	g := history.Ghost{Stamp: state, Count: uint8(q.aged(state, now)), Origin: origin}
	if l.Policy.TinyLFU() {
		g.Stamp = now // it matters when it went
		m.halve(q, now)
		m.counts.Raise(h, g.Count)
	}
	m.gone.Put(h, now, g)
	e.weigh(s)
}

// fit makes room for what n keys need. Of the keys that are gone as many are remembered as there are; W-TinyLFU, which
// only learns from them, has enough of half as many, and counts besides. What it takes keys must give up once memory is
// full: then it grows with what goes, so that no one command has to evict for all of it.
func (m *recall) fit(shard, n int, tiny, full bool) {
	places, had := n, m.gone.Places()
	if tiny {
		places = (n + 1) / 2
	}
	switch {
	case had > places*3/2+censusPart: // too many
	case had >= places*3/4:
		return
	case full && m.put < had+censusPart+had*shard/Shards: // and not in all shards at one moment
		return
	case full:
		places = min(places, had+had/2+censusPart)
	}
	m.gone.Resize(places)
	m.counts.Resize(0)
	if tiny {
		m.counts.Resize(2 * places)
	}
	m.put = 0
}

// halve halves the counts of keys that are gone for every period that ended.
func (m *recall) halve(q *queues, now uint32) {
	period := now / q.period.Load()
	for n := min(period-min(m.halved, period), 4); n > 0; n-- { // a period that grew makes it less
		m.counts.Halve()
	}
	m.halved = period
}

// weigh tells queues what the shard's recall takes now.
func (e *Engine) weigh(s *shard) {
	m := &s.recall
	if n := m.young.Bytes() + m.gone.Bytes() + m.counts.Bytes(); n != m.bytes {
		e.queues.bytes.Add(n - m.bytes)
		m.bytes = n
	}
}

// forgetYoung gives up what a shard remembers.
func (e *Engine) forgetYoung(i int) {
	s := &e.shards[i]
	e.queues.waiting.Add(-int64(s.recall.young.Len()))
	e.queues.bytes.Add(-s.recall.bytes)
	e.queues.heads[i].Store(noHead)
	s.recall = recall{}
}

// tickQueues gives the memory back that these policies took, when another is chosen, and lets keys come in freely again
// when there is room.
func (e *Engine) tickQueues() {
	l, q := e.Limits(), &e.queues
	if !l.queued() {
		for i := range e.shards {
			if s := &e.shards[i]; q.bytes.Load() > 0 && s.mu.enter() == nil {
				if !e.Limits().queued() {
					e.forgetYoung(i)
				}
				s.mu.Unlock()
			}
		}
		return
	}
	if q.full.Load() && e.used.Load()+e.Overhead() < l.MaxMemory/8*7 {
		q.full.Store(false)
	}
}

// counted is the count of a state, as of now.
func (q *queues) counted(state uint32) uint32 {
	if state&youngBit != 0 {
		return state >> countShift & countMax
	}
	return q.aged(state, q.tick.Load())
}
