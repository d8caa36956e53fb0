package cache

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

// The atomic steps of a lease; lease.go has the idea, entry.go the layout. All of them look at the head of one entry.

// bid plants a lease in the place of what its caller has seen, or where there is nothing.
var bid = &store.Script{Name: "cache.bid", Lua: `
-- KEYS[1]  the entry
-- ARGV[1]  a lease, to stand where there is no entry
-- ARGV[2]  its TTL, in milliseconds
-- ARGV[3]  how the entry begins that the caller wants to replace
-- ARGV[4]  token, state and end of the lease, to be written into that entry; empty: the lease takes its place
-- Returns  nil if the lease was planted; else the entry that is there
if #KEYS ~= 1 or #ARGV ~= 4 or not string.find(ARGV[2], '^[1-9]%d*$') or #ARGV[2] > 13 then
  return redis.error_reply('ERR cache: bad call')
end
local seen = ARGV[3]
local there = redis.call('GETRANGE', KEYS[1], 0, math.max(#seen, 1) - 1)
if there ~= '' and there == seen then
  if ARGV[4] ~= '' then
    redis.call('SETRANGE', KEYS[1], 15, ARGV[4])
    return false
  end
elseif there ~= '' or redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
`, Go: bidGo}

func bidGo(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 4 {
		return store.Fail(errBadCall)
	}
	ttl, ok := store.Positive(args[1], maxDigits)
	if !ok {
		return store.Fail(errBadCall)
	}
	key, seen := keys[0], args[2]
	strings := store.StringsOf(tx)
	var buf [headBytes]byte
	there, size, err := strings.GetRange(key, 0, max(len(seen), 1), buf[:0])
	switch {
	case err != nil:
		return store.Fail(err)
	case len(there) > 0 && string(there) == seen:
		if args[3] != "" {
			if r := tx.Do("SETRANGE", key, strconv.Itoa(tokenAt), args[3]); r.Err() != nil {
				return r
			}
			return store.Nil()
		}
	case size > 0:
		return tx.Do("GET", key)
	case exists(tx, key):
		return tx.Do("GET", key)
	}
	if err := strings.SetString(key, []byte(args[0]), ttl); err != nil {
		return store.Fail(err)
	}
	return store.Nil()
}

// exists tells whether there is a key; one of an empty string is rare, and told from none only here.
func exists(tx store.Tx, key string) bool {
	n, err := tx.Do("EXISTS", key).Int64()
	return err == nil && n > 0
}

// fill stores what was loaded, if the lease still stands. It knows that by the token alone: no two are alike, so nothing
// else has these bytes in this place.
var fill = &store.Script{Name: "cache.fill", Lua: `
-- KEYS[1]  the entry
-- ARGV[1]  the token of the lease under which the value was loaded, 8 bytes
-- ARGV[2]  the new entry; empty: there is to be none
-- ARGV[3]  its TTL, in milliseconds
-- Returns  0 if the lease is gone, and nothing was stored; 1 if it was; 2 if somebody waits for it
if #KEYS ~= 1 or #ARGV ~= 3 or #ARGV[1] ~= 8 or not string.find(ARGV[3], '^[1-9]%d*$') or #ARGV[3] > 13 then
  return redis.error_reply('ERR cache: bad call')
end
local lease = redis.call('GETRANGE', KEYS[1], 15, 23)
if #lease < 9 or string.sub(lease, 1, 8) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return string.byte(lease, 9) == 1 and 2 or 1
`, Go: fillGo}

func fillGo(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 3 || len(args[0]) != tokenBytes {
		return store.Fail(errBadCall)
	}
	ttl, ok := store.Positive(args[2], maxDigits)
	if !ok {
		return store.Fail(errBadCall)
	}
	strings := store.StringsOf(tx)
	var buf [leaseBytes - tokenAt]byte
	lease, _, err := strings.GetRange(keys[0], tokenAt, len(buf), buf[:0])
	if err != nil {
		return store.Fail(err)
	}
	if len(lease) < len(buf) || string(lease[:tokenBytes]) != args[0] {
		return store.Int(0)
	}
	if args[1] == "" {
		err = tx.Do("DEL", keys[0]).Err()
	} else {
		err = strings.SetString(keys[0], []byte(args[1]), ttl)
	}
	if err != nil {
		return store.Fail(err)
	}
	return ended(lease[tokenBytes])
}

// ended is the reply about a lease that has ended.
func ended(state byte) store.Reply {
	if state == stateWaited {
		return store.Int(2)
	}
	return store.Int(1)
}

// What lease does.
const (
	leaseWait    = "wait"
	leaseRenew   = "renew"
	leaseRelease = "release"
	leaseHold    = "hold"
)

