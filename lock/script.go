package lock

import "github.com/larderdb/larder/store"

// What the store keeps of a lock
//
// Two keys, which share a hash tag. The head is a string that every step reads and most write: the letter L, and numbers of
// eight bytes each (a double, big-endian: what struct.pack writes everywhere alike, and Lua reads without making a string of
// each). Of a lock that nobody has and nobody waits for it is the letter and
//
//	token     the last fencing token given
//
// and otherwise there follow
//
//	expiry    of the exclusive holder's lease, and
//	since     when it holds, in Unix milliseconds; 0 without one
//	claimed   1 while that lease is a claim: given to a waiter that has not yet been heard of
//	shared    the number of shared holders
//	earliest  a time before which none of their leases ends
//	next,last the tickets of the queue: the next to be served, and the last given; empty where next > last
//	holder    the exclusive holder's id, or nothing: not a number, but the rest
//
// The body is a hash with what is only there while it is needed: a field "h<id>" for each shared holder (expiry, token,
// since, claimed), a field "w<ticket>" for each waiter (until when it counts as alive, capacity, length of its claim in
// ms, and behind these numbers its id). So a lock that nobody waits for is one small string, and an uncontended step reads
// and writes that string alone; joining the queue, leaving it and serving it are O(1).
//
// An id begins with the mode (x exclusive, s shared, l a leader: exclusive, and announced), then comes the client, a
// dot, and the client's own number. There is one rule of admission. An exclusive holder wants nobody else; a shared one
// wants no exclusive holder and less than its capacity of shared ones. A mutex is exclusive, a semaphore is shared with
// a capacity of n, a read-write lock is both. As the queue is served strictly from its head, a writer that waits is
// passed by no reader.
//
// Serving gives the lock to the waiter at the head by the same step that freed it: the waiter is told by a message to
// its client's channel, with its token, and holds the lock already. What it is given first is a claim, shorter than a
// lease, so that a waiter that has died delays those behind it by no more than that. The client's first extension makes
// it a lease. A claim that lapses costs the client its other places in the queue: it is dead, or might as well be.
//
// Tokens are the store's clock in microseconds, or one more than the last token where that is greater. So they grow even
// after the head was lost (its time to live passed, it was evicted, a failover dropped the last grants), where a counter
// would begin anew, as long as clocks differ by less than the time in between.
//
// Leases end by the store's clock and by nothing else: no key expires with them. Who comes next, or waits, takes away
// what is over.

// Limits: beyond them a head is not ours. They keep numbers exact in Lua and loops short.
const (
	maxNumber = 9_000_000_000_000_000
	maxQueue  = 1_000_000 // tickets between next and last
	maxHead   = 512       // bytes
	maxID     = 256       // bytes
)

// Sizes in bytes.
const (
	wide     = 8        // of a number
	freeHead = 1 + wide // of a head with nothing but a token
	fullHead = 1 + 8*wide
)

const noNumber = "\x00\x00\x00\x00\x00\x00\x00\x00" // 0, packed

const (
	notOurs = "ERR lock: the key holds something other than a lock; use another Prefix or delete the key"
	badCall = "ERR lock: malformed call"
)

// A script that changes a lock is put together from pieces: openLua checks the call and reads the head; then comes the usual
// case, where nobody else wants the lock; then functionsLua, which alone would cost as much as that case does, and what is
// particular to the script.

// openLua begins every script that changes a lock.
const openLua = `
-- KEYS[1]  the head, KEYS[2]  the body
-- ARGV[1]  id of who calls, which begins with the mode: x, s or l
-- ARGV[2]  ms to keep the last token after the last step, 0 for ever
-- ARGV[3]  numbers, packed: the script's own
-- ARGV[4]  what the channels of clients begin with
local key, body, id, keep, numbers, wake = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local mode = id and string.byte(id)
if #KEYS ~= 2 or #ARGV ~= 4 or #id < 2 or #id > 256 or mode ~= 120 and mode ~= 115 and mode ~= 108 or #numbers ~= size
  or keep ~= '0' and (#keep > 15 or not string.find(keep, '^[1-9]%d*$')) then
  return redis.error_reply('` + badCall + `')
end

local token, expiry, since, claimed, shared, earliest, first, last, holder = 0, 0, 0, 0, 0, 0, 1, 0, ''
local was = redis.call('GET', key)
if was then
  local letter
  local sound, most = true, 9000000000000000
  if #was == 9 then
    letter, token = struct.unpack('>Bd', was)
  elseif #was >= 65 and #was <= 512 then
    letter, token, expiry, since, claimed, shared, earliest, first, last = struct.unpack('>Bdddddddd', was)
    holder = string.sub(was, 66)
    sound = expiry >= 0 and expiry <= most and expiry % 1 == 0 and since >= 0 and since <= most and since % 1 == 0
      and (claimed == 0 or claimed == 1) and shared >= 0 and shared <= most and shared % 1 == 0
      and earliest >= 0 and earliest <= most and earliest % 1 == 0 and first >= 0 and first <= most and first % 1 == 0
      and last >= 0 and last <= most and last % 1 == 0 and last - first <= 1000000
  end
  if letter ~= 76 or not (sound and token >= 0 and token <= most and token % 1 == 0) then
    return redis.error_reply('` + notOurs + `')
  end
else
  redis.call('DEL', body) -- what is left of a lock whose head was lost
end
`

