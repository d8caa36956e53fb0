package leaderboard

import "github.com/larderdb/larder/store"

// How a board lies in the store
//
// A board is a sorted set and up to three keys beside it, all with the same hash tag:
//
//	{tag}s:name  the sorted set, best first: scores are negated where the highest is the best
//	{tag}t:name  a hash, member -> 6 bytes: when it reached its score; and "" -> a counter
//	{tag}n:name  a sorted set of the different scores there are, for dense ranks
//	{tag}d:name  a hash, member -> data
//
// Who reaches a score first ranks first. A sorted set puts equal scores in the order of their members' bytes, so a member
// is stored with a stamp of 6 bytes in front: the counter at the time it got its score, big-endian. The
// counter, unlike a clock, never gives two members the same stamp, and every score from -(2^53-1) to 2^53-1 is exact.
// (The usual trick, to put a time into the low bits of the score, shares 53 bits between the two: seconds for a year take
// 25, and leave 28 for the score.) It costs a hash field per member, and an update four commands more, all inside one
// script. Boards whose ties are in the order of the members' names have no stamps and no such hash.
//
// With this every question is one step down a tree that counts: O(log n). ZRANK is the ordinal rank; ZCOUNT of better scores
// the competition rank; ZCOUNT of better scores in the set of different scores the dense rank. That set is kept
// by Options.Ranking == Dense only: an update that leaves a score empty (another ZCOUNT) removes it.
//
// An update is decided before it is written: the first pass reads, computes and checks every update of a batch, the
// second writes. So a batch applies whole, or not at all.

const (
	badCall  = "ERR leaderboard: wrong number or form of keys and arguments"
	notOurs  = "ERR leaderboard: the key holds something other than a board; use another Prefix or delete the key"
	tooLarge = "RANGE leaderboard: a score would leave the range of -(2^53-1) to 2^53-1; nothing was changed"
)

// keysPerBoard and argsPerBoard are what a board takes in an update's KEYS and ARGV; argsPerUpdate each update.
const (
	keysPerBoard  = 4
	argsPerBoard  = 6
	argsPerUpdate = 5
)

// trimmed is how many members an update drops at most: twice what a batch can add, so that a board whose MaxMembers was
// lowered shrinks step by step. trimText is the same in the Lua body.
const (
	trimmed  = 2 * MaxBatch
	trimText = "2000"
)

const headLua = `
local MAX = 9007199254740991
local BAD, BROKEN = '` + badCall + `', '` + notOurs + `'
local function number(v) return v and #v <= 15 and string.find(v, '^%d+$') and tonumber(v) end
local function integer(v)
  if not v or #v > 17 or not string.find(v, '^%-?%d+$') then return nil end
  local n = tonumber(v)
  if n > MAX or n < -MAX then return nil end
  return n + 0
end
local function whole(v) -- a score as the store has it; false if it cannot be one of ours
  local n = tonumber(v)
  if not n or n ~= math.floor(n) or n > MAX or n < -MAX then return false end
  return n
end
local function text(n) return string.format('%.0f', n + 0) end
local function flags(v) return string.find(v, 't', 1, true), string.find(v, 'n', 1, true), string.find(v, 'd', 1, true) end

-- place is a member's stamp ('' on boards without), and its score; nil if it is not on the board
local function place(s, t, member, ties)
  local stamp = ''
  if ties then
    stamp = redis.call('HGET', t, member)
    if not stamp then return nil end
  end
  return stamp, redis.call('ZSCORE', s, stamp .. member) or nil
end

-- rank by a board's kind: o ordinal, c competition, n dense; score as text
local function rank(kind, s, n, entry, score)
  if kind == 'c' then return redis.call('ZCOUNT', s, '-inf', '(' .. score) + 1 end
  if kind == 'n' then return redis.call('ZCOUNT', n, '-inf', '(' .. score) + 1 end
  local r = redis.call('ZRANK', s, entry)
  return r and r + 1 or 0
end

-- leave takes a score off the set of different ones if nobody has it any more
local function leave(s, n, score)
  if redis.call('ZCOUNT', s, score, score) == 0 then redis.call('ZREM', n, score) end
end

-- drop takes a member off a board
local function drop(s, t, n, d, entry, member, score, ties, dense, data)
  redis.call('ZREM', s, entry)
  if ties then redis.call('HDEL', t, member) end
  if dense then leave(s, n, score) end
  if data then redis.call('HDEL', d, member) end
end
`

