package object

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

const (
	badSave  = "ERR object: want one key, a TTL in milliseconds or 0, and fields with values"
	badPatch = "ERR object: want one key, the number of fields to set, these with values, and fields to remove"
)

// saveLua replaces an object. HLEN comes first for its WRONGTYPE: another type's key is not deleted.
const saveLua = `
-- KEYS[1]  the object
-- ARGV[1]  TTL in milliseconds, 0 for none
-- ARGV     then: field, value, ...
-- Returns  1
if #KEYS ~= 1 or #ARGV < 3 or #ARGV % 2 == 0 or #ARGV[1] > 15 or not string.find(ARGV[1], '^%d+$') then
  return redis.error_reply('` + badSave + `')
end
if redis.call('HLEN', KEYS[1]) > 0 then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if tonumber(ARGV[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
`

// patchLua writes single fields. Where fields go away the marker comes first, lest the last one take the key along.
const patchLua = `
-- KEYS[1]  the object
-- ARGV[1]  the number n of fields to set
-- ARGV     then: n times field, value; then fields to remove
-- Returns  1, or 0 if there is no object
local n = #ARGV > 0 and #ARGV[1] <= 4 and string.find(ARGV[1], '^%d+$') and tonumber(ARGV[1])
if #KEYS ~= 1 or not n or #ARGV < 1 + 2 * n then
  return redis.error_reply('` + badPatch + `')
end
if redis.call('HLEN', KEYS[1]) == 0 then return 0 end
if n > 0 then redis.call('HSET', KEYS[1], unpack(ARGV, 2, 1 + 2 * n)) end
if #ARGV > 1 + 2 * n then
  redis.call('HSET', KEYS[1], string.char(0), '1')
  redis.call('HDEL', KEYS[1], unpack(ARGV, 2 + 2 * n))
end
return 1
`

// The scripts of this package. They are constants in all but the language.
var (
	saveScript  = &store.Script{Name: "object.save", Lua: saveLua, Go: save}
	patchScript = &store.Script{Name: "object.patch", Lua: patchLua, Go: patch}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script { return []*store.Script{saveScript, patchScript} }

func save(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) < 3 || len(args)%2 == 0 {
		return store.Fail(store.ServerError(badSave))
	}
	ttl, ok := count(args[0], 15)
	if !ok {
		return store.Fail(store.ServerError(badSave))
	}
	n, err := tx.Do("HLEN", keys[0]).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if n > 0 {
		if r := tx.Do("DEL", keys[0]); r.Err() != nil {
			return r
		}
	}
	if r := tx.Do(words("HSET", keys[0], args[1:])...); r.Err() != nil {
		return r
	}
	if ttl > 0 {
		if r := tx.Do("PEXPIRE", keys[0], args[0]); r.Err() != nil {
			return r
		}
	}
	return store.Int(1)
}

func patch(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) == 0 {
		return store.Fail(store.ServerError(badPatch))
	}
	n, ok := count(args[0], 4)
	if !ok || len(args) < 1+2*n {
		return store.Fail(store.ServerError(badPatch))
	}
	have, err := tx.Do("HLEN", keys[0]).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if have == 0 {
		return store.Int(0)
	}
	if n > 0 {
		if r := tx.Do(words("HSET", keys[0], args[1:1+2*n])...); r.Err() != nil {
			return r
		}
	}
	if gone := args[1+2*n:]; len(gone) > 0 {
		if r := tx.Do("HSET", keys[0], marker, "1"); r.Err() != nil {
			return r
		}
		if r := tx.Do(words("HDEL", keys[0], gone)...); r.Err() != nil {
			return r
		}
	}
	return store.Int(1)
}

func words(name, key string, rest []string) []string {
	return append(append(make([]string, 0, 2+len(rest)), name, key), rest...)
}

// count reads a number of at most so many digits, nothing else.
func count(s string, digits int) (int, bool) {
	if s == "" || len(s) > digits {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
