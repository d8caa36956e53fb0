package lock

import "github.com/larderdb/larder/store"

// What the store keeps of a lock
//
// Two keys, which share a hash tag. The head is a string that every step reads and most write:
//
//	token expiry since claimed shared earliest next last holder
//
//	token     the last fencing token given; it stays when the lock is free
//	expiry    of the exclusive holder's lease, and since when it holds, in Unix milliseconds; 0 without one
//	claimed   1 while that lease is a claim: given to a waiter that has not yet been heard of
//	shared    the number of shared holders
//	earliest  a time before which none of their leases ends
//	next,last the tickets of the queue: the next to be served, and the last given; empty where next > last
//	holder    the exclusive holder's id, or nothing
//
// The body is a hash with what is only there while it is needed: a field "h<id>" for each shared holder (expiry, token,
// since, claimed), a field "w<ticket>" for each waiter (until when it counts as alive, capacity, length of its claim in
// ms, id). So a lock that nobody waits for is one small string, and an uncontended step reads and writes that string
// alone; joining the queue, leaving it and serving it are O(1).
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

// limit is what keeps numbers exact in Lua and loops short: beyond it, a head is not ours.
const (
	maxNumber = 9_000_000_000_000_000
	maxQueue  = 1_000_000 // tickets between next and last
	maxHead   = 512       // bytes
	maxID     = 256       // bytes
)

const (
	notOurs = "ERR lock: the key holds something other than a lock; use another Prefix or delete the key"
	badCall = "ERR lock: malformed call"
)

// stepLua begins every script that changes a lock.
const stepLua = `
-- KEYS[1]  the head, KEYS[2]  the body
-- ARGV[1]  id of who calls
-- ARGV[2]  its ticket in the queue (0 none, -1 unknown); numbers are one argument, which is quicker than many
-- ARGV[3]  "keep", and the script's own numbers behind it: keep is the ms to keep the last token after the last step, 0 for ever
-- ARGV[4]  what the channels of clients begin with
local function bad() return redis.error_reply('` + badCall + `') end
local function broken() return redis.error_reply('` + notOurs + `') end
local function int(s)
  if not s or #s > 16 or not string.find(s, '^%d+$') then return nil end
  local v = tonumber(s)
  if v > 9000000000000000 then return nil end
  return v
end
if #KEYS ~= 2 or #ARGV ~= 4 or #ARGV[3] > 128 then return bad() end
local numbers = {}
for word in string.gmatch(ARGV[3] .. ' ', '(.-) ') do table.insert(numbers, word) end
local key, body, id, wake = KEYS[1], KEYS[2], ARGV[1], ARGV[4]
local mode = string.match(id, '^([xsl])[^%s]+%.%w+$')
local ticket, keep = ARGV[2] == '-1' and -1 or int(ARGV[2]), int(numbers[1])
if #id > 256 or not mode or not ticket or not keep then return bad() end

local t = redis.call('TIME')
local micros = t[1] * 1000000 + t[2]
local now = math.floor(micros / 1000)

local token, expiry, since, claimed, shared, earliest, first, last, holder = 0, 0, 0, 0, 0, 0, 1, 0, ''
local was = redis.call('GET', key)
if was then
  local n = {string.match(was, '^(%d+) (%d+) (%d+) ([01]) (%d+) (%d+) (%d+) (%d+) (%S*)$')}
  if #was > 512 or #n ~= 9 then return broken() end
  for i = 1, 8 do
    n[i] = int(n[i])
    if not n[i] then return broken() end
  end
  token, expiry, since, claimed, shared, earliest, first, last, holder = unpack(n)
  if last - first > 1000000 then return broken() end
else
  redis.call('DEL', body) -- what is left of a lock whose head was lost
end

local function save()
  local is = string.format('%.0f %.0f %.0f %d %.0f %.0f %.0f %.0f ',
    token, expiry, since, claimed, shared, earliest, first, last) .. holder
  if is == was then return end
  if keep > 0 then redis.call('SET', key, is, 'PX', numbers[1]) else redis.call('SET', key, is) end
end
local function put(field, value)
  redis.call('HSET', body, field, value)
  if keep > 0 then redis.call('PEXPIRE', body, numbers[1]) else redis.call('PERSIST', body) end
end
local function client(who) return string.match(who, '^.(.*)%.') or '' end
local function announce(who, what)
  if string.sub(who, 1, 1) == 'l' then redis.call('PUBLISH', key .. ':changes', what) end
end

-- sharer: expiry, token, since, claimed of a shared holder
local function sharer(who)
  local s = redis.call('HGET', body, 'h' .. who)
  if not s then return nil end
  local e, k, b, c = string.match(s, '^(%d+) (%d+) (%d+) ([01])$')
  e, k, b = int(e), int(k), int(b)
  if not (e and k and b) then return nil end
  return e, k, b, c
end
local function share(who, e, k, b, c)
  put('h' .. who, string.format('%.0f %.0f %.0f %d', e, k, b, c))
end
local function place_of(at) return string.format('w%.0f', at) end
-- waiter: alive, capacity, claim, id of a place in the queue
local function waiter(at)
  local s = redis.call('HGET', body, place_of(at))
  if not s then return nil end
  local a, c, l, who = string.match(s, '^(%d+) (%d+) (%d+) ([xsl]%S+)$')
  a, c, l = int(a), int(c), int(l)
  if not (a and c and l) then return nil end
  return a, c, l, who
end

local function admits(m, capacity)
  if holder ~= '' then return false end
  if m == 's' then return shared < capacity end
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
        if c == '1' then table.insert(lapsed, who) end
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
    if lives and not admits(string.sub(who, 1, 1), capacity) then return end
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
local function queued()
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
    return {1, token, expiry, now, 0}
  end
  if mode == 's' and shared > 0 then
    local e, k, b = sharer(id)
    if e and e > now then
      share(id, now + length, k, b, 0)
      return {1, k, now + length, now, 0}
    end
  end
end
`

