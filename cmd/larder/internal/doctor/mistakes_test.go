package doctor

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/larderdb/larder/store"
)

// mistakes fills a store with every mistake that keys can make, and nothing else: always the same for a seed. Each namespace
// is named after the check that must find it.
func mistakes(t testing.TB, st store.Store, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	var cmds []store.Cmd
	add := func(words ...string) { cmds = append(cmds, words) }
	ttl := func() string { return strconv.Itoa(3600 + rnd.IntN(86400)) }
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rnd.IntN(53)]
		}
		return string(b)
	}
	for i := range 3000 {
		add("SET", fmt.Sprintf("forgotten:%d", i), word(200), "EX", ttl())
	}
	for i := range 1500 {
		add("SET", fmt.Sprintf("forgotten:%d", i), word(200)) // SET without EX
		add("SET", fmt.Sprintf("herd:%d", i), word(200), "EX", "7200")
		add("SET", fmt.Sprintf("json:%d", i), fmt.Sprintf(`{"id":%d,"name":%q,"age":%d}`, i, word(90), rnd.IntN(90)), "EX", ttl())
		add("SET", fmt.Sprintf("list:%d", i), strings.TrimSuffix(strings.Repeat(strconv.Itoa(100+rnd.IntN(900))+",", 60), ","), "EX", ttl())
		add("SET", fmt.Sprintf("pickle:%d", i), "\x80\x04\x95"+word(200)+".", "EX", ttl())
		add("SADD", fmt.Sprintf("single:%d", i), word(150))
		add("EXPIRE", fmt.Sprintf("single:%d", i), ttl())
		for _, field := range []string{"name", "mail", "city"} {
			add("SET", fmt.Sprintf("fields:%d:%s", i, field), word(12), "EX", ttl())
		}
	}
	for i := range 6 * 25 {
		fields := []string{"HSET", "hash"}
		for j := range 1000 {
			fields = append(fields, fmt.Sprintf("order:%d", 1000*i+j), "1")
		}
		add(fields...)
	}
	for i := range 30 {
		members := []string{"RPUSH", "long\x1b[31m\x00\xff"}
		for j := range 1000 {
			members = append(members, strconv.Itoa(1000*i+j))
		}
		add(members...)
	}
	add("SET", "big", strings.Repeat("x", 6<<20))
	add("SET", "name:"+strings.Repeat("n", 2000), "x")
	pipe(t, st, cmds...)
}

// keyMistakes are the checks that must find something in what mistakes made, and what they must name.
var keyMistakes = []struct{ check, subject string }{
	{"missing-ttl", `"forgotten:*"`}, {"expiry-herd", ""}, {"big-keys", `"big"`}, {"long-keys", `"long\x1b[31m\x00\xff"`},
	{"hash-as-namespace", `"hash"`}, {"json-strings", `"json:*"`}, {"serialized-lists", `"list:*"`}, {"serialized-objects", `"pickle:*"`},
	{"single-element", `"single:*"`}, {"tiny-keys", `"fields:*"`}, {"key-names", `"name:nnnn`},
}

// tidy fills a store with what there is nothing to say about.
func tidy(t testing.TB, st store.Store, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	var cmds []store.Cmd
	for i := range 5000 {
		key := fmt.Sprintf("page:%d", i)
		cmds = append(cmds, store.Cmd{"SET", key, strings.Repeat("<p>hello ", 30+rnd.IntN(30)), "EX", strconv.Itoa(3600 + rnd.IntN(86400))})
		user := fmt.Sprintf("user:%d", i)
		cmds = append(cmds, store.Cmd{"HSET", user, "name", "Ada", "mail", "a@example.com", "age", "36"}, store.Cmd{"EXPIRE", user, strconv.Itoa(3600 + rnd.IntN(86400))})
	}
	for i := range 20 { // as few things may stay
		cmds = append(cmds, store.Cmd{"ZADD", fmt.Sprintf("board:%d", i), "1", "a", "2", "b"})
	}
	pipe(t, st, cmds...)
}
