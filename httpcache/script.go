package httpcache

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

const (
	badCall = "ERR httpcache: bad arguments"
	notOurs = "ERR httpcache: the key holds something else"

	fillMost = 10 * time.Minute // a response that took longer to come is not stored
)

// keepLua stores a response, unless its URL was purged since it was asked for.
const keepLua = `
-- KEYS[1]  the base
-- KEYS[2]  the variant, or none: then the response lies in the base
-- ARGV[1]  epoch and soft that the fill saw, 16 bytes
-- ARGV[2]  a nonce, 8 bytes, not zeros
-- ARGV[3]  TTL in ms
-- ARGV[4]  the entry
-- ARGV[5]  the variant's spec; empty without KEYS[2]
-- Returns  1 if it was stored, 0 if it was purged meanwhile
local ZERO = string.rep('\0', 8)
if #KEYS < 1 or #KEYS > 2 or #ARGV ~= 5 or #ARGV[1] ~= 16 or #ARGV[2] ~= 8 or #ARGV[5] > 512
  or #ARGV[3] > 12 or not string.find(ARGV[3], '^[1-9]%d*$') or #KEYS == 1 and ARGV[5] ~= '' then
  return redis.error_reply('` + badCall + `')
end
local HEAD = 27 + 4 * 514
local head = redis.call('GETRANGE', KEYS[1], 0, HEAD - 1)
local epoch, soft, born, specs, tail, ttl = ZERO, ZERO, ZERO, {}, 28, tonumber(ARGV[3])
if #head > 0 then
  if #head < 27 or string.sub(head, 1, 2) ~= '\203B' then return redis.error_reply('` + notOurs + `') end
  epoch, soft, born = string.sub(head, 3, 10), string.sub(head, 11, 18), string.sub(head, 19, 26)
  local n = string.byte(head, 27)
  if n > 4 then return redis.error_reply('` + notOurs + `') end
  for _ = 1, n do
    local hi, lo = string.byte(head, tail, tail + 1)
    if not lo then return redis.error_reply('` + notOurs + `') end
    local spec = string.sub(head, tail + 2, tail + 1 + hi * 256 + lo)
    if #spec ~= hi * 256 + lo then return redis.error_reply('` + notOurs + `') end
    specs[#specs + 1] = spec
    tail = tail + 2 + #spec
  end
  local left = redis.call('PTTL', KEYS[1])
  if left > ttl then ttl = left end
end
if epoch .. soft ~= ARGV[1] then return 0 end

local body, kept = '', {}
if #KEYS == 1 then
  body = ARGV[4]
  for _, s in ipairs(specs) do
    if s == '' then kept[1] = s end
  end
else
  if ARGV[5] == '' and #head > 0 then body = redis.call('GETRANGE', KEYS[1], tail - 1, -1) end
  if born == ZERO then born = ARGV[2] end
  kept[1] = ARGV[5]
  for _, s in ipairs(specs) do
    if s ~= ARGV[5] and #kept < 4 then kept[#kept + 1] = s end
  end
  redis.call('SET', KEYS[2], '\203V' .. born .. ARGV[4], 'PX', ARGV[3])
end
local out = '\203B' .. epoch .. soft .. born .. string.char(#kept)
for _, s in ipairs(kept) do
  out = out .. string.char(math.floor(#s / 256), #s % 256) .. s
end
redis.call('SET', KEYS[1], out .. body, 'PX', ttl)
return 1
`

