package leaderboard_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestBodiesAgree holds every script's Go and Lua against each other: boards of every kind, strangers' keys, bad arguments.
func TestBodiesAgree(t *testing.T) {
	lua := fleet.Start(t, fleet.Redis).Open(t)
	for _, script := range leaderboard.Scripts() {
		t.Run(script.Name, func(t *testing.T) {
			db := fleet.NewClocked(t)
			storetest.Scripts(t, db, lua, script, func(r *rand.Rand, prefix string) storetest.Call {
				return randomCall(r, prefix, script.Name, db.Now().UnixMilli())
			})
		})
	}
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func boardKeys(prefix, name string) []string {
	return []string{prefix + "s:" + name, prefix + "t:" + name, prefix + "n:" + name, prefix + "d:" + name}
}

// fillBoard are commands that make a valid board: with all its parts, or only those of its flags.
func fillBoard(r *rand.Rand, keys []string, flags string) (cmds []store.Cmd) {
	cmds = append(cmds, store.Cmd{"DEL", keys[0], keys[1], keys[2], keys[3]})
	n := 1 + r.IntN(5)
	for i := range n {
		member, score, stamp := pick(r, "a", "b", "c", "d")+strconv.Itoa(i), strconv.Itoa(r.IntN(4)-2), ""
		if flags[0] == 't' {
			stamp = "\x00\x00\x00\x00\x00" + string(rune('0'+i))
			cmds = append(cmds, store.Cmd{"HSET", keys[1], member, stamp, "", "60"})
		}
		cmds = append(cmds, store.Cmd{"ZADD", keys[0], score, stamp + member}, store.Cmd{"ZADD", keys[2], score, score},
			store.Cmd{"HSET", keys[3], member, "data"})
	}
	return cmds
}

func randomCall(r *rand.Rand, prefix, script string, now int64) storetest.Call {
	a, b := boardKeys(prefix, "A"), boardKeys(prefix, "B")
	flags := pick(r, "t:o", "t:c", ":o", ":c", "d:o", "td:c", "tn:n", "n:n", "tnd:n", "tnd:o", "t:n")
	member := func() string { return pick(r, "a", "b", "c", "d") + strconv.Itoa(r.IntN(5)) }
	c := storetest.Call{Keys: slices.Clone(a)}
	switch script {
	case "leaderboard.update":
		c.Args = randomUpdate(r, &c, b, flags, now)
	case "leaderboard.page":
		c.Args = []string{flags, "i", strconv.Itoa(r.IntN(6)), strconv.Itoa(r.IntN(5))}
		if r.IntN(2) == 0 {
			c.Args[1], c.Args[2] = "m", member()
		}
	case "leaderboard.look":
		c.Args = []string{flags, pick(r, "r", ""), member(), member(), "nobody"}
	case "leaderboard.remove":
		c.Args = []string{flags, member(), member()}
	case "leaderboard.data":
		c.Args = []string{flags, member(), pick(r, "", "x")}
	case "leaderboard.archive":
		c.Keys = append(c.Keys, b...)
		c.Args = []string{flags, strconv.Itoa(r.IntN(4)), pick(r, "0", "900000000"), strconv.FormatInt(now-1+r.Int64N(3), 10)}
	}
	if r.IntN(3) > 0 {
		c.Before = fillBoard(r, a, flags)
	}
	k := c.Keys[r.IntN(len(c.Keys))]
	switch r.IntN(24) {
	case 0:
		c.Before = append(c.Before, store.Cmd{"DEL", k}, store.Cmd{"SET", k, "stranger"})
	case 1:
		c.Before = append(c.Before, store.Cmd{"DEL", a[0]}, store.Cmd{"ZADD", a[0], pick(r, "inf", "0.5", "-9007199254740991"), "a1", "1", "a2"})
	case 2:
		c.Before = append(c.Before, store.Cmd{"HSET", a[1], pick(r, "", "a1"), pick(r, "", "x", "-1", "1.5")})
	case 3, 4:
		c.Args[r.IntN(len(c.Args))] = pick(r, "", "x", "-1", "1e3", " 1", "0", "-0", "99999999999999999", "t:x", "9007199254740991", "0x10")
	case 5:
		c.Args = c.Args[:r.IntN(len(c.Args))]
	case 6:
		c.Keys = c.Keys[:r.IntN(len(c.Keys))]
	case 7:
		c.Before = append(c.Before, store.Cmd{"DEL", k})
	}
	c.Before = slices.DeleteFunc(c.Before, func(cmd store.Cmd) bool { return !slices.Contains(c.Keys, cmd[1]) })
	if r.IntN(4) == 0 {
		c.Advance = time.Duration(r.IntN(60_000)) * time.Millisecond
	}
	return c
}

func randomUpdate(r *rand.Rand, c *storetest.Call, second []string, flags string, now int64) []string {
	boards := 1 + r.IntN(2)
	args := []string{pick(r, "", "r")}
	if boards == 2 {
		c.Keys = append(c.Keys, second...)
	}
	ms := func(d int64) string { return strconv.FormatInt(now+d, 10) }
	for range boards {
		args = append(args, strings.Join([]string{flags, pick(r, "0", "900000000"), pick(r, "0", "0", ms(800_000_000)),
			pick(r, "0", "0", ms(-1), ms(1_000_000)), pick(r, "0", "0", "0", ms(10_000_000), ms(-1)), pick(r, "0", "0", "3")}, " "))
		if r.IntN(30) == 0 {
			args[len(args)-1] += pick(r, " ", " 1", "x", "0000000000000000")
		}
	}
	for range r.IntN(6) {
		args = append(args, strconv.Itoa(1+r.IntN(boards)), pick(r, "+", "=", "<"), pick(r, "a", "b", "c", "d")+strconv.Itoa(r.IntN(5)),
			pick(r, "0", "1", "-1", "2", "2", "9007199254740991", "-9007199254740991"), pick(r, "", "", "data"))
	}
	return args
}