const updateLua = headLua + `
-- KEYS     four per board: scores, stamps, different scores, data
-- ARGV[1]  the number of boards, and '+r' if ranks are wanted
-- ARGV     then six per board: flags (t stamps, n different scores, d data; then o, c or n: the kind of rank), TTL ms or 0, expiry
--          in Unix ms or 0, begin and end of its season in Unix ms or 0, most members or 0
-- ARGV     then five per update: number of the board, + (add), = (set) or < (set if better), member, score, data or ''
-- Returns  {1 if the first board was empty else 0, then per update: 1 if the score changed else 0, score, rank or 0}
--          or {'now', Unix ms} if a season has not begun or has ended
local boards = ARGV[1] and number(string.match(ARGV[1], '^(%d+)%+?r?$') or '')
if not boards or boards < 1 or #KEYS ~= 4 * boards or #ARGV < 1 + 6 * boards or (#ARGV - 1 - 6 * boards) % 5 ~= 0 then return {err = BAD} end
local ranks = string.sub(ARGV[1], -2) == '+r'
local board, out, now = {}, {}, nil
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
for b = 1, boards do
  local a, k = 1 + 6 * (b - 1), 4 * (b - 1)
  local o = {s = KEYS[k + 1], t = KEYS[k + 2], n = KEYS[k + 3], d = KEYS[k + 4], kind = string.sub(ARGV[a + 1], -1),
    ttl = number(ARGV[a + 2]), at = number(ARGV[a + 3]), from = number(ARGV[a + 4]), till = number(ARGV[a + 5]), most = number(ARGV[a + 6])}
  if not (o.ttl and o.at and o.from and o.till and o.most) or not string.find(ARGV[a + 1], '^t?n?d?:[ocn]$') then return {err = BAD} end
  o.ties, o.dense, o.data = flags(string.sub(ARGV[a + 1], 1, -3))
  if o.from > 0 or o.till > 0 or o.at > 0 then
    now = now or clock()
    if now < o.from or o.till > 0 and now >= o.till then return {'now', text(now)} end
  end
  o.size = redis.call('ZCARD', o.s)
  if o.dense then redis.call('ZCARD', o.n) end
  if o.data then redis.call('HLEN', o.d) end
  if o.ties then
    o.count = number(redis.call('HGET', o.t, '') or '0')
    if not o.count then return {err = BROKEN} end
  end
  board[b] = o
end
out[1] = board[1].size == 0 and 1 or 0

local cells, list = {}, {}
for a = 2 + 6 * boards, #ARGV, 5 do
  local b, how, member, v = number(ARGV[a]), ARGV[a + 1], ARGV[a + 2], integer(ARGV[a + 3])
  local o = b and board[b]
  if not o or not v or member == '' or how ~= '+' and how ~= '=' and how ~= '<' then return {err = BAD} end
  local id = ARGV[a] .. ':' .. member
  local c = cells[id]
  if not c then
    local stamp, score = place(o.s, o.t, member, o.ties)
    c = {o = o, member = member, stamp = stamp or ''}
    if score then
      c.was = whole(score)
      if not c.was then return {err = BROKEN} end
      c.score = c.was
    end
    cells[id] = c
  end
  local new = v
  if how == '+' then new = (c.score or 0) + v
  elseif how == '<' and c.score and c.score <= v then new = c.score end
  if new > MAX or new < -MAX then return redis.error_reply('` + tooLarge + `') end
  local changed = new ~= c.score
  if changed then c.score, c.last = new, a end
  if ARGV[a + 4] ~= '' and o.data then c.data = ARGV[a + 4] end
  list[#list + 1] = {c = c, a = a}
  out[#out + 1] = changed and 1 or 0
  out[#out + 1] = text(new)
  out[#out + 1] = 0
end

for _, u in ipairs(list) do
  local c, o = u.c, u.c.o
  if c.last == u.a and c.score ~= c.was then
    local score = text(c.score)
    if o.ties then
      if c.was then redis.call('ZREM', o.s, c.stamp .. c.member) end
      o.count = o.count + 1
      local n, stamp = o.count, ''
      for _ = 1, 6 do
        stamp = string.char(n % 256) .. stamp
        n = math.floor(n / 256)
      end
      c.stamp = stamp
      redis.call('HSET', o.t, c.member, stamp, '', text(o.count))
    end
    redis.call('ZADD', o.s, score, c.stamp .. c.member)
    if o.dense then
      if c.was then leave(o.s, o.n, text(c.was)) end
      redis.call('ZADD', o.n, score, score)
    end
  end
  if c.data then
    redis.call('HSET', o.d, c.member, c.data)
    c.data = nil
  end
end

for _, o in ipairs(board) do
  if o.most > 0 then
    local over = math.min(redis.call('ZCARD', o.s) - o.most, ` + trimText + `)
    if over > 0 then
      local worst = redis.call('ZRANGE', o.s, -over, -1, 'WITHSCORES')
      for i = 1, #worst, 2 do
        local member = o.ties and string.sub(worst[i], 7) or worst[i]
        drop(o.s, o.t, o.n, o.d, worst[i], member, worst[i + 1], o.ties, o.dense, o.data)
      end
    end
  end
  local keys = {o.s}
  if o.ties then keys[#keys + 1] = o.t end
  if o.dense then keys[#keys + 1] = o.n end
  if o.data then keys[#keys + 1] = o.d end
  for _, k in ipairs(keys) do
    if o.ttl > 0 then redis.call('PEXPIRE', k, o.ttl) end
    if o.at > 0 then redis.call('PEXPIRE', k, text(o.at - now)) end
  end
end

if ranks then
  for i, u in ipairs(list) do
    local c, o = u.c, u.c.o
    local entry = c.stamp .. c.member
    if o.most == 0 or redis.call('ZSCORE', o.s, entry) then out[1 + 3 * i] = rank(o.kind, o.s, o.n, entry, text(c.score)) end
  end
end
return out
`