func keep(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 1 || len(keys) > 2 || len(args) != 5 || len(args[0]) != 2*nonceSize || len(args[1]) != nonceSize ||
		len(args[4]) > maxVaryBytes || len(keys) == 1 && args[4] != "" {
		return store.Fail(store.ServerError(badCall))
	}
	ttl, ok := store.Positive(args[2], 12)
	if !ok {
		return store.Fail(store.ServerError(badCall))
	}
	old, left, err := readBase(tx, keys[0])
	if err != nil {
		return store.Fail(err)
	}
	if old.epoch+old.soft != args[0] {
		return store.Int(0)
	}
	next := base{epoch: old.epoch, soft: old.soft, born: old.born}
	if len(keys) == 1 {
		next.entry, next.specs = args[3], dropVaried(old.specs)
	} else {
		if args[4] == "" {
			next.entry = old.entry
		}
		if next.born == zeroNonce {
			next.born = args[1]
		}
		next.specs = addSpec(old.specs, args[4])
		value := string([]byte{magic, varKind}) + next.born + args[3]
		if r := tx.Do("SET", keys[1], value, "PX", args[2]); r.Err() != nil {
			return r
		}
	}
	if r := tx.Do("SET", keys[0], next.encode(), "PX", strconv.FormatInt(max(ttl, left), 10)); r.Err() != nil {
		return r
	}
	return store.Int(1)
}

// readBase reads a base and its TTL in ms.
func readBase(tx store.Tx, key string) (b base, ttl int64, err error) {
	text, found, err := tx.Do("GET", key).Lookup()
	if err != nil {
		return b, 0, err
	}
	if b, err = parseBase(text); err != nil || len(b.specs) > maxSpecs {
		return b, 0, store.ServerError(notOurs)
	}
	if found {
		ttl, err = tx.Do("PTTL", key).Int64()
	}
	return b, ttl, err
}

// purgeLua makes what is stored for a URL unusable, or stale, and fills under way too.
const purgeLua = `
-- KEYS     bases of the URL
-- ARGV[1]  "hard" or "soft"
-- ARGV[2]  a nonce, 8 bytes, not zeros
-- ARGV[3]  how long fills may take, in ms
-- Returns  how many of the bases held something
if #ARGV ~= 3 or #ARGV[2] ~= 8 or ARGV[1] ~= 'hard' and ARGV[1] ~= 'soft'
  or #ARGV[3] > 12 or not string.find(ARGV[3], '^[1-9]%d*$') then
  return redis.error_reply('` + badCall + `')
end
local ZERO, held, heads = string.rep('\0', 8), 0, {}
for i, key in ipairs(KEYS) do
  heads[i] = redis.call('GETRANGE', key, 0, 27)
  if #heads[i] > 0 and (#heads[i] < 27 or string.sub(heads[i], 1, 2) ~= '\203B') then
    return redis.error_reply('` + notOurs + `')
  end
end
for i, key in ipairs(KEYS) do
  if #heads[i] == 28 then held = held + 1 end
  if ARGV[1] == 'hard' then
    redis.call('SET', key, '\203B' .. ARGV[2] .. ZERO .. ZERO .. '\0', 'PX', ARGV[3])
  elseif heads[i] == '' then
    redis.call('SET', key, '\203B' .. ZERO .. ARGV[2] .. ZERO .. '\0', 'PX', ARGV[3])
  else
    redis.call('SETRANGE', key, 10, ARGV[2])
    if redis.call('PTTL', key) < tonumber(ARGV[3]) then redis.call('PEXPIRE', key, ARGV[3]) end
  end
end
return held
`

func purge(tx store.Tx, keys, args []string) store.Reply {
	if len(args) != 3 || len(args[1]) != nonceSize || args[0] != hard && args[0] != soft {
		return store.Fail(store.ServerError(badCall))
	}
	most, ok := store.Positive(args[2], 12)
	if !ok {
		return store.Fail(store.ServerError(badCall))
	}
	heads := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if heads[i], err = tx.Do("GETRANGE", key, "0", "27").Text(); err != nil {
			return store.Fail(err)
		}
		if h := heads[i]; h != "" && (len(h) < specsAt+1 || h[0] != magic || h[1] != baseKind) {
			return store.Fail(store.ServerError(notOurs))
		}
	}
	held := int64(0)
	for i, key := range keys {
		if len(heads[i]) > specsAt+1 {
			held++
		}
		if r := purgeOne(tx, key, heads[i] == "", args, most); r.Err() != nil {
			return r
		}
	}
	return store.Int(held)
}

