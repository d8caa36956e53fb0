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

// keysPerBoard is what a board takes in a script's KEYS, argsPerUpdate what an update takes in ARGV.
const (
	keysPerBoard  = 4
	argsPerUpdate = 5
)

// trimmed is how many members an update drops at most: twice what a batch can add, so that a board whose MaxMembers was
// lowered shrinks step by step. trimText is the same in the Lua body.
const (
	trimmed  = 2 * MaxBatch
	trimText = "2000"
)

// mostListed bounds the entries of a page and the members of a look, as Lua passes on lists of some thousands; pageText is
// the same in the Lua bodies.
const (
	mostListed = MaxBatch
	pageText   = "1000"
)

// The Lua bodies make no functions, but for what is rare, and as few calls as can be: a call of redis.call, of a string's
// pattern, or a function made is some tenth of a whole update. Text is given where a number would do: servers differ in how
// they write numbers of many digits.

// flagsLua reads a board's flags, in ARGV[1].
const flagsLua = `
local BAD, BROKEN = '` + badCall + `', '` + notOurs + `'
local call, s, t, n, d, kind = redis.call, KEYS[1], string.match(ARGV[1] or '', '^(t?)(n?)(d?):([ocn])$')
if not t or kind == 'n' and n == '' then return {err = BAD} end
t, n, d = t ~= '' and KEYS[2], n ~= '' and KEYS[3], d ~= '' and KEYS[4]
`

// placeLua gives a member's stamp (empty on boards without) and score; nil if it is not on the board.
const placeLua = `
local function place(member)
  local stamp = ''
  if t then
    stamp = call('HGET', t, member)
    if not stamp then return nil end
  end
  return stamp, call('ZSCORE', s, stamp .. member) or nil
end
`

// dropLua takes a member off a board, and its score off the different ones if nobody has it any more.
const dropLua = `
local function drop(s, t, n, d, entry, member, score)
  call('ZREM', s, entry)
  if t then call('HDEL', t, member) end
  if n and call('ZCOUNT', s, score, score) == 0 then call('ZREM', n, score) end
  if d then call('HDEL', d, member) end
end
`

