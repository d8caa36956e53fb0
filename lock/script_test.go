package lock

import (
	"encoding/binary"
	"math"
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
	}{{acquireScript}, {extendScript}, {leaveScript}} {
		t.Run(c.script.Name, func(t *testing.T) {
			storetest.Scripts(t, db, lua, mixed(c.script), func(r *rand.Rand, prefix string) storetest.Call {
				return randomCall(r, prefix, c.script)
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

// TestForfeit: a process whose claim lapsed loses its other places in the queue, but not the one for which it calls just now.
func TestForfeit(t *testing.T) {
	db := fleet.NewClocked(t)
	ctx := t.Context()
	keys := []string{"{f}", "{f}:body"}
	call := func(id string, ticket int64) answer {
		t.Helper()
		a, err := parse(db.Run(ctx, acquireScript, keys, id, "3600000", packed(ticket, 0, 30_000, 10_000, 60_000), "wake:"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	call("xa.1", 0)
	call("xb.1", 0)
	second := call("xb.2", 0).token
	third := call("xb.3", 0).token
	call("xc.1", 0)
	db.Run(ctx, leaveScript, keys, "xa.1", "3600000", packed(0), "wake:") // gives b.1 a claim, of which nobody hears
	db.Advance(11 * time.Second)
	if a := call("xb.3", third); !a.granted { // b.2 is passed over, c.1 came later
		t.Errorf("a place that was kept: %+v", a)
	}
	db.Run(ctx, leaveScript, keys, "xb.3", "3600000", packed(0), "wake:")
	if a := call("xb.2", second); a.granted || a.token == second {
		t.Errorf("a place that was forfeited: %+v", a)
	}
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

func randomCall(r *rand.Rand, prefix string, most *store.Script) storetest.Call {
	kind := r.IntN(2)
	head := prefix + "k" + strconv.Itoa(kind)
	mode := "xs"[kind : kind+1]
	switch r.IntN(6) {
	case 0:
		mode = "xsl"[:3][r.IntN(3):][:1]
	}
	id := mode + "c" + strconv.Itoa(r.IntN(3)) + "." + strconv.Itoa(r.IntN(4))
	c := storetest.Call{Keys: []string{head, head + bodySuffix}}
	which := map[*store.Script]int{acquireScript: 0, extendScript: 1, leaveScript: 2}[most]
	if r.IntN(2) == 0 {
		which = r.IntN(3)
	}
	ticket := int64(max(r.IntN(12)-5, -1)) // most often none
	numbers := []string{
		packed(max(ticket, 0), int64(1+r.IntN(3)), 30_000, 10_000, []int64{0, 60_000, 60_000}[r.IntN(3)]),
		packed(30_000),
		packed(ticket),
	}[which]
	if which == 0 && r.IntN(2) == 0 {
		numbers = packed(ticket) + numbers[wide:]
	}
	c.Args = []string{id, []string{"3600000", "3600000", "0"}[r.IntN(3)], numbers, "wake:"}
	switch r.IntN(40) {
	case 0:
		c.Before = garbage(r, c.Keys[0], c.Keys[1])
	case 1:
		c.Args[r.IntN(2)] = []string{"", "x", "-2", "1.5", "1e3", "00", "9000000000000001", "x.", "x\n", "xa b.1", "s" + strings.Repeat("a", 300) + ".1"}[r.IntN(11)]
	case 2:
		c.Args = c.Args[:r.IntN(len(c.Args))]
	case 3:
		c.Keys = c.Keys[:1]
	case 4:
		c.Args[2] = []string{"", numbers[1:], numbers + "x", "5"}[r.IntN(4)]
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
	now := float64(storetest.NewMemory().Now().UnixMilli())
	odd := []float64{0, 1, 5, now, now + 20_000, -1, 1.5, 9_000_000_000_000_001, 1e300, math.NaN(), math.Inf(1)}
	some := func(from, to, n int) string {
		var b []byte
		for range n {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(odd[from+r.IntN(to-from)]))
		}
		return string(b)
	}
	ids := []string{"", "x", "xc1.1", "sc1.2", "sc2.1", "lc1.1", "y"}
	who := func() string { return ids[r.IntN(len(ids))] }
	switch r.IntN(9) {
	case 0:
		return []store.Cmd{{"SET", head, []string{"L", "M", "", "something else", "C1234567"}[r.IntN(5)] + some(0, len(odd), r.IntN(9)) + who()}}
	case 1:
		return []store.Cmd{{"SET", head, "L" + packed(7, 0, 0, 0, 0, 0) + some(0, 5, 2) + who()}}
	case 2:
		return []store.Cmd{{"DEL", head}, {"HSET", head, "f", "v"}}
	case 3:
		return []store.Cmd{{"DEL", body}, {"SET", body, "v"}}
	case 4:
		return []store.Cmd{{"HSET", body, "w1", some(0, len(odd), r.IntN(4)) + who(), "w2", some(0, 5, 3) + who(), "hsc1.1", some(0, len(odd), 4)}}
	case 5:
		return []store.Cmd{{"DEL", head}}
	case 6:
		return []store.Cmd{{"SET", head, "L" + packed(7, 0, 0, 0, int64(r.IntN(3))) + some(3, 5, 1) + packed(1, 3)},
			{"HSET", body, "w1", some(4, 5, 1) + packed(2, 1000) + "sc1.1", "w2", some(4, 5, 1) + packed(1, 1000) + who(),
				"w3", some(3, 5, 1) + packed(1, 1) + "sc2.0", "hsc2.1", some(3, 5, 1) + packed(1, 1) + some(0, 3, 1)}}
	case 7:
		return []store.Cmd{{"SET", head, strings.Repeat("L", []int{8, 9, 10, 65, 512, 513}[r.IntN(6)])}}
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