func purgeOne(tx store.Tx, key string, missing bool, args []string, most int64) store.Reply {
	switch {
	case args[0] == hard:
		tomb := base{epoch: args[1], soft: zeroNonce, born: zeroNonce}
		return tx.Do("SET", key, tomb.encode(), "PX", args[2])
	case missing:
		tomb := base{epoch: zeroNonce, soft: args[1], born: zeroNonce}
		return tx.Do("SET", key, tomb.encode(), "PX", args[2])
	}
	if r := tx.Do("SETRANGE", key, strconv.Itoa(softAt), args[1]); r.Err() != nil {
		return r
	}
	left, err := tx.Do("PTTL", key).Int64()
	if err != nil || left >= most {
		return store.Fail(err)
	}
	return tx.Do("PEXPIRE", key, args[2])
}

// The modes of a purge.
const (
	hard = "hard"
	soft = "soft"
)

// Generations
//
// One hash per cache tells what was invalidated beyond single URLs. Its field "" holds four numbers: the generation,
// the generations of the last purge and soft purge of everything, and the era, which is random. Each invalidation of a group raises the generation
// (to the store's clock in microseconds, or by one) and writes it into the group's field, beside that of its last soft
// purge. An entry carries the generation that its fill saw; it is good if nothing that concerns it has a higher one. So
// invalidating a group is O(1) however many responses it has, and a fill under way that turns out to belong to the group
// is caught too.
//
// A hit reads the field "" along with the entry. Only if the generation has changed since this process last looked at
// the entry's groups it reads theirs.
//
// When the hash is lost (evicted, a store that came back empty) a new one begins another era, and entries of the old one
// are not used: nobody knows what had been invalidated.

// advanceLua raises the generation.
const advanceLua = `
-- KEYS[1]  the generations
-- ARGV[1]  "open": begin if there is nothing; "hard", "soft": invalidate
-- ARGV[2]  TTL in ms
-- ARGV[3]  how many groups to remember
-- ARGV[4]  the era, if one begins: at most 15 digits
-- ARGV[5..] groups; none: everything
-- Returns  the field ""
if #KEYS ~= 1 or #ARGV < 4 or ARGV[1] ~= 'open' and ARGV[1] ~= 'hard' and ARGV[1] ~= 'soft'
  or #ARGV[2] > 12 or not string.find(ARGV[2], '^[1-9]%d*$')
  or #ARGV[3] > 12 or not string.find(ARGV[3], '^[1-9]%d*$')
  or #ARGV[4] > 15 or not string.find(ARGV[4], '^[1-9]%d*$') then
  return redis.error_reply('` + badCall + `')
end
local key, t = KEYS[1], redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(n) return string.format('%.0f', n) end
local have = redis.call('HGET', key, '')
local seq, all, stale, era
if have then
  seq, all, stale, era = string.match(have, '^(%d+) (%d+) (%d+) (%d+)$')
  if not seq then return redis.error_reply('` + notOurs + `') end
  seq, all, stale = tonumber(seq), tonumber(all), tonumber(stale)
else
  redis.call('DEL', key)
  seq, all, stale, era = now, 0, 0, ARGV[4]
end
if ARGV[1] ~= 'open' then
  seq = math.max(seq + 1, now)
  if #ARGV == 4 then
    if ARGV[1] == 'hard' then all = seq else stale = seq end
  elseif redis.call('HLEN', key) + #ARGV - 4 > tonumber(ARGV[3]) then
    redis.call('DEL', key)
    all = seq
  else
    for i = 5, #ARGV do
      local g = redis.call('HGET', key, ARGV[i]) or ''
      local h, s = string.match(g, '^(%d+) (%d+)$')
      if ARGV[1] == 'hard' then h = text(seq) else s = text(seq) end
      redis.call('HSET', key, ARGV[i], (h or '0') .. ' ' .. (s or '0'))
    end
  end
end
local out = text(seq) .. ' ' .. text(all) .. ' ' .. text(stale) .. ' ' .. era
redis.call('HSET', key, '', out)
redis.call('PEXPIRE', key, ARGV[2])
return out
`

