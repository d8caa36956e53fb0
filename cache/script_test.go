package cache

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/storetest"
)

// TestBodiesAgree runs the Go bodies on Memory and on the engine, and the Lua bodies on a real Redis.
func TestBodiesAgree(t *testing.T) {
	lua := fleet.Start(t, fleet.Redis).Open(t)
	db := fleet.NewClocked(t)
	for _, script := range Scripts() {
		storetest.Scripts(t, storetest.NewMemory(), lua, script, randomCall(script))
		storetest.Scripts(t, db, lua, script, randomCall(script))
	}
}

// randomCall makes calls of a script among entries, leases and nonsense.
func randomCall(script *store.Script) func(r *rand.Rand, prefix string) storetest.Call {
	pick := func(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
	token := func(r *rand.Rand) string {
		return pick(r, "tokenOne", "tokenTwo", "\x00\x00\x00\x00\x00\x00\x00\x00")
	}
	head := func(flags byte) string { return "\xca\x01" + string(flags) + "abcdEPOCHEPO" }
	until := "\x00\x00\x01\x02\x03\x04\x05\x06"
	thing := func(r *rand.Rand) string {
		state := string(rune(r.IntN(3)))
		whole := pick(r, head(flagLease)+token(r)+state, head(flagTimes)+token(r)+state+until+until+"costpayload",
			head(0)+"payload of some length", "text", "", "\xca\x02"+head(flagLease)[2:]+token(r)+state)
		if r.IntN(10) == 0 {
			return whole[:r.IntN(len(whole)+1)]
		}
		return whole
	}
	return func(r *rand.Rand, prefix string) storetest.Call {
		call := storetest.Call{Keys: []string{prefix + pick(r, "a", "b")}}
		switch r.IntN(6) {
		case 0, 1, 2:
			call.Before = []store.Cmd{{"SET", call.Keys[0], thing(r), "PX", "60000"}}
		case 3:
			call.Before = []store.Cmd{{"DEL", call.Keys[0]}}
		case 4:
			if r.IntN(4) == 0 {
				call.Before = []store.Cmd{{"DEL", call.Keys[0]}, {"HSET", call.Keys[0], "f", "v"}}
			}
		}
		if r.IntN(20) == 0 {
			call.Advance = 200 * time.Second
		}
		millis := pick(r, "90000", "90000", "120000", "1e3", "0", "-1", "", "99999999999999")
		switch script {
		case bid:
			seen := thing(r)
			if len(call.Before) == 1 && len(call.Before[0]) == 5 && r.IntN(2) == 0 {
				seen = call.Before[0][2]
			}
			seen = seen[:min(len(seen), headBytes)]
			call.Args = []string{head(flagLease) + token(r) + "\x00", millis, seen, pick(r, "", token(r)+"\x00"+until)}
		case fill:
			call.Args = []string{token(r), pick(r, "", thing(r)), millis}
		case lease:
			call.Args = []string{pick(r, leaseWait, leaseRenew, leaseRelease, leaseHold, "what"), token(r), until, millis}
		}
		switch r.IntN(30) {
		case 0:
			call.Args = call.Args[1:]
		case 1:
			call.Keys = append(call.Keys, call.Keys[0])
		}
		return call
	}
}
