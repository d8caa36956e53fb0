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

const badCall = "ERR ratelimit: want one key, and cost, limit and window as positive numbers with cost <= limit"

// headLua is what both scripts share: it ends with the decision in locals.
const headLua = `
-- KEYS[1]  the log
-- ARGV[1]  cost: units asked for, 1 to limit
-- ARGV[2]  limit: units per window
-- ARGV[3]  window, in milliseconds
-- Returns  {1 if allowed else 0, units still free, ms until this would pass, ms until all is free}
local HEAD, ENTRY, CHUNK, SHORT, WRAP = 6, 12, 3078, 774, 281474976710656
if #KEYS ~= 1 or #ARGV ~= 3 then return redis.error_reply('` + badCall + `') end
for i = 1, 3 do
  if #ARGV[i] > 13 or not string.find(ARGV[i], '^[1-9]%d*$') then return redis.error_reply('` + badCall + `') end
end
local key, cost, limit, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if cost > limit then return redis.error_reply('` + badCall + `') end

local BROKEN = '` + notOurs + `'

local log = redis.call('GETRANGE', key, 0, CHUNK - 1)
local size = #log
if size == CHUNK then size = redis.call('STRLEN', key) end
if size > 0 and (size < HEAD + ENTRY or (size - HEAD) % ENTRY ~= 0) then
  return redis.error_reply(BROKEN)
end
local n = size > 0 and (size - HEAD) / ENTRY or 0

local function unpack48(s, at)
  local a, b, c, d, e, f = string.byte(s, at, at + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end
local function pack48(v)
  local s = ''
  for _ = 1, 6 do
    s = string.char(v % 256) .. s
    v = math.floor(v / 256)
  end
  return s
end

local base = n > 0 and unpack48(log, 1) or 0
-- time and units up to entry i, counted from 0
local function entry(i)
  local s, at = log, HEAD + ENTRY * i
  if size > CHUNK then
    s, at = redis.call('GETRANGE', key, at, at + ENTRY - 1), 0
  end
  return unpack48(s, at + 1), (unpack48(s, at + 7) - base) % WRAP
end

local t = redis.call('TIME')
local clock = t[1] * 1000 + math.floor(t[2] / 1000)
local now, last, used = clock, 0, 0
if n > 0 then last, used = entry(n - 1) end
if last > clock + window then
  n, last, used = 0, 0, 0
elseif last > clock then
  now = last
end
local ttl = now + window - clock

-- out: the number of entries that left the window; gone: their units
local out, hi, gone = 0, n, 0
while out < hi do
  local mid = math.floor((out + hi) / 2)
  local time, sum = entry(mid)
  if time <= now - window then
    out, gone = mid + 1, sum
  else
    hi = mid
  end
end
if gone > used or out < n and last <= now - window then return redis.error_reply(BROKEN) end
local free = limit - (used - gone)
local reset = out < n and last + window - clock or 0

if free < cost then
  -- the first entry with whose leaving enough is free
  local lo, hi, at = out, n - 1, last
  while lo < hi do
    local mid = math.floor((lo + hi) / 2)
    local time, sum = entry(mid)
    if sum >= used + cost - limit then
      hi, at = mid, time
    else
      lo = mid + 1
    end
  end
  if at <= now - window or at > last then return redis.error_reply(BROKEN) end
  return {0, math.max(free, 0), at + window - clock, reset}
end
`

// takeLua counts what passes.
const takeLua = headLua + `
if out == n then
  redis.call('SET', key, pack48(0) .. pack48(now) .. pack48(cost), 'PX', ttl)
  return {1, free - cost, 0, ttl}
end
local total = pack48((base + used + cost) % WRAP)
if size <= SHORT or out * 2 >= n then
  local first = pack48((base + gone) % WRAP)
  local stay = n
  if last == now then stay = n - 1 end
  local from, to, body = HEAD + ENTRY * out, HEAD + ENTRY * stay, ''
  if from < to then
    body = size > CHUNK and redis.call('GETRANGE', key, from, to - 1) or string.sub(log, from + 1, to)
  end
  redis.call('SET', key, first .. body .. pack48(now) .. total, 'PX', ttl)
else
  if last == now then
    redis.call('SETRANGE', key, size - 6, total)
  else
    redis.call('APPEND', key, pack48(now) .. total)
  end
  redis.call('PEXPIRE', key, ttl)
end
return {1, free - cost, 0, ttl}
`

const peekLua = headLua + `
return {1, free, 0, reset}
`

