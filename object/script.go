package object

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

const (
	badWrite = "ERR object: want one key, a mode, a TTL in milliseconds, a version, and as many fields as are announced"
	badAdd   = "ERR object: want one key, a field, its kind, a number, bounds and a field of the version"
	badStamp = "ERR object: the version in the store is not a number"
	noExpiry = "ERR unknown command 'HPEXPIRE': this server has no TTL for fields"
	outside  = "ERR object: the sum does not fit the field"
)

// stampLua gives a version its successor. The first one is the store's clock, so that an object that is deleted and made
// anew does not meet its old versions again.
const stampLua = `
local function stamp(field)
  local v = redis.call('HGET', KEYS[1], field)
  if not v then return 0 end
  if #v > 15 or not string.find(v, '^%d+$') then return nil end
  return tonumber(v)
end
local function successor(v)
  if v > 0 then return v + 1 end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`

// writeLua checks everything before it changes anything. HLEN comes first for its WRONGTYPE: another type's key is not
// deleted. Where single fields go away the marker comes first, lest the last one take the key along.
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
local BAD = '` + badWrite + `'
local function number(s, digits) return s and #s <= digits and string.find(s, '^%d+$') and tonumber(s) end
local ttl, n, e = number(ARGV[2], 15), number(ARGV[5], 4), number(ARGV[6], 4)
if #KEYS ~= 1 or ARGV[1] ~= 's' and ARGV[1] ~= 'p' or not ttl or not n or not e or #ARGV < 6 + 2 * n + 2 * e then
  return redis.error_reply(BAD)
end
if ARGV[1] == 's' and n == 0 or ARGV[4] ~= '' and (ARGV[3] == '' or not number(ARGV[4], 15)) then return redis.error_reply(BAD) end
local key, from = KEYS[1], 7 + 2 * n
for i = from, from + 2 * e - 1, 2 do
  local ms = number(ARGV[i + 1], 13)
  if not ms or ms == 0 then return redis.error_reply(BAD) end
end
` + stampLua + `
local have = redis.call('HLEN', key) > 0
if ARGV[1] == 'p' and not have then return {0, 0} end
local version = 0
if ARGV[3] ~= '' then
  version = stamp(ARGV[3])
  if not version then return redis.error_reply('` + badStamp + `') end
  if ARGV[4] ~= '' and version ~= tonumber(ARGV[4]) then return {-1, version} end
  version = successor(version)
end
if e > 0 then
  local able = redis.pcall('HPTTL', key, 'FIELDS', '1', 'x')
  if type(able) == 'table' and able.err then return redis.error_reply("` + noExpiry + `") end
end
if ARGV[1] == 's' and have then redis.call('DEL', key) end
if n > 0 then redis.call('HSET', key, unpack(ARGV, 7, 6 + 2 * n)) end
if ARGV[3] ~= '' then redis.call('HSET', key, ARGV[3], string.format('%.0f', version)) end
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
` + stampLua + `
local key, field = KEYS[1], ARGV[1]
if redis.call('HLEN', key) == 0 then return false end
local version = 0
if ARGV[6] ~= '' then
  version = stamp(ARGV[6])
  if not version then return redis.error_reply('` + badStamp + `') end
end
if ARGV[2] == 'f' then
  local r = redis.pcall('HINCRBYFLOAT', key, field, ARGV[3])
  if type(r) == 'table' and r.err then return r end
else
  if ARGV[3] == '-9223372036854775808' then return redis.error_reply('` + badAdd + `') end -- it cannot be taken back
  local had = redis.call('HEXISTS', key, field) == 1
  local r = redis.pcall('HINCRBY', key, field, ARGV[3])
  if type(r) == 'table' then return r end
  if ARGV[4] ~= '' and r < tonumber(ARGV[4]) or ARGV[5] ~= '' and r > tonumber(ARGV[5]) then
    if had then
      redis.call('HINCRBY', key, field, string.sub(ARGV[3], 1, 1) == '-' and string.sub(ARGV[3], 2) or '-' .. ARGV[3])
    else
      redis.call('HDEL', key, field)
    end
    return redis.error_reply('` + outside + `')
  end
