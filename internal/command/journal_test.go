package command_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/resp"
)

type tableEntry = table.Entry

// recorder is a journal that keeps copies of all effects.
type recorder struct{ effects []engine.Effect }

func (j *recorder) Append(effects []engine.Effect) {
	for _, e := range effects {
		own := make([][]byte, len(e.Args))
		for i, a := range e.Args {
			own[i] = bytes.Clone(a)
		}
		j.effects = append(j.effects, engine.Effect{DB: e.DB, Args: own})
	}
}

// replay runs the effects on another keyspace.
func (j *recorder) replay(t *testing.T, r *rig) {
	t.Helper()
	c := r.connect()
	w := resp.NewWriter(nil)
	for _, e := range j.effects {
		c.do("SELECT", fmt.Sprint(e.DB))
		w.Truncate(0)
		c.s.Exec(e.Args, w)
		if v, _, err := resp.Decode(w.Bytes()); err != nil || v.IsError() {
			t.Fatalf("effect %q: %s %v", e.Args, w.Bytes(), err)
		}
	}
}

// TestJournalReplay runs random commands, lets keys expire and be evicted, and
// replays the journal into an empty store whose clock stands still far earlier, so that nothing
// there expires by itself: both must end the same.
func TestJournalReplay(t *testing.T) {
	for round := range 6 {
		seed := uint64(time.Now().UnixNano()) + uint64(round)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			settings := []string{"hash-max-listpack-entries", "8", "set-max-intset-entries", "8",
				"set-max-listpack-entries", "8", "zset-max-listpack-entries", "8", "stream-node-max-entries", "8"}
			if round%2 == 1 {
				settings = append(settings, "maxmemory-policy", "allkeys-random")
			}
			a, b := newRig(t, settings...), newRig(t)
			if round%2 == 1 {
				a.bound(12_000)
			}
			var j recorder
			a.Engine.SetJournal(&j)
			for step := range 20_000 {
				a.main.do(randomCommand(random)...)
				switch {
				case step%50 == 0:
					a.clock.Advance(time.Duration(random.IntN(2000)) * time.Millisecond)
				case step%333 == 0:
					a.Tick(time.Second)
				}
			}
			a.clock.Advance(time.Hour)
			a.Tick(time.Minute) // nothing in the past may be left to lazy expiry
			j.replay(t, b)
			if round%2 == 1 && a.Engine.Stats().Evicted == 0 {
				t.Error("nothing was evicted: the test tests too little")
			}
			if s := a.Engine.Stats(); s.Expired == 0 || s.ExpiredFields == 0 {
				t.Error("nothing expired: the test tests too little")
			}
			if x, y := a.dump(), b.dump(); x != y {
				t.Errorf("the replayed store differs:\n--- original\n%s\n--- replayed\n%s", x, y)
			}
		})
	}
}

