package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// ErrFenced means that a write came with a token older than one that the guarded key has seen: its lock was lost, and
// somebody else has written since.
var ErrFenced = errors.New("the fencing token is out of date")

// DefaultMarkTTL is how long a Guard remembers the newest token of a key after the last guarded write.
const DefaultMarkTTL = 7 * 24 * time.Hour

// A Guard writes to a store under fencing tokens: what comes with an older token than the key has seen is refused, in
// the same atomic step that would have written. It needs no lock in the same store, nor any trust in clocks or in the
// lock's time to live: it is the last line behind a lock that was lost unnoticed.
//
// The newest token is kept beside the guarded key, at key + ":fence" where the key has a hash tag, else at
// "{key}:fence". Everybody who writes to the key must do so through a Guard.
type Guard struct {
	st   store.Store
	keep string // ms; "0" for ever
}

// NewGuard makes a Guard on st. markTTL is how long a key's newest token is remembered after its last guarded write:
// longer than any holder could be out of touch. 0 is DefaultMarkTTL; NoTTL keeps it for ever.
func NewGuard(st store.Store, markTTL time.Duration) (*Guard, error) {
	keep, err := keepFor("markTTL", markTTL, DefaultMarkTTL, time.Second)
	if err != nil {
		return nil, err
	}
	return &Guard{st: st, keep: keep}, nil
}

// guardHead begins a guarded script.
const guardHead = `
-- KEYS[1]  the newest token that the guarded key has seen; the script's own keys follow
-- ARGV[1]  the caller's token, ARGV[2]  ms to remember it, 0 for ever; the script's own arguments follow
do
  local mark, token, keep = table.remove(KEYS, 1), table.remove(ARGV, 1), table.remove(ARGV, 1)
  local function int(s)
    return s and #s <= 16 and string.find(s, '^%d+$') and tonumber(s) <= 9000000000000000
  end
  if not int(token) or not int(keep) then return redis.error_reply('` + badCall + `') end
  local seen = redis.call('GET', mark)
  if seen and not int(seen) then return redis.error_reply('` + notMark + `') end
  if seen and tonumber(seen) > tonumber(token) then
    return redis.error_reply('FENCED lock: token ' .. token .. ' is older than ' .. seen)
  end
  if tonumber(keep) > 0 then redis.call('SET', mark, token, 'PX', keep) else redis.call('SET', mark, token) end
end
`

const notMark = "ERR lock: the key beside the guarded one holds something other than a token"

// guardScript runs one command.
var guardScript = Guarded(&store.Script{Name: "lock.guard", Lua: `
if #ARGV < 1 or #ARGV > 4096 then return redis.error_reply('` + badCall + `') end
return redis.call(unpack(ARGV))
`, Go: func(tx store.Tx, _, args []string) store.Reply {
	if len(args) < 1 || len(args) > 4096 {
		return store.Fail(store.ServerError(badCall))
	}
	return tx.Do(args...)
}})

// Guarded makes a script that refuses old tokens from any script, for Guard.Run. Declare it once, like the script
// itself, and give it to a Larder server's Options.Scripts for the server to run its Go body.
func Guarded(script *store.Script) *store.Script {
	return &store.Script{Name: script.Name + ".guarded", Lua: guardHead + script.Lua,
		Go: func(tx store.Tx, keys, args []string) store.Reply {
			if r := checkMark(tx, keys, args); r.Err() != nil {
				return r
			}
			return script.Go(tx, keys[1:], args[2:])
		}}
}

// checkMark is guardHead.
func checkMark(tx store.Tx, keys, args []string) store.Reply {
	if len(keys) < 1 || len(args) < 2 {
		return store.Fail(store.ServerError(badCall))
	}
	ok := true
	token, keep := number(args[0], &ok), number(args[1], &ok)
	if !ok {
		return store.Fail(store.ServerError(badCall))
	}
	seen, found, err := tx.Do("GET", keys[0]).Lookup()
	if err != nil {
		return store.Fail(err)
	}
	mark := int64(0)
	if found {
		mark = number(seen, &ok)
	}
	switch {
	case !ok:
		return store.Fail(store.ServerError(notMark))
	case mark > token:
		return store.Fail(store.ServerError("FENCED lock: token " + args[0] + " is older than " + seen))
	case keep > 0:
		return tx.Do("SET", keys[0], args[0], "PX", args[1])
	}
	return tx.Do("SET", keys[0], args[0])
}

// number reads digits; anything else, or more than maxNumber, clears ok.
func number(s string, ok *bool) int64 {
	n, read := store.Digits(s, 16)
	if !read || n > maxNumber {
		*ok = false
		return 0
	}
	return n
}

// Do runs one command on keys, the first of which is guarded, unless token is out of date: then the reply's error is
// ErrFenced and nothing was done. keys are all that the command touches. One round trip.
func (g *Guard) Do(ctx context.Context, token int64, keys []string, command ...string) store.Reply {
	return g.Run(ctx, token, guardScript, keys, command...)
}

// Run runs a script made by Guarded: as Do, with a script in place of the command. It gets keys and args as KEYS and
// ARGV.
func (g *Guard) Run(ctx context.Context, token int64, guarded *store.Script, keys []string, args ...string) store.Reply {
	mark, err := markOf(keys)
	if err == nil && (token < 1 || token > maxNumber) {
		err = fmt.Errorf("lock: %w: token %d", store.ErrInvalid, token)
	}
	if err != nil {
		return store.Fail(err)
	}
	all := slices.Concat([]string{strconv.FormatInt(token, 10), g.keep}, args)
	r := g.st.Run(ctx, guarded, slices.Concat([]string{mark}, keys), all...)
	var answered store.ServerError
	if errors.As(r.Err(), &answered) && answered.Code() == "FENCED" {
		return store.Fail(&store.OpError{Pattern: "lock", Op: "guard", Key: keys[0], Err: ErrFenced,
			Hint: strings.TrimPrefix(string(answered), "FENCED lock: ")})
	}
	return r
}

// markOf is the key of the newest token: in the slot of the first key.
func markOf(keys []string) (string, error) {
	if len(keys) == 0 || keys[0] == "" {
		return "", fmt.Errorf("lock: %w: a guarded write needs its keys", store.ErrInvalid)
	}
	key := keys[0]
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if shut := strings.IndexByte(key[open+1:], '}'); shut > 0 {
			return key + ":fence", nil
		}
	}
	if strings.Contains(key, "}") {
		return "", fmt.Errorf("lock: %w: guarded key %q has a } that belongs to no hash tag", store.ErrInvalid, key)
	}
	return "{" + key + "}:fence", nil
}
