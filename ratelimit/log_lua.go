package ratelimit

// The Lua bodies of the log's scripts. See log.go for the idea and the layout.

// openLua is what the log's scripts share: it reads arguments and log.
const openLua = `
-- KEYS[1]  the log
-- ARGV[1]  cost: units asked for, 1 to the least limit
-- ARGV     then for each of up to 16 rules: limit in units, window in milliseconds
-- Returns  {1 allowed, 0 denied, -1 blocked; then for each rule: units still free, ms until this would pass, ms until all is free}
local HEAD, ENTRY, CHUNK, SHORT, WRAP = 6, 12, 3078, 774, 281474976710656
local FAR = 7884000000000 -- ms, 250 years: no block ends then
local BAD = '` + badCall + `'
local BROKEN = '` + notOurs + `'
if #KEYS ~= 1 or #ARGV < 3 or #ARGV > 33 or #ARGV % 2 == 0 then return redis.error_reply(BAD) end
for i = 1, #ARGV do
  if #ARGV[i] > 13 or not string.find(ARGV[i], '^[1-9]%d*$') then return redis.error_reply(BAD) end
end
local key, cost, window = KEYS[1], tonumber(ARGV[1]), 0
for i = 2, #ARGV, 2 do
  if tonumber(ARGV[i]) < cost then return redis.error_reply(BAD) end
  window = math.max(window, tonumber(ARGV[i + 1]))
end

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
local t = redis.call('TIME')
local clock = t[1] * 1000 + math.floor(t[2] / 1000)

local log = redis.call('GETRANGE', key, 0, CHUNK - 1)
local size = #log
if size == CHUNK then size = redis.call('STRLEN', key) end
local til = 0
if size > 0 and size % ENTRY == 0 then
  size = size - 6
  til = size < CHUNK and unpack48(log, size + 1) or unpack48(redis.call('GETRANGE', key, size, size + 5), 1)
elseif size == HEAD then
  return redis.error_reply(BROKEN)
end
if til > clock + FAR then return redis.error_reply(BROKEN) end
if size > 0 and (size < HEAD or (size - HEAD) % ENTRY ~= 0) then
  return redis.error_reply(BROKEN)
end
local n = size > 0 and (size - HEAD) / ENTRY or 0
local base = n > 0 and unpack48(log, 1) or 0
-- time and units up to entry i, counted from 0
local function entry(i)
  local s, at = log, HEAD + ENTRY * i
  if size > CHUNK then
    s, at = redis.call('GETRANGE', key, at, at + ENTRY - 1), 0
  end
  return unpack48(s, at + 1), (unpack48(s, at + 7) - base) % WRAP
end
-- the number of entries with time <= past, and their units
local function before(past)
  local lo, hi, units = 0, n, 0
  while lo < hi do
    local mid = math.floor((lo + hi) / 2)
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
    local mid = math.floor((lo + hi) / 2)
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
local rest = math.max(til - clock, 0) -- of a block
local reply, out, gone = {rest > 0 and -1 or 1}, 0, 0
for i = 2, #ARGV, 2 do
  local limit, span = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
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
  table.insert(reply, rest > 0 and 0 or math.max(free, 0))
  table.insert(reply, math.max(retry, rest))
  table.insert(reply, math.max(reset, rest))
end
if reply[1] ~= 1 then return reply end
`

// takeLua counts what passes.
const takeLua = openLua + decideLua + `
for i = 2, #ARGV, 2 do
  local at = (i - 2) / 2 * 3 + 2
  reply[at], reply[at + 2] = reply[at] - cost, now + tonumber(ARGV[i + 1]) - clock
end
local ttl = now + window - clock
if out == n then
  redis.call('SET', key, pack48(0) .. pack48(now) .. pack48(cost), 'PX', ttl)
  return reply
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
    redis.call('SETRANGE', key, size, pack48(now) .. total)
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
-- ARGV[1]  here: units to give back
-- Returns  the units that were given back
local past, gone = before(now - window)
if gone > used or past < n and last <= now - window then return redis.error_reply(BROKEN) end
local back = math.min(cost, used - gone)
if back == 0 then return 0 end
local trailer, ttl = '', 0
if til > clock then trailer, ttl = pack48(til), til - clock end
local body = pack48((base + gone) % WRAP)
if back == used - gone then
  if trailer == '' then
    redis.call('DEL', key)
    return back
  end
else
  local keep, at = reaching(past, used - back, last)
  if at <= now - window or at > last then return redis.error_reply(BROKEN) end
  body = body .. redis.call('GETRANGE', key, HEAD + ENTRY * past, HEAD + ENTRY * keep + 5) .. pack48((base + used - back) % WRAP)
  ttl = math.max(ttl, at + window - clock)
end
redis.call('SET', key, body .. trailer, 'PX', ttl)
return back
`
