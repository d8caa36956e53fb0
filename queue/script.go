package queue

import (
	"github.com/larderdb/larder/store"
)

// How a queue lies in the store
//
// A queue is at most sixteen keys with one {hash tag}. A job is a field of the hash "jobs", written once and never
// rewritten, and its id is a member of exactly one of the structures that stand for its state:
//
//	ready     sorted set  by priority, then id: what a worker takes next
//	delayed   sorted set  by the time when it is due, in the store's ms, and priority
//	held      hash        what some worker has: id -> session:token
//	parked    sorted set  by key and age: waits for another job of the same key
//	dead      sorted set  by the time of death: gave up
//	done      sorted set  by the time until which it is kept: done, with Retention
//
// So a job that succeeds costs two fields written and two removed, whatever its size, and all of them in batches: a
// worker's process takes jobs, finishes jobs and says that it is alive in one script, "turn", and has at most one of
// these under way. While it is, what finishes and what becomes free gathers for the next.
//
// Ids are made by the store from its clock, 2^10 a millisecond, and never twice: 50 bits, so that priority and id make
// one exact score of a sorted set until the year 2060. A job that comes back (retried, given back, woken) has its old
// place, before what came later. Tokens, see below, are made in the same way.
//
// # Leases
//
// A lease belongs to a process, its session, and not to a job: "holders" has the session's deadline, and every turn
// moves it on, whatever the number of jobs. What a session holds is found in "held" only when it has died. "token"
// grows with each batch taken, over all sessions, and is compared whenever a job is finished: who lost the lease, or
// gave the job back and has it again, is told apart from who has it now. A session is random, so that a failover which
// sets counters back does not make two tokens equal.
//
// An attempt is counted when it has failed or its lease was lost, so the ordinary way writes nothing about it. What is
// known of failed attempts lies in "notes".
//
// # Waking
//
// "wake" is a list that workers with nothing to do wait for with BLPOP. Whoever makes a job ready sees to it that the
// list has an element; whoever takes jobs and leaves some does the same, so that one process wakes the next as long as
// there is something to do, and one job never wakes them all. A process that dies between its BLPOP and its turn takes
// the element with it: the next job, or the next turn of anybody (each makes one in a third of a lease), mends that.

// The keys, in the order of KEYS. Scripts that need few take the first ones.
const (
	kMeta      = iota // hash: id (the newest), token (the newest), paused, counters, seq:SESSION -> calls that are refused, cron:NAME -> time of the last tick
	kJobs             // hash: id -> record
	kReady            // sorted set: priority * 2^50 + id
	kDelayed          // sorted set: ms * 8 + priority
	kWake             // list of at most some elements
	kUnique           // hash: unique key -> L or F (of a live or of a finished job), until when in ms, ":", id
	kHeld             // hash: id -> session:token
	kHolders          // sorted set: session by the end of its lease, ms
	kNotes            // hash: id -> attempts that failed ";" what the last one said
	kGroups           // hash: key -> jobs of that key that are held
	kParked           // sorted set of score 0: key NUL priority id
	kDead             // sorted set: ms
	kDone             // sorted set: ms until which it is kept
	kOutput           // hash: id -> progress while it is not done, result when it is
	kExpiring         // sorted set: what is forgotten at a time in ms: "u" unique key, "r" key (may start), "t" key (end of its line)
	kCancelled        // set of ids that are held
	keyCount

	enqueueKeys = kUnique + 1
)

// keyNames are what follows the prefix and the hash tag.
var keyNames = [keyCount]string{
	"meta", "jobs", "ready", "delayed", "wake", "unique", "held", "holders", "notes", "groups", "parked", "dead", "done", "output", "expiring", "cancelled",
}

const (
	level     = 1 << 50       // scores of ready: a priority's share
	epoch     = 1767225600000 // ms: 2026-01-01; ids count from here
	perMilli  = 1024          // ids in a millisecond
	levels    = 7             // priorities, 0 is served first
	dueStep   = 8             // scores of delayed: ms * dueStep + priority
	mostDue   = 256           // delayed jobs that one turn makes ready
	mostTrim  = 128           // entries of each kind that one turn removes for their age
	mostReap  = 16            // dead sessions that one turn clears up
	mostRound = 4             // times a turn looks again because what it took had to be parked
	mostBatch = 500           // jobs in one script
	maxDigits = 14            // of times and durations in ms
)

const (
	badCall = "ERR queue: malformed call"
	tooLate = "ERR queue: overtaken by a later call"
)

