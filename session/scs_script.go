package session

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/larderdb/larder/store"
)

// sweep is how many expired entries a commit drops from its bucket's list: more than it adds, so the list stays short.
const sweep = 8

// A session's value begins with a head of 16 bytes: '1', or '0' for one that was deleted, and until when it stands in its
// bucket's list, Unix ms in 15 digits. It is listed for twice as long as it is to live. So most commits find that the
// list may stay as it is, and write the value alone.
const (
	scsHead   = 16
	maxMillis = 999_999_999_999_999
)

const commitLua = `
-- KEYS[1]  the session's value
-- KEYS[2]  its bucket's list
-- ARGV     data, TTL in ms, member
-- Returns  1, or 0 if the session was deleted
if #KEYS ~= 2 or #ARGV ~= 3 or #ARGV[2] > 15 or not string.find(ARGV[2], '^[1-9]%d*$') then
  return redis.error_reply('` + badCall + `')
end
local head, ttl = redis.call('GETRANGE', KEYS[1], 0, 15), tonumber(ARGV[2])
if string.sub(head, 1, 1) == '0' then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if string.find(head, '^1%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d$') and now + ttl <= tonumber(string.sub(head, 2)) then
  redis.call('SET', KEYS[1], head .. ARGV[1], 'PX', ARGV[2])
  return 1
end
local listed = string.format('%015.0f', math.min(now + 2 * ttl, 999999999999999))
redis.call('ZADD', KEYS[2], listed, ARGV[3])
redis.call('SET', KEYS[1], '1' .. listed .. ARGV[1], 'PX', ARGV[2])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 8)) do
  redis.call('ZREM', KEYS[2], old)
end
if redis.call('PTTL', KEYS[2]) < 2 * ttl then redis.call('PEXPIRE', KEYS[2], string.format('%.0f', 2 * ttl)) end
return 1
`

const deleteLua = `
-- KEYS[1]  the session's value
-- KEYS[2]  its bucket's list
-- ARGV     TTL of the tombstone in ms, member
-- Returns  1
if #KEYS ~= 2 or #ARGV ~= 2 or #ARGV[1] > 15 or not string.find(ARGV[1], '^[1-9]%d*$') then
  return redis.error_reply('` + badCall + `')
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], '0', 'PX', ARGV[1])
return 1
`

var (
	commitScript = &store.Script{Name: "session.scs.commit", Lua: commitLua, Go: commit}
	deleteScript = &store.Script{Name: "session.scs.delete", Lua: deleteLua, Go: remove}
)

// values are for use again: the store copies what it is given. Larger ones are left to the collector.
var values = sync.Pool{New: func() any { return new([]byte) }}

const keepBytes = 64 << 10

func commit(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 2 || len(args) != 3 {
		return badReply
	}
	ttl, ok := store.Digits(args[1], maxDigits)
	if !ok || args[1][0] == '0' {
		return badReply
	}
	var buf [scsHead]byte
	strings := store.StringsOf(tx)
	head, _, err := strings.GetRange(keys[0], 0, scsHead, buf[:0])
	if err != nil {
		return store.Fail(err)
	}
	if len(head) > 0 && head[0] == '0' {
		return store.Int(0)
	}
	room, _ := values.Get().(*[]byte)
	defer values.Put(room)
	value := append(append((*room)[:0], buf[:]...), args[0]...)
	copy(value, head)
	if cap(value) <= keepBytes {
		*room = value
	}
	now := tx.Now().UnixMilli()
	if len(head) == scsHead && head[0] == '1' {
		if listed, ok := store.Digits(string(head[1:]), maxDigits); ok && now+ttl <= listed {
			if err := strings.SetString(keys[0], value, ttl); err != nil {
				return store.Fail(err)
			}
			return store.Int(1)
		}
	}
	listed := fmt.Sprintf("%015d", min(now+2*ttl, maxMillis))
	if r := tx.Do("ZADD", keys[1], listed, args[2]); r.Err() != nil {
		return r
	}
	value[0] = '1'
	copy(value[1:], listed)
	if err := strings.SetString(keys[0], value, ttl); err != nil {
		return store.Fail(err)
	}
	return sweepList(tx, keys[1], 2*ttl)
}

// sweepList drops expired entries of a list that has grown, and lets it live as long as its newest entry.
func sweepList(tx store.Tx, list string, ttl int64) store.Reply {
	now := strconv.FormatInt(tx.Now().UnixMilli(), 10)
	old, err := tx.Do("ZRANGEBYSCORE", list, "-inf", now, "LIMIT", "0", strconv.Itoa(sweep)).Strings()
	if err != nil {
		return store.Fail(err)
	}
	for _, member := range old {
		if r := tx.Do("ZREM", list, member); r.Err() != nil {
			return r
		}
	}
	have, err := tx.Do("PTTL", list).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if have < ttl {
		if r := tx.Do("PEXPIRE", list, strconv.FormatInt(ttl, 10)); r.Err() != nil {
			return r
		}
	}
	return store.Int(1)
}

func remove(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 2 || len(args) != 2 {
		return badReply
	}
	if _, ok := store.Digits(args[0], maxDigits); !ok || args[0][0] == '0' {
		return badReply
	}
	if r := tx.Do("ZREM", keys[1], args[1]); r.Err() != nil {
		return r
	}
	if r := tx.Do("SET", keys[0], "0", "PX", args[0]); r.Err() != nil {
		return r
	}
	return store.Int(1)
}
