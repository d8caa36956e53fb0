package engine

import (
	"math"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/mem/table"
)

// The access clock of a record is 24 bits, as in Redis. Under an LRU policy it
// is the time of the last access in seconds; under an LFU policy the high 16
// bits are the time of the last decay in minutes and the low 8 a logarithmic
// counter of accesses (Morris, "Counting large numbers of events in small
// registers", 1978), which starts at lfuInit so that a new key is not the first
// to go.
const (
	clockMask = 1<<24 - 1
	lfuInit   = 5
)

// touch marks an access, if it would change what is there: reading a hot key
// does not write to its cache line more than once a second.
func (tx *Tx) touch(e *table.Entry) {
	if tx.NoTouch {
		return
	}
	l := tx.e.Limits()
	old := e.Clock()
	now := tx.e.lruSeconds()
	if l.Policy.Counts() {
		if l.Policy.Queued() {
			now = tx.e.queues.used(old)
		} else {
			now = tx.e.lfuAccess(old, l)
		}
	}
	if now != old {
		e.SetClock(now)
	}
}

// stamp gives a new record its access clock.
func (tx *Tx) stamp(s *shard, h uint64, r *table.Entry) {
	if tx.e.Limits().Policy.Queued() {
		tx.enroll(s, h, r)
		return
	}
	r.SetClock(tx.e.newClock())
}

// newClock is the access clock of a new record, unless records are queued.
func (e *Engine) newClock() uint32 {
	if e.Limits().Policy.LFU() {
		return e.lfuMinutes()<<8 | lfuInit
	}
	return e.lruSeconds()
}

// lfuMinutes is the clock in minutes, 16 bits.
func (e *Engine) lfuMinutes() uint32 { return e.seconds.Load() / 60 & 0xffff }

// lruSeconds is the clock in seconds, 24 bits: it wraps after 194 days.
func (e *Engine) lruSeconds() uint32 { return e.seconds.Load() & clockMask }

// lfuDecayed is the access counter of a clock after the decay that is due.
func (e *Engine) lfuDecayed(clock uint32, l *Limits) uint32 {
	count := clock & 0xff
	if l.LFUDecay == 0 {
		return count
	}
	elapsed := (e.lfuMinutes() - clock>>8) & 0xffff
	periods := elapsed / uint32(l.LFUDecay)
	if periods >= count {
		return 0
	}
	return count - periods
}

func (e *Engine) lfuAccess(clock uint32, l *Limits) uint32 {
	count := e.lfuDecayed(clock, l)
	if count < 255 {
		base := max(float64(count)-lfuInit, 0)
		p := 1 / (base*float64(l.LFULog) + 1)
		if float64(e.Random()>>11)/(1<<53) < p {
			count++
		}
	}
	return e.lfuMinutes()<<8 | count
}

// AccessClock is the coarse clock that accesses are stamped with: seconds, 24 bits.
func (e *Engine) AccessClock() uint32 { return e.lruSeconds() }

// Idle is how long ago a record was touched, in seconds: OBJECT IDLETIME.
func (e *Engine) Idle(r *table.Entry) int64 {
	return int64((e.lruSeconds() - r.Clock()) & clockMask)
}

// Frequency is the access counter of a record, logarithmic under LFU, from 0 to 15 under policies that queue: OBJECT FREQ.
func (e *Engine) Frequency(r *table.Entry) int64 {
	if e.Limits().Policy.Queued() {
		return int64(e.queues.counted(r.Clock()))
	}
	return int64(e.lfuDecayed(r.Clock(), e.Limits()))
}

// SetIdle makes a record look as if it was touched so many seconds ago.
func (e *Engine) SetIdle(r *table.Entry, seconds int64) {
	r.SetClock(uint32(int64(e.lruSeconds())-seconds) & clockMask)
}

// SetFrequency sets the access counter of a record, 0 to 255.
func (e *Engine) SetFrequency(r *table.Entry, n uint8) {
	if e.Limits().Policy.Queued() {
		r.SetClock(r.Clock()&^(countMax<<countShift) | uint32(min(n, countMax))<<countShift)
		return
	}
	r.SetClock(e.lfuMinutes()<<8 | uint32(n))
}

// coldness ranks a record for eviction: the greater the sooner it goes.
func (e *Engine) coldness(r *table.Entry, l *Limits) int64 {
	switch {
	case l.Policy == config.VolatileTTL:
		return math.MaxInt64 - r.Expiry()
	case l.Policy.LFU():
		return 255 - int64(e.lfuDecayed(r.Clock(), l))
	}
	return e.Idle(r)
}

// Peek returns the record of a key, also when its time has come, and leaves no trace: DEBUG OBJECT. The shard is locked.
func (tx *Tx) Peek(key []byte) *table.Entry {
	h := tx.hash(key)
	if e := tx.entry(); tx.shard(h).dbs[tx.db].Find(h, key, e) {
		return e
	}
	return nil
}
