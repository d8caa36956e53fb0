package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/store"
)

// Clocked is a Store whose clock a test moves: Memory, or an embedded store on a fake clock.
type Clocked interface {
	store.Store
	Advance(d time.Duration)
}

// Call is one random step of Scripts.
type Call struct {
	Advance time.Duration // by how much the clock moves first
	Before  []store.Cmd   // what to do on both sides before the call: strange data, deletions
	Keys    []string      // must begin with the prefix given to the generator
	Args    []string
}

// Rounds and calls per round of Scripts.
const (
	scriptRounds = 12
	scriptCalls  = 60
)

// ttlSlack is how far two TTLs may differ: one of the clocks is real.
const ttlSlack = 1500 // milliseconds

// Scripts runs the Go body of a script on one Store and its Lua body on a real Redis, with the same random calls, and
// compares replies, the data left behind, and TTLs. The two may never differ: on one server both may be at work.
//
// generate makes one call; it uses only r for chance and only keys that begin with prefix. A failure prints the seed
// of its round; set LARDER_SEED to repeat it alone.
//
// The Lua body sees the Go side's clock in place of the server's (redis.call('TIME') is answered by the test), and a
// key's remaining TTL on the server is shortened by what the clock moved. What happens in the last seconds of a TTL
// is therefore not compared: let clocks move far past a TTL or stay well before it.
func Scripts(t testing.TB, goSide Clocked, lua store.Store, script *store.Script, generate func(r *rand.Rand, prefix string) Call) {
	t.Helper()
	timed := &store.Script{Name: script.Name, Lua: clockShim + script.Lua, ReadOnly: script.ReadOnly}
	for _, seed := range Seeds(scriptRounds) {
		p := &pair{TB: t, goSide: goSide, lua: lua, script: script, timed: timed, seed: seed, seen: map[string]bool{}}
		r := rand.New(rand.NewPCG(seed, 0))
		prefix := fmt.Sprintf("{scripts:%x}:", seed)
		for i := range scriptCalls {
			if !p.step(i, generate(r, prefix)) {
				break
			}
		}
		p.cleanUp()
	}
}

// clockShim goes in front of a Lua body. The last argument is the time in microseconds.
const clockShim = `
local storetest_now = table.remove(ARGV)
local storetest_redis = redis
local redis = setmetatable({}, {__index = storetest_redis})
local function storetest_answer(call)
  return function(name, ...)
    if string.upper(name) == 'TIME' then
      return {string.sub(storetest_now, 1, -7), tostring(tonumber(string.sub(storetest_now, -6)))}
    end
    return call(name, ...)
  end
end
redis.call = storetest_answer(storetest_redis.call)
redis.pcall = storetest_answer(storetest_redis.pcall)
`

// pair is one round.
type pair struct {
	testing.TB
	goSide Clocked
	lua    store.Store
	script *store.Script
	timed  *store.Script
	seed   uint64
	seen   map[string]bool // keys used so far
}

// step makes one call on both sides and compares. False ends the round.
func (p *pair) step(i int, call Call) bool {
	p.Helper()
	ctx := p.Context()
	for _, k := range call.Keys {
		p.seen[k] = true
	}
	p.advance(call.Advance)
	for _, cmd := range call.Before {
		p.goSide.Do(ctx, cmd...)
		p.lua.Do(ctx, cmd...)
	}
	now := p.micros()
	a := p.goSide.Run(ctx, p.script, call.Keys, call.Args...)
	b := p.lua.Run(ctx, p.timed, call.Keys, append(slices.Clone(call.Args), now)...)
	if got, want := canonical(a), canonical(b); got != want {
		p.Errorf("%s: LARDER_SEED=%d call %d: %q %q after %q\n Go: %s\nLua: %s", p.script.Name, p.seed, i, call.Keys, call.Args, call.Before, got, want)
		return false
	}
	for _, key := range sorted(p.seen) {
		got, gotTTL := p.state(p.goSide, key)
		want, wantTTL := p.state(p.lua, key)
		if got != want || (gotTTL < 0) != (wantTTL < 0) || gotTTL-wantTTL > ttlSlack || wantTTL-gotTTL > ttlSlack {
			p.Errorf("%s: LARDER_SEED=%d call %d: %q %q left %q as\n Go: %s (TTL %d ms)\nLua: %s (TTL %d ms)",
				p.script.Name, p.seed, i, call.Keys, call.Args, key, got, gotTTL, want, wantTTL)
			return false
		}
	}
	return true
}

// advance moves the Go side's clock and shortens the TTLs on the other side accordingly.
func (p *pair) advance(d time.Duration) {
	if d == 0 {
		return
	}
	ctx := p.Context()
	p.goSide.Advance(d)
	for key := range p.seen {
		ttl, err := p.lua.Do(ctx, "PTTL", key).Int64()
		if err != nil || ttl < 0 {
			continue
		}
		// A PEXPIRE of 0 or less deletes.
		if err := p.lua.Do(ctx, "PEXPIRE", key, strconv.FormatInt(ttl-d.Milliseconds(), 10)).Err(); err != nil {
			p.Fatal(err)
		}
	}
	p.atTheEnd()
}