const pageLua = headLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; 'i' and an index, or 'm' and a member; how many, or how many on each side of the member
-- Returns  nil if the member is not on the board; else {members on the board, index of the first, its rank,
--          then per member: name with stamp, score, data or nil}
local count, at = number(ARGV[4]), ARGV[3]
if #KEYS ~= 4 or #ARGV ~= 4 or not count or not string.find(ARGV[1], '^t?n?d?:[ocn]$') then return {err = BAD} end
local ties, dense, data = flags(string.sub(ARGV[1], 1, -3))
local kind, s = string.sub(ARGV[1], -1), KEYS[1]
local size, from = redis.call('ZCARD', s), number(at)
if ARGV[2] == 'm' then
  local stamp, score = place(s, KEYS[2], at, ties)
  if not score then return false end
  local side = count
  count = 2 * side + 1
  from = math.max(0, math.min(redis.call('ZRANK', s, stamp .. at) - side, size - count))
elseif ARGV[2] ~= 'i' or not from then
  return {err = BAD}
end
local out = {size, from, 0}
if count == 0 then return out end
local list = redis.call('ZRANGE', s, text(from), text(from + count - 1), 'WITHSCORES')
if #list > 0 then out[3] = kind == 'o' and from + 1 or rank(kind, s, KEYS[3], list[1], list[2]) end
for i = 1, #list, 2 do
  out[#out + 1] = list[i]
  out[#out + 1] = list[i + 1]
  out[#out + 1] = data and redis.call('HGET', KEYS[4], ties and string.sub(list[i], 7) or list[i]) or false
end
return out
`

const lookLua = headLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; 'r' if ranks are wanted, else ''; then members
-- Returns  {members on the board, then per member: score or nil, stamp, rank, how many have a better score, data or nil}
if #KEYS ~= 4 or #ARGV < 2 or not string.find(ARGV[1], '^t?n?d?:[ocn]$') then return {err = BAD} end
local ties, dense, data = flags(string.sub(ARGV[1], 1, -3))
local kind, s, ranks = string.sub(ARGV[1], -1), KEYS[1], ARGV[2] == 'r'
local out = {redis.call('ZCARD', s)}
for i = 3, #ARGV do
  local stamp, score = place(s, KEYS[2], ARGV[i], ties)
  local at = 2 + 5 * (i - 3)
  out[at], out[at + 1], out[at + 2], out[at + 3], out[at + 4] = score or false, stamp or '', 0, 0, false
  if score then
    if ranks then
      out[at + 2] = rank(kind, s, KEYS[3], stamp .. ARGV[i], score)
      out[at + 3] = kind == 'c' and out[at + 2] - 1 or redis.call('ZCOUNT', s, '-inf', '(' .. score)
    end
    if data then out[at + 4] = redis.call('HGET', KEYS[4], ARGV[i]) end
  end
end
return out
`

const removeLua = headLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; then members
-- Returns  how many were on the board
if #KEYS ~= 4 or #ARGV < 1 or not string.find(ARGV[1], '^t?n?d?:[ocn]$') then return {err = BAD} end
local ties, dense, data = flags(string.sub(ARGV[1], 1, -3))
redis.call('ZCARD', KEYS[1])
if ties then redis.call('HLEN', KEYS[2]) end
if dense then redis.call('ZCARD', KEYS[3]) end
if data then redis.call('HLEN', KEYS[4]) end
local gone = 0
for i = 2, #ARGV do
  local stamp, score = place(KEYS[1], KEYS[2], ARGV[i], ties)
  if score then
    drop(KEYS[1], KEYS[2], KEYS[3], KEYS[4], stamp .. ARGV[i], ARGV[i], score, ties, dense, data)
    gone = gone + 1
  end
end
return gone
`

const dataLua = headLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; member; data, '' to remove it
-- Returns  1, or 0 if the member is not on the board
if #KEYS ~= 4 or #ARGV ~= 3 or not string.find(ARGV[1], '^t?n?d?:[ocn]$') then return {err = BAD} end
local stamp, score = place(KEYS[1], KEYS[2], ARGV[2], flags(string.sub(ARGV[1], 1, -3)))
if not score then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[4], ARGV[2])
  return 1
end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
local ttl = redis.call('PTTL', KEYS[1])
if ttl > 0 then redis.call('PEXPIRE', KEYS[4], ttl) end
return 1
`

const archiveLua = headLua + `
-- KEYS     scores, stamps, different scores, data of the season; then the four of its archive
-- ARGV     flags as in update; how many members to keep; for how many ms after its end, 0 for ever; when the season ends, Unix ms
-- Returns  {how many are kept, of how many}; {0, 0} if there is nothing to keep; {'now', Unix ms} if the season runs
local keep, ttl, till = number(ARGV[2]), number(ARGV[3]), number(ARGV[4])
if #KEYS ~= 8 or #ARGV ~= 4 or not keep or not ttl or not till or not string.find(ARGV[1], '^t?n?d?:[ocn]$') then return {err = BAD} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < till then return {'now', text(now)} end
local ties, dense, data = flags(string.sub(ARGV[1], 1, -3))
local size = redis.call('ZCARD', KEYS[1])
if size == 0 then return {0, 0} end
redis.call('ZCARD', KEYS[5])
if ties then redis.call('HLEN', KEYS[2]) redis.call('HLEN', KEYS[6]) end
if dense then redis.call('ZCARD', KEYS[3]) redis.call('ZCARD', KEYS[7]) end
if data then redis.call('HLEN', KEYS[4]) redis.call('HLEN', KEYS[8]) end
redis.call('DEL', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
local kept = 0
if keep > 0 then
  local list = redis.call('ZRANGE', KEYS[1], '0', text(keep - 1), 'WITHSCORES')
  for i = 1, #list, 2 do
    local entry, score = list[i], list[i + 1]
    local member = ties and string.sub(entry, 7) or entry
    redis.call('ZADD', KEYS[5], score, entry)
    if ties then redis.call('HSET', KEYS[6], member, string.sub(entry, 1, 6)) end
    if dense then redis.call('ZADD', KEYS[7], score, score) end
    local v = data and redis.call('HGET', KEYS[4], member)
    if v then redis.call('HSET', KEYS[8], member, v) end
    kept = kept + 1
  end
end
if ttl > 0 then
  for i = 5, 8 do redis.call('PEXPIRE', KEYS[i], text(till + ttl - now)) end
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return {kept, size}
`

// The scripts of this package. They are constants in all but the language.
var (
	updateScript  = &store.Script{Name: "leaderboard.update", Lua: updateLua, Go: update}
	pageScript    = &store.Script{Name: "leaderboard.page", Lua: pageLua, Go: page, ReadOnly: true}
	lookScript    = &store.Script{Name: "leaderboard.look", Lua: lookLua, Go: look, ReadOnly: true}
	removeScript  = &store.Script{Name: "leaderboard.remove", Lua: removeLua, Go: remove}
	dataScript    = &store.Script{Name: "leaderboard.data", Lua: dataLua, Go: setData}
	archiveScript = &store.Script{Name: "leaderboard.archive", Lua: archiveLua, Go: archive}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script {
	return []*store.Script{updateScript, pageScript, lookScript, removeScript, dataScript, archiveScript}
}
