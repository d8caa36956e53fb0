package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

func redis(t testing.TB) store.Store {
	t.Helper()
	st := fleet.Start(t, fleet.Redis).Open(t)
	return st
}

// TestBodiesAgree holds every script's Go and Lua against each other: live sessions, tombstones, strangers' keys and bad
// arguments.
func TestBodiesAgree(t *testing.T) {
	lua := redis(t)
	for _, script := range session.Scripts() {
		t.Run(script.Name, func(t *testing.T) {
			storetest.Scripts(t, fleet.NewClocked(t), lua, script, func(r *rand.Rand, prefix string) storetest.Call {
				return randomCall(r, prefix, script.Name)
			})
		})
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

var members = []string{"A", "B", "C", "D"}

func randomCall(r *rand.Rand, prefix, script string) storetest.Call {
	now := storetest.NewMemory().Now().UnixMilli()
	key := func() string { return prefix + pick(r, members...) }
	index := prefix + "user:ann"
	c := storetest.Call{}
	if r.IntN(3) == 0 {
		c.Advance = time.Duration(r.IntN(100_000)) * time.Millisecond
	}
	// A session ends long after the round or has ended: at the border the clocks of the two sides differ.
	end := func() string {
		return strconv.FormatInt(now+pick[int64](r, 300_000_000, 600_000_000, -1, -10_000_000), 10)
	}
	stamp := func(spread int64) string { return strconv.FormatInt(now+r.Int64N(2*spread)-spread/2, 10) }
	change := [][]string{{"0"}, {"1", ".theme", "blue"}, {"1", ".new", "1", ".cart"}, {"0", ".theme", ".cart", ".none"}, {"2", ".a", "", ".a", "2"}}[r.IntN(5)]
	switch script {
	case "session.load":
		c.Keys, c.Args = []string{key()}, []string{pick(r, "20000000", "90000000"), pick(r, "0", "1", "60000")}
	case "session.create":
		c.Keys, c.Args = []string{key()}, []string{pick(r, "50000000", "90000000"), "90000000", pick(r, members...), "", pick(r, "", "agent"), "", ".f", "v"}
		if r.IntN(2) == 0 {
			c.Keys, c.Args[3] = append(c.Keys, index), "ann"
		}
	case "session.patch":
		c.Keys, c.Args = []string{key()}, change
	case "session.rotate":
		c.Keys, c.Args = []string{key(), key()}, append([]string{pick(r, "0", "5000000"), "90000000", pick(r, members...), "zz" + pick(r, members...)}, change...)
		if r.IntN(2) == 0 {
			c.Keys = append(c.Keys, index)
		}
	case "session.retire":
		c.Keys, c.Args = []string{key()}, []string{"90000000", "destroyed", pick(r, members...), pick(r, "", "zzQ")}
		if r.IntN(2) == 0 {
			c.Keys = append(c.Keys, index)
		}
	case "session.revoke", "session.prune":
		c.Keys, c.Args = []string{index}, []string{"90000000", "revoked"}
		if script == "session.prune" {
			c.Args = nil
		}
		for range r.IntN(4) {
			m := pick(r, members...)
			c.Keys, c.Args = append(c.Keys, prefix+m), append(c.Args, m)
		}
	case "session.scs.commit":
		m := pick(r, members...)
		c.Keys, c.Args = []string{prefix + m, prefix + pick(r, m, "ended") + "x", index}, []string{"data", pick(r, "50000000", "90000000"), m}
	case "session.scs.delete":
		m := pick(r, members...)
		c.Keys, c.Args = []string{prefix + m, prefix + m + "x", index}, []string{"90000000", m}
	default:
		panic(fmt.Sprint("no calls for ", script))
	}
	if r.IntN(12) == 0 {
		c.Keys = c.Keys[:1]
	}
	for range r.IntN(3) {
		k := c.Keys[r.IntN(len(c.Keys))]
		if k == index {
			break
		}
		switch r.IntN(7) {
		case 0:
			c.Before = append(c.Before, store.Cmd{"DEL", k})
		case 1, 2, 3:
			c.Before = append(c.Before, store.Cmd{"DEL", k}, store.Cmd{"HSET", k, "c", "1", "d", end(), "s", pick(r, stamp(1_000_000), stamp(1_000_000), strconv.FormatInt(now-30_000_000, 10)),
				".theme", "dark", ".cart", "[]"}, store.Cmd{"PEXPIRE", k, "90000000"})
		case 4:
			c.Before = append(c.Before, store.Cmd{"DEL", k}, store.Cmd{"HSET", k, "x", "rotated", "n", "zz" + pick(r, members...), "g", stamp(10_000_000)})
		case 5:
			c.Before = append(c.Before, store.Cmd{"HSET", k, pick(r, "d", "s", "x", "n", "g"), pick(r, "", "x", "1e3", "0x1", " 1", "9999999999999999", "5")})
		case 6:
			c.Before = append(c.Before, store.Cmd{"SET", k, pick(r, "", "zzz", "1000000000000000x"), "PX", "90000000"})
		}
	}
	if !slices.Contains(c.Keys, index) {
		// only keys of the call are compared
	} else if r.IntN(20) == 0 {
		c.Before = append(c.Before, store.Cmd{"SET", index, "no list"})
	} else if r.IntN(10) == 0 {
		c.Before = append(c.Before, store.Cmd{"DEL", index})
	} else if r.IntN(2) == 0 {
		c.Before = append(c.Before, store.Cmd{"ZADD", index, stamp(40_000_000), pick(r, members...)})
	}
	switch r.IntN(12) {
	case 0:
		if len(c.Args) > 0 {
			c.Args[r.IntN(len(c.Args))] = pick(r, "", "x", "-1", "1e3", " 1", "0", "9999999999999999", strings.Repeat("9", 400))
		}
	case 1:
		c.Args = c.Args[:r.IntN(len(c.Args)+1)]
	}
	return c
}