const updateLua = `
-- KEYS     four per board: scores, stamps, different scores, data
-- ARGV[1]  'r' if ranks are wanted, else ''
-- ARGV     then one per board, with spaces between: flags (t stamps, n different scores, d data; a colon; o, c or n: the
--          kind of rank), TTL ms or 0, expiry in Unix ms or 0, begin and end of its season in Unix ms or 0, most members or 0
-- ARGV     then five per update: number of the board, + (add), = (set) or < (set if better), member, score, data or ''
-- Returns  {1 if the first board was empty else 0, then per update: 1 if the score changed else 0, score, rank or 0}
--          or {'now', Unix ms} if a season has not begun or has ended
local BAD, BROKEN = '` + badCall + `', '` + notOurs + `'
local call, boards, now = redis.call, #KEYS / 4, nil
if boards < 1 or #KEYS % 4 ~= 0 or #ARGV <= 1 + boards or (#ARGV - 1 - boards) % 5 ~= 0 then return {err = BAD} end
local board = {}
for b = 1, boards do
  local t, n, d, kind, ttl, at, from, till, most = string.match(ARGV[1 + b], '^(t?)(n?)(d?):([ocn]) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not t or kind == 'n' and n == '' or #ttl > 15 or #at > 15 or #from > 15 or #till > 15 or #most > 15 then return {err = BAD} end
  at, from, till = at + 0, from + 0, till + 0
  if at > 0 or from > 0 or till > 0 then
    if not now then
      local time = call('TIME')
      now = time[1] * 1000 + math.floor(time[2] / 1000)
    end
    if now < from or till > 0 and now >= till then return {'now', now} end
  end
  local k = 4 * b
  local o = {s = KEYS[k - 3], t = t ~= '' and KEYS[k - 2], n = n ~= '' and KEYS[k - 1], d = d ~= '' and KEYS[k],
    kind = kind, ttl = ttl + 0, at = at, most = most + 0, fresh = false}
  o.size = call('ZCARD', o.s)
  o.fresh = o.size == 0
  if o.n and call('ZCARD', o.n) == 0 then o.fresh = true end
  if o.d and call('HLEN', o.d) == 0 then o.fresh = true end
  board[tostring(b)] = o
end
local out = {board['1'].size == 0 and 1 or 0}

local first, cells, list = 2 + boards, {}, {}
local single = #ARGV == first + 4
for a = first, #ARGV, 5 do
  local o, how, member, v, i = board[ARGV[a]], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], #list + 1
  if not o or member == '' or how ~= '+' and how ~= '=' and how ~= '<' or #v > 17 or not string.find(v, '^%-?%d+$') then return {err = BAD} end
  v = v + 0
  if v > 9007199254740991 or v < -9007199254740991 then return {err = BAD} end
  local id = single or ARGV[a] .. ':' .. member
  local c = cells[id]
  if not c then
    c = {o = o, member = member, stamp = ''}
    local there = true
    if o.t then
      local got = call('HMGET', o.t, '', member)
      if not o.count then
        local count = got[1]
        if not count then
          count, o.fresh = '0', true
        end
        if #count > 15 or not string.find(count, '^%d+$') then return {err = BROKEN} end
        o.count = count + 0
      end
      there = got[2]
      c.stamp = there or ''
    end
    local score = there and call('ZSCORE', o.s, c.stamp .. member)
    if score then
      score = tonumber(score)
      if not score or score ~= math.floor(score) or score > 9007199254740991 or score < -9007199254740991 then return {err = BROKEN} end
      c.was, c.score = score, score
    end
    cells[id] = c
  end
  if how == '+' then v = (c.score or 0) + v
  elseif how == '<' and c.score and c.score <= v then v = c.score end
  if v > 9007199254740991 or v < -9007199254740991 then return redis.error_reply('` + tooLarge + `') end
  local changed = v ~= c.score
  if changed then c.score, c.last = v, i end
  if o.d and ARGV[a + 4] ~= '' then c.data = ARGV[a + 4] end
  list[i], out[3 * i - 1], out[3 * i], out[3 * i + 1] = c, changed and 1 or 0, v, 0
end

for i = 1, #list do
  local c = list[i]
  local o = c.o
  if c.last == i and c.score ~= c.was then
    local score = string.format('%.0f', c.score)
    if o.t then
      if c.was then call('ZREM', o.s, c.stamp .. c.member) end
      o.count = o.count + 1
      c.stamp = struct.pack('>I6', o.count)
      call('HSET', o.t, c.member, c.stamp, '', string.format('%.0f', o.count))
    end
    call('ZADD', o.s, score, c.stamp .. c.member)
    if o.n then
      if c.was then
        local was = string.format('%.0f', c.was + 0)
        if call('ZCOUNT', o.s, was, was) == 0 then call('ZREM', o.n, was) end
      end
      call('ZADD', o.n, score, score)
    end
  end
  if c.data then
    call('HSET', o.d, c.member, c.data)
    c.data = nil
  end
end

for b = 1, boards do
  local o = board[tostring(b)]
  if o.most > 0 then
    local over = math.min(call('ZCARD', o.s) - o.most, ` + trimText + `)
    if over > 0 then
      ` + dropLua + `
      local worst = call('ZRANGE', o.s, string.format('%.0f', -over), '-1', 'WITHSCORES')
      for i = 1, #worst, 2 do
        drop(o.s, o.t, o.n, o.d, worst[i], o.t and string.sub(worst[i], 7) or worst[i], worst[i + 1])
      end
    end
  end
  if o.ttl > 0 or o.at > 0 then
    local want, slack = o.ttl, math.floor(o.ttl / 64)
    if o.at > 0 then want, slack = o.at - now, 1000 end
    local left = call('PTTL', o.s)
    if o.fresh or left < want or left > want + 2 * slack then
      want = string.format('%.0f', want + slack)
      call('PEXPIRE', o.s, want)
      if o.count then call('PEXPIRE', o.t, want) end
      if o.n then call('PEXPIRE', o.n, want) end
      if o.d then call('PEXPIRE', o.d, want) end
    end
  end
end

if ARGV[1] == 'r' then
  for i = 1, #list do
    local c = list[i]
    local o, entry, rank = c.o, c.stamp .. c.member, nil
    if o.most == 0 or call('ZSCORE', o.s, entry) then
      if o.kind == 'o' then rank = call('ZRANK', o.s, entry)
      else rank = call('ZCOUNT', o.kind == 'c' and o.s or o.n, '-inf', string.format('(%.0f', c.score)) end
      if rank then out[3 * i + 1] = rank + 1 end
    end
  end
end
return out
`

const pageLua = flagsLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; 'i' and an index, or 'm' and a member; how many, or how many on each side of the member
-- Returns  nil if the member is not on the board; else {members on the board, index of the first, its rank, {name with stamp,
--          score, name with stamp, score...}, {data or nil...} or nil}
local by, at, count = ARGV[2], ARGV[3], ARGV[4]
if #KEYS ~= 4 or #ARGV ~= 4 or #count > 4 or not string.find(count, '^%d+$') then return {err = BAD} end
count = count + 0
local size, from = call('ZCARD', s), nil
if by == 'm' then
  local stamp = not t and '' or call('HGET', t, at)
  from = stamp and call('ZRANK', s, stamp .. at)
  if not from then return false end
  from, count = from - count, 2 * count + 1
  from = math.max(0, math.min(from, size - count))
elseif by == 'i' and #at <= 15 and string.find(at, '^%d+$') then
  from = at + 0
else
  return {err = BAD}
end
if count > ` + pageText + ` then return {err = BAD} end
if count == 0 then return {size, from, 0, {}, false} end
local list, first, data = call('ZRANGE', s, string.format('%.0f', from), string.format('%.0f', from + count - 1), 'WITHSCORES'), 0, false
if #list > 0 then
  if kind == 'o' then first = from + 1
  else first = call('ZCOUNT', kind == 'c' and s or n, '-inf', '(' .. list[2]) + 1 end
  if d then
    local names = {}
    for i = 1, #list, 2 do names[(i + 1) / 2] = t and string.sub(list[i], 7) or list[i] end
    data = call('HMGET', d, unpack(names))
  end
