package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/config"
)

func (r *rig) setConfig(pairs ...string) {
	r.t.Helper()
	words := append([]string{"CONFIG", "SET"}, pairs...)
	r.main.want("OK", words...)
}

// bound sets maxmemory so that keys and values may take n bytes.
func (r *rig) bound(n int64) {
	r.t.Helper()
	r.setConfig("maxmemory", fmt.Sprint(n+r.Engine.Overhead()))
}

const oom = "OOM command not allowed when used memory > 'maxmemory'."

func TestNoEviction(t *testing.T) {
	r := newRig(t)
	r.bound(200_000)
	refused := 0
	for i := range 5000 {
		switch got := r.main.do("SET", fmt.Sprintf("key:%d", i), strings.Repeat("x", 100)); got {
		case "OK":
		case oom:
			refused++
		default:
			t.Fatal(got)
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused")
	}
	// One command may go over the bound, none may begin beyond it.
	if used := r.Engine.Used(); used > 200_000+1000 || used < 190_000 {
		t.Errorf("%d bytes are used of 200000", used)
	}
	r.main.want("x", "GETRANGE key:0 0 0")
	for r.main.do("SET", fmt.Sprintf("key:%d", r.Engine.Random()), strings.Repeat("x", 100)) == "OK" {
	}
	r.main.want(oom, "MSET a 1 b 2")
	r.main.want("(1)", "DEL key:0 nosuch")
	r.setConfig("maxmemory", "0")
	r.main.want("OK", "MSET a 1 b 2")
}

func TestEvictionPolicies(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
		"volatile-random", "volatile-ttl", "volatile-s3fifo", "volatile-wtinylfu", "allkeys-s3fifo", "allkeys-wtinylfu"} {
		t.Run(policy, func(t *testing.T) {
			const bound = 400_000
			r := newRig(t, "maxmemory-policy", policy)
			r.bound(bound)
			for i := range 20_000 {
				r.main.want("OK", "SET", fmt.Sprintf("key:%d", i), strings.Repeat("x", 50), "EX", fmt.Sprint(10_000+i))
			}
			if used := r.Engine.Used(); used > bound+1000 {
				t.Errorf("%d bytes are used of %d", used, bound)
			}
			s := r.Engine.Stats()
			tx := r.Engine.NewTx()
			tx.Begin(0)
			keys := int64(tx.Len())
			tx.End()
			if s.Evicted+keys != 20_000 || keys < 2000 {
				t.Errorf("%d keys are left, %d were evicted, of 20000", keys, s.Evicted)
			}
		})
	}
}

func TestVolatileSparesTheRest(t *testing.T) {
	for _, policy := range []string{"volatile-lru", "volatile-s3fifo", "volatile-wtinylfu"} {
		t.Run(policy, func(t *testing.T) { sparesTheRest(t, policy) })
	}
}

func sparesTheRest(t *testing.T, policy string) {
	r := newRig(t, "maxmemory-policy", policy)
	r.bound(300_000)
	for i := range 500 {
		r.main.want("OK", "SET", fmt.Sprintf("keep:%d", i), strings.Repeat("x", 50))
	}
	for i := range 10_000 {
		r.main.want("OK", "SET", fmt.Sprintf("go:%d", i), strings.Repeat("x", 50), "EX", "100")
	}
	for i := range 500 {
		r.main.want("(1)", "EXISTS", fmt.Sprintf("keep:%d", i))
	}
	for { // what may go goes, then writes are refused
		if got := r.main.do("SET", fmt.Sprintf("keep:%d", r.Engine.Random()), strings.Repeat("x", 50)); got == oom {
			break
		}
	}
}

func TestVolatileTTLTakesTheShortest(t *testing.T) {
	r := newRig(t, "maxmemory-policy", "volatile-ttl", "maxmemory-samples", "10")
	r.bound(300_000)
	for i := range 6000 {
		r.main.want("OK", "SET", fmt.Sprintf("key:%d", i), strings.Repeat("x", 50), "EX", fmt.Sprint(100+i%1000))
	}
	short, long := 0, 0
	for i := range 6000 {
		if r.main.do("EXISTS", fmt.Sprintf("key:%d", i)) == "(1)" {
			if i%1000 < 500 {
				short++
			} else {
				long++
			}
		}
	}
	if short*2 > long {
		t.Errorf("of the keys that stayed %d have a short time to live, %d a long one", short, long)
	}
}

