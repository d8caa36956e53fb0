package ratelimit

import (
	"sync"

	"github.com/larderdb/larder/store"
)

// Meters
//
// All algorithms but the log keep three numbers per rule. A key holds a slot of 22 bytes for each rule of an id, in the
// order of the plan, integers big-endian:
//
//	kind 1 | a 7 | b 7 | c 7
//
//	b  token bucket     a: Unix ms of the last change; b, c: units used up then, whole and the rest
//	g  GCRA             a: Unix ms when all will be free (the theoretical arrival time), b: what is left of a ms
//	f  fixed window     a: Unix ms at which the window began; b: units in it
//	s  sliding counter  likewise; c: units in the window before
//
// A decision reads the key, works out every rule, and writes all slots with one SET if all pass; a denial and a peek
// write nothing. A slot of another kind than the rule's, or that is missing, because the plan has changed, counts as
// unused. Where only numbers of the plan have changed, counts stay: units in all but GCRA, which keeps the time.
//
// What a script is asked comes in one argument: units in 7 bytes, and for each rule a slot of kind, limit, window in ms and
// burst. Lua unpacks it at once, where numbers as text would each have to be checked and converted.
//
// Bucket and GCRA decide alike. The level is what was used and has not come back, in units times milliseconds, so that what
// comes back in a millisecond is exactly limit: there is no rounding, nor anything that Lua's doubles and Go's integers could
// see differently. A burst of less than comes back in a millisecond would waste the rest.
//
// The sliding counter weighs the window before by the part of it that the sliding window still covers. This assumes that
// its units came evenly. At worst all came at its end: then up to limit*(1+x) units pass within a window, x being the part
// of the present window that is over; less than twice the limit. Windows begin at multiples of their length since 1970.
//
// Time does not run back: where the store's clock did (a failover), windows and buckets stand still until it has caught up,
// and what lies further ahead than a window, or than a bucket takes to empty (for GCRA: twice that), is not believed.

const (
	slotBytes = 22
	costBytes = 7
	exact     = 1 << 50          // units times milliseconds that buckets compute with
	whole     = 1 << 52          // likewise sliding counters
	mostMeter = 16*slotBytes + 6 // bytes of a key with the most rules and a block
	maxValue  = 1 << 50          // of a slot
)

const notMeters = "ERR ratelimit: the key holds something other than meters; use another Prefix or delete the key"

const badMeterCall = "ERR ratelimit: want one key, and one argument of a cost and of rules of kind, limit, window and burst, with cost <= burst"

// The scripts of the meters. They are constants in all but the language.
var (
	measureScript = &store.Script{Name: "ratelimit.measure", Lua: measureLua, Go: measure}
	glanceScript  = &store.Script{Name: "ratelimit.glance", Lua: glanceLua, Go: glance, ReadOnly: true}
	restoreScript = &store.Script{Name: "ratelimit.restore", Lua: restoreLua, Go: restore}
)

// meter is a rule with what is counted for it.
type meter struct {
	kind                 byte
	limit, window, burst int64 // window in ms

	// of windows, in ms
	start, into int64 // Unix ms at which the window began; how much of it is over
	cur, prev   int64 // units in it, and in the one before

	// of buckets
	now        int64 // Unix ms
	level, cap int64 // units times ms

	wait int64 // ms by which the clock is behind
}

// board is all meters of a key as a decision sees them.
type board struct {
	tx     store.StringTx
	key    string
	text   []byte
	size   int // bytes of the slots
	cost   int64
	meters []meter
	clock  int64 // the store's, Unix ms
	till   int64 // Unix ms until which the id is blocked
}

var boards = sync.Pool{New: func() any { return new(board) }}

func measure(tx store.Tx, keys, args []string) store.Reply {
	b, _ := boards.Get().(*board)
	defer boards.Put(b)
	v, pass := b.decide(tx, keys, args)
	if !pass {
		return v.done()
	}
	ttl := int64(1)
	b.text = b.text[:0]
	for i := range b.meters {
		m := &b.meters[i]
		m.add(b.cost)
		reset := m.reset()
		v.list[1+3*i], v.list[3+3*i] = store.Int(v.units[i]-b.cost), store.Int(reset)
		ttl = max(ttl, reset)
		b.text = m.slot(b.text)
	}
	if err := b.tx.SetString(b.key, b.text, ttl); err != nil {
		return store.Fail(err)
	}
	return v.done()
}

func glance(tx store.Tx, keys, args []string) store.Reply {
	b, _ := boards.Get().(*board)
	defer boards.Put(b)
	v, _ := b.decide(tx, keys, args)
	return v.done()
}

