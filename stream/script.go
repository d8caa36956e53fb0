package stream

import (
	"strconv"

	"github.com/larderdb/larder/store"
)

// An entry belongs to the consumer that the group gave it to last. Every step of a consumer that changes an entry's
// fate asks first, in the same script, whether it still belongs to that consumer: one that was thought dead and comes back
// cannot take an entry from its heir, count its deliveries, or bury it twice.

// badCall refuses what this package never sends.
const badCall = "ERR stream: another number of keys or arguments than the script takes"

func refused(keys, args []string, wantKeys, leastArgs int) bool {
	return len(keys) != wantKeys || len(args) < leastArgs
}

const holdLua = `
-- KEYS[1]  the stream
-- ARGV[1]  group, ARGV[2] consumer
-- ARGV[3]  'keep': the entry is still being worked on, its idle time begins anew
--          'next': it is about to be handled again, counts as one more delivery
--          'give': it is given back, with the idle time of ARGV[4], so that others may claim it
-- ARGV[4]  idle time in ms, for 'give'
-- ARGV[5..] ids
-- Returns  for each id the number of deliveries; 0 if it belongs to another consumer, -1 if the group has it no more
if #KEYS ~= 1 or #ARGV < 4 then return redis.error_reply('` + badCall + `') end
local key, group, me, mode = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local out = {}
for i = 5, #ARGV do
  local id, n = ARGV[i], -1
  local p = redis.call('XPENDING', key, group, id, id, 1)
  if #p > 0 then
    n = 0
    if p[1][2] == me then
      n = p[1][4]
      local got
      if mode == 'next' then
        n = n + 1
        got = redis.call('XCLAIM', key, group, me, 0, id, 'RETRYCOUNT', n, 'JUSTID')
      elseif mode == 'give' then
        got = redis.call('XCLAIM', key, group, me, 0, id, 'IDLE', ARGV[4], 'JUSTID')
      else
        got = redis.call('XCLAIM', key, group, me, 0, id, 'JUSTID')
      end
      if #got == 0 then n = -1 end
    end
  end
  out[#out + 1] = n
end
return out
`

func hold(tx store.Tx, keys, args []string) store.Reply {
	if refused(keys, args, 1, 4) {
		return store.Fail(store.ServerError(badCall))
	}
	key, group, me, mode := keys[0], args[0], args[1], args[2]
	out := make([]store.Reply, 0, len(args)-4)
	for _, id := range args[4:] {
		p := tx.Do("XPENDING", key, group, id, id, "1")
		if p.Err() != nil {
			return p
		}
		owner, n, found := pending(p)
		switch {
		case !found:
			n = -1
		case owner != me:
			n = 0
		default:
			var got store.Reply
			switch mode {
			case "next":
				n++
				got = tx.Do("XCLAIM", key, group, me, "0", id, "RETRYCOUNT", strconv.FormatInt(n, 10), "JUSTID")
			case "give":
				got = tx.Do("XCLAIM", key, group, me, "0", id, "IDLE", args[3], "JUSTID")
			default:
				got = tx.Do("XCLAIM", key, group, me, "0", id, "JUSTID")
			}
			if got.Err() != nil {
				return got
			}
			if list, _ := got.Array(); len(list) == 0 {
				n = -1
			}
		}
		out = append(out, store.Int(n))
	}
	return store.ArrayOf(out...)
}

// pending reads XPENDING's reply for one id: whose it is and how often it was delivered.
func pending(r store.Reply) (owner string, deliveries int64, found bool) {
	list, _ := r.Array()
	if len(list) == 0 {
		return "", 0, false
	}
	one, _ := list[0].Array()
	if len(one) != 4 {
		return "", 0, false
	}
	owner, _ = one[1].Text()
	deliveries, _ = one[3].Int64()
	return owner, deliveries, true
}

// Dead letters
//
// A dead letter is an entry of the stream "{orders}:dead:billing": three pairs of its own, then the fields of the entry
// as they were, also where they are not ours.
//
//	id 1700000000000-0 | reason "no such customer" | deliveries 5 | data ...

const (
	deadHead  = 6    // words before the entry's own
	mostWords = 4000 // of an entry's own that are kept: what Lua can pass on
)

const buryLua = `
-- KEYS[1]  the stream, KEYS[2] the group's dead letters
-- ARGV[1]  group, ARGV[2] consumer, ARGV[3] id, ARGV[4] deliveries, ARGV[5] reason
-- ARGV[6]  how many dead letters are kept, about
-- Returns  1 if the entry was moved, 2 if it was trimmed before, 0 if it is not this consumer's
if #KEYS ~= 2 or #ARGV < 6 then return redis.error_reply('` + badCall + `') end
local key, group, id = KEYS[1], ARGV[1], ARGV[3]
local p = redis.call('XPENDING', key, group, id, id, 1)
if #p == 0 or p[1][2] ~= ARGV[2] then return 0 end
local found = redis.call('XRANGE', key, id, id)
if #found == 0 then
  redis.call('XACK', key, group, id)
  return 2
end
local words, add = found[1][2], {'XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'id', id, 'reason', ARGV[5], 'deliveries', ARGV[4]}
if #words <= 4000 then
  for i = 1, #words do add[#add + 1] = words[i] end
end
redis.call(unpack(add))
redis.call('XACK', key, group, id)
return 1
`

