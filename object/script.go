package object

import (
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

const (
	badWrite = "ERR object: want one key, a mode, a TTL in milliseconds, a version, and as many fields as are announced"
	badAdd   = "ERR object: want one key, a field, its kind, a number, bounds and a field of the version"
	badStamp = "ERR object: the version in the store is not a number"
	noExpiry = "ERR unknown command 'HPEXPIRE': fields have a TTL on Redis from 7.4, Valkey from 9 and Larder"
	outside  = "ERR object: the sum does not fit the field"
)

// versionLua reads what both scripts begin with: whether there is an object, and its version, 0 if it has none. The version
// alone tells both, where there is one. HLEN otherwise tells another type's key by its WRONGTYPE.
const versionLua = `
local stamped, version = STAMP ~= '' and redis.call('HGET', KEYS[1], STAMP), 0
local have = stamped or redis.call('HLEN', KEYS[1]) > 0
if stamped then
  version = #stamped <= 15 and string.find(stamped, '^%d+$') and tonumber(stamped)
  if not version then return redis.error_reply('` + badStamp + `') end
end
`

// nextLua gives a version its successor. The first one is the store's clock, so that an object that is deleted and made
// anew does not meet its old versions again.
const nextLua = `
if STAMP ~= '' then
  if version == 0 then
    local t = redis.call('TIME')
    version = t[1] * 1000 + math.floor(t[2] / 1000) - 1
  end
  version = version + 1
end
`

// writeLua checks everything before it changes anything. Where single fields go away the marker comes first, lest the last
// one take the key along.
const writeLua = `
-- KEYS[1]  the object
-- ARGV[1]  s: the whole object anew, or p: single fields of an object that exists
-- ARGV[2]  of s: TTL in milliseconds, 0 for none
-- ARGV[3]  the field of the version, or empty
-- ARGV[4]  the version that must be there, 0 if there is none; empty for any
-- ARGV[5]  the number n of fields to set
-- ARGV[6]  the number e of fields that get a TTL
-- ARGV     then: n times field, value; e times field, milliseconds; fields to remove
-- Returns  {1, or 0 if there is no object, or -1 if there is another version; the version now}
local BAD, STAMP = '` + badWrite + `', ARGV[3]
local function number(s, digits) return s and #s <= digits and string.find(s, '^%d+$') and tonumber(s) end
local ttl, n, e = number(ARGV[2], 15), number(ARGV[5], 4), number(ARGV[6], 4)
if #KEYS ~= 1 or ARGV[1] ~= 's' and ARGV[1] ~= 'p' or not ttl or not n or not e or #ARGV < 6 + 2 * n + 2 * e then
  return redis.error_reply(BAD)
end
if ARGV[1] == 's' and n == 0 or ARGV[4] ~= '' and (STAMP == '' or not number(ARGV[4], 15)) then return redis.error_reply(BAD) end
local key, from = KEYS[1], 7 + 2 * n
for i = from, from + 2 * e - 1, 2 do
  local ms = number(ARGV[i + 1], 13)
  if not ms or ms == 0 then return redis.error_reply(BAD) end
end
` + versionLua + `
if ARGV[1] == 'p' and not have then return {0, 0} end
if ARGV[4] ~= '' and version ~= tonumber(ARGV[4]) then return {-1, version} end
` + nextLua + `
if e > 0 then
  local able = redis.pcall('HPTTL', key, 'FIELDS', '1', 'x')
  if able.err then return string.find(able.err, 'nknown') and redis.error_reply("` + noExpiry + `") or able end
end
if ARGV[1] == 's' and have then redis.call('DEL', key) end
if STAMP ~= '' then
  redis.call('HSET', key, STAMP, string.format('%.0f', version), unpack(ARGV, 7, 6 + 2 * n))
elseif n > 0 then
  redis.call('HSET', key, unpack(ARGV, 7, 6 + 2 * n))
end
for i = from, from + 2 * e - 1, 2 do
  redis.call('HPEXPIRE', key, ARGV[i + 1], 'FIELDS', '1', ARGV[i])
end
if ARGV[1] == 's' then
  if ttl > 0 then redis.call('PEXPIRE', key, ARGV[2]) end
elseif #ARGV >= from + 2 * e then
  redis.call('HSET', key, string.char(0), '1')
  redis.call('HDEL', key, unpack(ARGV, from + 2 * e))
end
return {1, version}
`

// addLua takes back what leaves the bounds of the field's type.
const addLua = `
-- KEYS[1]  the object
-- ARGV[1]  the field
-- ARGV[2]  i: an integer, f: a floating point number
-- ARGV[3]  what to add
-- ARGV[4]  of i: the least value that fits, or empty
-- ARGV[5]  of i: the greatest, or empty
-- ARGV[6]  the field of the version, or empty
-- Returns  the sum as text, or nil if there is no object
if #KEYS ~= 1 or #ARGV ~= 6 or ARGV[2] ~= 'i' and ARGV[2] ~= 'f' then return redis.error_reply('` + badAdd + `') end
for i = 4, 5 do
  if ARGV[i] ~= '' and (#ARGV[i] > 11 or not string.find(ARGV[i], '^-?%d+$')) then return redis.error_reply('` + badAdd + `') end
end
local key, field, STAMP = KEYS[1], ARGV[1], ARGV[6]
` + versionLua + `
if not have then return false end
local sum
if ARGV[2] == 'f' then
  sum = redis.pcall('HINCRBYFLOAT', key, field, ARGV[3])
  if type(sum) == 'table' then return sum end
else
  if ARGV[3] == '-9223372036854775808' then return redis.error_reply('` + badAdd + `') end -- it cannot be taken back
  local bounded = ARGV[4] ~= '' or ARGV[5] ~= ''
  local had = bounded and redis.call('HEXISTS', key, field) == 1
  sum = redis.pcall('HINCRBY', key, field, ARGV[3])
  if type(sum) == 'table' then return sum end
  if bounded and (ARGV[4] ~= '' and sum < tonumber(ARGV[4]) or ARGV[5] ~= '' and sum > tonumber(ARGV[5])) then
    if had then
      redis.call('HINCRBY', key, field, string.sub(ARGV[3], 1, 1) == '-' and string.sub(ARGV[3], 2) or '-' .. ARGV[3])
    else
      redis.call('HDEL', key, field)
    end
    return redis.error_reply('` + outside + `')
  end
  -- Lua's numbers are exact so far
  sum = math.abs(sum) < 2 ^ 53 and string.format('%.0f', sum) or redis.call('HGET', key, field)
end
` + nextLua + `
if STAMP ~= '' then redis.call('HSET', key, STAMP, string.format('%.0f', version)) end
return sum
`

// The scripts of this package. They are constants in all but the language.
var (
	writeScript = &store.Script{Name: "object.write", Lua: writeLua, Go: write}
	addScript   = &store.Script{Name: "object.add", Lua: addLua, Go: add}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script { return []*store.Script{writeScript, addScript} }

// writing is the arguments of the write script.
type writing struct {
	whole           bool
	ttl             int64
	expected        int64 // -1 for any
	sets            []string
	expiring        []string
	gone            []string
	stamp, ttlWords string
}

func parseWriting(keys, args []string) (w writing, ok bool) {
	if len(keys) != 1 || len(args) < 6 || args[0] != "s" && args[0] != "p" {
		return w, false
	}
	w = writing{whole: args[0] == "s", stamp: args[2], ttlWords: args[1], expected: -1}
	sets, ok1 := store.Digits(args[4], 4)
	expiring, ok2 := store.Digits(args[5], 4)
	n, e := int(sets), int(expiring)
	if w.ttl, ok = store.Digits(args[1], 15); !ok || !ok1 || !ok2 || len(args) < 6+2*n+2*e || w.whole && n == 0 {
		return w, false
	}
	if args[3] != "" {
		if w.expected, ok = store.Digits(args[3], 15); !ok || w.stamp == "" {
			return w, false
		}
	}
	w.sets, w.expiring, w.gone = args[6:6+2*n], args[6+2*n:6+2*n+2*e], args[6+2*n+2*e:]
	for i := 1; i < len(w.expiring); i += 2 {
		if ms, ok := store.Digits(w.expiring[i], 13); !ok || ms == 0 {
			return w, false
		}
	}
	return w, true
}

func write(tx store.Tx, keys, args []string) store.Reply {
	w, ok := parseWriting(keys, args)
	if !ok {
		return store.Fail(store.ServerError(badWrite))
	}
	have, version, err := versionOf(tx, keys[0], w.stamp)
	switch {
	case err != nil:
		return store.Fail(err)
	case !have && !w.whole:
		return store.ArrayOf(store.Int(0), store.Int(0))
	case w.expected >= 0 && version != w.expected:
		return store.ArrayOf(store.Int(-1), store.Int(version))
	}
	version = next(tx, w.stamp, version)
	if len(w.expiring) > 0 {
		if err := tx.Do("HPTTL", keys[0], "FIELDS", "1", "x").Err(); err != nil {
			if strings.Contains(err.Error(), "nknown") {
				err = store.ServerError(noExpiry)
			}
			return store.Fail(err)
		}
	}
	if err := w.apply(tx, keys[0], have, version); err != nil {
		return store.Fail(err)
	}
	return store.ArrayOf(store.Int(1), store.Int(version))
}

// apply changes the object. All is checked.
func (w *writing) apply(tx store.Tx, key string, have bool, version int64) error {
	if w.whole && have {
		if err := tx.Do("DEL", key).Err(); err != nil {
			return err
		}
	}
	sets := append(make([]string, 0, 4+len(w.sets)), "HSET", key)
	if w.stamp != "" {
		sets = append(sets, w.stamp, strconv.FormatInt(version, 10))
	}
	if sets = append(sets, w.sets...); len(sets) > 2 {
		if err := tx.Do(sets...).Err(); err != nil {
			return err
		}
	}
	for i := 0; i < len(w.expiring); i += 2 {
		if err := tx.Do("HPEXPIRE", key, w.expiring[i+1], "FIELDS", "1", w.expiring[i]).Err(); err != nil {
			return err
		}
	}
	switch {
	case w.whole && w.ttl > 0:
		return tx.Do("PEXPIRE", key, w.ttlWords).Err()
	case !w.whole && len(w.gone) > 0:
		if err := tx.Do("HSET", key, marker, "1").Err(); err != nil {
			return err
		}
		return tx.Do(append([]string{"HDEL", key}, w.gone...)...).Err()
	}
	return nil
}

// versionOf tells whether there is an object, and its version, 0 if it has none.
func versionOf(tx store.Tx, key, stamp string) (have bool, version int64, err error) {
	if stamp != "" {
		text, ok, err := tx.Do("HGET", key, stamp).Lookup()
		if err != nil {
			return false, 0, err
		}
		if ok {
			if version, ok = store.Digits(text, 15); !ok {
				err = store.ServerError(badStamp)
			}
			return true, version, err
		}
	}
	n, err := tx.Do("HLEN", key).Int64()
	return n > 0, 0, err
}

// next is a version's successor, of an object that has one.
func next(tx store.Tx, stamp string, version int64) int64 {
	switch {
	case stamp == "":
		return 0
	case version == 0:
		return tx.Now().UnixMilli()
	}
	return version + 1
}

func add(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 6 || args[1] != "i" && args[1] != "f" || !isBound(args[3]) || !isBound(args[4]) {
		return store.Fail(store.ServerError(badAdd))
	}
	key, field, stamp := keys[0], args[0], args[5]
	have, version, err := versionOf(tx, key, stamp)
	if err != nil || !have {
		return store.Fail(err)
	}
	var sum store.Reply
	if args[1] == "f" {
		sum = tx.Do("HINCRBYFLOAT", key, field, args[2])
	} else {
		sum = addInteger(tx, key, field, args[2:5])
	}
	if sum.Err() == nil && stamp != "" {
		if r := tx.Do("HSET", key, stamp, strconv.FormatInt(next(tx, stamp, version), 10)); r.Err() != nil {
			return r
		}
	}
	return sum
}

// addInteger takes back a sum out of bounds: what to add, least, greatest. It answers the sum as text.
func addInteger(tx store.Tx, key, field string, args []string) store.Reply {
	if args[0] == "-9223372036854775808" {
		return store.Fail(store.ServerError(badAdd)) // it cannot be taken back
	}
	bounded, had := args[1] != "" || args[2] != "", false
	if bounded {
		var err error
		if had, err = tx.Do("HEXISTS", key, field).Bool(); err != nil {
			return store.Fail(err)
		}
	}
	sum, err := tx.Do("HINCRBY", key, field, args[0]).Int64()
	if err != nil {
		return store.Fail(err)
	}
	least, _ := strconv.ParseInt(args[1], 10, 64)
	most, _ := strconv.ParseInt(args[2], 10, 64)
	if (args[1] == "" || sum >= least) && (args[2] == "" || sum <= most) {
		return store.Bulk(strconv.FormatInt(sum, 10))
	}
	undo := "-" + args[0]
	if args[0][0] == '-' {
		undo = args[0][1:]
	}
	if !had {
		err = tx.Do("HDEL", key, field).Err()
	} else {
		err = tx.Do("HINCRBY", key, field, undo).Err()
	}
	if err == nil {
		err = store.ServerError(outside)
	}
	return store.Fail(err)
}

// isBound accepts what the Lua body does: nothing, or an integer of at most 11 characters.
func isBound(s string) bool {
	if s == "" {
		return true
	}
	digits := s
	if s[0] == '-' {
		digits = s[1:]
	}
	_, ok := store.Digits(digits, 11)
	return ok && len(s) <= 11
}
