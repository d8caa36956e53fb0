package ratelimit

import (
	"strconv"
	"sync"

	"github.com/larderdb/larder/store"
)

// The log
//
// A key holds one string: a head of 6 bytes and an entry of 12 bytes for each millisecond in which units passed,
// oldest first, integers big-endian:
//
//	base 6 | time 6, total 6 | time 6, total 6 | ...
//
// time is Unix milliseconds by the store's clock. total is the running sum of all units passed up to and including
// the entry; base is the sum before the first entry. Sums wrap at 2^48; as no two entries differ by more than the
// limit, differences modulo 2^48 are right.
//
// Running sums make everything a binary search: entries with time <= now-window are out, the units in the window are
// the difference of two totals, and the moment when k units will have left is the time of the first entry whose total
// is k above the sum before the window. A sorted set with a member per request, the usual way, needs a unique member
// for each, 4 to 6 commands per decision, and some 25 to 100 bytes per request; a list needs as many commands for an
// exact count.
//
// A decision reads the log's first 3 KiB, which is all of it up to 256 entries; in a longer one it reads single
// entries, O(log n) of them. A denied request and a peek write nothing. A short log, or one half of whose entries are
// out, is written anew without those; a long one gets an entry appended, so what a replica or a log file receives stays
// small too: amortised O(1) bytes per request.
//
// Several limits on one id share the log: it reaches back as far as the longest window, and each window is a search in it.
//
// A block (see block.go) is a trailer of 6 bytes, the Unix millisecond until which it lasts: a log's size modulo 12 tells
// whether it has one. The first entry after the block's end takes its place.
//
// What is not a log is found out by its length, or by the contradictions that a decision meets in it; it is refused, and
// nothing is written.
//
// Time never runs backwards within a log: if the store's clock did (a failover), requests count as of the last entry's
// time, and wait until the clock has caught up; a log from more than a window ahead is not believed and begins anew. So
// nobody is locked out for longer than two windows.

const (
	headBytes  = 6
	entryBytes = 12
	chunkBytes = headBytes + 256*entryBytes // read at once
	shortBytes = headBytes + 64*entryBytes  // always written anew: one command instead of two
	wrap       = 1 << 48
)

const notOurs = "ERR ratelimit: the key holds something other than a log of requests; use another Prefix or delete the key"

const badCall = "ERR ratelimit: want one key, and one argument of a cost and of rules of a log, with cost <= limit"

// The scripts of the log. They are constants in all but the language.
var (
	takeScript   = &store.Script{Name: "ratelimit.take", Lua: takeLua, Go: take}
	peekScript   = &store.Script{Name: "ratelimit.peek", Lua: peekLua, Go: peek, ReadOnly: true}
	refundScript = &store.Script{Name: "ratelimit.refund", Lua: refundLua, Go: refund}
)

// span is a rule as the log sees it: so many units in so many milliseconds.
type span struct{ limit, millis int64 }

// window is the log as a decision sees it.
type window struct {
	tx   store.StringTx
	key  string
	log  []byte // the whole log, or its first chunk
	one  []byte // room for an entry of a longer one
	size int    // bytes of the whole log, without the trailer
	n    int    // entries
	base int64

	cost, span       int64 // units asked for; ms of the longest window
	spans            []span
	clock, now, last int64 // Unix ms; the store's clock, the time to count at, the newest entry's
	till             int64 // Unix ms until which the id is blocked
	used, gone       int64 // units up to the newest entry; of the entries that left the longest window
	out              int   // entries that left the longest window
}

// windows are for use again: a log's bytes would otherwise be garbage of every decision.
var windows = sync.Pool{New: func() any { return new(window) }}

func take(tx store.Tx, keys, args []string) store.Reply {
	w, _ := windows.Get().(*window)
	defer windows.Put(w)
	reply, pass := w.decide(tx, keys, args)
	if !pass {
		return reply.done()
	}
	for i, s := range w.spans {
		reply.list[1+3*i] = store.Int(reply.units[i] - w.cost)
		reply.list[3+3*i] = store.Int(w.now + s.millis - w.clock)
	}
	if err := w.add(w.now + w.span - w.clock); err != nil {
		return store.Fail(err)
	}
	return reply.done()
}

func peek(tx store.Tx, keys, args []string) store.Reply {
	w, _ := windows.Get().(*window)
	defer windows.Put(w)
	reply, _ := w.decide(tx, keys, args)
	return reply.done()
}

// verdict is a decision's reply in the making.
type verdict struct {
	list  []store.Reply
	state int64           // 1 allowed, 0 denied, -1 blocked
	rest  int64           // ms of a block
	units [maxRules]int64 // what is free, by rule
	err   error
}

func newVerdict(rules int, block int64) verdict {
	v := verdict{list: make([]store.Reply, 1, 1+3*rules), state: 1, rest: max(block, 0)}
	if v.rest > 0 {
		v.state = -1
	}
	return v
}

