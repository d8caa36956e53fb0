package ratelimit

// The Lua bodies of the meters' scripts: one text, which begins with what is to be done. See meter.go for the idea and the
// layout.
//
// More than half of a decision's time on Redis is the interpreter's. So there are no closures, no tables for rules, and no
// numbers as text: each of these costs as much as all the arithmetic. Where numbers are exact, (x - x % y) / y divides
// and rounds down as math.floor(x / y) does, without a call.
const (
	measureLua = "local verb = 'measure'\n" + metersLua
	glanceLua  = "local verb = 'glance'\n" + metersLua
	restoreLua = "local verb = 'restore'\n" + metersLua
)

const metersLua = `
-- KEYS[1]  the meters
-- ARGV[1]  units asked for, or given back, in 7 bytes, up to the least burst; then for each of up to 16 rules, as in a slot:
--          kind (b token bucket, g GCRA, f fixed window, s sliding counter), limit in units, window in milliseconds, burst
--          in units (of b and g; else the limit)
-- Returns  {1 allowed, 0 denied, -1 blocked; then for each rule: units still free, ms until this would pass, ms until all is free};
--          restore: 1, or 0 if nothing was used
local FORM, SLOT, MOST, EXACT, WHOLE, VALUE = '>c1I7I7I7', 22, 352, 1125899906842624, 4503599627370496, 1125899906842624
local BAD = '` + badMeterCall + `'
local BROKEN = '` + notMeters + `'
local call, pack, unpack, floor, max, min = redis.call, struct.pack, struct.unpack, math.floor, math.max, math.min
local key, args = KEYS[1], ARGV[1]
if #KEYS ~= 1 or #ARGV ~= 1 or #args <= 7 or #args > 7 + MOST or #args % SLOT ~= 7 then return redis.error_reply(BAD) end
local t = call('TIME')
local clock = t[1] * 1000 + floor(t[2] / 1000)
local text = call('GETRANGE', key, '0', '358')
local size, till = #text, 0
if size % SLOT == 6 then
  size = size - 6
  till = unpack('>I6', text, size + 1)
end
if size % SLOT ~= 0 or size > MOST or till > clock + 7884000000000 then return redis.error_reply(BROKEN) end

local cost, rest = unpack('>I7', args), max(till - clock, 0) -- rest: of a block
local add = verb == 'restore' and -cost or verb == 'measure' and rest == 0 and cost or 0 -- units to count if all rules pass
local reply, n, slots, ttl = {rest > 0 and -1 or 1, 0, 0, 0}, 2, '', 0
local at = 1
while at + 7 < #args do
  local kind, limit, window, burst = unpack(FORM, args, at + 7)
  local windowed, most = kind == 'f' or kind == 's', limit > burst and limit or burst
  if cost == 0 or cost > burst or limit == 0 or window == 0 or most >= VALUE or window >= VALUE
    or windowed and (limit ~= burst or kind == 's' and most * window >= WHOLE)
    or not windowed and (kind ~= 'g' and kind ~= 'b' or most * window >= EXACT) then
    return redis.error_reply(BAD)
  end
  local a, b, c = 0, 0, 0
  if at <= size then
    local was
    was, a, b, c = unpack(FORM, text, at)
    if a >= VALUE or b >= VALUE or c >= VALUE then return redis.error_reply(BROKEN) end
    if was ~= kind then
      if not string.find('bgfs', was, 1, true) then return redis.error_reply(BROKEN) end
      a, b, c = 0, 0, 0
    end
  end
  local now, wait, free, retry, reset = clock, 0, 0, 0, 0
  if windowed then
    -- the window's start, units in it and in the one before
    if a > clock + window then
      a, b, c = 0, 0, 0
    elseif a > clock then
      now, wait = a, a - clock
    end
    local start, cur, prev = now - now % window, 0, 0
    if a >= start then
      cur, prev = min(b, limit), min(c, limit)
    elseif a >= start - window then
      prev = min(b, limit)
    end
    local left = window - (now - start) -- ms of the window
    if kind == 'f' then
      prev, free = 0, limit - cur
      if free < cost then retry = left + wait end
    else
      local room = (limit - cur) * window - prev * left
      free = max(floor(room / window), 0)
      if cost * window > room then
        if cur + cost <= limit then -- within this window the one before loses weight enough
          retry = left + wait - floor((limit - cur - cost) * window / prev)
        else
          retry = left + wait + window - floor((limit - cost) * window / cur)
        end
      end
    end
    cur = cur + add
    if cur < 0 then cur, prev = 0, max(prev + cur, 0) end
    if cur > 0 and kind == 's' then
      reset = left + wait + window
    elseif cur > 0 or prev > 0 then
      reset = left + wait
    end
    a, b, c = start, cur, prev
  else
    -- level is what was used and has not come back, in units times milliseconds
    local cap, level = burst * window, 0
    if kind == 'g' then
      local ahead = a - clock
      if ahead >= 0 and ahead <= 2 * cap / limit then level = ahead * limit + (b < limit and b or limit - 1) end
    else
      local full = (cap - cap % limit) / limit + 1
      if a <= clock + full then
        if a > clock then now, wait = a, a - clock end
        if now - a < full then
          level = b > burst and cap or min(b * window + min(c, window - 1), cap)
          level = max(level - (now - a) * limit, 0)
        end
      end
    end
    if level < cap then free = (cap - level - (cap - level) % window) / window end
    local lack = level + cost * window - cap
    if lack > 0 then
      lack = lack + limit - 1
      retry = (lack - lack % limit) / limit + wait
    end
    level = level + add * window
    if level <= 0 then
      level = 0
    else
      reset = level + limit - 1
      reset = (reset - reset % limit) / limit + wait
    end
    local by = kind == 'g' and limit or window
    a, b, c = now, (level - level % by) / by, level % by
    if kind == 'g' then a, b, c = now + b, c, 0 end
  end
  if retry > 0 and add > 0 then
    add, reply[1], n, at = 0, 0, 2, 1 -- denied: once more from the first rule, counting nothing
  else
    if retry > 0 then reply[1] = min(reply[1], 0) end
    if rest > 0 then free, retry, reset = 0, max(retry, rest), max(reset, rest) end
    reply[n], reply[n + 1], reply[n + 2] = free - add, retry, reset
    if add ~= 0 then
      slots, ttl = slots .. pack(FORM, kind, a, b, c), max(ttl, reset)
    end
    n, at = n + 3, at + SLOT
  end
end
if verb ~= 'restore' then
  if add > 0 then call('PSETEX', key, max(ttl, 1), slots) end
  return reply
end
if size == 0 then return 0 end
if rest > 0 then slots, ttl = slots .. string.sub(text, -6), max(ttl, rest) end
if ttl == 0 then
  call('DEL', key)
else
  call('PSETEX', key, ttl, slots)
end
return 1
`
