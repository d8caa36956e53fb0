package command_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inNamespaces gives the keys of a generated command prefixes.
func inNamespaces(words []string) []string {
	prefixes := [...]string{"", "a:", "user:", "x:y:", "a-prefix-that-is-long:", ":"}
	for i, w := range words {
		if n, err := strconv.Atoi(strings.TrimPrefix(w, "k")); err == nil && strings.HasPrefix(w, "k") {
			words[i] = prefixes[n%len(prefixes)] + w
		}
	}
	return words
}

// TestNamespacesModel runs a random mix of commands on keys of several namespaces, with expiry, eviction and changes of
// the directive in between, and holds the counters against a recount (Engine.Check) and against DBSIZE.
func TestNamespacesModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	r := newRig(t, "hash-max-listpack-entries", "8", "set-max-intset-entries", "8", "namespaces-max", "4",
		"set-max-listpack-entries", "8", "zset-max-listpack-entries", "8", "list-max-listpack-size", "4")
	var log []string
	for step := range 12_000 {
		words := inNamespaces(randomCommand(random))
		switch n := random.IntN(1000); {
		case n < 100:
			words = inNamespaces(largeCommand(random))
		case n < 140:
			words = rareCommand(random)
		case n < 145:
			r.main.do("CONFIG", "SET", "maxmemory", strconv.FormatInt(r.Engine.Used()+r.Engine.Overhead()-20_000, 10))
			r.main.do("CONFIG", "SET", "maxmemory-policy", [...]string{"allkeys-random", "volatile-ttl", "allkeys-lru"}[n%3])
			r.Tick(time.Second)
			words = []string{"CONFIG", "SET", "maxmemory", "0"}
		}
		log = append(log, strings.Join(words, " "))
		r.main.do(words...)
		if step%20 == 0 {
			r.clock.Advance(time.Duration(random.IntN(500)) * time.Millisecond)
			r.Tick(time.Second)
		}
		if step%20 != 19 {
			continue
		}
		if err := r.Engine.Check(); err != nil {
			t.Fatalf("%v\nafter:\n%.4000s", err, strings.Join(log, "\n"))
		}
		log = log[:0]
		r.checkKeys()
	}
}

// checkKeys compares what INFO says of namespaces with the sizes of the databases.
func (r *rig) checkKeys() {
	r.t.Helper()
	text := r.main.do("INFO", "namespaces")
	if r.Engine.Naming().Max == 0 {
		return
	}
	in, of := int64(0), r.main.do("INFO", "keyspace")
	for line := range strings.SplitSeq(of, "\r\n") {
		if _, fields, ok := strings.Cut(line, ":keys="); ok {
			n, _ := strconv.ParseInt(fields[:strings.IndexByte(fields, ',')], 10, 64)
			in += n
		}
	}
	var keys, lasting, timed int64
	for _, f := range namespaceFields(text) {
		keys, lasting = keys+f["keys"], lasting+f["no_ttl"]
		timed += f["ttl_1m"] + f["ttl_1h"] + f["ttl_1d"] + f["ttl_7d"] + f["ttl_more"]
		if f["deleted"] < 0 || f["bytes"] < 0 || f["keys"] == 0 && f["bytes"] != 0 && r.Engine.PendingFrees() == 0 {
			r.t.Fatalf("%s", text)
		}
	}
	if keys != in || timed != keys-lasting {
		r.t.Fatalf("%d keys, %d without and %d with a TTL in\n%s\n%s", in, lasting, timed, text, of)
	}
}

// namespaceFields are the numbers of INFO namespaces by name and field.
func namespaceFields(text string) map[string]map[string]int64 {
	all := map[string]map[string]int64{}
	for line := range strings.SplitSeq(text, "\r\n") {
		_, fields, ok := strings.Cut(line, ":name=")
		if !ok {
			continue
		}
		parts := strings.Split(fields, ",")
		name, _ := strconv.Unquote(parts[0])
		all[name] = map[string]int64{}
		for _, p := range parts[1:] {
			k, v, _ := strings.Cut(p, "=")
			all[name][k], _ = strconv.ParseInt(v, 10, 64)
		}
	}
	return all
}

// rareCommand changes much at once, or how keys are counted.
func rareCommand(random *rand.Rand) []string {
	key := func() string { return inNamespaces([]string{fmt.Sprintf("k%d", random.IntN(40))})[0] }
	return [...][]string{
		{"SWAPDB", "0", "1"}, {"FLUSHDB"}, {"FLUSHALL"}, {"DEBUG", "RELOAD"}, {"MEMORY", "PURGE"}, {"CONFIG", "RESETSTAT"},
		{"CONFIG", "SET", "namespaces", "off"}, {"CONFIG", "SET", "namespaces", "depth 1"}, {"CONFIG", "SET", "namespaces", "depth 2"},
		{"CONFIG", "SET", "namespaces", "patterns a* user:* *[13579] x:y:k?"}, {"CONFIG", "SET", "namespaces", "depth 1 -"},
		{"EVAL", "redis.call('RPUSH', KEYS[1], 1, 2, 3, 4, 5, 6); redis.call('SADD', KEYS[2], 'a', 2, 3, 4, 5, 6, 7, 8, 9, 10); " +
			"redis.call('LPOP', KEYS[1]); return redis.call('SREM', KEYS[2], 2)", "2", key(), key()},
		{"RENAME", key(), key()}, {"RENAMENX", key(), key()}, {"COPY", key(), key(), "REPLACE"}, {"LMOVE", key(), key(), "LEFT", "RIGHT"},
		{"SORT", key(), "STORE", key()}, {"SMOVE", key(), key(), "2"}, {"DEL", key()}, {"UNLINK", key()},
	}[random.IntN(20)]
}