// add is a rule's part: units that are free, and ms until the request would pass and until all is free.
func (v *verdict) add(i int, free, retry, reset int64) {
	v.units[i] = free
	if retry > 0 {
		v.state = min(v.state, 0)
	}
	if v.rest > 0 {
		free = 0
	}
	v.list = append(v.list, store.Int(max(free, 0)), store.Int(max(retry, v.rest)), store.Int(max(reset, v.rest)))
}

func (v *verdict) done() store.Reply {
	if v.err != nil {
		return store.Fail(v.err)
	}
	v.list[0] = store.Int(v.state)
	return store.ArrayOf(v.list...)
}

// decide reads the log. pass is true where the request passes all rules.
func (w *window) decide(tx store.Tx, keys, args []string) (v verdict, pass bool) {
	if v.err = w.open(tx, keys, args); v.err != nil {
		return v, false
	}
	v = newVerdict(len(w.spans), w.till-w.clock)
	for i, s := range w.spans {
		past, units := w.before(w.now - s.millis)
		if units > w.used || past < w.n && w.last <= w.now-s.millis {
			v.err = store.ServerError(notOurs)
			return v, false
		}
		if s.millis == w.span {
			w.out, w.gone = past, units
		}
		free, retry, reset := s.limit-(w.used-units), int64(0), int64(0)
		if past < w.n {
			reset = w.last + s.millis - w.clock
		}
		if free < w.cost {
			_, at := w.reaching(past, w.used+w.cost-s.limit)
			if at <= w.now-s.millis || at > w.last {
				v.err = store.ServerError(notOurs)
				return v, false
			}
			retry = at + s.millis - w.clock
		}
		v.add(i, free, retry, reset)
	}
	return v, v.state == 1
}

// open reads arguments, log and clock.
func (w *window) open(tx store.Tx, keys, args []string) error {
	*w = window{tx: store.StringsOf(tx), log: w.log[:0], one: w.one[:0], spans: w.spans[:0]}
	if !w.parse(keys, args) {
		return store.ServerError(badCall)
	}
	if err := w.read(); err != nil {
		return err
	}
	w.clock = tx.Now().UnixMilli()
	w.now = w.clock
	if w.till > w.clock+far {
		return store.ServerError(notOurs)
	}
	if w.n > 0 {
		w.last, w.used = w.entry(w.n - 1)
	}
	if w.last > w.clock+w.span {
		w.n, w.last, w.used = 0, 0, 0
	} else if w.last > w.clock {
		w.now = w.last
	}
	return nil
}

// parse reads the arguments.
func (w *window) parse(keys, args []string) bool {
	rules, cost := readAsk(keys, args)
	if rules == "" || cost == 0 {
		return false
	}
	w.key, w.cost = keys[0], cost
	for ; rules != ""; rules = rules[slotBytes:] {
		s := span{unpack56(rules[1:]), unpack56(rules[8:])}
		if rules[0] != 'l' || s.limit < cost || s.limit > maxLimit || unpack56(rules[15:]) != s.limit || s.millis == 0 || s.millis >= wrap {
			return false
		}
		w.spans = append(w.spans, s)
		w.span = max(w.span, s.millis)
	}
	return true
}

// read fetches the log, or its first chunk.
func (w *window) read() (err error) {
	w.log, w.size, err = w.tx.GetRange(w.key, 0, chunkBytes, w.log)
	if err != nil || w.size == 0 {
		return err
	}
	if w.size%entryBytes == 0 {
		w.size -= trailerBytes
		trailer := w.log[min(w.size, len(w.log)):]
		if len(trailer) < trailerBytes {
			if w.one, _, err = w.tx.GetRange(w.key, w.size, trailerBytes, w.one[:0]); err != nil {
				return err
			}
			trailer = w.one
		}
		w.till = unpack48(trailer)
	} else if w.size == headBytes {
		return store.ServerError(notOurs)
	}
	if w.size < headBytes || (w.size-headBytes)%entryBytes != 0 {
		return store.ServerError(notOurs)
	}
	if w.n = (w.size - headBytes) / entryBytes; w.n > 0 {
		w.base = unpack48(w.log)
	}
	return nil
}

// entry gives time and units up to entry i.
func (w *window) entry(i int) (time, sum int64) {
	at := headBytes + entryBytes*i
	s := w.log
	if w.size > chunkBytes {
		w.one, _, _ = w.tx.GetRange(w.key, at, entryBytes, w.one[:0])
		s, at = w.one, 0
	}
	if len(s) < at+entryBytes {
		return 0, 0 // cannot be: the size was checked under the same lock
	}
	return unpack48(s[at:]), (unpack48(s[at+6:]) - w.base) & (wrap - 1)
}

