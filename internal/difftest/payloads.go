package difftest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// Payloads fills both sides with the same random values of every type, carries each of them over with DUMP and RESTORE,
// both ways and home again, and compares what comes out by DEBUG DIGEST-VALUE, which is the same on both.
func Payloads(t *testing.T, oracle, target Dialer, keys int) {
	a := &arena{oracle: oracle, target: target}
	if err := a.reset(t); err != nil {
		t.Fatal(err)
	}
	here, there := newClient(oracle(t)), newClient(target(t))
	defer here.conn.Close()
	defer there.conn.Close()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range keys {
		kind := i % len(payloadKinds)
		key := fmt.Sprintf("%s:%d", payloadKinds[kind], i)
		for _, words := range payloadCommands(rng, kind, key) {
			for _, c := range []*client{here, there} {
				if r, err := c.do(words...); err != nil || r.isError() {
					t.Fatalf("seed %d: %.60q: %s %v", seed, words, clip(r.String()), err)
				}
			}
		}
		carry := []struct {
			name     string
			from, to *client
		}{{"from the oracle", here, there}, {"to the oracle", there, here}, {"home", there, there}}
		for _, way := range carry {
			if err := carryPayload(way.from, way.to, key); err != nil {
				t.Errorf("seed %d, %s: %s: %v", seed, key, way.name, err)
			}
		}
	}
}

// payloadKinds are the types; scores are whole numbers, since older servers print others with other digits.
var payloadKinds = []string{"string", "list", "set", "intset", "zset", "hash", "stream"}

// payloadCommands makes a value of a kind.
func payloadCommands(rng *rand.Rand, kind int, key string) (commands [][]string) {
	n := []int{1, 20, 700}[rng.IntN(3)]
	words := []string{[]string{"SET", "RPUSH", "SADD", "SADD", "ZADD", "HSET", "XADD"}[kind], key}
	switch payloadKinds[kind] {
	case "string":
		return [][]string{append(words, payloadWord(rng))}
	case "stream":
		for i := range n {
			fields := []string{"f", payloadWord(rng), "g", payloadWord(rng)}
			commands = append(commands, append([]string{"XADD", key, fmt.Sprintf("%d-%d", 1000+i/3, i)}, fields[:2+i%4/3*2]...))
		}
		return append(commands, []string{"XDEL", key, "1000-1"}, []string{"XGROUP", "CREATE", key, "group", "0"},
			[]string{"XREADGROUP", "GROUP", "group", "alice", "COUNT", "7", "STREAMS", key, ">"},
			[]string{"XREADGROUP", "GROUP", "group", "bob", "COUNT", "2", "STREAMS", key, ">"})
	}
	for range n {
		switch payloadKinds[kind] {
		case "intset":
			words = append(words, strconv.FormatInt(int64(rng.Uint64())>>rng.IntN(60), 10))
		case "zset":
			words = append(words, strconv.Itoa(rng.IntN(1000)-500), payloadWord(rng))
		case "hash":
			words = append(words, payloadWord(rng), payloadWord(rng))
		default:
			words = append(words, payloadWord(rng))
		}
	}
	return [][]string{words}
}

func payloadWord(rng *rand.Rand) string {
	switch rng.IntN(6) {
	case 0:
		return strconv.FormatInt(int64(rng.Uint64())>>rng.IntN(64), 10)
	case 1:
		return strings.Repeat("long", rng.IntN(100))
	case 2:
		return strings.Repeat("x", rng.IntN(2)*rng.IntN(9000))
	}
	b := make([]byte, rng.IntN(30))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

// carryPayload takes a key's value from one server to another and compares it there.
func carryPayload(from, to *client, key string) error {
	ask := func(c *client, words ...string) (string, error) {
		r, err := c.do(words...)
		if err == nil && r.isError() {
			err = errors.New(r.Text)
		}
		return r.Text, err
	}
	payload, err := ask(from, "DUMP", key)
	if err != nil {
		return err
	}
	if _, err := ask(to, "RESTORE", "carried", "0", payload, "REPLACE"); err != nil {
		return fmt.Errorf("%w: %.200q", err, payload)
	}
	want, err := from.do("DEBUG", "DIGEST-VALUE", key)
	if err != nil {
		return err
	}
	got, err := to.do("DEBUG", "DIGEST-VALUE", "carried")
	if err != nil {
		return err
	}
	if want.String() != got.String() {
		return fmt.Errorf("digest %s, was %s", got, want)
	}
	return nil
}