// randomCommand is a command on a few keys, now and then one that fails.
func randomCommand(r *rand.Rand) []string {
	key := func() string { return fmt.Sprintf("k%d", r.IntN(40)) }
	member := func() string { return fmt.Sprintf("m%d", r.IntN(30)) }
	num := func() string { return fmt.Sprint(r.IntN(200) - 100) }
	score := func() string { return fmt.Sprintf("%g", r.NormFloat64()*10) }
	choices := []func() []string{
		func() []string { return []string{"SET", key(), member()} },
		func() []string { return []string{"SET", key(), num(), "PX", fmt.Sprint(1 + r.IntN(3000))} },
		func() []string { return []string{"SET", key(), num(), "KEEPTTL", "GET"} },
		func() []string { return []string{"SET", key(), num(), "NX", "EX", "5"} },
		func() []string { return []string{"GETEX", key(), "PX", fmt.Sprint(1 + r.IntN(3000))} },
		func() []string { return []string{"GETDEL", key()} },
		func() []string { return []string{"GETSET", key(), member()} },
		func() []string { return []string{"APPEND", key(), member()} },
		func() []string { return []string{"SETRANGE", key(), fmt.Sprint(r.IntN(50)), member()} },
		func() []string { return []string{"INCRBY", key(), num()} },
		func() []string { return []string{"INCRBYFLOAT", key(), score()} },
		func() []string { return []string{"MSET", key(), num(), key(), num()} },
		func() []string {
			return []string{"MSETEX", "2", key(), num(), key(), num(), "PX", fmt.Sprint(1 + r.IntN(3000))}
		},
		func() []string { return []string{"MSETEX", "2", key(), num(), key(), num(), "KEEPTTL", "XX"} },
		func() []string {
			return []string{"INCREX", key(), "BYINT", num(), "UBOUND", "300", "PX", "2000", "ENX"}
		},
		func() []string { return []string{"INCREX", key(), "BYFLOAT", score(), "LBOUND", "-10", "SATURATE"} },
		func() []string { return []string{"INCREX", key(), "PERSIST"} },
		func() []string { return []string{"SET", key(), num(), "IFNE", num(), "KEEPTTL"} },
		func() []string { return []string{"DELEX", key(), "IFNE", num()} },
		func() []string { return []string{"DEL", key(), key()} },
		func() []string { return []string{"PEXPIRE", key(), fmt.Sprint(r.IntN(4000) - 100)} },
		func() []string { return []string{"EXPIRE", key(), fmt.Sprint(r.IntN(5)), "NX"} },
		func() []string { return []string{"PERSIST", key()} },
		func() []string { return []string{"RENAME", key(), key()} },
		func() []string { return []string{"COPY", key(), key(), "DB", fmt.Sprint(r.IntN(3)), "REPLACE"} },
		func() []string { return []string{"MOVE", key(), "1"} },
		func() []string { return []string{"SELECT", fmt.Sprint(r.IntN(2))} },
		func() []string { return []string{"HSET", key(), member(), num(), member(), num()} },
		func() []string { return []string{"HDEL", key(), member(), member()} },
		func() []string { return []string{"HINCRBYFLOAT", key(), member(), score()} },
		func() []string {
			return []string{"HPEXPIRE", key(), fmt.Sprint(r.IntN(4000)), "FIELDS", "3", member(), member(), member()}
		},
		func() []string {
			return []string{"HEXPIRE", key(), fmt.Sprint(r.IntN(4)), "NX", "FIELDS", "1", member()}
		},
		func() []string { return []string{"HPERSIST", key(), "FIELDS", "2", member(), member()} },
		func() []string {
			return []string{"HSETEX", key(), "PX", fmt.Sprint(r.IntN(3000)), "FIELDS", "2", member(), num(), member(), num()}
		},
		func() []string { return []string{"HSETEX", key(), "FNX", "KEEPTTL", "FIELDS", "1", member(), num()} },
		func() []string {
			return []string{"HGETEX", key(), "PX", fmt.Sprint(r.IntN(3000)), "FIELDS", "1", member()}
		},
		func() []string { return []string{"HGETEX", key(), "PERSIST", "FIELDS", "2", member(), member()} },
		func() []string { return []string{"HGETDEL", key(), "FIELDS", "2", member(), member()} },
		func() []string { return []string{"SADD", key(), member(), num(), num()} },
		func() []string { return []string{"SREM", key(), member(), num()} },
		func() []string { return []string{"SPOP", key()} },
		func() []string { return []string{"SPOP", key(), fmt.Sprint(r.IntN(6))} },
		func() []string { return []string{"SMOVE", key(), key(), member()} },
		func() []string { return []string{"SUNIONSTORE", key(), key(), key()} },
		func() []string { return []string{"RPUSH", key(), member(), member()} },
		func() []string { return []string{"LPUSH", key(), member()} },
		func() []string { return []string{"LPOP", key(), "2"} },
		func() []string { return []string{"LMOVE", key(), key(), "LEFT", "RIGHT"} },
		func() []string { return []string{"LTRIM", key(), "1", "20"} },
		func() []string { return []string{"ZADD", key(), score(), member(), score(), member()} },
		func() []string { return []string{"ZINCRBY", key(), score(), member()} },
		func() []string { return []string{"ZREM", key(), member()} },
		func() []string { return []string{"ZPOPMIN", key()} },
		func() []string { return []string{"ZREMRANGEBYRANK", key(), "0", "1"} },
		func() []string { return []string{"ZUNIONSTORE", key(), "2", key(), key()} },
		func() []string { return randomDerivation(r) },
		func() []string { return randomDerivation(r) },
		func() []string { return randomStreamCommand(r) },
		func() []string { return randomStreamCommand(r) },
		func() []string { return randomStreamCommand(r) },
		func() []string { return randomStreamCommand(r) },
		func() []string { return randomStreamCommand(r) },
		func() []string { return randomStreamCommand(r) },
	}
	if r.IntN(4000) == 0 {
		return []string{"FLUSHDB"}
	}
	if r.IntN(1000) == 0 {
		return []string{"SWAPDB", "0", "1"}
	}
	return choices[r.IntN(len(choices))]()
}

