package ratelimit

// The Lua bodies of the log's scripts. See log.go for the idea and the layout.

// openLua is what the log's scripts share: it reads arguments and log.
const openLua = `
-- KEYS[1]  the log
-- ARGV[1]  units asked for, in 7 bytes, up to the least limit; then for each of up to 16 rules: 'l', and in 7 bytes each
--          the limit in units, the window in milliseconds, and again the limit
-- Returns  {1 allowed, 0 denied, -1 blocked; then for each rule: units still free, ms until this would pass, ms until all is free}
local HEAD, ENTRY, CHUNK, SHORT, WRAP = 6, 12, 3078, 774, 281474976710656
local FAR = 7884000000000 -- ms, 250 years: no block ends then
local BAD = '` + badCall + `'
local BROKEN = '` + notOurs + `'
local pack, unpack, floor, max = struct.pack, struct.unpack, math.floor, math.max
local key, args, window = KEYS[1], ARGV[1], 0
if #KEYS ~= 1 or #ARGV ~= 1 or #args <= 7 or #args > 359 or #args % 22 ~= 7 then return redis.error_reply(BAD) end
local cost = unpack('>I7', args)
for at = 8, #args, 22 do
  local kind, limit, span, same = unpack('>c1I7I7I7', args, at)
  if kind ~= 'l' or cost == 0 or limit < cost or limit > 2 ^ 40 or same ~= limit or span == 0 or span >= WRAP then
    return redis.error_reply(BAD)
  end
  window = max(window, span)
end
local t = redis.call('TIME')
local clock = t[1] * 1000 + floor(t[2] / 1000)

local log = redis.call('GETRANGE', key, '0', '3077')
local size = #log
if size == CHUNK then size = redis.call('STRLEN', key) end
local til = 0
if size > 0 and size % ENTRY == 0 then
  size = size - 6
  til = size < CHUNK and unpack('>I6', log, size + 1) or unpack('>I6', redis.call('GETRANGE', key, size, size + 5))
elseif size == HEAD then
  return redis.error_reply(BROKEN)
end
if til > clock + FAR then return redis.error_reply(BROKEN) end
if size > 0 and (size < HEAD or (size - HEAD) % ENTRY ~= 0) then
  return redis.error_reply(BROKEN)
end
local n = size > 0 and (size - HEAD) / ENTRY or 0
local base = n > 0 and unpack('>I6', log) or 0
-- time and units up to entry i, counted from 0
local function entry(i)
  local s, at = log, HEAD + ENTRY * i
  if size > CHUNK then
    s, at = redis.call('GETRANGE', key, at, at + ENTRY - 1), 0
  end
  local time, sum = unpack('>I6I6', s, at + 1)
  return time, (sum - base) % WRAP
end
-- the number of entries with time <= past, and their units
local function before(past)
  local lo, hi, units = 0, n, 0
  while lo < hi do
    local mid = floor((lo + hi) / 2)
    local time, sum = entry(mid)
    if time <= past then
      lo, units = mid + 1, sum
    else
      hi = mid
    end
  end
  return lo, units
end
-- place and time of the first entry, from the given one on, up to which at least so many units passed
local function reaching(lo, units, last)
  local hi, at = n - 1, last
  while lo < hi do
    local mid = floor((lo + hi) / 2)
    local time, sum = entry(mid)
    if sum >= units then
      hi, at = mid, time
    else
      lo = mid + 1
    end
  end
  return lo, at
end

local now, last, used = clock, 0, 0
if n > 0 then last, used = entry(n - 1) end
if last > clock + window then
  n, last, used = 0, 0, 0
elseif last > clock then
  now = last
end
`

// decideLua ends with the decision in locals: out is the number of entries that left the longest window, gone their
// units.
const decideLua = `
local rest = max(til - clock, 0) -- of a block
local reply, place, out, gone = {rest > 0 and -1 or 1, 0, 0, 0}, 2, 0, 0
for at = 9, #args, 22 do
  local limit, span = unpack('>I7I7', args, at)
  local past, units = before(now - span)
  if units > used or past < n and last <= now - span then return redis.error_reply(BROKEN) end
  if span == window then out, gone = past, units end
  local free, retry, reset = limit - (used - units), 0, past < n and last + span - clock or 0
  if free < cost then
    -- until the first entry with whose leaving enough is free
    local _, at = reaching(past, used + cost - limit, last)
    if at <= now - span or at > last then return redis.error_reply(BROKEN) end
    reply[1], retry = math.min(reply[1], 0), at + span - clock
  end
  reply[place], reply[place + 1], reply[place + 2] = rest > 0 and 0 or max(free, 0), max(retry, rest), max(reset, rest)
  place = place + 3
end
if reply[1] ~= 1 then return reply end
`

// takeLua counts what passes.
const takeLua = openLua + decideLua + `
for i = 2, place - 1, 3 do
  reply[i], reply[i + 2] = reply[i] - cost, now + unpack('>I7', args, (i - 2) / 3 * 22 + 16) - clock
end
local ttl = now + window - clock
if out == n then
  redis.call('PSETEX', key, ttl, pack('>I6I6I6', 0, now, cost))
  return reply
end
local total = (base + used + cost) % WRAP
if size <= SHORT or out * 2 >= n then
  local stay = n
  if last == now then stay = n - 1 end
  local from, to, body = HEAD + ENTRY * out, HEAD + ENTRY * stay, ''
  if from < to then
    body = size > CHUNK and redis.call('GETRANGE', key, from, to - 1) or string.sub(log, from + 1, to)
  end
  redis.call('PSETEX', key, ttl, pack('>I6', (base + gone) % WRAP) .. body .. pack('>I6I6', now, total))
else
  if last == now then
    redis.call('SETRANGE', key, size - 6, pack('>I6', total))
  else
    redis.call('SETRANGE', key, size, pack('>I6I6', now, total))
  end
  redis.call('PEXPIRE', key, ttl)
end
return reply
`

const peekLua = openLua + decideLua + `
return reply
`

// refundLua takes units off the newest entries; the log is written anew without what is out.
const refundLua = openLua + `
-- ARGV[1]  here: units to give back, and the rules
-- Returns  the units that were given back
local past, gone = before(now - window)
if gone > used or past < n and last <= now - window then return redis.error_reply(BROKEN) end
local back = math.min(cost, used - gone)
if back == 0 then return 0 end
local trailer, ttl = '', 0
if til > clock then trailer, ttl = pack('>I6', til), til - clock end
local body = pack('>I6', (base + gone) % WRAP)
if back == used - gone then
  if trailer == '' then
    redis.call('DEL', key)
    return back
  end
else
  local keep, at = reaching(past, used - back, last)
  if at <= now - window or at > last then return redis.error_reply(BROKEN) end
  body = body .. redis.call('GETRANGE', key, HEAD + ENTRY * past, HEAD + ENTRY * keep + 5) .. pack('>I6', (base + used - back) % WRAP)
  ttl = max(ttl, at + window - clock)
end
redis.call('PSETEX', key, ttl, body .. trailer)
return back
`