// TestLRUKeepsWhatIsUsed reads one key of ten between the writes.
func TestLRUKeepsWhatIsUsed(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu"} {
		t.Run(policy, func(t *testing.T) {
			r := newRig(t, "maxmemory-policy", policy, "maxmemory-samples", "10")
			r.bound(300_000)
			hot := 0
			for i := range 200 {
				r.main.want("OK", "SET", fmt.Sprintf("hot:%d", i), strings.Repeat("x", 50))
			}
			for i := range 20_000 {
				r.main.do("GET", fmt.Sprintf("hot:%d", i%200))
				r.main.want("OK", "SET", fmt.Sprintf("cold:%d", i), strings.Repeat("x", 50))
				if i%20 == 0 {
					r.clock.Advance(time.Second)
					r.Tick(0)
				}
			}
			for i := range 200 {
				if r.main.do("EXISTS", fmt.Sprintf("hot:%d", i)) == "(1)" {
					hot++
				}
			}
			if hot < 190 {
				t.Errorf("%d of 200 hot keys were kept", hot)
			}
		})
	}
}

func TestPolicyNames(t *testing.T) {
	r := newRig(t)
	for p := config.VolatileLRU; p <= config.AllKeysTinyLFU; p++ {
		r.setConfig("maxmemory-policy", p.String())
		if got := r.Engine.Limits().Policy; got != p {
			t.Errorf("CONFIG SET maxmemory-policy %s made it %s", p, got)
		}
	}
}

// TestRandomEvictionSparesNoDatabase: the keys of each database go with the same chance.
func TestRandomEvictionSparesNoDatabase(t *testing.T) {
	r := newRig(t, "maxmemory-policy", "allkeys-random")
	const each = 1000
	for db := range 2 {
		r.main.do("SELECT", fmt.Sprint(db))
		for i := range each {
			r.main.do("SET", fmt.Sprintf("key:%d", i), strings.Repeat("x", 100))
		}
	}
	r.bound(r.Engine.Used() / 2)
	r.main.do("PING")
	for db := range 2 {
		r.main.do("SELECT", fmt.Sprint(db))
		var n int
		if _, err := fmt.Sscanf(r.main.do("DBSIZE"), "(%d)", &n); err != nil || n < each/3 || n > 2*each/3 {
			t.Errorf("database %d has %d of %d keys left, %v", db, n, each, err)
		}
	}
}

// TestQueuedPolicies: what clients see of S3-FIFO and W-TinyLFU.
func TestQueuedPolicies(t *testing.T) {
	for _, policy := range []string{"volatile-s3fifo", "volatile-wtinylfu", "allkeys-s3fifo", "allkeys-wtinylfu"} {
		t.Run(policy, func(t *testing.T) {
			r := newRig(t, "maxmemory-policy", "allkeys-lru")
			r.bound(1 << 20)
			r.main.want("OK", "SET before 1")
			r.setConfig("maxmemory-policy", strings.ToUpper(policy))
			r.main.want("[maxmemory-policy "+policy+"]", "CONFIG GET maxmemory-policy")
			if got := r.main.do("INFO", "memory"); !strings.Contains(got, "maxmemory_policy:"+policy) {
				t.Error("INFO says something else of the policy")
			}
			r.main.want("OK", "SET k v EX 100")
			r.main.want("(1)", "OBJECT FREQ k")
			for range 40 {
				r.main.want("v", "GET k")
			}
			r.main.want("(15)", "OBJECT FREQ k")
			r.main.want("OK", "RENAME k renamed")
			r.main.want("(15)", "OBJECT FREQ renamed")
			r.main.want("(1)", "COPY renamed copy")
			r.main.want("(15)", "OBJECT FREQ copy")
			payload := r.main.do("DUMP", "copy")
			r.main.want("OK", "RESTORE", "restored", "0", payload, "FREQ", "7")
			r.main.want("(7)", "OBJECT FREQ restored")
			r.main.want("OK", "RESTORE", "idle", "0", payload, "IDLETIME", "1000")
			r.main.want("(1)", "OBJECT FREQ idle")
			if got := r.main.do("OBJECT", "IDLETIME", "copy"); !strings.HasPrefix(got, "ERR An LFU maxmemory policy is selected, idle time not tracked.") {
				t.Error(got)
			}
			r.main.want("(nil)", "OBJECT FREQ nosuch")
			r.setConfig("maxmemory-policy", "allkeys-lru")
			r.main.want("OK", "SET after 1")
			r.main.want("(0)", "OBJECT IDLETIME after")
			r.main.want("ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the following: "+
				"volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction",
				"CONFIG SET maxmemory-policy allkeys-sieve")
		})
	}
}