const clockLua = `
local t = redis.call('TIME')
local micros = t[1] * 1000000 + t[2]
local now = math.floor(micros / 1000)
`

// quickAcquireLua and quickLeaveLua do what the rest would do with the same call.
const quickAcquireLua = `
local ticket, capacity, length, claim, alive = struct.unpack('>ddddd', numbers)
if (not was or #was == 9) and ticket == 0 and mode == 120 then
  token = math.max(token + 1, micros)
  local ends = now + length
  local is = struct.pack('>Bdddddddd', 76, token, ends, now, 0, 0, 0, 1, 0) .. id
  if keep == '0' then redis.call('SET', key, is) else redis.call('SET', key, is, 'PX', keep) end
  return struct.pack('>ddddd', 1, token, ends, now, 0)
end
`

const quickLeaveLua = `
local ticket = struct.unpack('>d', numbers)
if holder == id and shared == 0 and first > last and mode == 120 then
  local is = struct.pack('>Bd', 76, token)
  if keep == '0' then redis.call('SET', key, is) else redis.call('SET', key, is, 'PX', keep) end
  return 1
end
`

const functionsLua = `

local function save()
  local is
  if holder == '' and shared == 0 and first > last then
    is = struct.pack('>Bd', 76, token)
  else
    is = struct.pack('>Bdddddddd', 76, token, expiry, since, claimed, shared, earliest, first, last) .. holder
  end
  if is == was then return end
  if keep == '0' then redis.call('SET', key, is) else redis.call('SET', key, is, 'PX', keep) end
end
local function put(field, value)
  redis.call('HSET', body, field, value)
  if keep == '0' then redis.call('PERSIST', body) else redis.call('PEXPIRE', body, keep) end
end
local function reply(granted, n, ends, ahead) return struct.pack('>ddddd', granted, n, ends, now, ahead) end
local function client(who) return string.match(who, '^.(.*)%.') or '' end
local function announce(who, what)
  if string.sub(who, 1, 1) == 'l' then redis.call('PUBLISH', key .. ':changes', what) end
end

local function whole(n) return n >= 0 and n <= 9000000000000000 and n % 1 == 0 end
-- sharer: expiry, token, since, claimed of a shared holder
local function sharer(who)
  local s = redis.call('HGET', body, 'h' .. who)
  if not s or #s ~= 32 then return nil end
  local e, k, b, c = struct.unpack('>dddd', s)
  if whole(e) and whole(k) and whole(b) and (c == 0 or c == 1) then return e, k, b, c end
end
local function share(who, e, k, b, c) put('h' .. who, struct.pack('>dddd', e, k, b, c)) end
local function place_of(at) return string.format('w%.0f', at) end
-- waiter: alive, capacity, claim, id of a place in the queue
local function waiter(at)
  local s = redis.call('HGET', body, place_of(at))
  if not s or #s < 26 or #s > 280 or not string.find(s, '^[xsl]', 25) then return nil end
  local a, c, l = struct.unpack('>ddd', s)
  if whole(a) and whole(c) and whole(l) then return a, c, l, string.sub(s, 25) end
end

local function admits(m, capacity)
  if holder ~= '' then return false end
  if m == 115 then return shared < capacity end
  return shared == 0
end
local function grant(who, length, claim)
  token = math.max(token + 1, micros)
  local ends = now + length
  if string.sub(who, 1, 1) == 's' then
    share(who, ends, token, now, claim)
    if shared == 0 or ends < earliest then earliest = ends end
    shared = shared + 1
  else
    holder, expiry, since, claimed = who, ends, now, claim
    announce(who, string.format('%s %.0f', who, token))
  end
  return ends
end
local function vacate()
  announce(holder, '')
  holder, expiry, since, claimed = '', 0, 0, 0
end
local function forfeit(who)
  local c = client(who)
  for at = first, last do
    local _, _, _, w = waiter(at)
    if w and client(w) == c then redis.call('HDEL', body, place_of(at)) end
  end
end

-- expire takes away what is over
local function expire()
  if holder ~= '' and expiry <= now then
    if claimed == 1 then forfeit(holder) end
    vacate()
  end
  if shared == 0 or earliest > now then return end
  local all, lapsed = redis.call('HGETALL', body), {}
  shared, earliest = 0, 0
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'h' then
      local who = string.sub(all[i], 2)
      local e, _, _, c = sharer(who)
      if not e or e <= now then
        redis.call('HDEL', body, all[i])
        if c == 1 then table.insert(lapsed, who) end
      else
        if shared == 0 or e < earliest then earliest = e end
        shared = shared + 1
      end
    end
  end
  for _, who in ipairs(lapsed) do forfeit(who) end
end

-- serve gives the lock to those at the head of the queue that may have it
local function serve()
  while first <= last do
    local alive, capacity, length, who = waiter(first)
    local lives = alive and alive > now
    if lives and not admits(string.byte(who), capacity) then return end
    redis.call('HDEL', body, place_of(first))
    if lives then
      local ends = grant(who, length, 1)
      redis.call('PUBLISH', wake .. client(who), string.format('%s %.0f %.0f %.0f ', who, token, ends, now) .. key)
    end
    first = first + 1
  end
  first, last = 1, 0
end

-- queued finds the caller's place
local function queued(ticket)
  local from, to = ticket, ticket
  if ticket == -1 then from, to = first, last end
  if from < first or to > last then return nil end
  for at = from, to do
    local _, capacity, length, who = waiter(at)
    if who == id then return at, capacity, length end
  end
end

-- extend makes the caller's lease end so long from now
local function extend(length)
  if holder == id and expiry > now then
    expiry, claimed = now + length, 0
    return reply(1, token, expiry, 0)
  end
  if mode == 115 and shared > 0 then
    local e, k, b = sharer(id)
    if e and e > now then
      share(id, now + length, k, b, 0)
      return reply(1, k, now + length, 0)
    end
  end
end
`

