package session

import (
	"github.com/larderdb/larder/store"
)

// How a session lies in the store
//
// A session is a hash. Fields of one letter are ours, those of the application begin with a dot:
//
//	c  when it began        s  when it was used last, to within TouchEvery
//	d  when it must end     r  when it got its present token          all in Unix ms by the store's clock
//	u  the user, if any     a, i  the client's agent and address, if recorded
//	.cart, .theme, ...      one per field of the application
//
// Each field is written alone, so two requests that change different fields do not overwrite each other. A change is
// written only if the session lives: the script that patches never makes a session, and ids are random and never used
// twice, so nothing that comes late can bring one back.
//
// A session that ended leaves a tombstone for a while, a hash with these fields only:
//
//	x  why: destroyed, revoked, rotated
//	n  the id that took its place, if one did
//	g  until when its token still leads to that one, if it does
//
// A user's sessions are listed in a sorted set, the hash part of the id by d. It has the same hash tag as they. It may
// hold sessions that ended by idleness; List and Revoke drop these.

const (
	badCall = "ERR session: wrong number or form of keys and arguments"
	notOurs = "ERR session: the key holds something other than a session; use another Prefix or delete the key"
	taken   = "ERR session: the id is in use"
)

// maxFields bounds a session's fields, as one request sees them.
const maxFields = 1000

// maxDigits is how long numbers may be.
const maxDigits = 15

// batch is how many sessions of a user one call revokes.
const batch = 256

// headLua is what the scripts share.
const headLua = `
local function number(v) return v and #v <= 15 and string.find(v, '^%d+$') and tonumber(v) end
local function numbers(...)
  for _, v in ipairs({...}) do if not number(v) then return false end end
  return true
end
local BAD, BROKEN = redis.error_reply('` + badCall + `'), redis.error_reply('` + notOurs + `')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

-- living tells what lies at a key: nil if no live session does, else the time it must end; and the successor in grace,
-- and the successor in any case.
local function living(key)
  local h = redis.call('HMGET', key, 'd', 'x', 'n', 'g')
  if h[2] then
    if not h[3] or h[3] == '' then return nil end
    local g = number(h[4])
    return nil, g and g > now and h[3] or nil, h[3]
  end
  local d = number(h[1])
  if not d or d <= now then return nil end
  return d
end

-- bury puts a tombstone in a session's place.
local function bury(key, ttl, why, heir, grace)
  redis.call('DEL', key)
  redis.call('HSET', key, 'x', why)
  if heir ~= '' then redis.call('HSET', key, 'n', heir) end
  if grace > 0 then redis.call('HSET', key, 'g', string.format('%.0f', now + grace)) end
  redis.call('PEXPIRE', key, math.max(ttl, grace))
end

-- change sets n pairs of ARGV from at on, and removes the fields after them.
local function change(key, at, n)
  if n > 0 then redis.call('HSET', key, unpack(ARGV, at, at + 2 * n - 1)) end
  if #ARGV >= at + 2 * n then redis.call('HDEL', key, unpack(ARGV, at + 2 * n)) end
end
`

const loadLua = headLua + `
-- KEYS[1]  the session
-- ARGV[1]  idle timeout, ms
-- ARGV[2]  least time between two touches, ms
-- Returns  nil if there is none; {'x', why} if it has ended; {'n', id} if its token leads to another id for a while;
--          else {'s', now, {field, value, ...}}, touched if that was due
if #KEYS ~= 1 or #ARGV ~= 2 or not numbers(ARGV[1], ARGV[2]) then return BAD end
local idle, h, f = tonumber(ARGV[1]), redis.call('HGETALL', KEYS[1]), {}
if #h == 0 then return false end
for i = 1, #h, 2 do
  if #h[i] == 1 then f[h[i]] = h[i + 1] end
end
if f.x then
  local g = number(f.g)
  if f.n and g and g > now then return {'n', f.n} end
  return {'x', f.x}
end
local s, d = number(f.s), number(f.d)
if not s or not d then return BROKEN end
if d <= now or now - s >= idle then return false end
if now - s >= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 's', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], math.min(idle, d - now))
end
return {'s', string.format('%.0f', now), h}
`