// before gives the number of entries with time <= past, and their units.
func (w *window) before(past int64) (lo int, units int64) {
	for hi := w.n; lo < hi; {
		mid := (lo + hi) / 2
		if time, sum := w.entry(mid); time <= past {
			lo, units = mid+1, sum
		} else {
			hi = mid
		}
	}
	return lo, units
}

// reaching gives place and time of the first entry, from lo on, up to which at least so many units passed. Where they
// are no more than used, the newest entry always suffices.
func (w *window) reaching(lo int, units int64) (place int, at int64) {
	hi, at := w.n-1, w.last
	for lo < hi {
		mid := (lo + hi) / 2
		if time, sum := w.entry(mid); sum >= units {
			hi, at = mid, time
		} else {
			lo = mid + 1
		}
	}
	return lo, at
}

// add counts the request. ttl is the key's, in ms.
func (w *window) add(ttl int64) error {
	total := w.base + w.used + w.cost
	switch {
	case w.out == w.n:
		w.log = pack48(pack48(pack48(w.log[:0], 0), w.now), w.cost)
		return w.tx.SetString(w.key, w.log, ttl)
	case w.size <= shortBytes || w.out*2 >= w.n:
		return w.rewrite(total, ttl)
	}
	w.one = pack48(pack48(w.one[:0], w.now), total)
	at, text := w.size, w.one
	if w.last == w.now {
		at, text = w.size-6, w.one[6:]
	}
	if r := w.tx.Do("SETRANGE", w.key, strconv.Itoa(at), string(text)); r.Err() != nil {
		return r.Err()
	}
	return w.tx.Do("PEXPIRE", w.key, strconv.FormatInt(ttl, 10)).Err()
}

// rewrite stores the log without the entries that are out.
func (w *window) rewrite(total, ttl int64) (err error) {
	from, to := headBytes+entryBytes*w.out, w.size
	if w.last == w.now {
		to -= entryBytes
	}
	switch {
	case from >= to:
		w.log = w.log[:headBytes]
	case w.size > chunkBytes:
		if w.log, _, err = w.tx.GetRange(w.key, from, to-from, w.log[:headBytes]); err != nil {
			return err
		}
	default:
		w.log = append(w.log[:headBytes], w.log[from:to]...) // to the left, over what is out
	}
	pack48(w.log[:0], w.base+w.gone)
	w.log = pack48(pack48(w.log, w.now), total)
	return w.tx.SetString(w.key, w.log, ttl)
}

// refund takes units off the newest entries, and cuts off what is out.
func refund(tx store.Tx, keys, args []string) store.Reply {
	w, _ := windows.Get().(*window)
	defer windows.Put(w)
	if err := w.open(tx, keys, args); err != nil {
		return store.Fail(err)
	}
	past, gone := w.before(w.now - w.span)
	if gone > w.used || past < w.n && w.last <= w.now-w.span {
		return store.Fail(store.ServerError(notOurs))
	}
	back, ttl := min(w.cost, w.used-gone), max(w.till-w.clock, 0)
	if back == 0 {
		return store.Int(0)
	}
	if back == w.used-gone {
		if ttl == 0 {
			return countOr(tx.Do("DEL", w.key), back)
		}
		w.log = pack48(w.log[:0], w.base+gone)
	} else {
		keep, at := w.reaching(past, w.used-back)
		if at <= w.now-w.span || at > w.last {
			return store.Fail(store.ServerError(notOurs))
		}
		from, n := headBytes+entryBytes*past, entryBytes*(keep-past)+6
		var err error
		if w.log, _, err = w.tx.GetRange(w.key, from, n, pack48(w.log[:0], w.base+gone)); err != nil {
			return store.Fail(err)
		}
		w.log = pack48(w.log, w.base+w.used-back)
		ttl = max(ttl, at+w.span-w.clock)
	}
	if w.till > w.clock {
		w.log = pack48(w.log, w.till)
	}
	if err := w.tx.SetString(w.key, w.log, ttl); err != nil {
		return store.Fail(err)
	}
	return store.Int(back)
}

// countOr is n, or the failure of the command before.
func countOr(r store.Reply, n int64) store.Reply {
	if r.Err() != nil {
		return r
	}
	return store.Int(n)
}

// unpack48 reads a big-endian integer of 6 bytes.
func unpack48(s []byte) int64 {
	_ = s[5]
	return int64(s[0])<<40 | int64(s[1])<<32 | int64(s[2])<<24 | int64(s[3])<<16 | int64(s[4])<<8 | int64(s[5])
}

// pack48 appends v modulo 2^48.
func pack48(b []byte, v int64) []byte {
	return append(b, byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// atoi reads a number of a script's arguments; 0 is none.
func atoi(s string) int64 {
	n, _ := store.Positive(s, 13)
	return n
}