// headLua is what every script that writes begins with.
const headLua = `
local META, JOBS, READY, DELAYED, WAKE, UNIQUE, HELD, HOLDERS, NOTES, GROUPS, PARKED, DEAD, DONE, OUTPUT, EXPIRING, CANCELLED = unpack(KEYS)
local LEVEL, EPOCH, PER_MILLI, DUE_STEP = 1125899906842624, 1767225600000, 1024, 8
local BAD = redis.error_reply('` + badCall + `')
local LATE = redis.error_reply('` + tooLate + `')
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function int(x) return string.format('%d', x) end
-- whole numbers from 0 below 10^14, for times and counts; nil for anything else
local function number(s)
  if s and #s <= 14 and string.find(s, '^%d+$') then return tonumber(s) end
end
-- ids: from 1, below 2^50
local function ident(s)
  if s and #s <= 16 and string.find(s, '^[1-9]%d*$') and tonumber(s) < LEVEL then return tonumber(s) end
end
local function wake()
  if call('LLEN', WAKE) == 0 then call('RPUSH', WAKE, '1') end
end
-- the beginning of a record: priority, then lengths of key and unique key, attempts, ms to keep and ms of a run, and the
-- length of headers if there are any
local function parse(rec)
  local p, k, u, max, keep, timeout, headers, at = string.match(rec, '^([0-6])(%d+),(%d+),(%d+),(%d+),(%d+)(,?%d*);()')
  if not p or #k > 4 or #u > 4 or #max > 6 or #keep > 14 or #timeout > 14 or #headers > 6 or headers == ',' then return nil end
  k, u = tonumber(k), tonumber(u)
  if at - 1 + k + u + (tonumber(string.sub(headers, 2)) or 0) > #rec then return nil end
  local h = {p = tonumber(p), key = string.sub(rec, at, at + k - 1), unique = string.sub(rec, at + k, at + k + u - 1),
    max = tonumber(max), keep = tonumber(keep)}
  if string.find(h.key, '%z') then return nil end
  return h
end
-- what is not a record is treated as the last attempt of a plain job
local function head(rec)
  return parse(rec) or {p = 3, key = '', unique = '', max = 1, keep = 0}
end
local function ready(id, p) call('ZADD', READY, int(p * LEVEL + id), id) end
-- wakes somebody if this is due before all others, for then they wait too long
local function delay(id, p, at)
  local first = call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
  local score = at * DUE_STEP + p
  call('ZADD', DELAYED, int(score), id)
  if not first or score < tonumber(first) then wake() end
end
`

// addLua is what enqueue and tick share.
const addLua = `
-- add enqueues the jobs in ARGV[from..]: when, unique, record of each.
--   when    '' for now, a time in ms, or + and ms from now
--   unique  '' for none, else ms for which the record's unique key is taken at least; 0: until the job has ended
-- It returns the ids; = in front of one says that the unique key is taken, by that job.
local function add(from)
  local levels, special = {}, {}
  for i = from, #ARGV, 3 do
    local n, when, hold = (i - from) / 3 + 1, ARGV[i], ARGV[i + 1]
    local p, max, keep, timeout = string.match(ARGV[i + 2], '^([0-6])0,0,(%d+),(%d+),(%d+);')
    if p and when == '' and hold == '' and #max <= 6 and #keep <= 14 and #timeout <= 14 then
      levels[n] = p * LEVEL
    else
      local j = {h = parse(ARGV[i + 2]), at = 0}
      if not j.h then return BAD end
      if when ~= '' then
        local plus, ms = string.match(when, '^(%+?)(.*)$')
        j.at = number(ms)
        if not j.at then return BAD end
        if plus == '+' then j.at = j.at + now end
      end
      if hold ~= '' then
        j.hold = number(hold)
        if not j.hold or j.h.unique == '' then return BAD end
      elseif j.h.unique ~= '' then
        return BAD
      end
      levels[n], special[n] = j.h.p * LEVEL, j
    end
  end
  local last = math.max(tonumber(call('HGET', META, 'id') or '0') or 0, (now - EPOCH) * PER_MILLI - 1)
  local ids, records, scores, first = {}, {}, {}, last
  for i, base in ipairs(levels) do
    local j = special[i]
    local taken
    if j and j.hold then
      local have = call('HGET', UNIQUE, j.h.unique)
      local state, expiry, owner
      if have then state, expiry, owner = string.match(have, '^([LF])(%d+):(%d+)$') end
      if state == 'L' or state == 'F' and (number(expiry) or 0) > now then taken = owner end
    end
    if taken then
      ids[i] = '=' .. taken
    else
      last = last + 1
      local id = int(last)
      ids[i] = id
      if j and j.hold then
        local expiry = 0
        if j.hold > 0 then expiry = now + j.hold end
        call('HSET', UNIQUE, j.h.unique, 'L' .. int(expiry) .. ':' .. id)
      end
      local n = #records
      records[n + 1], records[n + 2] = id, ARGV[from + 3 * i - 1]
      if j and j.at > now then
        delay(id, j.h.p, j.at)
      else
        n = #scores
        scores[n + 1], scores[n + 2] = int(base + last), id
      end
    end
  end
  if last > first then
    call('HSET', META, 'id', int(last))
    call('HSET', JOBS, unpack(records))
  end
  if #scores > 0 then
    call('ZADD', READY, unpack(scores))
    wake()
  end
  return ids
end
`