// The scripts of this package. They are constants in all but the language.
var (
	takeScript = &store.Script{Name: "ratelimit.take", Lua: takeLua, Go: take}
	peekScript = &store.Script{Name: "ratelimit.peek", Lua: peekLua, Go: peek, ReadOnly: true}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script { return []*store.Script{takeScript, peekScript} }

// window is the log as a decision sees it.
type window struct {
	tx   store.StringTx
	key  string
	log  []byte // the whole log, or its first chunk
	one  []byte // room for an entry of a longer one
	size int    // bytes of the whole log
	n    int    // entries
	base int64

	cost, limit, span int64 // arguments; span in ms
	clock, now, last  int64 // Unix ms; the store's clock, the time to count at, the newest entry's
	used, gone        int64 // units up to the newest entry; of the entries that are out
	out               int   // entries that are out
	free, reset       int64
}

// windows are for use again: a log's bytes would otherwise be garbage of every decision.
var windows = sync.Pool{New: func() any { return new(window) }}

func take(tx store.Tx, keys, args []string) store.Reply {
	w, _ := windows.Get().(*window)
	defer windows.Put(w)
	if r, done := w.decide(tx, keys, args); done {
		return r
	}
	ttl := w.now + w.span - w.clock
	if err := w.add(ttl); err != nil {
		return store.Fail(err)
	}
	return verdict(1, w.free-w.cost, 0, ttl)
}

func peek(tx store.Tx, keys, args []string) store.Reply {
	w, _ := windows.Get().(*window)
	defer windows.Put(w)
	if r, done := w.decide(tx, keys, args); done {
		return r
	}
	return verdict(1, w.free, 0, w.reset)
}

func verdict(allowed, remaining, retry, reset int64) store.Reply {
	return store.ArrayOf(store.Int(allowed), store.Int(remaining), store.Int(retry), store.Int(reset))
}

// decide reads the log. done is true when the answer is known: denied, or an error.
func (w *window) decide(tx store.Tx, keys, args []string) (r store.Reply, done bool) {
	*w = window{tx: store.StringsOf(tx), log: w.log[:0], one: w.one[:0]}
	if !w.parse(keys, args) {
		return store.Fail(store.ServerError(badCall)), true
	}
	if err := w.read(); err != nil {
		return store.Fail(err), true
	}
	w.clock = tx.Now().UnixMilli()
	w.now = w.clock
	if w.n > 0 {
		w.last, w.used = w.entry(w.n - 1)
	}
	if w.last > w.clock+w.span {
		w.n, w.last, w.used = 0, 0, 0
	} else if w.last > w.clock {
		w.now = w.last
	}
	for hi := w.n; w.out < hi; {
		mid := (w.out + hi) / 2
		if time, sum := w.entry(mid); time <= w.now-w.span {
			w.out, w.gone = mid+1, sum
		} else {
			hi = mid
		}
	}
	if w.gone > w.used || w.out < w.n && w.last <= w.now-w.span {
		return store.Fail(store.ServerError(notOurs)), true
	}
	w.free = w.limit - (w.used - w.gone)
	if w.out < w.n {
		w.reset = w.last + w.span - w.clock
	}
	if w.free >= w.cost {
		return store.Reply{}, false
	}
	at := w.enough()
	if at <= w.now-w.span || at > w.last {
		return store.Fail(store.ServerError(notOurs)), true
	}
	return verdict(0, max(w.free, 0), at+w.span-w.clock, w.reset), true
}

// parse reads the arguments. On a server they may come from anybody.
func (w *window) parse(keys, args []string) bool {
	if len(keys) != 1 || len(args) != 3 {
		return false
	}
	w.key, w.cost, w.limit, w.span = keys[0], atoi(args[0]), atoi(args[1]), atoi(args[2])
	return w.cost > 0 && w.limit > 0 && w.span > 0 && w.cost <= w.limit
}

// read fetches the log, or its first chunk.
func (w *window) read() (err error) {
	w.log, w.size, err = w.tx.GetRange(w.key, 0, chunkBytes, w.log)
	if err != nil || w.size == 0 {
		return err
	}
	if w.size < headBytes+entryBytes || (w.size-headBytes)%entryBytes != 0 {
		return store.ServerError(notOurs)
	}
	w.n = (w.size - headBytes) / entryBytes
	w.base = unpack48(w.log)
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

// enough is the time of the first entry with whose leaving the request would pass. The newest one always suffices, as
// cost <= limit.
func (w *window) enough() int64 {
	lo, hi, at := w.out, w.n-1, w.last
	for lo < hi {
		mid := (lo + hi) / 2
		if time, sum := w.entry(mid); sum >= w.used+w.cost-w.limit {
			hi, at = mid, time
		} else {
			lo = mid + 1
		}
	}
	return at
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
	var r store.Reply
	if w.last == w.now {
		r = w.tx.Do("SETRANGE", w.key, strconv.Itoa(w.size-6), string(w.one[6:]))
	} else {
		r = w.tx.Do("APPEND", w.key, string(w.one))
	}
	if r.Err() != nil {
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

// unpack48 reads a big-endian integer of 6 bytes.
func unpack48(s []byte) int64 {
	_ = s[5]
	return int64(s[0])<<40 | int64(s[1])<<32 | int64(s[2])<<24 | int64(s[3])<<16 | int64(s[4])<<8 | int64(s[5])
}

// pack48 appends v modulo 2^48.
func pack48(b []byte, v int64) []byte {
	return append(b, byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// atoi reads a positive number of at most 13 digits without leading zeros; anything else is 0.
func atoi(s string) (n int64) {
	if len(s) > 13 || s == "" || s[0] == '0' {
		return 0
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n
}