const createLua = headLua + `
-- KEYS[1]  the session
-- KEYS[2]  the list of its user's sessions; absent if it has no user
-- ARGV     idle timeout ms, lifetime ms, hash part of the id, user, agent, address ('' for none); then field, value, ...
-- Returns  now
if #KEYS < 1 or #KEYS > 2 or #ARGV < 6 or #ARGV % 2 ~= 0 or #ARGV > ` + maxArgsText + ` or not numbers(ARGV[1], ARGV[2]) or
    (#KEYS == 2) ~= (ARGV[4] ~= '') then
  return BAD
end
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.error_reply('` + taken + `') end
if KEYS[2] then redis.call('ZCARD', KEYS[2]) end
local stamp, life = string.format('%.0f', now), tonumber(ARGV[2])
local d = string.format('%.0f', now + life)
redis.call('HSET', KEYS[1], 'c', stamp, 'd', d, 's', stamp, 'r', stamp)
for i, name in ipairs({'u', 'a', 'i'}) do
  if ARGV[3 + i] ~= '' then redis.call('HSET', KEYS[1], name, ARGV[3 + i]) end
end
if #ARGV > 6 then redis.call('HSET', KEYS[1], unpack(ARGV, 7)) end
redis.call('PEXPIRE', KEYS[1], math.min(tonumber(ARGV[1]), life))
if KEYS[2] then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', stamp)
  redis.call('ZADD', KEYS[2], d, ARGV[3])
  if redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life) end
end
return now
`

// patchLua is what most requests run, so it does not have the head's functions made for it, and asks a session only for
// what no tombstone has.
const patchLua = `
-- KEYS[1]  the session
-- ARGV[1]  the number n of fields to set
-- ARGV     then: n times field, value; then fields to remove
-- Returns  1; 0 if there is no such session any more; or the id that took its place, within the grace
local n = ARGV[1] and #ARGV[1] <= 15 and string.find(ARGV[1], '^%d+$') and tonumber(ARGV[1])
if #KEYS ~= 1 or not n or #ARGV < 1 + 2 * n or #ARGV > ` + maxArgsText + ` then
  return redis.error_reply('` + badCall + `')
end
if redis.call('HEXISTS', KEYS[1], 'd') == 0 then
  local h, t = redis.call('HMGET', KEYS[1], 'n', 'g'), redis.call('TIME')
  local g = h[2] and #h[2] <= 15 and string.find(h[2], '^%d+$') and tonumber(h[2])
  if h[1] and h[1] ~= '' and g and g > t[1] * 1000 + math.floor(t[2] / 1000) then return h[1] end
  return 0
end
if n > 0 then redis.call('HSET', KEYS[1], unpack(ARGV, 2, 1 + 2 * n)) end
if #ARGV > 1 + 2 * n then redis.call('HDEL', KEYS[1], unpack(ARGV, 2 + 2 * n)) end
return 1
`

const rotateLua = headLua + `
-- KEYS[1]  the session under its old id
-- KEYS[2]  its new place
-- KEYS[3]  the list of its user's sessions; absent if it has no user
-- ARGV     grace ms, tombstone ms, hash part of the old id, the new id, and what patch takes
-- Returns  what patch returns
local n = number(ARGV[5])
if #KEYS < 2 or #KEYS > 3 or not n or #ARGV < 5 + 2 * n or #ARGV > ` + maxArgsText + ` or not numbers(ARGV[1], ARGV[2]) then return BAD end
if redis.call('EXISTS', KEYS[2]) == 1 then return redis.error_reply('` + taken + `') end
if KEYS[3] then redis.call('ZCARD', KEYS[3]) end
local d, heir = living(KEYS[1])
if heir then return heir end
if not d then return 0 end
change(KEYS[1], 6, n)
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'r', string.format('%.0f', now))
bury(KEYS[1], tonumber(ARGV[2]), 'rotated', ARGV[4], tonumber(ARGV[1]))
if KEYS[3] then
  redis.call('ZREM', KEYS[3], ARGV[3])
  redis.call('ZADD', KEYS[3], string.format('%.0f', d), string.sub(ARGV[4], 3))
end
return 1
`