func bury(tx store.Tx, keys, args []string) store.Reply {
	if refused(keys, args, 2, 6) {
		return store.Fail(store.ServerError(badCall))
	}
	key, group, id := keys[0], args[0], args[2]
	p := tx.Do("XPENDING", key, group, id, id, "1")
	if p.Err() != nil {
		return p
	}
	if owner, _, found := pending(p); !found || owner != args[1] {
		return store.Int(0)
	}
	r := tx.Do("XRANGE", key, id, id)
	if r.Err() != nil {
		return r
	}
	entries, _ := r.Array()
	if len(entries) == 0 {
		tx.Do("XACK", key, group, id)
		return store.Int(2)
	}
	words := entryWords(entries[0])
	if len(words) > mostWords {
		words = nil
	}
	add := append([]string{"XADD", keys[1], "MAXLEN", "~", args[5], "*", "id", id, "reason", args[4], "deliveries", args[3]}, words...)
	if r := tx.Do(add...); r.Err() != nil {
		return r
	}
	tx.Do("XACK", key, group, id)
	return store.Int(1)
}

// entryWords is the fields and values of an entry.
func entryWords(entry store.Reply) []string {
	parts, _ := entry.Array()
	if len(parts) != 2 {
		return nil
	}
	words, _ := parts[1].Strings()
	return words
}

const replayLua = `
-- KEYS[1]  the group's dead letters, KEYS[2] the stream
-- ARGV[1]  group
-- ARGV[2]  'MAXLEN' or 'MINID', ARGV[3] its threshold; '' and '' for no trimming
-- ARGV[4..] ids of dead letters
-- Returns  how many were there; each is an entry of the stream again, for this group only
if #KEYS ~= 2 or #ARGV < 3 then return redis.error_reply('` + badCall + `') end
local n = 0
for i = 4, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found > 0 and #found[1][2] > 6 then
    local words, add = found[1][2], {'XADD', KEYS[2]}
    if ARGV[2] ~= '' then
      add[3], add[4], add[5] = ARGV[2], '~', ARGV[3]
    end
    add[#add + 1] = '*'
    if words[7] ~= 'group' then
      add[#add + 1], add[#add + 2] = 'group', ARGV[1]
    end
    for j = 7, #words do add[#add + 1] = words[j] end
    redis.call(unpack(add))
    redis.call('XDEL', KEYS[1], ARGV[i])
    n = n + 1
  end
end
return n
`

func replay(tx store.Tx, keys, args []string) store.Reply {
	if refused(keys, args, 2, 3) {
		return store.Fail(store.ServerError(badCall))
	}
	var n int64
	for _, id := range args[3:] {
		r := tx.Do("XRANGE", keys[0], id, id)
		if r.Err() != nil {
			return r
		}
		entries, _ := r.Array()
		if len(entries) == 0 {
			continue
		}
		words := entryWords(entries[0])
		if len(words) <= deadHead {
			continue
		}
		add := []string{"XADD", keys[1]}
		if args[1] != "" {
			add = append(add, args[1], "~", args[2])
		}
		add = append(add, "*")
		if words[deadHead] != fieldGroup {
			add = append(add, fieldGroup, args[0])
		}
		if r := tx.Do(append(add, words[deadHead:]...)...); r.Err() != nil {
			return r
		}
		tx.Do("XDEL", keys[0], id)
		n++
	}
	return store.Int(n)
}

const leaveLua = `
-- KEYS[1]  the stream
-- ARGV[1]  group, ARGV[2] consumer
-- Returns  1 if the group does not have the consumer any more, 0 if it still has entries, or if there is no group
if #KEYS ~= 1 or #ARGV < 2 then return redis.error_reply('` + badCall + `') end
local p = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if p.err or #p > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
`

func leave(tx store.Tx, keys, args []string) store.Reply {
	if refused(keys, args, 1, 2) {
		return store.Fail(store.ServerError(badCall))
	}
	p := tx.Do("XPENDING", keys[0], args[0], "-", "+", "1", args[1])
	if list, err := p.Array(); err != nil || len(list) > 0 {
		return store.Int(0)
	}
	if r := tx.Do("XGROUP", "DELCONSUMER", keys[0], args[0], args[1]); r.Err() != nil {
		return r
	}
	return store.Int(1)
}

// The scripts of this package. They are constants in all but the language.
var (
	holdScript   = &store.Script{Name: "stream.hold", Lua: holdLua, Go: hold}
	buryScript   = &store.Script{Name: "stream.bury", Lua: buryLua, Go: bury}
	replayScript = &store.Script{Name: "stream.replay", Lua: replayLua, Go: replay}
	leaveScript  = &store.Script{Name: "stream.leave", Lua: leaveLua, Go: leave}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script {
	return []*store.Script{holdScript, buryScript, replayScript, leaveScript}
}