end
if ARGV[6] ~= '' then redis.call('HSET', key, ARGV[6], string.format('%.0f', successor(version))) end
return redis.call('HGET', key, field)
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
	n, err := tx.Do("HLEN", keys[0]).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if n == 0 && !w.whole {
		return store.ArrayOf(store.Int(0), store.Int(0))
	}
	version := int64(0)
	if w.stamp != "" {
		if version, err = stamp(tx, keys[0], w.stamp); err != nil {
			return store.Fail(err)
		}
		if w.expected >= 0 && version != w.expected {
			return store.ArrayOf(store.Int(-1), store.Int(version))
		}
		version = successor(tx, version)
	}
	if len(w.expiring) > 0 && tx.Do("HPTTL", keys[0], "FIELDS", "1", "x").Err() != nil {
		return store.Fail(store.ServerError(noExpiry))
	}
	if err := w.apply(tx, keys[0], n > 0, version); err != nil {
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
	if len(w.sets) > 0 {
		if err := tx.Do(words("HSET", key, w.sets)...).Err(); err != nil {
			return err
		}
	}
	if w.stamp != "" {
		if err := tx.Do("HSET", key, w.stamp, strconv.FormatInt(version, 10)).Err(); err != nil {
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
		return tx.Do(words("HDEL", key, w.gone)...).Err()
	}
	return nil
}

// stamp reads the version of an object; 0 if it has none.
func stamp(tx store.Tx, key, field string) (int64, error) {
	text, ok, err := tx.Do("HGET", key, field).Lookup()
	if err != nil || !ok {
		return 0, err
	}
	v, ok := store.Digits(text, 15)
	if !ok {
		return 0, store.ServerError(badStamp)
	}
	return v, nil
}

func successor(tx store.Tx, version int64) int64 {
	if version > 0 {
		return version + 1
	}
	return tx.Now().UnixMilli()
}

func add(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 6 || args[1] != "i" && args[1] != "f" || !isBound(args[3]) || !isBound(args[4]) {
		return store.Fail(store.ServerError(badAdd))
	}
	key, field := keys[0], args[0]
	n, err := tx.Do("HLEN", key).Int64()
	if err != nil || n == 0 {
		return store.Fail(err)
	}
	version := int64(0)
	if args[5] != "" {
		if version, err = stamp(tx, key, args[5]); err != nil {
			return store.Fail(err)
		}
	}
	if args[1] == "f" {
		err = tx.Do("HINCRBYFLOAT", key, field, args[2]).Err()
	} else {
		err = addInteger(tx, key, field, args[2:5])
	}
	if err == nil && args[5] != "" {
		err = tx.Do("HSET", key, args[5], strconv.FormatInt(successor(tx, version), 10)).Err()
	}
	if err != nil {
		return store.Fail(err)
	}
	return tx.Do("HGET", key, field)
}

// addInteger takes back a sum out of bounds: what to add, least, greatest.
func addInteger(tx store.Tx, key, field string, args []string) error {
	if args[0] == "-9223372036854775808" {
		return store.ServerError(badAdd) // it cannot be taken back
	}
	had, err := tx.Do("HEXISTS", key, field).Bool()
	if err != nil {
		return err
	}
	sum, err := tx.Do("HINCRBY", key, field, args[0]).Int64()
	if err != nil {
		return err
	}
	least, _ := strconv.ParseInt(args[1], 10, 64)
	most, _ := strconv.ParseInt(args[2], 10, 64)
	if (args[1] == "" || sum >= least) && (args[2] == "" || sum <= most) {
		return nil
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
	if err != nil {
		return err
	}
	return store.ServerError(outside)
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

func words(name, key string, rest []string) []string {
	return append(append(make([]string, 0, 2+len(rest)), name, key), rest...)
}
