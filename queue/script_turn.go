package queue

// turnLua is what a worker's process does again and again: it finishes jobs, says that it is alive, lets due and lost
// jobs come back, and takes new ones.
const turnLua = headLua + lifeLua + `
-- KEYS     all
-- ARGV[1]  session
-- ARGV[2]  lease, ms
-- ARGV[3]  how many jobs to take at most
-- ARGV[4]  number of the call; a session's calls have growing ones
-- ARGV[5]  ms to keep dead letters; 0: for ever
-- ARGV[6]  how many jobs of one key may be held together; 0: no limit
-- ARGV[7]  ms between the starts of two jobs of one key; 0: no limit
-- ARGV[8]  1 to clear up what dead sessions left and what is too old, and to hear of cancelled jobs
-- ARGV[9]  how many jobs are done and nothing more is to be said of them
-- ARGV[10..]  id, token of each of these
-- then     for each other job that ends: what, id, token, delay in ms, text
--          what: D done and the record says more, f failed, x failed for good, b given back, s once more after the delay
-- Returns  {1 if the session was not known, ms until the next delayed job or -1, 1 if paused,
--          {the places, from 0, of ended jobs that were not the session's any more}, {id, record of each job taken},
--          {place in these, from 0, notes or '', output or '' of each of which something is known}, token of these or '',
--          {ids held by anybody that are cancelled}, 1 if more is too old than one turn clears up}
local simple = number(ARGV[9])
if #KEYS ~= 16 or not simple or simple > 500 then return BAD end
local rest = 10 + 2 * simple
if #ARGV < rest - 1 or (#ARGV + 1 - rest) % 5 ~= 0 or (#ARGV + 1 - rest) / 5 + simple > 500 then return BAD end
local session = ARGV[1]
if session == '' or string.find(session, ':') then return BAD end
local lease, want, seq, keep_dead, most, gap = number(ARGV[2]), number(ARGV[3]), number(ARGV[4]), number(ARGV[5]), number(ARGV[6]), number(ARGV[7])
if not (lease and want and seq and keep_dead and most and gap) or lease == 0 or want > 500 then return BAD end
for i = rest, #ARGV, 5 do
  if not string.find(ARGV[i], '^[Dfxbs]$') or not ident(ARGV[i + 1]) or not number(ARGV[i + 3]) then return BAD end
end
if most == 0 then most = 1000000000 end

-- A store without memory refuses scripts to begin with a write that may need some. This one needs none, so that jobs can
-- be done, and make room.
if #ARGV == 9 then call('HDEL', HELD, '') end
local flags = call('HMGET', META, 'paused', 'seq:' .. session, 'token')
if flags[2] and seq <= (number(flags[2]) or 0) then return LATE end

local counts = {done = 0, failed = 0, dead = 0, lost = 0}

-- finish ends what this session has of a job
local function finish(what, id, later, text)
  local h = head(call('HGET', JOBS, id) or '')
  call('HDEL', HELD, id)
  local cancelled = call('SREM', CANCELLED, id) == 1
  if what == 'D' then
    counts.done = counts.done + 1
    let_unique(h, id)
    if h.keep > 0 then
      call('ZADD', DONE, int(now + h.keep), id)
      if text ~= '' then call('HSET', OUTPUT, id, text) else call('HDEL', OUTPUT, id) end
    else
      drop(id)
    end
  elseif cancelled then
    let_unique(h, id)
    drop(id)
  elseif what == 'b' then
    ready(id, h.p)
    wake()
  elseif what == 's' then
    delay(id, h.p, now + later)
  else
    counts.failed = counts.failed + 1
    if fault(h, id, text) or what == 'x' then
      counts.dead = counts.dead + 1
      bury(h, id)
    else
      delay(id, h.p, now + later)
    end
  end
  let_key(h, true, most)
end

-- lost takes a job from a session that died: an attempt failed
local function lost(id)
  counts.lost = counts.lost + 1
  local h = head(call('HGET', JOBS, id) or '')
  call('HDEL', HELD, id)
  if call('SREM', CANCELLED, id) == 1 then
    let_unique(h, id)
    drop(id)
  elseif fault(h, id, 'lease lost') then
    counts.dead = counts.dead + 1
    bury(h, id)
  else
    ready(id, h.p)
    wake()
  end
  let_key(h, true, most)
end

-- 1. what ends
local refused = {}
if simple > 0 then
  local ids, plain, token, owner = {}, {}, nil, nil
  for i = 1, simple do ids[i] = ARGV[8 + 2 * i] end
  local held = call('HMGET', HELD, unpack(ids))
  for i, id in ipairs(ids) do
    local t = ARGV[9 + 2 * i]
    if t ~= token then token, owner = t, session .. ':' .. t end
    if held[i] == owner then plain[#plain + 1] = id else refused[#refused + 1] = i - 1 end
  end
  if #plain > 0 then
    counts.done = call('HDEL', HELD, unpack(plain))
    call('HDEL', JOBS, unpack(plain))
    if call('EXISTS', NOTES, OUTPUT, CANCELLED) > 0 then
      call('HDEL', NOTES, unpack(plain))
      call('HDEL', OUTPUT, unpack(plain))
      call('SREM', CANCELLED, unpack(plain))
    end
  end
end
for i = rest, #ARGV, 5 do
  local id = ARGV[i + 1]
  if call('HGET', HELD, id) == session .. ':' .. ARGV[i + 2] then
    finish(ARGV[i], id, number(ARGV[i + 3]), ARGV[i + 4])
  else
    refused[#refused + 1] = simple + (i - rest) / 5
  end
end

-- 2. the lease
local unknown = call('ZADD', HOLDERS, int(now + lease), session)

-- 3. what dead sessions held
local gone = {}
if ARGV[8] == '1' then gone = call('ZRANGEBYSCORE', HOLDERS, '-inf', int(now), 'LIMIT', 0, 16) end
if #gone > 0 then
  local dead = {}
  for _, s in ipairs(gone) do dead[s] = true end
  local all = call('HGETALL', HELD)
  for i = 1, #all, 2 do
    if dead[string.match(all[i + 1], '^([^:]*)')] then lost(all[i]) end
  end
  call('ZREM', HOLDERS, unpack(gone))
  for _, s in ipairs(gone) do call('HDEL', META, 'seq:' .. s) end
end

-- 4. what is due
local function until_due()
  local first = call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
  if not first then return -1 end
  return math.max(0, math.floor(tonumber(first) / DUE_STEP) - now)
end
local wait = until_due()
if wait == 0 then
  local due = call('ZRANGEBYSCORE', DELAYED, '-inf', int(now * DUE_STEP + 7), 'WITHSCORES', 'LIMIT', 0, 256)
  local ids, scores = {}, {}
  for i = 1, #due, 2 do
    ids[#ids + 1] = due[i]
    scores[#scores + 1], scores[#scores + 2] = int(due[i + 1] % DUE_STEP * LEVEL + due[i]), due[i]
  end
  call('ZREM', DELAYED, unpack(ids))
  call('ZADD', READY, unpack(scores))
  wait = until_due()
end

-- 5. what is too old
local cancelled, more = {}, 0
local function old(key, till)
  local list = call('ZRANGEBYSCORE', key, '-inf', int(till), 'LIMIT', 0, 128)
  if #list == 128 then more = 1 end
  return list
end
if ARGV[8] == '1' then
  for _, id in ipairs(old(DONE, now)) do
    call('ZREM', DONE, id)
    drop(id)
  end
  if keep_dead > 0 then
    for _, id in ipairs(old(DEAD, now - keep_dead)) do
      call('ZREM', DEAD, id)
      drop(id)
    end
  end
  for _, m in ipairs(old(EXPIRING, now)) do
    call('ZREM', EXPIRING, m)
    if string.sub(m, 1, 1) == 'u' then
      local u = string.sub(m, 2)
      local have = call('HGET', UNIQUE, u)
      if have then
        local expiry = string.match(have, '^F(%d+):')
        if expiry and (number(expiry) or 0) <= now then call('HDEL', UNIQUE, u) end
      end
    end
  end
  cancelled = call('SMEMBERS', CANCELLED)
end

-- 6. what to take. admit says whether a job of a key may start; if not it has put it where it waits.
local function admit(h, id)
  if (tonumber(call('HGET', GROUPS, h.key) or '0') or 0) >= most then
    call('ZADD', PARKED, '0', h.key .. '\0' .. int(h.p) .. string.format('%016.0f', id))
    return false
  end
  if gap > 0 then
    local start = tonumber(call('ZSCORE', EXPIRING, 'r' .. h.key) or '0')
    if start > now then
      local at = start
      if start - now >= gap then -- not the next one: to the end of the line
        at = math.max(start, tonumber(call('ZSCORE', EXPIRING, 't' .. h.key) or '0'))
        call('ZADD', EXPIRING, int(at + gap), 't' .. h.key)
      end
      delay(id, h.p, at)
      wait = until_due()
      return false
    end
    call('ZADD', EXPIRING, int(now + gap), 'r' .. h.key)
  end
  call('HINCRBY', GROUPS, h.key, 1)
  return true
end

local taken, held, said, token = {}, {}, {}, ''
local paused = flags[1] and 1 or 0
if paused == 0 and want > 0 then
  for _ = 1, 4 do
    local left = want - #taken / 2
    local ids = call('ZRANGE', READY, 0, int(left - 1)) -- ZPOPMIN writes the scores out, which takes longer
    if #ids == 0 then break end
    call('ZREMRANGEBYRANK', READY, 0, #ids - 1)
    local records, notes, output = call('HMGET', JOBS, unpack(ids)), {}, {}
    if call('EXISTS', NOTES, OUTPUT) > 0 then
      notes, output = call('HMGET', NOTES, unpack(ids)), call('HMGET', OUTPUT, unpack(ids))
    end
    if token == '' then
      token = int(math.max((tonumber(flags[3] or '0') or 0) + 1, (now - EPOCH) * PER_MILLI))
      call('HSET', META, 'token', token)
    end
    local owner = session .. ':' .. token
    for i, id in ipairs(ids) do
      local rec = records[i]
      if rec and rec ~= '' and (string.sub(rec, 2, 3) == '0,' or admit(head(rec), id)) then
        local n = #taken
        held[n + 1], held[n + 2] = id, owner
        taken[n + 1], taken[n + 2] = id, rec
        if notes[i] or output[i] then
          local m = #said
          said[m + 1], said[m + 2], said[m + 3] = n / 2, notes[i] or '', output[i] or ''
        end
      end
    end
    if #taken / 2 >= want then break end
  end
  if #held > 0 then call('HSET', HELD, unpack(held)) end
  if call('EXISTS', READY) == 1 then wake() end
end

for name, n in pairs(counts) do
  if n > 0 then call('HINCRBY', META, name, n) end
end
return {unknown, wait, paused, refused, taken, said, token, cancelled, more}
`
