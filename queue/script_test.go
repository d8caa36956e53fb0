package queue

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// AllScripts is every script of the package as one, named by the first argument, so that random calls meet the data that
// other scripts left.
func AllScripts() *store.Script {
	var lua strings.Builder
	lua.WriteString("local which = table.remove(ARGV, 1)\n")
	bodies := map[string]func(store.Tx, []string, []string) store.Reply{}
	for _, s := range Scripts() {
		fmt.Fprintf(&lua, "if which == '%s' then return (function() %s end)() end\n", s.Name, s.Lua)
		bodies[s.Name] = s.Go
	}
	return &store.Script{Name: "queue.all", Lua: lua.String(), Go: func(tx store.Tx, keys, args []string) store.Reply {
		return bodies[args[0]](tx, keys, args[1:])
	}}
}

// Random makes calls for storetest.Scripts. Tokens and ids are guessed: both are small in the beginning of a round.
type Random struct {
	prefix string
	keys   []string
	calls  int
	Base   func() time.Time
}

// Call makes one.
func (g *Random) Call(r *rand.Rand, prefix string) storetest.Call {
	if g.prefix != prefix {
		g.prefix, g.keys = prefix, nil
		for _, name := range keyNames {
			g.keys = append(g.keys, prefix+name)
		}
	}
	c := storetest.Call{Keys: g.keys}
	if r.IntN(3) == 0 {
		c.Advance = time.Duration(r.IntN(400)) * time.Millisecond
	}
	switch r.IntN(16) {
	case 0, 1, 2, 3:
		c.Keys = g.keys[:enqueueKeys]
		c.Args = []string{"queue.enqueue"}
		for range 1 + r.IntN(4) {
			c.Args = append(c.Args, g.job(r)...)
		}
	case 4:
		c.Keys = g.keys[:enqueueKeys]
		c.Args = append([]string{"queue.tick", pick(r, "a", "b"), itoa(g.Base().UnixMilli() + int64(r.IntN(8000)))}, g.job(r)...)
	case 5:
		c.Args = []string{"queue.leave", g.session(r), pick(r, "0", "1"), pick(r, "0", "1", "2"), g.seq(r), strconv.Itoa(r.IntN(9)) + ":" + g.id(r)}
	case 6:
		c.Args = []string{"queue.remove", g.id(r), pick(r, "0", "1", "2")}
	case 7:
		c.Args = []string{"queue.replay", g.id(r), g.id(r)}
		c.Before = []store.Cmd{{"ZADD", g.keys[kDead], "1000", c.Args[1]}}
	case 8:
		c.Args = []string{"queue.look", g.id(r)}
	case 9:
		c.Keys = []string{g.keys[kHeld], g.keys[kOutput]}
		c.Args = []string{"queue.note", g.id(r), g.session(r) + ":" + strconv.Itoa(1+r.IntN(9)), "p"}
		if r.IntN(2) == 0 {
			c.Before = []store.Cmd{{"HSET", g.keys[kHeld], c.Args[1], c.Args[2]}}
		}
	default:
		c.Args = []string{
			"queue.turn", g.session(r), pick(r, "300", "1000"), strconv.Itoa(r.IntN(4)), g.seq(r), pick(r, "0", "500"),
			pick(r, "0", "1", "1", "2"), pick(r, "0", "0", "100"), pick(r, "0", "1"),
		}
		ends := func(n, words int) {
			for range n {
				id, token := g.id(r), strconv.Itoa(1+r.IntN(9))
				end := []string{pick(r, "D", "D", "f", "f", "x", "b", "s"), id, token, strconv.Itoa(r.IntN(300)), pick(r, "", "text")}
				if words == simpleArgs {
					end = end[1:3]
				}
				c.Args = append(c.Args, end...)
				if r.IntN(2) == 0 {
					c.Before = append(c.Before, store.Cmd{"HSET", g.keys[kHeld], id, c.Args[1] + ":" + token})
				}
			}
		}
		simple := r.IntN(4)
		c.Args = append(c.Args, strconv.Itoa(simple))
		ends(simple, simpleArgs)
		ends(r.IntN(4), endArgs)
	}
	if r.IntN(40) == 0 {
		c.Args[1+r.IntN(len(c.Args)-1)] = pick(r, "", "x", "-1", "1e3", "0", "01", "99999999999999999999", "a:b", "3")
	}
	switch r.IntN(60) {
	case 0:
		c.Keys = c.Keys[:r.IntN(len(c.Keys))+1]
	case 1:
		c.Args = c.Args[:1+r.IntN(len(c.Args))]
	case 2:
		c.Before = []store.Cmd{{"HSET", g.keys[kMeta], "paused", "1"}}
	case 3, 4:
		c.Before = []store.Cmd{{"HDEL", g.keys[kMeta], "paused"}}
	case 5:
		c.Before = []store.Cmd{{"HSET", g.keys[kUnique], pick(r, "u", "v"), pick(r, "", "L", "F9:1", "L1:x", "Z1:1", "L0:1")}}
	case 6:
		c.Before = []store.Cmd{{"HSET", g.keys[kJobs], g.id(r), pick(r, "", "x", "30,0,1", "31,0,1,0,0;", "30,0,1,0,0,;", "30,0,1,0,0,9;", "30,0,1,0,0,1;x", "30,0,1,0,0,1,1;xxx", "30,0,1,0,0,000001;x")}}
	case 7:
		c.Before = []store.Cmd{{"DEL", g.keys[r.IntN(keyCount)]}}
	case 8:
		c.Before = []store.Cmd{{"SET", g.keys[r.IntN(keyCount)], "not a queue's"}}
	}
	return c
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// seq grows, most of the time.
func (g *Random) seq(r *rand.Rand) string {
	g.calls++
	return strconv.Itoa(max(0, g.calls-r.IntN(2)*r.IntN(9)))
}

func (g *Random) session(r *rand.Rand) string { return pick(r, "s", "s", "t") }

// id guesses one: before 2026 they count from 1.
func (g *Random) id(r *rand.Rand) string { return itoa(1 + int64(r.IntN(24))) }

func (g *Random) job(r *rand.Rand) []string {
	h := header{priority: r.IntN(levels), key: pick(r, "", "", "k", "l"), max: 1 + r.IntN(3), keep: int64(r.IntN(2) * 500)}
	hold := ""
	if r.IntN(3) == 0 {
		h.unique, hold = pick(r, "u", "v"), pick(r, "0", "700")
	}
	if r.IntN(3) == 0 {
		h.headers = encodeHeaders(map[string]string{"a": "1", "b": strings.Repeat("x", r.IntN(20))})
	}
	if h.key == "k" && r.IntN(30) == 0 {
		h.key = "k\x00"
	}
	when := pick(r, "", "", "+200", "+0", "+1000")
	if r.IntN(6) == 0 {
		when = itoa(g.Base().UnixMilli() + int64(r.IntN(3000)))
	}
	return []string{when, hold, string(h.append(nil, []byte("payload")))}
}