// enqueueLua adds jobs.
const enqueueLua = headLua + addLua + `
-- KEYS     meta, jobs, ready, delayed, wake, unique
-- ARGV     when, unique, record of each job; see add
-- Returns  the ids; see add
if #KEYS ~= 6 or #ARGV == 0 or #ARGV % 3 ~= 0 or #ARGV > 1500 then return BAD end
return add(1)
`

// tickLua adds the job of a cron entry's tick, once.
const tickLua = headLua + addLua + `
-- KEYS     meta, jobs, ready, delayed, wake, unique
-- ARGV[1]  the entry's name
-- ARGV[2]  the tick, in ms
-- ARGV[3..5]  when, unique, record; see add
-- Returns  {0, the last tick} if that tick or a later one has been, {-1, ms until it is time} if it is too early,
--          {1, id} if the job has been added
if #KEYS ~= 6 or #ARGV ~= 5 or not number(ARGV[2]) then return BAD end
local tick, field = number(ARGV[2]), 'cron:' .. ARGV[1]
local last = call('HGET', META, field)
if last and (number(last) or 0) >= tick then return {0, number(last) or 0} end
if tick > now then return {-1, tick - now} end
local ids = add(3)
if ids.err then return ids end
call('HSET', META, field, ARGV[2])
return {1, ids[1]}
`

// lifeLua is what the scripts share that take jobs from one state to another. They have all keys.
const lifeLua = `
-- drop forgets a job
local function drop(id)
  call('HDEL', JOBS, id)
  call('HDEL', NOTES, id)
  call('HDEL', OUTPUT, id)
end
-- let_unique lets go of the unique key of a job that has ended, or keeps it until its time
local function let_unique(h, id)
  if h.unique == '' then return end
  local have = call('HGET', UNIQUE, h.unique)
  if not have then return end
  local expiry, owner = string.match(have, '^[LF](%d+):(%d+)$')
  if owner ~= id then return end
  local at = number(expiry) or 0
  if at > now then
    call('HSET', UNIQUE, h.unique, 'F' .. int(at) .. ':' .. id)
    call('ZADD', EXPIRING, int(at), 'u' .. h.unique)
  else
    call('HDEL', UNIQUE, h.unique)
  end
end
-- let_key lets others of its key come: as many as may run together, at least one, so that they never wait for nobody.
local function let_key(h, held, most)
  if h.key == '' then return end
  local n
  if held then
    n = call('HINCRBY', GROUPS, h.key, -1)
    if n <= 0 then call('HDEL', GROUPS, h.key) end
  else
    n = tonumber(call('HGET', GROUPS, h.key) or '0') or 0
  end
  local room = math.max(1, most - n)
  local list = call('ZRANGEBYLEX', PARKED, '[' .. h.key .. '\0', '(' .. h.key .. '\1', 'LIMIT', 0, int(room))
  for _, m in ipairs(list) do
    call('ZREM', PARKED, m)
    local p, id = string.sub(m, #h.key + 2, #h.key + 2), string.match(m, '^0*(.*)$', #h.key + 3)
    if string.find(p, '^[0-6]$') and ident(id) then
      ready(id, tonumber(p))
      wake()
    end
  end
end
local function bury(h, id)
  call('ZADD', DEAD, int(now), id)
  let_unique(h, id)
end
-- fault notes a failed attempt and tells whether it was the last
local function fault(h, id, text)
  local n = 1
  local notes = call('HGET', NOTES, id)
  if notes then n = n + (number(string.match(notes, '^(%d+);')) or 0) end
  call('HSET', NOTES, id, int(n) .. ';' .. text)
  return n >= h.max
end
`

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script {
	return []*store.Script{enqueueScript, tickScript, turnScript, leaveScript, removeScript, replayScript, noteScript, lookScript}
}

// The scripts of this package. They are constants in all but the language.
var (
	enqueueScript = &store.Script{Name: "queue.enqueue", Lua: enqueueLua, Go: enqueueBody}
	tickScript    = &store.Script{Name: "queue.tick", Lua: tickLua, Go: tickBody}
	turnScript    = &store.Script{Name: "queue.turn", Lua: turnLua, Go: turnBody}
	leaveScript   = &store.Script{Name: "queue.leave", Lua: leaveLua, Go: leaveBody}
	removeScript  = &store.Script{Name: "queue.remove", Lua: removeLua, Go: removeBody}
	replayScript  = &store.Script{Name: "queue.replay", Lua: replayLua, Go: replayBody}
	noteScript    = &store.Script{Name: "queue.note", Lua: noteLua, Go: noteBody}
	lookScript    = &store.Script{Name: "queue.look", Lua: lookLua, Go: lookBody, ReadOnly: true}
)
