package ratelimit

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

// A block is a trailer of a log or of meters: the Unix millisecond, 6 bytes, until which the id is denied whatever it
// used. So it costs a decision no second key, and goes with the key.

const (
	trailerBytes = 6
	longestBlock = 100 * 365 * 24 * 3600 * 1000 // ms
	far          = 250 * 365 * 24 * 3600 * 1000 // ms ahead of the clock: what says so was not written here
)

const badBlock = "ERR ratelimit: want one key, milliseconds of at most a century, and the sizes of an entry and of the head"

// blockLua sets a trailer. Its units may be of any key that holds entries of one size behind a head.
const blockLua = `
-- KEYS[1]  a log, or meters
-- ARGV[1]  for how long to block, in milliseconds; 0 ends a block
-- ARGV[2]  bytes of an entry
-- ARGV[3]  bytes of the head: 0 or 6
-- Returns  1 if the id was blocked until now, else 0
local BAD = '` + badBlock + `'
if #KEYS ~= 1 or #ARGV ~= 3 or ARGV[3] ~= '0' and ARGV[3] ~= '6' then return redis.error_reply(BAD) end
for i = 1, 2 do
  if #ARGV[i] > 13 or ARGV[i] ~= '0' and not string.find(ARGV[i], '^[1-9]%d*$') then return redis.error_reply(BAD) end
end
local millis, entry, head = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if entry <= 6 or entry > 1024 or millis > 3153600000000 then return redis.error_reply(BAD) end
local t = redis.call('TIME')
local clock = t[1] * 1000 + math.floor(t[2] / 1000)
local size, was = redis.call('STRLEN', KEYS[1]), 0
if size > 0 and (size < head or (size - head) % entry ~= 0 and (size - head) % entry ~= 6) then
  return redis.error_reply('` + notOurs + `')
end
local units = size
if size > 0 and (size - head) % entry == 6 then
  units = size - 6
  local till = struct.unpack('>I6', redis.call('GETRANGE', KEYS[1], units, size - 1))
  if till > clock then was = 1 end
end
if millis == 0 and was == 0 then return 0 end
local trailer = struct.pack('>I6', millis > 0 and clock + millis or 0)
if size == 0 then
  redis.call('SET', KEYS[1], string.rep(string.char(0), head) .. trailer, 'PX', millis)
  return 0
end
redis.call('SETRANGE', KEYS[1], units, trailer)
if millis > 0 and millis > redis.call('PTTL', KEYS[1]) then redis.call('PEXPIRE', KEYS[1], millis) end
return was
`

var blockScript = &store.Script{Name: "ratelimit.block", Lua: blockLua, Go: block}

func block(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 3 || args[2] != "0" && args[2] != "6" {
		return store.Fail(store.ServerError(badBlock))
	}
	millis, entry, head := atoi(args[0]), int(atoi(args[1])), int(args[2][0]-'0')
	if millis == 0 && args[0] != "0" || millis > longestBlock || entry <= trailerBytes || entry > 1024 {
		return store.Fail(store.ServerError(badBlock))
	}
	key, clock := keys[0], tx.Now().UnixMilli()
	length, err := tx.Do("STRLEN", key).Int64()
	if err != nil {
		return store.Fail(err)
	}
	size, was := int(length), int64(0)
	rest := (size - head) % entry
	if size > 0 && (size < head || rest != 0 && rest != trailerBytes) {
		return store.Fail(store.ServerError(notOurs))
	}
	units := size
	if size > 0 && rest == trailerBytes {
		units -= trailerBytes
		old, _, err := store.StringsOf(tx).GetRange(key, units, trailerBytes, nil)
		if err != nil || len(old) < trailerBytes {
			return store.Fail(err)
		}
		if unpack48(old) > clock {
			was = 1
		}
	}
	switch {
	case millis == 0 && was == 0:
		return store.Int(0)
	case millis == 0:
		return countOr(tx.Do("SETRANGE", key, strconv.Itoa(units), string(pack48(nil, 0))), was)
	case size == 0:
		return countOr(tx.Do("SET", key, string(pack48(make([]byte, head), clock+millis)), "PX", args[0]), 0)
	}
	if r := tx.Do("SETRANGE", key, strconv.Itoa(units), string(pack48(nil, clock+millis))); r.Err() != nil {
		return r
	}
	ttl, err := tx.Do("PTTL", key).Int64()
	if err == nil && millis > ttl {
		err = tx.Do("PEXPIRE", key, args[0]).Err()
	}
	if err != nil {
		return store.Fail(err)
	}
	return store.Int(was)
}