// quickAcquireLua and quickLeaveLua come before stepLua: the usual case without its functions, which cost four times as much
// to make as the case itself takes. They do what the rest would do with the same call.
const quickAcquireLua = `
-- nobody has the lock, nobody shares it, nobody waits
if #KEYS == 2 and #ARGV == 4 and ARGV[2] == '0' and #ARGV[1] <= 256 and string.find(ARGV[1], '^x%S+%.%w+$') then
  local keep, capacity, length, claim, alive = string.match(ARGV[3], '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  local token = keep and #keep < 16 and #capacity < 16 and #length < 16 and #claim < 16 and #alive < 16
    and string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) 0 0 0 0 0 1 0 $')
  if token and #token <= 16 and tonumber(token) <= 9000000000000000 then
    local t = redis.call('TIME')
    local micros = t[1] * 1000000 + t[2]
    local now = math.floor(micros / 1000)
    local ends = now + length
    token = math.max(token + 1, micros)
    local is = string.format('%.0f %.0f %.0f 0 0 0 1 0 %s', token, ends, now, ARGV[1])
    if tonumber(keep) > 0 then redis.call('SET', KEYS[1], is, 'PX', keep) else redis.call('SET', KEYS[1], is) end
    return {1, token, ends, now, 0}
  end
end
`

const quickLeaveLua = `
-- the caller has the lock, and nobody waits
if #KEYS == 2 and #ARGV == 4 and ARGV[2] == '0' and #ARGV[1] <= 256 and string.find(ARGV[1], '^x%S+%.%w+$')
  and #ARGV[3] < 16 and string.find(ARGV[3], '^%d+$') then
  local token, ends, since, holder = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+) (%d+) [01] 0 0 1 0 (%S+)$')
  if holder == ARGV[1] and #token <= 16 and tonumber(token) <= 9000000000000000 and #ends <= 16
    and tonumber(ends) <= 9000000000000000 and #since <= 16 and tonumber(since) <= 9000000000000000 then
    local is = string.format('%.0f 0 0 0 0 0 1 0 ', token)
    if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], is, 'PX', ARGV[3]) else redis.call('SET', KEYS[1], is) end
    return 1
  end
end
`

// acquireLua takes the lock, or a place in the queue, or keeps the place.
const acquireLua = quickAcquireLua + stepLua + `
-- ARGV[3]  "keep capacity length claim alive": places for shared holders; ms of the lease, of a claim, and for which a waiter
--          counts as alive, 0 if it is not to wait
-- Returns  {1, token, end of the lease, now, 0} or {0, ticket or 0, when a lease that is in the way may end, now, waiters ahead at most}
local capacity, length, claim, alive = int(numbers[2]), int(numbers[3]), int(numbers[4]), int(numbers[5])
if #numbers ~= 5 or not capacity or not length or not claim or not alive then return bad() end
local entry = string.format('%.0f %.0f %.0f ', now + alive, capacity, claim) .. id

local place
if ticket ~= 0 then
  local mine = extend(length)
  if mine then save() return mine end
  place = queued()
  if place then put(place_of(place), entry) end
end
expire()
if first <= last then
  serve()
  local mine = ticket ~= 0 and extend(length)
  if mine then save() return mine end
end
if not place then
  if first > last and admits(mode, capacity) then
    local ends = grant(id, length, 0)
    save()
    return {1, token, ends, now, 0}
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
return {0, place or 0, free, now, place and place - first or 0}
`

// extendLua prolongs a lease.
const extendLua = stepLua + `
-- ARGV[3]  "keep length": ms of the lease, from now
-- Returns  {1, token, end of the lease, now, 0}, or {0, 0, 0, now, 0} if the caller holds nothing any more
local length = int(numbers[2])
if #numbers ~= 2 or not length then return bad() end
local mine = extend(length)
if not mine then
  expire()
  serve()
end
save()
return mine or {0, 0, 0, now, 0}
`

// leaveLua gives up what the caller has: the lock or the place in the queue.
const leaveLua = quickLeaveLua + stepLua + `
-- Returns  1 if the caller held the lock, 2 if it waited, 0 neither
if #numbers ~= 1 then return bad() end
local left = 0
if holder == id then
  vacate()
  left = 1
elseif mode == 's' and shared > 0 and redis.call('HDEL', body, 'h' .. id) == 1 then
  shared = shared - 1
  if shared == 0 then earliest = 0 end
  left = 1
else
  local place = queued()
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