end
return {size, from, first, list, data}
`

const lookLua = flagsLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; 'r' if ranks are wanted, else ''; then members
-- Returns  {members on the board, {score or nil...}, {stamp or nil...} or nil, {rank or 0...} or nil, {how many have a better
--          score or 0...} or nil, {data or nil...} or nil}: each with one for each member, those that the board has
if #KEYS ~= 4 or #ARGV < 3 or #ARGV > 2 + ` + pageText + ` then return {err = BAD} end
local size, stamps, entries = call('ZCARD', s), t and call('HMGET', t, unpack(ARGV, 3)), {}
for i = 1, #ARGV - 2 do
  if not t then entries[i] = ARGV[i + 2]
  else entries[i] = stamps[i] and stamps[i] .. ARGV[i + 2] or '' end -- '' is nobody's
end
local scores, ranks, better = call('ZMSCORE', s, unpack(entries)), false, false
if ARGV[2] == 'r' then
  ranks, better = {}, {}
  for i = 1, #entries do
    local rank, over = 0, 0
    if scores[i] then
      local bound = '(' .. scores[i]
      over = call('ZCOUNT', s, '-inf', bound)
      if kind == 'o' then rank = call('ZRANK', s, entries[i]) + 1
      elseif kind == 'c' then rank = over + 1
      else rank = call('ZCOUNT', n, '-inf', bound) + 1 end
    end
    ranks[i], better[i] = rank, over
  end
end
return {size, scores, stamps, ranks, better, d and call('HMGET', d, unpack(ARGV, 3))}
`

const removeLua = flagsLua + placeLua + dropLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; then members
-- Returns  how many were on the board
if #KEYS ~= 4 then return {err = BAD} end
call('ZCARD', s)
if t then call('HLEN', t) end
if n then call('ZCARD', n) end
if d then call('HLEN', d) end
local gone = 0
for i = 2, #ARGV do
  local stamp, score = place(ARGV[i])
  if score then
    drop(s, t, n, d, stamp .. ARGV[i], ARGV[i], score)
    gone = gone + 1
  end
end
return gone
`

const dataLua = flagsLua + placeLua + `
-- KEYS     scores, stamps, different scores, data
-- ARGV     flags as in update; member; data, '' to remove it
-- Returns  1, or 0 if the member is not on the board
if #KEYS ~= 4 or #ARGV ~= 3 then return {err = BAD} end
local stamp, score = place(ARGV[2])
if not score then return 0 end
if ARGV[3] == '' then
  call('HDEL', KEYS[4], ARGV[2])
  return 1
end
call('HSET', KEYS[4], ARGV[2], ARGV[3])
local ttl = call('PTTL', s)
if ttl > 0 then call('PEXPIRE', KEYS[4], string.format('%.0f', ttl)) end
return 1
`

const archiveLua = flagsLua + `
-- KEYS     scores, stamps, different scores, data of the season; then the four of its archive
-- ARGV     flags as in update; how many members to keep; for how many ms after its end, 0 for ever; when the season ends, Unix ms
-- Returns  {how many are kept, of how many}; {0, 0} if there is nothing to keep; {'now', Unix ms} if the season runs
local function number(v) return #v <= 15 and string.find(v, '^%d+$') and tonumber(v) end
if #KEYS ~= 8 or #ARGV ~= 4 then return {err = BAD} end
local keep, ttl, till = number(ARGV[2]), number(ARGV[3]), number(ARGV[4])
if not keep or not ttl or not till then return {err = BAD} end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < till then return {'now', now} end
local size = call('ZCARD', s)
if size == 0 then return {0, 0} end
call('ZCARD', KEYS[5])
if t then call('HLEN', t) call('HLEN', KEYS[6]) end
if n then call('ZCARD', KEYS[3]) call('ZCARD', KEYS[7]) end
if d then call('HLEN', KEYS[4]) call('HLEN', KEYS[8]) end
call('DEL', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
local kept = 0
if keep > 0 then
  local list = call('ZRANGE', KEYS[1], '0', string.format('%.0f', keep - 1), 'WITHSCORES')
  for i = 1, #list, 2 do
    local entry, score = list[i], list[i + 1]
    local member = t and string.sub(entry, 7) or entry
    call('ZADD', KEYS[5], score, entry)
    if t then call('HSET', KEYS[6], member, string.sub(entry, 1, 6)) end
    if n then call('ZADD', KEYS[7], score, score) end
    local v = d and call('HGET', KEYS[4], member)
    if v then call('HSET', KEYS[8], member, v) end
    kept = kept + 1
  end
end
if ttl > 0 then
  for i = 5, 8 do call('PEXPIRE', KEYS[i], string.format('%.0f', till + ttl - now)) end
end
call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
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