// atTheEnd removes keys whose TTL has ended on one side and is about to on the other.
func (p *pair) atTheEnd() {
	ctx := p.Context()
	for key := range p.seen {
		_, a := p.state(p.goSide, key)
		_, b := p.state(p.lua, key)
		if a == -2 && 0 <= b && b <= ttlSlack || b == -2 && 0 <= a && a <= ttlSlack {
			p.goSide.Do(ctx, "DEL", key)
			p.lua.Do(ctx, "DEL", key)
		}
	}
}

func (p *pair) micros() string {
	parts, err := p.goSide.Do(p.Context(), "TIME").Strings()
	if err != nil || len(parts) != 2 {
		p.Fatalf("TIME: %v, %v", parts, err)
	}
	return parts[0] + strings.Repeat("0", 6-len(parts[1])) + parts[1]
}

// state shows what a key holds, and its TTL in ms (-1 none, -2 no key).
func (p *pair) state(st store.Store, key string) (shown string, ttl int64) {
	p.Helper()
	ctx := p.Context()
	kind, err := st.Do(ctx, "TYPE", key).Text()
	if err != nil {
		p.Fatalf("TYPE: %v", err)
	}
	var r store.Reply
	switch kind {
	case "none":
		return "none", -2
	case "string":
		r = st.Do(ctx, "GET", key)
	case "hash":
		m, err := st.Do(ctx, "HGETALL", key).Map()
		shown = fmt.Sprintf("hash %q %v", m, err) // fmt sorts maps
	case "list":
		r = st.Do(ctx, "LRANGE", key, "0", "-1")
	case "set":
		members, err := st.Do(ctx, "SMEMBERS", key).Strings()
		sort.Strings(members)
		shown = fmt.Sprintf("set %q %v", members, err)
	case "zset":
		scores, err := st.Do(ctx, "ZRANGE", key, "0", "-1", "WITHSCORES").Scores()
		shown = fmt.Sprintf("zset %v %v", scores, err)
	case "stream":
		shown = p.stream(st, key)
	default:
		p.Fatalf("storetest.Scripts cannot compare a %s", kind)
	}
	if shown == "" {
		shown = kind + " " + canonical(r)
	}
	ttl, err = st.Do(ctx, "PTTL", key).Int64()
	if err != nil {
		p.Fatalf("PTTL: %v", err)
	}
	return shown, ttl
}

// stream shows entries, and each group's consumers and pending entries. Ids that a clock made are shown as *, and idle
// times in whole minutes.
func (p *pair) stream(st store.Store, key string) string {
	p.Helper()
	ctx := p.Context()
	var b strings.Builder
	list := func(args ...string) []store.Reply {
		out, err := st.Do(ctx, args...).Array()
		if err != nil {
			p.Fatalf("%q: %v", args, err)
		}
		return out
	}
	id := func(r store.Reply) string {
		s, _ := r.Text()
		if ms, _, _ := strings.Cut(s, "-"); len(ms) > 12 {
			return "*"
		}
		return s
	}
	for _, e := range list("XRANGE", key, "-", "+") {
		parts, _ := e.Array()
		fmt.Fprintf(&b, "%s %s; ", id(parts[0]), canonical(parts[1]))
	}
	names := func(args ...string) (names []string) {
		for _, one := range list(args...) {
			pairs, _ := one.Pairs()
			for i := 0; i < len(pairs); i += 2 { // some transports shuffle maps
				if field, _ := pairs[i].Text(); field == "name" {
					name, _ := pairs[i+1].Text()
					names = append(names, name)
				}
			}
		}
		sort.Strings(names)
		return names
	}
	for _, name := range names("XINFO", "GROUPS", key) {
		fmt.Fprintf(&b, "group %s, consumers %q:", name, names("XINFO", "CONSUMERS", key, name))
		for _, one := range list("XPENDING", key, name, "-", "+", "1000") {
			e, _ := one.Array()
			idle, _ := e[2].Int64()
			fmt.Fprintf(&b, " %s of %s idle %d min, %s times;", id(e[0]), canonical(e[1]), idle/60_000, canonical(e[3]))
		}
	}
	return "stream " + b.String()
}

func (p *pair) cleanUp() {
	for key := range p.seen {
		p.goSide.Do(p.Context(), "DEL", key)
		p.lua.Do(p.Context(), "DEL", key)
	}
}

// canonical spells a reply so that what cannot be told apart on every transport looks alike: statuses are strings,
// and errors are their codes, since servers add the script's place to the text.
func canonical(r store.Reply) string {
	switch r.Kind() {
	case store.KindStatus, store.KindBulk:
		s, _ := r.Text()
		return strconv.Quote(s)
	case store.KindArray:
		list, _ := r.Array()
		parts := make([]string, len(list))
		for i, e := range list {
			parts[i] = canonical(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case store.KindError:
		var answered store.ServerError
		if errors.As(r.Err(), &answered) {
			return "error " + answered.Code()
		}
	}
	return r.String()
}

func sorted(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