// restore gives units back.
func restore(tx store.Tx, keys, args []string) store.Reply {
	b, _ := boards.Get().(*board)
	defer boards.Put(b)
	if err := b.open(tx, keys, args); err != nil {
		return store.Fail(err)
	}
	if b.size == 0 {
		return store.Int(0)
	}
	ttl := int64(0)
	b.text = b.text[:0]
	for i := range b.meters {
		m := &b.meters[i]
		m.add(-b.cost)
		ttl = max(ttl, m.reset())
		b.text = m.slot(b.text)
	}
	if b.till > b.clock {
		ttl = max(ttl, b.till-b.clock)
		b.text = pack48(b.text, b.till)
	}
	if ttl == 0 {
		return countOr(tx.Do("DEL", b.key), 1)
	}
	if err := b.tx.SetString(b.key, b.text, ttl); err != nil {
		return store.Fail(err)
	}
	return store.Int(1)
}

func (b *board) decide(tx store.Tx, keys, args []string) (v verdict, pass bool) {
	if v.err = b.open(tx, keys, args); v.err != nil {
		return v, false
	}
	v = newVerdict(len(b.meters), b.till-b.clock)
	for i := range b.meters {
		m := &b.meters[i]
		free, retry := m.free(b.cost)
		v.add(i, free, retry, m.reset())
	}
	return v, v.state == 1
}

// open reads arguments, clock and slots.
func (b *board) open(tx store.Tx, keys, args []string) (err error) {
	*b = board{tx: store.StringsOf(tx), text: b.text[:0], meters: b.meters[:0]}
	rules, cost := readAsk(keys, args)
	if rules == "" {
		return store.ServerError(badMeterCall)
	}
	b.key, b.cost, b.clock = keys[0], cost, tx.Now().UnixMilli()
	if b.text, _, err = b.tx.GetRange(b.key, 0, mostMeter+1, b.text); err != nil {
		return err
	}
	b.size = len(b.text)
	if b.size%slotBytes == trailerBytes {
		b.size -= trailerBytes
		b.till = unpack48(b.text[b.size:])
	}
	if b.size%slotBytes != 0 || b.size > maxRules*slotBytes || b.till > b.clock+far {
		return store.ServerError(notMeters)
	}
	for at := 0; at < len(rules); at += slotBytes {
		m, ok := readMeter(rules[at:at+slotBytes], cost)
		if !ok {
			return store.ServerError(badMeterCall)
		}
		if !b.read(&m, at) {
			return store.ServerError(notMeters)
		}
		b.meters = append(b.meters, m)
	}
	return nil
}

// readAsk reads what is asked of a script: rules, and their number of units. On a server it may come from anybody; rules is
// empty where it makes no sense.
func readAsk(keys, args []string) (rules string, cost int64) {
	if len(keys) != 1 || len(args) != 1 {
		return "", 0
	}
	size := len(args[0]) - costBytes
	if size <= 0 || size > maxRules*slotBytes || size%slotBytes != 0 {
		return "", 0
	}
	return args[0][costBytes:], unpack56(args[0])
}

// readMeter reads a rule.
func readMeter(rule string, cost int64) (m meter, ok bool) {
	m = meter{kind: rule[0], limit: unpack56(rule[1:]), window: unpack56(rule[8:]), burst: unpack56(rule[15:])}
	highest := max(m.limit, m.burst)
	switch {
	case cost == 0 || cost > m.burst || m.limit == 0 || m.window == 0 || highest >= maxValue || m.window >= maxValue:
		return m, false
	case m.windowed() && m.limit != m.burst:
		return m, false
	}
	return m, highest <= most(m.kind, m.window)
}

// most is the highest limit and burst for a window, so that all products are exact; 0 for an unknown kind.
func most(kind byte, window int64) int64 {
	switch kind {
	case 'b', 'g':
		return (exact - 1) / window
	case 's':
		return (whole - 1) / window
	case 'f':
		return maxValue
	}
	return 0
}

// read fills a meter from its slot.
func (b *board) read(m *meter, at int) bool {
	var x, y, z int64
	if at < b.size {
		s := b.text[at : at+slotBytes]
		x, y, z = unpack56(s[1:]), unpack56(s[8:]), unpack56(s[15:])
		if most(s[0], 1) == 0 || max(x, y, z) >= maxValue {
			return false
		}
		if s[0] != m.kind {
			x, y, z = 0, 0, 0
		}
	}
	if m.windowed() {
		m.readWindow(b.clock, x, y, z)
	} else {
		m.readBucket(b.clock, x, y, z)
	}
	return true
}

// unpack56 reads a big-endian integer of 7 bytes.
func unpack56[T string | []byte](s T) int64 {
	_ = s[6]
	return int64(s[0])<<48 | int64(s[1])<<40 | int64(s[2])<<32 | int64(s[3])<<24 | int64(s[4])<<16 | int64(s[5])<<8 | int64(s[6])
}

// pack56 appends v modulo 2^56.
func pack56(b []byte, v int64) []byte { return pack48(append(b, byte(v>>48)), v) }

// packSlot appends a slot.
func packSlot(b []byte, kind byte, x, y, z int64) []byte {
	return pack56(pack56(pack56(append(b, kind), x), y), z)
}
