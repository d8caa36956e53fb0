package session

import (
	"strconv"
	"sync"

	"github.com/larderdb/larder/store"
)

// How sessions of scs lie in the store
//
// A session is a string: a head of 16 bytes, then the data. The head is '1' and until when the session stands in its
// bucket's list at least, Unix ms in 15 digits. It is listed for twice as long as it is to live, so a commit seldom has
// to list it anew: who knows the head (see listings) writes the value with SET XX and leaves the list alone.
//
// A session that was deleted has no value, and a tombstone at a key of its own. SET XX cannot make a session, and the
// script, which can, asks for the tombstone. So within the tombstone's time nothing brings a deleted session back.
const (
	scsHead   = 16
	maxMillis = 999_999_999_999_999
)

// sweep is how many expired entries a script drops from its bucket's list: more than it adds, so the list stays short.
const sweep = 8

const commitLua = `
-- KEYS     the session's value, its tombstone, its bucket's list
-- ARGV     data, TTL in ms, member
-- Returns  until when it is listed, Unix ms; 0 if the session was deleted
if #KEYS ~= 3 or #ARGV ~= 3 or #ARGV[2] > 15 or not string.find(ARGV[2], '^[1-9]%d*$') then
  return redis.error_reply('` + badCall + `')
end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local t, ttl = redis.call('TIME'), tonumber(ARGV[2])
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local listed = math.min(now + 2 * ttl, 999999999999999)
local stamp = string.format('%015.0f', listed)
redis.call('ZADD', KEYS[3], 'GT', stamp, ARGV[3])
redis.call('SET', KEYS[1], '1' .. stamp .. ARGV[1], 'PX', ARGV[2])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, 8)) do
  redis.call('ZREM', KEYS[3], old)
end
if redis.call('PTTL', KEYS[3]) < 2 * ttl then redis.call('PEXPIRE', KEYS[3], string.format('%.0f', 2 * ttl)) end
return listed
`

const deleteLua = `
-- KEYS     the session's value, its tombstone, its bucket's list
-- ARGV     TTL of the tombstone in ms, member
-- Returns  1
if #KEYS ~= 3 or #ARGV ~= 2 or #ARGV[1] > 15 or not string.find(ARGV[1], '^[1-9]%d*$') then
  return redis.error_reply('` + badCall + `')
end
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], '', 'PX', ARGV[1])
return 1
`

var (
	commitScript = &store.Script{Name: "session.scs.commit", Lua: commitLua, Go: commit}
	deleteScript = &store.Script{Name: "session.scs.delete", Lua: deleteLua, Go: remove}
)

// values are for use again: stores copy what they are given. Larger ones are left to the collector.
var values = sync.Pool{New: func() any { return new([]byte) }}

const keepBytes = 64 << 10

// headed appends a session's value to room.
func headed[T string | []byte](room []byte, listed int64, data T) []byte {
	var head [scsHead]byte
	head[0] = '1'
	for i := scsHead - 1; i > 0; i-- {
		head[i] = byte('0' + listed%10)
		listed /= 10
	}
	return append(append(room, head[:]...), data...)
}

func commit(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 3 || len(args) != 3 {
		return badReply
	}
	ttl, ok := store.Positive(args[1], maxDigits)
	if !ok {
		return badReply
	}
	if ended, err := tx.Do("EXISTS", keys[1]).Int64(); err != nil || ended != 0 {
		return orFail(err, store.Int(0))
	}
	listed := min(tx.Now().UnixMilli()+2*ttl, maxMillis)
	if r := tx.Do("ZADD", keys[2], "GT", strconv.FormatInt(listed, 10), args[2]); r.Err() != nil {
		return r
	}
	value := headed(make([]byte, 0, scsHead+len(args[0])), listed, args[0])
	if err := store.StringsOf(tx).SetString(keys[0], value, ttl); err != nil {
		return store.Fail(err)
	}
	return orFail(sweepList(tx, keys[2], 2*ttl), store.Int(listed))
}

func orFail(err error, r store.Reply) store.Reply {
	if err != nil {
		return store.Fail(err)
	}
	return r
}

// sweepList drops expired entries of a list that may have grown, and lets it live as long as its newest entry.
func sweepList(tx store.Tx, list string, ttl int64) error {
	now := strconv.FormatInt(tx.Now().UnixMilli(), 10)
	old, err := tx.Do("ZRANGEBYSCORE", list, "-inf", now, "LIMIT", "0", strconv.Itoa(sweep)).Strings()
	if err != nil {
		return err
	}
	for _, member := range old {
		if err := tx.Do("ZREM", list, member).Err(); err != nil {
			return err
		}
	}
	have, err := tx.Do("PTTL", list).Int64()
	if err != nil || have >= ttl {
		return err
	}
	return tx.Do("PEXPIRE", list, strconv.FormatInt(ttl, 10)).Err()
}

func remove(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 3 || len(args) != 2 {
		return badReply
	}
	if _, ok := store.Positive(args[0], maxDigits); !ok {
		return badReply
	}
	for _, words := range [][]string{{"ZREM", keys[2], args[1]}, {"DEL", keys[0]}, {"SET", keys[1], "", "PX", args[0]}} {
		if r := tx.Do(words...); r.Err() != nil {
			return r
		}
	}
	return store.Int(1)
}
