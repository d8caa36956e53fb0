package ratelimit

// The Lua bodies of the meters' scripts. See meter.go for the idea and the layout.

// metersLua is what the meters' scripts share: it reads arguments and meters.
const metersLua = `
-- KEYS[1]  the meters
-- ARGV[1]  cost: units asked for, 1 to the least limit or burst
-- ARGV     then for each of up to 16 rules: kind (b token bucket, g GCRA, f fixed window, s sliding counter), limit in
--          units, window in milliseconds, burst in units (of b and g; else the limit)
-- Returns  {1 allowed, 0 denied, -1 blocked; then for each rule: units still free, ms until this would pass, ms until all is free}
local SLOT, MOST, EXACT, WHOLE = 22, 16, 1125899906842624, 4503599627370496
local BAD = '` + badMeterCall + `'
local BROKEN = '` + notMeters + `'
local floor, max, min = math.floor, math.max, math.min
if #KEYS ~= 1 or #ARGV < 5 or #ARGV > 1 + 4 * MOST or #ARGV % 4 ~= 1 then return redis.error_reply(BAD) end
local function number(i)
  local s = ARGV[i]
  return #s <= 13 and string.find(s, '^[1-9]%d*$') and tonumber(s) or 0
end
local key, cost = KEYS[1], number(1)
local meters = {}
for i = 2, #ARGV, 4 do
  local m = {kind = ARGV[i], limit = number(i + 1), window = number(i + 2), burst = number(i + 3)}
  local most = m.kind == 's' and WHOLE or (m.kind == 'b' or m.kind == 'g') and EXACT or m.kind == 'f' and 1e27 or 0
  if m.kind == 'f' or m.kind == 's' then
    if m.burst ~= m.limit then most = 0 end
  end
  if cost == 0 or m.limit == 0 or m.window == 0 or cost > m.burst or max(m.limit, m.burst) * m.window >= most then
    return redis.error_reply(BAD)
  end
  meters[#meters + 1] = m
end
local t = redis.call('TIME')
local clock = t[1] * 1000 + floor(t[2] / 1000)

local text = redis.call('GETRANGE', key, 0, SLOT * MOST + 6)
local size, til = #text, 0
if size % SLOT == 6 then
  size = size - 6
  local a, b, c, d, e, f = string.byte(text, size + 1, size + 6)
  til = ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end
if size % SLOT ~= 0 or size > SLOT * MOST or til > clock + 7884000000000 then return redis.error_reply(BROKEN) end

local function unpack56(at)
  local a, b, c, d, e, f, g = string.byte(text, at, at + 6)
  return (((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g
end
local function pack56(v)
  local s = ''
  for _ = 1, 7 do
    s = string.char(v % 256) .. s
    v = floor(v / 256)
  end
  return s
end
local function up(a, b) return floor((a + b - 1) / b) end

-- windows: start, units in this window and in the one before
local function readWindow(m, a, b, c)
  local now = clock
  if a > clock + m.window then
    a, b, c = 0, 0, 0
  elseif a > clock then
    now = a
  end
  local start = now - now % m.window
  m.wait, m.into, m.start, m.cur, m.prev = now - clock, now - start, start, 0, 0
  if a >= start then
    m.cur, m.prev = min(b, m.limit), min(c, m.limit)
  elseif a >= start - m.window then
    m.prev = min(b, m.limit)
  end
  if m.kind == 'f' then m.prev = 0 end
end
-- buckets: level is what was used and has not come back, in units times milliseconds
local function readBucket(m, a, b, c)
  m.now, m.wait, m.level, m.cap = clock, 0, 0, m.burst * m.window
  if m.kind == 'g' then
    local ahead = a - m.now
    if ahead >= 0 and ahead <= floor(2 * m.cap / m.limit) then m.level = ahead * m.limit + min(b, m.limit - 1) end
    return
  end
  local full = floor(m.cap / m.limit) + 1
  if a > m.now + full then return end
  if a > m.now then m.wait, m.now = a - m.now, a end
  local level = b > m.burst and m.cap or min(b * m.window + min(c, m.window - 1), m.cap)
  if m.now - a < full then m.level = max(level - (m.now - a) * m.limit, 0) end
end
for i, m in ipairs(meters) do
  local at, a, b, c = SLOT * (i - 1), 0, 0, 0
  if at < size then
    local kind = string.sub(text, at + 1, at + 1)
    a, b, c = unpack56(at + 2), unpack56(at + 9), unpack56(at + 16)
    if not string.find(kind, '[bgfs]') or a >= 2 ^ 50 or b >= 2 ^ 50 or c >= 2 ^ 50 then return redis.error_reply(BROKEN) end
    if kind ~= m.kind then a, b, c = 0, 0, 0 end
  end
  m.windowed = m.kind == 'f' or m.kind == 's'
  if m.windowed then readWindow(m, a, b, c) else readBucket(m, a, b, c) end
end

-- units that are free, and ms until cost would be
local function free(m)
  if not m.windowed then
    local lack = m.level + cost * m.window - m.cap
    return max(floor((m.cap - m.level) / m.window), 0), lack > 0 and up(lack, m.limit) + m.wait or 0
  end
  if m.kind == 'f' then
    local units = m.limit - m.cur
    return units, units < cost and m.window - m.into + m.wait or 0
  end
  local room = (m.limit - m.cur) * m.window - m.prev * (m.window - m.into)
  if cost * m.window <= room then return floor(room / m.window), 0 end
  local wait = m.window - m.into + m.wait
  if m.cur + cost <= m.limit then -- within this window the one before loses weight enough
    wait = wait - floor((m.limit - m.cur - cost) * m.window / m.prev)
  else
    wait = wait + m.window - floor((m.limit - cost) * m.window / m.cur)
  end
  return max(floor(room / m.window), 0), wait
end
-- ms until all is free
local function reset(m)
  if not m.windowed then
    return m.level > 0 and up(m.level, m.limit) + m.wait or 0
  end
  local rest = m.window - m.into + m.wait
  if m.cur > 0 then return m.kind == 's' and rest + m.window or rest end
  return m.prev > 0 and rest or 0
end
-- counts units, or with a negative number gives them back
local function add(m, units)
  if not m.windowed then
    m.level = max(m.level + units * m.window, 0)
    return
  end
  m.cur = m.cur + units
  if m.cur < 0 then m.cur, m.prev = 0, max(m.prev + m.cur, 0) end
end
local function slot(m)
  if m.windowed then return m.kind .. pack56(m.start) .. pack56(m.cur) .. pack56(m.prev) end
  if m.kind == 'g' then
    return 'g' .. pack56(m.now + floor(m.level / m.limit)) .. pack56(m.level % m.limit) .. pack56(0)
  end
  return 'b' .. pack56(m.now) .. pack56(floor(m.level / m.window)) .. pack56(m.level % m.window)
end
`

