package lock

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func openRedis(t testing.TB) store.Store {
	t.Helper()
	return fleet.Start(t, fleet.Redis).Open(t)
}

// BodiesAgree holds Go and Lua against each other; its caller has the embedded store.
func BodiesAgree(t *testing.T, db storetest.Clocked) {
	lua := openRedis(t)
	for _, c := range []struct {
		script *store.Script
		extra  func(r *rand.Rand) []string
	}{
		{acquireScript, func(r *rand.Rand) []string {
			return []string{strconv.Itoa(1 + r.IntN(3)), "30000", "10000", []string{"0", "60000", "60000"}[r.IntN(3)]}
		}},
		{extendScript, func(*rand.Rand) []string { return []string{"30000"} }},
		{leaveScript, func(*rand.Rand) []string { return nil }},
	} {
		t.Run(c.script.Name, func(t *testing.T) {
			storetest.Scripts(t, db, lua, mixed(c.script), func(r *rand.Rand, prefix string) storetest.Call {
				return randomCall(r, prefix, c.script, c.extra)
			})
		})
	}
	t.Run("inspect", func(t *testing.T) {
		storetest.Scripts(t, db, lua, inspectScript, func(r *rand.Rand, prefix string) storetest.Call {
			head := prefix + "a"
			return storetest.Call{Keys: []string{head, head + bodySuffix}[:2-r.IntN(8)/7], Before: garbage(r, head, head+bodySuffix)}
		})
	})
	t.Run("guard", func(t *testing.T) {
		storetest.Scripts(t, db, lua, guardScript, randomGuard)
	})
}

// mixed is a script that stands for all three that change a lock: the last argument says which one runs, so that a
// random schedule meets every state. The one under test comes most often.
func mixed(most *store.Script) *store.Script {
	all := []*store.Script{acquireScript, extendScript, leaveScript}
	lua := "local which = table.remove(ARGV)\n"
	for i, s := range all {
		lua += "if which == '" + strconv.Itoa(i) + "' then return (function()\n" + s.Lua + "\nend)() end\n"
	}
	return &store.Script{Name: most.Name, Lua: lua, Go: func(tx store.Tx, keys, args []string) store.Reply {
		which, _ := strconv.Atoi(args[len(args)-1])
		return all[which].Go(tx, keys, args[:len(args)-1])
	}}
}

func randomCall(r *rand.Rand, prefix string, most *store.Script, extra func(*rand.Rand) []string) storetest.Call {
	kind := r.IntN(2)
	head := prefix + "k" + strconv.Itoa(kind)
	mode := "xs"[kind : kind+1]
	switch r.IntN(6) {
	case 0:
		mode = "xsl"[:3][r.IntN(3):][:1]
	}
	id := mode + "c" + strconv.Itoa(r.IntN(3)) + "." + strconv.Itoa(r.IntN(4))
	ticket := strconv.Itoa(r.IntN(8) - 1)
	c := storetest.Call{Keys: []string{head, head + bodySuffix}}
	which, more := 0, extra(r)
	switch most {
	case extendScript:
		which = 1
	case leaveScript:
		which = 2
	}
	if r.IntN(2) == 0 {
		which = r.IntN(3)
		more = [][]string{{strconv.Itoa(1 + r.IntN(3)), "30000", "10000", []string{"0", "60000"}[r.IntN(2)]}, {"30000"}, nil}[which]
	}
	numbers := append([]string{[]string{"3600000", "3600000", "0"}[r.IntN(3)]}, more...)
	c.Args = []string{id, ticket, "", "wake:"}
	switch r.IntN(40) {
	case 0:
		c.Before = garbage(r, c.Keys[0], c.Keys[1])
	case 1:
		list := [][]string{numbers, c.Args}[r.IntN(2)]
		list[r.IntN(len(list))] = []string{"", "x", "-2", "1.5", "1e3", "00", "9000000000000001", "99999999999999999", "x.", "xa.", "xa b.1", "s" + strings.Repeat("a", 300) + ".1"}[r.IntN(12)]
	case 2:
		c.Args = c.Args[:r.IntN(len(c.Args))]
	case 3:
		c.Keys = c.Keys[:1]
	}
	if len(c.Args) > 2 && c.Args[2] == "" {
		if c.Args[2] = strings.Join(numbers, " "); r.IntN(60) == 0 {
			c.Args[2] += []string{" ", " 1", "x", "  "}[r.IntN(4)]
		}
	}
	c.Args = append(c.Args, strconv.Itoa(which))
	switch r.IntN(6) {
	case 0:
		c.Advance = time.Duration(r.IntN(70)) * time.Second
	case 1:
		c.Advance = 15 * time.Second
	case 2, 3:
		c.Advance = time.Millisecond
	}
	return c
}