const retireLua = headLua + `
-- KEYS[1]  the session
-- KEYS[2]  the list of its user's sessions; absent if it has no user
-- ARGV     tombstone ms, why, hash part of the id, the id that takes its place or ''
-- Returns  0 if there is no such session any more; the id that took its place before, if one did; else {field, value, ...}
--          as it was, empty if nothing takes its place
if #KEYS < 1 or #KEYS > 2 or #ARGV ~= 4 or not number(ARGV[1]) then return BAD end
if KEYS[2] then redis.call('ZCARD', KEYS[2]) end
local d, _, heir = living(KEYS[1])
if heir then return heir end
if not d then return 0 end
local was = ARGV[4] ~= '' and redis.call('HGETALL', KEYS[1]) or {}
bury(KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[4], 0)
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[3]) end
return was
`

const revokeLua = headLua + `
-- KEYS[1]  the list of a user's sessions
-- KEYS     then: sessions
-- ARGV     tombstone ms, why; then the hash parts of the sessions' ids
-- Returns  {how many were listed, lived and were ended, hash parts of those still listed, ` + batchText + ` at most}
if #KEYS < 1 or #ARGV ~= #KEYS + 1 or #KEYS > ` + batchText + ` + 1 or not number(ARGV[1]) then return BAD end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local out = {0}
for i = 2, #KEYS do
  if redis.call('ZREM', KEYS[1], ARGV[i + 1]) == 1 and living(KEYS[i]) then
    bury(KEYS[i], tonumber(ARGV[1]), ARGV[2], '', 0)
    out[1] = out[1] + 1
  end
end
for _, left in ipairs(redis.call('ZRANGE', KEYS[1], 0, ` + batchText + ` - 1)) do out[#out + 1] = left end
return out
`

const pruneLua = headLua + `
-- KEYS[1]  the list of a user's sessions
-- KEYS     then: sessions that seemed to have ended
-- ARGV     the hash parts of their ids
-- Returns  how many had, and are not listed any more
if #KEYS < 1 or #ARGV ~= #KEYS - 1 then return BAD end
local gone = 0
for i = 2, #KEYS do
  if not living(KEYS[i]) then gone = gone + redis.call('ZREM', KEYS[1], ARGV[i - 1]) end
end
return gone
`

// maxArgsText and batchText are maxArgs and batch as the Lua bodies have them.
const (
	maxArgsText = "6016"
	batchText   = "256"
)

// The scripts of this package. They are constants in all but the language.
var (
	loadScript   = &store.Script{Name: "session.load", Lua: loadLua, Go: load}
	createScript = &store.Script{Name: "session.create", Lua: createLua, Go: create}
	patchScript  = &store.Script{Name: "session.patch", Lua: patchLua, Go: patch}
	rotateScript = &store.Script{Name: "session.rotate", Lua: rotateLua, Go: rotate}
	retireScript = &store.Script{Name: "session.retire", Lua: retireLua, Go: retire}
	revokeScript = &store.Script{Name: "session.revoke", Lua: revokeLua, Go: revoke}
	pruneScript  = &store.Script{Name: "session.prune", Lua: pruneLua, Go: prune}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script {
	return []*store.Script{loadScript, createScript, patchScript, rotateScript, retireScript, revokeScript, pruneScript,
		commitScript, deleteScript}
}