// judgeLua ends with the decision in reply.
const judgeLua = `
local rest = max(til - clock, 0) -- of a block
local reply = {rest > 0 and -1 or 1}
for _, m in ipairs(meters) do
  local units, retry = free(m)
  if retry > 0 then reply[1] = min(reply[1], 0) end
  reply[#reply + 1] = rest > 0 and 0 or units
  reply[#reply + 1] = max(retry, rest)
  reply[#reply + 1] = max(reset(m), rest)
end
`

// measureLua counts what passes.
const measureLua = metersLua + judgeLua + `
if reply[1] ~= 1 then return reply end
local slots, ttl = {}, 1
for i, m in ipairs(meters) do
  add(m, cost)
  local all = reset(m)
  reply[3 * i - 1], reply[3 * i + 1] = reply[3 * i - 1] - cost, all
  slots[i], ttl = slot(m), max(ttl, all)
end
redis.call('SET', key, table.concat(slots), 'PX', ttl)
return reply
`

const glanceLua = metersLua + judgeLua + `
return reply
`

// restoreLua gives units back.
const restoreLua = metersLua + `
-- ARGV[1]  here: units to give back
-- Returns  1, or 0 if nothing was used
if size == 0 then return 0 end
local slots, ttl = {}, 0
for i, m in ipairs(meters) do
  add(m, -cost)
  slots[i], ttl = slot(m), max(ttl, reset(m))
end
if til > clock then
  ttl = max(ttl, til - clock)
  slots[#slots + 1] = string.sub(text, -6)
end
if ttl == 0 then
  redis.call('DEL', key)
else
  redis.call('SET', key, table.concat(slots), 'PX', ttl)
end
return 1
`
