package queue

// leaveLua gives back what a session holds and does not know of, or all of it.
const leaveLua = headLua + lifeLua + `
-- KEYS     all
-- ARGV[1]  session
-- ARGV[2]  1 if the session ends
-- ARGV[3]  how many jobs of one key may be held together; 0: no limit
-- ARGV[4]  number of the call; calls of the session with this number or a lower one are refused from now on, as they were
--          overtaken: they could take jobs that nobody knows of, or give back what was taken since
-- ARGV[5..]  tokens and ids that it keeps, as token:id
-- Returns  how many jobs were given back
if #KEYS ~= 16 or #ARGV < 4 or not number(ARGV[3]) or not number(ARGV[4]) then return BAD end
local session, most, keeps = ARGV[1], number(ARGV[3]), {}
if number(ARGV[4]) <= (number(call('HGET', META, 'seq:' .. session) or '0') or 0) then return LATE end
if most == 0 then most = 1000000000 end
for i = 5, #ARGV do keeps[ARGV[i]] = true end
local all, n = call('HGETALL', HELD), 0
for i = 1, #all, 2 do
  local id = all[i]
  local owner, token = string.match(all[i + 1], '^([^:]*):(.*)$')
  if owner == session and not keeps[token .. ':' .. id] then
    n = n + 1
    local h = head(call('HGET', JOBS, id) or '')
    call('HDEL', HELD, id)
    if call('SREM', CANCELLED, id) == 1 then
      let_unique(h, id)
      drop(id)
    else
      ready(id, h.p)
    end
    let_key(h, true, most)
  end
end
if ARGV[2] == '1' then
  call('ZREM', HOLDERS, session)
  call('HDEL', META, 'seq:' .. session)
else
  call('HSET', META, 'seq:' .. session, ARGV[4])
end
if call('EXISTS', READY) == 1 then wake() end
return n
`

// removeLua deletes a job wherever it is. One that runs is marked: its worker drops it.
const removeLua = headLua + lifeLua + `
-- KEYS     all
-- ARGV[1]  id
-- ARGV[2]  how many jobs of one key may be held together; 0: no limit
-- Returns  0 if there is no such job, 1 if it is gone, 2 if it runs and was marked
if #KEYS ~= 16 or #ARGV ~= 2 or not ident(ARGV[1]) or not number(ARGV[2]) then return BAD end
local id, most = ARGV[1], number(ARGV[2])
if most == 0 then most = 1000000000 end
local rec = call('HGET', JOBS, id)
if not rec then return 0 end
if call('HEXISTS', HELD, id) == 1 then
  call('SADD', CANCELLED, id)
  return 2
end
local h = head(rec)
local waited = call('ZREM', READY, id)
call('ZREM', DELAYED, id)
call('ZREM', DEAD, id)
call('ZREM', DONE, id)
if h.key ~= '' then
  call('ZREM', PARKED, h.key .. '\0' .. int(h.p) .. string.format('%016.0f', id))
  if waited == 1 then let_key(h, false, most) end
end
let_unique(h, id)
drop(id)
return 1
`

// replayLua makes dead letters ready again, with all their attempts.
const replayLua = headLua + lifeLua + `
-- KEYS     all
-- ARGV     ids
-- Returns  for each id 1 if it is ready again, 0 if it is no dead letter, -1 if its unique key is another's
if #KEYS ~= 16 or #ARGV == 0 or #ARGV > 500 then return BAD end
for _, id in ipairs(ARGV) do
  if not ident(id) then return BAD end
end
local out = {}
for i, id in ipairs(ARGV) do
  out[i] = 0
  if call('ZSCORE', DEAD, id) then
    local h = head(call('HGET', JOBS, id) or '')
    local free = true
    if h.unique ~= '' then
      local expiry = 0
      local have = call('HGET', UNIQUE, h.unique)
      if have then
        local state, until_, owner = string.match(have, '^([LF])(%d+):(%d+)$')
        local at = number(until_) or 0
        if owner == id then
          expiry = at
        elseif state == 'L' or state == 'F' and at > now then
          free = false
        end
      end
      if free then call('HSET', UNIQUE, h.unique, 'L' .. int(expiry) .. ':' .. id) end
    end
    if free then
      call('ZREM', DEAD, id)
      call('HDEL', NOTES, id)
      ready(id, h.p)
      out[i] = 1
    else
      out[i] = -1
    end
  end
end
if call('EXISTS', READY) == 1 then wake() end
return out
`

// noteLua writes what a running job wants to be known: its progress.
const noteLua = `
-- KEYS[1]  held
-- KEYS[2]  output
-- ARGV[1]  id
-- ARGV[2]  session:token
-- ARGV[3]  text
-- Returns  1, or 0 if the job is not the caller's any more
if #KEYS ~= 2 or #ARGV ~= 3 then return redis.error_reply('` + badCall + `') end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1
`

// lookLua reads one job.
const lookLua = `
-- KEYS     all
-- ARGV[1]  id
-- Returns  nil if there is no such job, else {record, notes or '', output or '', state, a time in ms or ''}
if #KEYS ~= 16 or #ARGV ~= 1 then return redis.error_reply('` + badCall + `') end
local rec = redis.call('HGET', KEYS[2], ARGV[1])
if not rec then return false end
local state, at = 'parked', ''
if redis.call('HEXISTS', KEYS[7], ARGV[1]) == 1 then
  state = 'active'
else
  for _, of in ipairs({{'ready', KEYS[3]}, {'delayed', KEYS[4]}, {'dead', KEYS[12]}, {'done', KEYS[13]}}) do
    local score = redis.call('ZSCORE', of[2], ARGV[1])
    if score then state, at = of[1], score end
  end
end
return {rec, redis.call('HGET', KEYS[9], ARGV[1]) or '', redis.call('HGET', KEYS[14], ARGV[1]) or '', state, at}
`