func TestNamespacesCauses(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SET user:1 a")
	c.do("SET user:2 a PX 100")
	c.do("HSET cart:1 f v")
	c.do("EXPIRE cart:1 3600")
	c.do("SET plain a EX 700000")
	c.do("GET user:1")
	c.do("GET user:nobody")
	c.do("GET nothing:1")
	c.do("GET cart")
	r.clock.Advance(time.Second)
	c.do("GET user:2")
	c.do("DEL cart:1")
	c.do("SET cart:2 v EX 60")
	f := namespaceFields(c.do("INFO namespaces"))
	for name, want := range map[string]map[string]int64{
		"user":    {"keys": 1, "hits": 1, "misses": 2, "no_ttl": 1, "evicted_expired": 1, "deleted": 0, "ttl_1m": 0},
		"cart":    {"keys": 1, "hits": 0, "misses": 0, "no_ttl": 0, "deleted": 1, "ttl_1m": 1, "ttl_1h": 0},
		"":        {"keys": 1, "misses": 1, "no_ttl": 0, "ttl_7d": 0, "ttl_more": 1},
		"(other)": {"keys": 0, "misses": 1},
	} {
		for field, n := range want {
			if f[name][field] != n {
				t.Errorf("%q: %s is %d, want %d", name, field, f[name][field], n)
			}
		}
	}
	for _, key := range []string{"user:1", "cart:2", "plain"} {
		name, _, found := strings.Cut(key, ":")
		if !found {
			name = ""
		}
		if want := fmt.Sprintf("(%d)", f[name]["bytes"]); c.do("MEMORY", "USAGE", key) != want {
			t.Errorf("%s: %s bytes, the namespace %s", key, c.do("MEMORY", "USAGE", key), want)
		}
	}
	c.do("CONFIG RESETSTAT")
	if f = namespaceFields(c.do("INFO namespaces")); f["user"]["keys"] != 1 || f["user"]["hits"] != 0 || f["user"]["misses"] != 0 {
		t.Errorf("after a reset: %v", f["user"])
	}
}

func TestNamespacesRegret(t *testing.T) {
	r := newRig(t, "maxmemory-policy", "allkeys-random")
	c := r.main
	const n = 2000
	for i := range n {
		c.do("SET", fmt.Sprintf("a:%d", i), "v")
	}
	c.do("CONFIG", "SET", "maxmemory", strconv.FormatInt(r.Engine.Used()*3/4+r.Engine.Overhead(), 10))
	r.Tick(time.Second)
	for range 2 { // a key is regretted once
		for i := range n {
			c.do("GET", fmt.Sprintf("a:%d", i))
			c.do("GET", fmt.Sprintf("a:never%d", i))
		}
	}
	f := namespaceFields(c.do("INFO namespaces"))["a"]
	if f["evicted_maxmemory"] == 0 || f["regret"] != f["evicted_maxmemory"] || f["misses"] != 2*(f["regret"]+n) {
		t.Errorf("%v", f)
	}
}

func TestNamespacesAreBounded(t *testing.T) {
	r := newRig(t, "namespaces-max", "10")
	for i := range 1000 {
		r.main.do("SET", fmt.Sprintf("n%03d:a", i), "v")
		r.main.do("GET", fmt.Sprintf("m%03d:a", i))
	}
	f := namespaceFields(r.main.do("INFO namespaces"))
	if len(f) != 11 || f["(other)"]["keys"] != 990 || f["(other)"]["misses"] != 1000 {
		t.Errorf("%d namespaces, %v", len(f), f["(other)"])
	}
	hostile := newRig(t)
	for _, key := range []string{"a,b\"\r\n:1", strings.Repeat("x", 200) + ":1", strings.Repeat("y", 128) + ":1", "\x00\xff:", ":", ""} {
		hostile.main.do("SET", key, "v")
	}
	f = namespaceFields(hostile.main.do("INFO", "namespaces"))
	if len(f) != 4 || f["a,b\"\r\n"]["keys"] != 1 || f[""]["keys"] != 3 || f["\x00\xff"]["keys"] != 1 || f[strings.Repeat("y", 128)]["keys"] != 1 {
		t.Errorf("%v", f)
	}
}
