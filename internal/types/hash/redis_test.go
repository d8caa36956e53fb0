package hash

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/internal/types/number"
)

// TestEncodingAgainstRedis does random commands on a real server and on a hash,
// with small limits, and compares the encoding and the contents after each.
func TestEncodingAgainstRedis(t *testing.T) {
	server := redistest.Start(t, "--hash-max-listpack-entries", "6", "--hash-max-listpack-value", "5")
	lim, maxPairs := Limits{Entries: 6, Value: 5}, 8
	if strings.Contains(server.Do("INFO", "server"), "redis_version:7.0.") {
		maxPairs = 6 // 7.0 does not look at the number of arguments
	}
	start := uint64(time.Now().UnixNano())
	t.Logf("seed %d", start)
	rng := rand.New(rand.NewPCG(start, 0))
	for range 50 {
		server.Do("DEL", "key")
		e := newEntry(t)
		for range 12 {
			step := randomStep(rng, maxPairs)
			server.Do(step...)
			run(e, lim, step)
			if Len(e) == 0 {
				break
			}
			if got, want := Encoding(e), server.Do("OBJECT", "ENCODING", "key"); got != want {
				t.Fatalf("%v: %s, the server says %s", step, got, want)
			}
			for f, v := range contents(e) {
				if want := server.Do("HGET", "key", f); want != v {
					t.Fatalf("%v: %q is %q, the server says %q", step, f, v, want)
				}
			}
			if want := server.Do("HLEN", "key"); want != strconv.Itoa(Len(e)) {
				t.Fatalf("%v: %d fields, the server says %s", step, Len(e), want)
			}
		}
	}
}

func randomStep(rng *rand.Rand, maxPairs int) []string {
	field := func() string { return strings.Repeat("f", rng.IntN(6)/5*rng.IntN(5)) + strconv.Itoa(rng.IntN(8)) }
	value := func() string { return strings.Repeat("7", 1+rng.IntN(1+rng.IntN(6))) }
	switch rng.IntN(8) {
	case 0:
		return []string{"HDEL", "key", field()}
	case 1:
		return []string{"HSETNX", "key", field(), value()}
	case 2:
		return []string{"HINCRBY", "key", "i" + field(), strconv.Itoa(rng.IntN(20000))}
	case 3:
		return []string{"HINCRBYFLOAT", "key", "x" + field(), strconv.FormatFloat(rng.Float64()*10, 'f', rng.IntN(4), 64)}
	}
	step := []string{"HSET", "key"}
	for range 1 + rng.IntN(1+rng.IntN(maxPairs)) {
		step = append(step, field(), value())
	}
	return step
}

// run does a step as a command would.
func run(e *table.Entry, lim Limits, step []string) {
	var args [][]byte
	for _, s := range step[2:] {
		args = append(args, []byte(s))
	}
	switch step[0] {
	case "HDEL":
		Delete(e, args[0])
	case "HSETNX":
		SetNew(e, lim, args[0], args[1])
	case "HINCRBY":
		n, _ := number.ParseInt(args[1])
		IncrBy(e, lim, args[0], n)
	case "HINCRBYFLOAT":
		x, _ := number.ParseExtended(args[1])
		IncrByFloat(e, lim, args[0], x, nil)
	default:
		SetMany(e, lim, args)
	}
}