// acquireLua takes the lock, or a place in the queue, or keeps the place.
const acquireLua = "local size = 40" + openLua + clockLua + quickAcquireLua + functionsLua + `
-- ARGV[3]  ticket in the queue (0 none, -1 unknown); capacity: places for shared holders; ms of the lease, of a claim, and for which
--          a waiter counts as alive, 0 if it is not to wait
-- Returns  packed: 1, token, end of the lease, now, 0; or 0, ticket or 0, when a lease that is in the way may end, now, waiters ahead at most
local entry = struct.pack('>ddd', now + alive, capacity, claim) .. id

local place
if ticket ~= 0 then
  local mine = extend(length)
  if mine then save() return mine end
  place = queued(ticket)
end
expire()
if place then put(place_of(place), entry) end -- also where expire has just forfeited it: who calls is alive
if first <= last then
  serve()
  local mine = ticket ~= 0 and extend(length)
  if mine then save() return mine end
end
if not place then
  if first > last and admits(mode, capacity) then
    local ends = grant(id, length, 0)
    save()
    return reply(1, token, ends, 0)
  end
  if alive > 0 then
    last = last + 1
    place = last
    put(place_of(place), entry)
  end
end
save()
local free = expiry
if holder == '' then free = earliest end
return reply(0, place or 0, free, place and place - first or 0)
`

// extendLua prolongs a lease.
const extendLua = "local size = 8" + openLua + clockLua + functionsLua + `
-- ARGV[3]  ms of the lease, from now
-- Returns  packed: 1, token, end of the lease, now, 0; or 0, 0, 0, now, 0 if the caller holds nothing any more
local mine = extend(struct.unpack('>d', numbers))
if not mine then
  expire()
  serve()
end
save()
return mine or reply(0, 0, 0, 0)
`

// leaveLua gives up what the caller has: the lock or the place in the queue.
const leaveLua = "local size = 8" + openLua + quickLeaveLua + clockLua + functionsLua + `
-- ARGV[3]  the caller's ticket in the queue (0 none, -1 unknown)
-- Returns  1 if the caller held the lock, 2 if it waited, 0 neither
local left = 0
if holder == id then
  vacate()
  left = 1
elseif mode == 115 and shared > 0 and redis.call('HDEL', body, 'h' .. id) == 1 then
  shared = shared - 1
  if shared == 0 then earliest = 0 end
  left = 1
else
  local place = queued(ticket)
  if place then
    redis.call('HDEL', body, place_of(place))
    left = 2
  end
end
if first <= last then
  expire()
  serve()
end
save()
return left
`

// inspectLua shows a lock.
const inspectLua = `
-- KEYS[1]  the head, KEYS[2]  the body
-- Returns  {now in ms, the head or '', the body's fields and values}
if #KEYS ~= 2 then return redis.error_reply('` + badCall + `') end
local t = redis.call('TIME')
return {t[1] * 1000 + math.floor(t[2] / 1000), redis.call('GET', KEYS[1]) or '', redis.call('HGETALL', KEYS[2])}
`

var (
	acquireScript = &store.Script{Name: "lock.acquire", Lua: acquireLua, Go: acquire}
	extendScript  = &store.Script{Name: "lock.extend", Lua: extendLua, Go: extend}
	leaveScript   = &store.Script{Name: "lock.leave", Lua: leaveLua, Go: leave}
	inspectScript = &store.Script{Name: "lock.inspect", Lua: inspectLua, Go: inspect, ReadOnly: true}
)

// Scripts are the atomic steps of this package. A Larder server that knows them runs their Go bodies.
func Scripts() []*store.Script {
	return []*store.Script{acquireScript, extendScript, leaveScript, inspectScript, guardScript}
}
