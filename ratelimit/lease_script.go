package ratelimit

import (
	"sync"

	"github.com/larderdb/larder/store"
)

// Leases
//
// A key holds one string of 20 bytes for each lease that an id has, in the order of their beginning, integers big-endian:
//
//	token 8 | until 6 | units 6
//
// until is the Unix millisecond, by the store's clock, at which the lease ends by itself. A step reads the string, leaves
// out what has ended, and writes it anew with one SET, whose TTL is that of the longest lease: O(n) for n leases at once. A
// denial, and the end of a lease that is no more, write nothing.
//
// A clock that steps back (a failover) makes leases last longer by as much, never shorter: rather too few at once than too
// many.

const leaseBytes = 20

// maxLeases bounds an id's string: 80 KB.
const maxLeases = 4096

const (
	notLeases = "ERR ratelimit: the key holds something other than leases; use another Prefix or delete the key"
	badLease  = "ERR ratelimit: want one key, an operation, a token of 8 bytes, units, limit up to 2^40 and TTL"
)

const leaseLua = `
-- KEYS[1]  the leases
-- ARGV[1]  a: acquire, e: extend, r: release, p: peek
-- ARGV[2]  token, 8 bytes
-- ARGV[3]  units, 1 to limit; of an acquisition or peek
-- ARGV[4]  limit: units at once
-- ARGV[5]  TTL in milliseconds
-- Returns  {1 done or 0 not: denied, or there is no such lease; units free; ms until so many units would be, if none is
--          released before; ms until all leases have ended}
local ENTRY, MOST = 20, 4096
local BAD = '` + badLease + `'
local BROKEN = '` + notLeases + `'
if #KEYS ~= 1 or #ARGV ~= 5 or not string.find(ARGV[1], '^[aerp]$') or #ARGV[2] ~= 8 then return redis.error_reply(BAD) end
for i = 3, 5 do
  if #ARGV[i] > 13 or not string.find(ARGV[i], '^[1-9]%d*$') then return redis.error_reply(BAD) end
end
local key, op, token, cost, limit, ttl = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if cost > limit or limit > 2 ^ 40 or ttl > 3153600000000 then return redis.error_reply(BAD) end
local pack, unpack, max = struct.pack, struct.unpack, math.max
local t = redis.call('TIME')
local clock = t[1] * 1000 + math.floor(t[2] / 1000)
local text = redis.call('GETRANGE', key, '0', '81920')
if #text % ENTRY ~= 0 then return redis.error_reply(BROKEN) end

local live, used, longest, mine, units = {}, 0, 0, nil, 0 -- mine: place and units of the token's lease
for at = 1, #text, ENTRY do
  local whose, till, n = unpack('>c8I6I6', text, at)
  if till > clock + 7884000000000 then return redis.error_reply(BROKEN) end
  if till > clock then
    live[#live + 1], used, longest = string.sub(text, at, at + ENTRY - 1), used + n, max(longest, till)
    if whose == token then mine, units = #live, n end
  end
end
-- ms until so many units are free that nobody gives back
local function wait()
  local ends, rest = {}, used
  for i, lease in ipairs(live) do
    local till, n = unpack('>I6I6', lease, 9)
    ends[i] = {till = till, units = n}
  end
  table.sort(ends, function(a, b) return a.till < b.till end)
  for _, lease in ipairs(ends) do
    rest = rest - lease.units
    if limit - rest >= cost then return lease.till - clock end
  end
  return 0
end
local function answer(done)
  local retry = (limit - used < cost or #live >= MOST) and wait() or 0
  return {done, max(limit - used, 0), retry, max(longest - clock, 0)}
end
local free = limit - used >= cost and #live < MOST
if op == 'p' then return answer(free and 1 or 0) end
if op == 'a' and not free or op ~= 'a' and not mine then return answer(0) end
if op == 'a' then
  if mine then return redis.error_reply(BAD) end
  used, mine, units = used + cost, #live + 1, cost
end
if op == 'r' then
  table.remove(live, mine)
  used = used - units
else
  live[mine] = pack('>c8I6I6', token, clock + ttl, units)
end
longest = 0
for _, lease in ipairs(live) do
  longest = max(longest, (unpack('>I6', lease, 9)))
end
if #live == 0 then
  redis.call('DEL', key)
else
  redis.call('PSETEX', key, longest - clock, table.concat(live))
end
if op == 'a' then return {1, limit - used, 0, longest - clock} end
return answer(1)
`

var leaseScript = &store.Script{Name: "ratelimit.lease", Lua: leaseLua, Go: leaseStep}