// lease does everything else that there is to do with a lease.
var lease = &store.Script{Name: "cache.lease", Lua: `
-- KEYS[1]  the entry
-- ARGV[1]  wait: its end is to be published; renew: it lasts longer; release: the load has failed; hold: likewise, and
--          the source is not to be asked before the lease ends
-- ARGV[2]  the lease's token, 8 bytes; wait takes any
-- ARGV[3]  renew and hold: until when, by the store's clock, 8 bytes; goes into an entry
-- ARGV[4]  renew: for how long, in milliseconds; for a lease without a value
-- Returns  0 if there is no such lease; else 1, or 2 if it has ended and somebody waits for that
if #KEYS ~= 1 or #ARGV ~= 4 or #ARGV[2] ~= 8 or #ARGV[3] ~= 8 or not string.find(ARGV[4], '^[1-9]%d*$') or #ARGV[4] > 13 then
  return redis.error_reply('ERR cache: bad call')
end
local key, op = KEYS[1], ARGV[1]
local head = redis.call('GETRANGE', key, 0, 23)
if #head < 24 or string.byte(head, 1) ~= 202 or string.byte(head, 2) ~= 1 then return 0 end
local flags, token = string.byte(head, 3), string.sub(head, 16, 23)
local bare = math.floor(flags / 2) % 2 == 1
if not bare and math.floor(flags / 4) % 2 == 0 then return 0 end
if op == 'wait' then
  if token == '\0\0\0\0\0\0\0\0' then return 0 end
elseif token ~= ARGV[2] then
  return 0
end
if op == 'wait' then
  if string.byte(head, 24) == 0 then redis.call('SETRANGE', key, 23, '\1') end
  return 1
end
if op == 'renew' then
  if bare then
    redis.call('PEXPIRE', key, ARGV[4])
  else
    redis.call('SETRANGE', key, 24, ARGV[3])
  end
  return 1
end
if op ~= 'release' and op ~= 'hold' then return redis.error_reply('ERR cache: bad call') end
if bare then
  redis.call('DEL', key)
elseif op == 'hold' then
  redis.call('SETRANGE', key, 23, '\2' .. ARGV[3])
else
  redis.call('SETRANGE', key, 15, string.rep('\0', 17))
end
return string.byte(head, 24) == 1 and 2 or 1
`, Go: leaseGo}

func leaseGo(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) != 4 || len(args[1]) != tokenBytes || len(args[2]) != 8 {
		return store.Fail(errBadCall)
	}
	if _, ok := store.Positive(args[3], maxDigits); !ok {
		return store.Fail(errBadCall)
	}
	key, op, token := keys[0], args[0], args[1]
	if op == leaseWait {
		token = ""
	}
	var buf [leaseBytes]byte
	head, _, err := store.StringsOf(tx).GetRange(key, 0, leaseBytes, buf[:0])
	if err != nil {
		return store.Fail(err)
	}
	if !owned(head, token) {
		return store.Int(0)
	}
	bare := head[flagsAt]&flagLease != 0
	r, reply := store.Nil(), store.Int(1)
	switch {
	case op == leaseWait:
		if head[stateAt] == stateAlone {
			r = tx.Do("SETRANGE", key, strconv.Itoa(stateAt), "\x01")
		}
	case op == leaseRenew && bare:
		r = tx.Do("PEXPIRE", key, args[3])
	case op == leaseRenew:
		r = tx.Do("SETRANGE", key, strconv.Itoa(untilAt), args[2])
	case op != leaseRelease && op != leaseHold:
		return store.Fail(errBadCall)
	case bare:
		r, reply = tx.Do("DEL", key), ended(head[stateAt])
	case op == leaseHold:
		r, reply = tx.Do("SETRANGE", key, strconv.Itoa(stateAt), "\x02"+args[2]), ended(head[stateAt])
	default:
		r, reply = tx.Do("SETRANGE", key, strconv.Itoa(tokenAt), string(make([]byte, freshAt-tokenAt))), ended(head[stateAt])
	}
	if r.Err() != nil {
		return r
	}
	return reply
}

// owned tells whether an entry holds a lease: of that token, or any but none if it is empty.
func owned(head []byte, token string) bool {
	if len(head) < leaseBytes || head[0] != magic || head[1] != layout || head[flagsAt]&(flagLease|flagTimes) == 0 {
		return false
	}
	if token != "" {
		return string(head[tokenAt:stateAt]) == token
	}
	return string(head[tokenAt:stateAt]) != string(make([]byte, tokenBytes))
}

// maxDigits is how long the scripts' durations in milliseconds may be.
const maxDigits = 13

var errBadCall = store.ServerError("ERR cache: bad call")

// Scripts are the atomic steps of this package, for larder.Options.Scripts: a server that knows them runs their Go
// bodies for other processes.
func Scripts() []*store.Script { return []*store.Script{bid, fill, lease} }
