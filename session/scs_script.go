package session

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

// sweep is how many expired entries a commit drops from its bucket's list: more than it adds, so the list stays short.
const sweep = 8

const commitLua = `
-- KEYS[1]  the session's value: '1' and the data, or '0' of one that was deleted
-- KEYS[2]  its bucket's list
-- ARGV     value, TTL in ms, expiry in Unix ms, member
-- Returns  1, or 0 if the session was deleted
if #KEYS ~= 2 or #ARGV ~= 4 or #ARGV[2] > 15 or not string.find(ARGV[2], '^[1-9]%d*$') or
    #ARGV[3] > 15 or not string.find(ARGV[3], '^%d+$') then
  return redis.error_reply('` + badCall + `')
end
if redis.call('GETRANGE', KEYS[1], 0, 0) == '0' then return 0 end
local new = redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if new == 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2], 'GT')
  return 1
end
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 8)) do redis.call('ZREM', KEYS[2], old) end
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
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

func commit(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 2 || len(args) != 4 {
		return badReply
	}
	ttl, ok := number(args[1])
	if _, valid := number(args[2]); !ok || !valid || args[1][0] == '0' {
		return badReply
	}
	var first [1]byte
	strings := store.StringsOf(tx)
	was, _, err := strings.GetRange(keys[0], 0, 1, first[:0])
	if err != nil {
		return store.Fail(err)
	}
	if string(was) == "0" {
		return store.Int(0)
	}
	added, err := tx.Do("ZADD", keys[1], args[2], args[3]).Int64()
	if err == nil {
		err = strings.SetString(keys[0], []byte(args[0]), ttl)
	}
	if err != nil {
		return store.Fail(err)
	}
	if added == 0 {
		if r := tx.Do("PEXPIRE", keys[1], args[1], "GT"); r.Err() != nil {
			return r
		}
		return store.Int(1)
	}
	return sweepList(tx, keys[1], ttl)
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
	if _, ok := number(args[0]); !ok || args[0][0] == '0' {
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