func advance(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) != 1 || len(args) < 4 || len(args[3]) > 15 || args[0] != opening && args[0] != hard && args[0] != soft {
		return store.Fail(store.ServerError(badCall))
	}
	_, ok := store.Positive(args[1], 12)
	most, ok2 := store.Positive(args[2], 12)
	era, err := strconv.ParseUint(args[3], 10, 64)
	if !ok || !ok2 || err != nil || args[3][0] == '0' {
		return store.Fail(store.ServerError(badCall))
	}
	key, now := keys[0], uint64(tx.Now().UnixMicro())
	have, found, err := tx.Do("HGET", key, "").Lookup()
	if err != nil {
		return store.Fail(err)
	}
	gen := generations{seq: now, era: era}
	if !found {
		if r := tx.Do("DEL", key); r.Err() != nil {
			return r
		}
	} else if gen, err = parseGenerations(have); err != nil {
		return store.Fail(store.ServerError(notOurs))
	}
	if args[0] != opening {
		if r := gen.invalidate(tx, key, args[0], args[4:], max(gen.seq+1, now), most); r.Err() != nil {
			return r
		}
	}
	out := gen.String()
	if r := tx.Do("HSET", key, "", out); r.Err() != nil {
		return r
	}
	if r := tx.Do("PEXPIRE", key, args[1]); r.Err() != nil {
		return r
	}
	return store.Bulk(out)
}

const opening = "open"

// generations are the field "".
type generations struct{ seq, all, stale, era uint64 }

func (g *generations) String() string {
	b := strconv.AppendUint(make([]byte, 0, 64), g.seq, 10)
	b = strconv.AppendUint(append(b, ' '), g.all, 10)
	b = strconv.AppendUint(append(b, ' '), g.stale, 10)
	return string(strconv.AppendUint(append(b, ' '), g.era, 10))
}

var errGenerations = errors.New("the generations are not a cache's")

func parseGenerations(s string) (g generations, err error) {
	rest := s
	for i, n := range []*uint64{&g.seq, &g.all, &g.stale, &g.era} {
		part, after, more := strings.Cut(rest, " ")
		rest = after
		if *n, err = strconv.ParseUint(part, 10, 64); err != nil || more != (i < 3) {
			return generations{}, errGenerations
		}
	}
	return g, nil
}

// invalidate is the part of advance that writes groups.
func (g *generations) invalidate(tx store.Tx, key, mode string, groups []string, seq uint64, most int64) store.Reply {
	g.seq = seq
	if len(groups) == 0 {
		if mode == hard {
			g.all = seq
		} else {
			g.stale = seq
		}
		return store.Nil()
	}
	known, err := tx.Do("HLEN", key).Int64()
	if err != nil {
		return store.Fail(err)
	}
	if known+int64(len(groups)) > most {
		g.all = seq
		return tx.Do("DEL", key)
	}
	for _, name := range groups {
		text, _, err := tx.Do("HGET", key, name).Lookup()
		if err != nil {
			return store.Fail(err)
		}
		h, s := parseGroup(text)
		if mode == hard {
			h = seq
		} else {
			s = seq
		}
		value := strconv.FormatUint(h, 10) + " " + strconv.FormatUint(s, 10)
		if r := tx.Do("HSET", key, name, value); r.Err() != nil {
			return r
		}
	}
	return store.Nil()
}

// parseGroup reads a group's field; what is none is zeros.
func parseGroup(s string) (hardGen, softGen uint64) {
	a, b, _ := strings.Cut(s, " ")
	h, err := strconv.ParseUint(a, 10, 64)
	g, err2 := strconv.ParseUint(b, 10, 64)
	if err != nil || err2 != nil {
		return 0, 0
	}
	return h, g
}

// The scripts of this package. They are constants in all but the language.
var (
	keepScript    = &store.Script{Name: "httpcache.keep", Lua: keepLua, Go: keep}
	purgeScript   = &store.Script{Name: "httpcache.purge", Lua: purgeLua, Go: purge}
	advanceScript = &store.Script{Name: "httpcache.advance", Lua: advanceLua, Go: advance}
)

// Scripts lists the package's scripts, for servers that run their Go bodies.
func Scripts() []*store.Script { return []*store.Script{keepScript, purgeScript, advanceScript} }