// randomDerivation is a command of those that read strings and collections as something else: bits, estimates, places,
// keys to sort by. They have keys of their own, too, so that they meet what they can use.
func randomDerivation(r *rand.Rand) []string {
	key := func() string {
		if r.IntN(3) == 0 {
			return fmt.Sprintf("k%d", r.IntN(40))
		}
		return fmt.Sprintf("d%d", r.IntN(6))
	}
	num := func() string { return fmt.Sprint(r.IntN(200)) }
	choices := []func() []string{
		func() []string { return []string{"SETBIT", key(), num(), fmt.Sprint(r.IntN(2))} },
		func() []string { return []string{"BITOP", "XOR", key(), key(), key()} },
		func() []string { return []string{"BITOP", "DIFF1", key(), key(), key()} },
		func() []string {
			return []string{"BITFIELD", key(), "INCRBY", "i5", num(), num(), "OVERFLOW", "FAIL", "INCRBY", "u2", num(), "1"}
		},
		func() []string { return []string{"PFADD", "h" + key(), num(), num()} },
		func() []string { return []string{"PFCOUNT", "h" + key()} },
		func() []string { return []string{"PFMERGE", "h" + key(), "h" + key()} },
		func() []string { return []string{"GEOADD", "g" + key(), num()[:1], num()[:1], num()} },
		func() []string { return []string{"GEORADIUS", "g" + key(), "1", "1", "500", "km", "STORE", key()} },
		func() []string {
			return []string{"GEOSEARCHSTORE", key(), "g" + key(), "FROMLONLAT", "1", "1", "BYBOX", "900", "900", "km", "STOREDIST"}
		},
		func() []string { return []string{"SORT", key(), "ALPHA", "STORE", key()} },
		func() []string { return []string{"SORT", key(), "BY", "k*", "GET", "k*", "GET", "#", "STORE", key()} },
		func() []string { return []string{"RPUSH", key(), num(), num()} },
		func() []string { return []string{"DEL", key()} },
	}
	return choices[r.IntN(len(choices))]()
}

// TestJournalOfRefusedMove: a move that fails changes nothing, whenever that is found out, and so is no effect.
func TestJournalOfRefusedMove(t *testing.T) {
	for _, move := range []string{"BLMOVE from to LEFT RIGHT 0", "BRPOPLPUSH from to 0"} {
		r := newRig(t)
		var j recorder
		r.Engine.SetJournal(&j)
		waiter := r.dial(1)
		waiter.wait(move)
		r.main.want("OK", "SET to text")
		r.main.want("(1)", "RPUSH from x")
		if got := waiter.late(); !strings.HasPrefix(got, "WRONGTYPE") {
			t.Fatal(got)
		}
		r.main.want(waiter.do(move), "LMOVE from to LEFT RIGHT")
		if len(j.effects) != 2 {
			t.Errorf("%s: effects are %s", move, fmt.Sprint(j.effects))
		}
	}
}