// lease is an entry.
type lease struct {
	token string
	till  int64 // Unix ms
	units int64
}

// ledger is the leases of a key as a step sees them.
type ledger struct {
	tx                  store.StringTx
	key, op, token      string
	cost, limit, ttl    int64
	clock               int64
	text                []byte
	live                []lease
	used, longest, mine int64 // mine: place of the token's lease, -1 if there is none
}

var ledgers = sync.Pool{New: func() any { return new(ledger) }}

func leaseStep(tx store.Tx, keys, args []string) store.Reply {
	l, _ := ledgers.Get().(*ledger)
	defer ledgers.Put(l)
	if err := l.open(tx, keys, args); err != nil {
		return store.Fail(err)
	}
	free := l.limit-l.used >= l.cost && len(l.live) < maxLeases
	switch {
	case l.op == "p" && free:
		return l.answer(1)
	case l.op == "p", l.op == "a" && !free, l.op != "a" && l.mine < 0:
		return l.answer(0)
	case l.op == "a" && l.mine >= 0:
		return store.Fail(store.ServerError(badLease))
	case l.op == "a":
		l.live = append(l.live, lease{l.token, l.clock + l.ttl, l.cost})
		l.used += l.cost
		if r := l.save(); r.Err() != nil {
			return r
		}
		return store.ArrayOf(store.Int(1), store.Int(l.limit-l.used), store.Int(0), store.Int(l.longest-l.clock))
	case l.op == "e":
		l.live[l.mine].till = l.clock + l.ttl
	default:
		l.used -= l.live[l.mine].units
		l.live = append(l.live[:l.mine], l.live[l.mine+1:]...)
	}
	if r := l.save(); r.Err() != nil {
		return r
	}
	return l.answer(1)
}

func (l *ledger) open(tx store.Tx, keys, args []string) (err error) {
	*l = ledger{tx: store.StringsOf(tx), text: l.text[:0], live: l.live[:0], mine: -1}
	if len(keys) != 1 || len(args) != 5 || len(args[0]) != 1 || len(args[1]) != 8 {
		return store.ServerError(badLease)
	}
	l.key, l.op, l.token = keys[0], args[0], args[1]
	l.cost, l.limit, l.ttl = atoi(args[2]), atoi(args[3]), atoi(args[4])
	known := l.op == "a" || l.op == "e" || l.op == "r" || l.op == "p"
	if !known || l.cost == 0 || l.limit == 0 || l.ttl == 0 || l.cost > l.limit || l.limit > maxLimit || l.ttl > longestBlock {
		return store.ServerError(badLease)
	}
	l.clock = tx.Now().UnixMilli()
	if l.text, _, err = l.tx.GetRange(l.key, 0, leaseBytes*maxLeases+1, l.text); err != nil {
		return err
	}
	if len(l.text)%leaseBytes != 0 {
		return store.ServerError(notLeases)
	}
	for s := l.text; len(s) > 0; s = s[leaseBytes:] {
		till, units := unpack48(s[8:]), unpack48(s[14:])
		if till > l.clock+far {
			return store.ServerError(notLeases)
		}
		if till <= l.clock {
			continue
		}
		if string(s[:8]) == l.token {
			l.mine = int64(len(l.live))
		}
		l.live = append(l.live, lease{string(s[:8]), till, units})
		l.used += units
		l.longest = max(l.longest, till)
	}
	return nil
}

// save writes the leases.
func (l *ledger) save() store.Reply {
	l.longest = 0
	if len(l.live) == 0 {
		return l.tx.Do("DEL", l.key)
	}
	l.text = l.text[:0]
	for _, one := range l.live {
		l.text = pack48(pack48(append(l.text, one.token...), one.till), one.units)
		l.longest = max(l.longest, one.till)
	}
	return store.Fail(l.tx.SetString(l.key, l.text, l.longest-l.clock))
}

// answer is the reply of a step that is done, or not.
func (l *ledger) answer(done int64) store.Reply {
	retry := int64(0)
	if l.limit-l.used < l.cost || len(l.live) >= maxLeases {
		retry = l.wait()
	}
	return store.ArrayOf(store.Int(done), store.Int(max(l.limit-l.used, 0)), store.Int(retry), store.Int(max(l.longest-l.clock, 0)))
}

// wait is the ms until enough leases have ended by themselves.
func (l *ledger) wait() int64 {
	ends := append([]lease(nil), l.live...)
	sortByEnd(ends)
	rest := l.used
	for _, one := range ends {
		if rest -= one.units; l.limit-rest >= l.cost {
			return one.till - l.clock
		}
	}
	return 0
}