// garbage leaves something strange at the keys.
func garbage(r *rand.Rand, head, body string) []store.Cmd {
	now := storetest.NewMemory().Now().UnixMilli()
	words := []string{"0", "1", "5", strconv.FormatInt(now, 10), strconv.FormatInt(now+20_000, 10), "x", "", "-1", "9000000000000001", "99999999999999999", "xc1.1", "sc1.2", "sc2.1", "x"}
	some := func(n int) string {
		w := make([]string, n)
		for i := range w {
			w[i] = words[r.IntN(len(words))]
		}
		all := strings.Join(w, " ")
		return all[:min(len(all), 60)] // longer ones make Redis forget the order of a small hash
	}
	switch r.IntN(8) {
	case 0:
		return []store.Cmd{{"SET", head, some(9)}}
	case 1:
		return []store.Cmd{{"SET", head, "7 0 0 0 0 0 1 " + words[r.IntN(8)] + " "}}
	case 2:
		return []store.Cmd{{"DEL", head}, {"HSET", head, "f", "v"}}
	case 3:
		return []store.Cmd{{"DEL", body}, {"SET", body, "v"}}
	case 4:
		return []store.Cmd{{"HSET", body, "w1", some(4), "w2", some(4), "hsc1.1", some(4)}}
	case 5:
		return []store.Cmd{{"DEL", head}}
	case 6:
		return []store.Cmd{{"SET", head, "7 0 0 0 " + words[r.IntN(3)] + " " + words[3+r.IntN(2)] + " 1 3 "},
			{"HSET", body, "w1", words[4] + " 2 1000 sc1.1", "w2", words[4] + " 1 1000 " + words[10+r.IntN(4)], "w3", words[3+r.IntN(2)] + " 1 1 sc2.0",
				"hsc2.1", words[3+r.IntN(2)] + " 1 1 " + words[r.IntN(3)]}}
	}
	return []store.Cmd{{"DEL", head}, {"DEL", body}}
}

func randomGuard(r *rand.Rand, prefix string) storetest.Call {
	key := prefix + "k"
	c := storetest.Call{Keys: []string{key + ":fence", key},
		Args: []string{strconv.Itoa(1 + r.IntN(9)), []string{"0", "100000"}[r.IntN(2)], "INCRBY", key, "3"}}
	switch r.IntN(16) {
	case 0:
		c.Before = []store.Cmd{{"SET", c.Keys[0], []string{"x", "", "9000000000000000", "9000000000000001", "1.5"}[r.IntN(5)]}}
	case 1, 2:
		c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
	case 3:
		c.Args[r.IntN(2)] = []string{"", "-1", "x", "9000000000000001", "12345678901234567"}[r.IntN(5)]
	case 4:
		c.Args = c.Args[:r.IntN(4)]
	case 5:
		c.Args = append(c.Args[:2], "SET", key, "x")
	case 6:
		c.Before = []store.Cmd{{"DEL", key}, {"HSET", key, "f", "v"}}
	case 7:
		c.Before = []store.Cmd{{"DEL", key}}
	}
	return c
}
