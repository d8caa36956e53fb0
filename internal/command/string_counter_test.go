package command_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func TestBoundedCounter(t *testing.T) {
	r := newRig(t)
	c := r.main
	for _, step := range [][2]string{
		{"INCREX k", "[(1) (1)]"},
		{"INCREX k BYINT 5", "[(6) (5)]"},
		{"INCREX k BYINT -10 EX 100", "[(-4) (-10)]"},
		{"PTTL k", "(100000)"},
		{"INCREX k", "[(-3) (1)]"}, // the TTL stays
		{"PTTL k", "(100000)"},
		{"INCREX k EX 5 ENX", "[(-2) (1)]"},
		{"PTTL k", "(100000)"},
		{"INCREX k PERSIST", "[(-1) (1)]"},
		{"PTTL k", "(-1)"},
		{"INCREX k ENX PX 5000", "[(0) (1)]"},
		{"PTTL k", "(5000)"},
		{"INCREX k BYINT 5 UBOUND 3 EX 100", "[(0) (0)]"}, // nothing happens
		{"PTTL k", "(5000)"},
		{"INCREX k BYINT 5 UBOUND 3 SATURATE EX 100", "[(3) (3)]"},
		{"PTTL k", "(100000)"},
		{"INCREX k BYINT -50 SATURATE LBOUND -7 UBOUND 7", "[(-7) (-10)]"},
		{"INCREX k EXAT 1 ENX", "[(-6) (1)]"},
		{"INCREX k EXAT 1", "[(-5) (1)]"},
		{"EXISTS k", "(0)"},
		{"INCREX k BYINT 15 UBOUND 10", "[(0) (0)]"},
		{"EXISTS k", "(0)"},
		{"INCREX k UBOUND 0 SATURATE", "[(0) (0)]"},
		{"EXISTS k", "(1)"},
		{"OBJECT ENCODING k", "int"},
		{"INCREX k BYFLOAT 0.1", "[0.1 0.1]"},
		{"INCREX k BYFLOAT 0.2", "[0.3 0.2]"},
		{"INCREX k BYFLOAT 100 UBOUND 42.5", "[0.3 0]"},
		{"INCREX k BYFLOAT 100 UBOUND 42.5 SATURATE", "[42.5 42.2]"},
		{"INCREX k BYFLOAT 1 LBOUND -inf UBOUND inf", "[43.5 1]"},
		{"INCREX k", "ERR value is not an integer or out of range"},
		{"SET k inf", "OK"},
		{"INCREX k BYFLOAT 1", "ERR value cannot be Infinity"},
		{"SET k 9223372036854775800", "OK"},
		{"INCREX k BYINT 100", "[(9223372036854775800) (0)]"},
		{"INCREX k BYINT 100 SATURATE", "[(9223372036854775807) (7)]"},
		{"INCREX k SATURATE UBOUND -9223372036854775808", "ERR applied increment would overflow"},
		{"INCREX k BYINT -1 SATURATE UBOUND -9223372036854775808", "ERR applied increment would overflow"},
		{"SET k -9223372036854775808", "OK"},
		{"INCREX k SATURATE LBOUND 0", "ERR applied increment would overflow"},
		{"INCREX k SATURATE LBOUND -1", "[(-1) (9223372036854775807)]"},
		{"RPUSH l 1", "(1)"},
		{"INCREX l", "WRONGTYPE Operation against a key holding the wrong kind of value"},
	} {
		c.want(step[1], step[0])
	}
	for line, want := range map[string]string{
		"INCREX k FOO": "ERR syntax error", "INCREX k BYINT": "ERR syntax error", "INCREX k BYINT 1 BYFLOAT 1": "ERR syntax error",
		"INCREX k UBOUND 1 UBOUND 1": "ERR syntax error", "INCREX k SATURATE SATURATE": "ERR syntax error", "INCREX k EX 1 PX 1": "ERR syntax error",
		"INCREX k EX 1 EX 1": "ERR syntax error", "INCREX k PERSIST EX 1": "ERR syntax error", "INCREX k EX 1 PERSIST": "ERR syntax error",
		"INCREX k PERSIST ENX": "ERR syntax error", "INCREX k ENX PERSIST": "ERR syntax error", "INCREX k PERSIST PERSIST": "ERR syntax error",
		"INCREX k ENX": "ERR ENX flag requires an expiration", "INCREX k BYINT 1.5": "ERR Increment is not an integer or out of range",
		"INCREX k BYFLOAT x": "ERR Increment is not a valid float", "INCREX k UBOUND inf": "ERR UBOUND is not an integer or out of range",
		"INCREX k BYFLOAT 1 LBOUND x": "ERR LBOUND is not a valid float", "INCREX k LBOUND 2 UBOUND 1": "ERR LBOUND can't be greater than UBOUND",
		"INCREX k BYFLOAT 1 LBOUND inf": "ERR LBOUND can't be greater than UBOUND", "INCREX k BYFLOAT -inf": "ERR BYFLOAT increment cannot be Infinity",
		"INCREX k EX 0": "ERR invalid expire time in 'increx' command", "INCREX k EX x": "ERR value is not an integer or out of range",
		"INCREX": "ERR wrong number of arguments for 'increx' command",
	} {
		c.want(want, line)
	}
	c.want("-1", "GET k")
	r.clock.Advance(time.Hour)
}

// TestBoundedCounterAgainstBigIntegers holds the sums of random, mostly extreme, integers against exact arithmetic.
func TestBoundedCounterAgainstBigIntegers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	extreme := func() int64 {
		switch random.IntN(4) {
		case 0:
			return math.MaxInt64 - int64(random.IntN(3))
		case 1:
			return math.MinInt64 + int64(random.IntN(3))
		case 2:
			return int64(random.IntN(5) - 2)
		}
		return int64(random.Uint64())
	}
	c := newRig(t).main
	for range 5000 {
		old, by, lower, upper := extreme(), extreme(), extreme(), extreme()
		if lower > upper {
			lower, upper = upper, lower
		}
		line := []string{"INCREX", "k", "BYINT", strconv.FormatInt(by, 10), "LBOUND", strconv.FormatInt(lower, 10), "UBOUND", strconv.FormatInt(upper, 10)}
		now := new(big.Int).Add(big.NewInt(old), big.NewInt(by))
		out := now.Cmp(big.NewInt(lower)) < 0 || now.Cmp(big.NewInt(upper)) > 0
		saturate := random.IntN(2) == 0
		if saturate {
			line = append(line, "SATURATE")
			if now.Cmp(big.NewInt(upper)) > 0 {
				now = big.NewInt(upper)
			} else if now.Cmp(big.NewInt(lower)) < 0 {
				now = big.NewInt(lower)
			}
		} else if out {
			now = big.NewInt(old)
		}
		added := new(big.Int).Sub(now, big.NewInt(old))
		want := "[(" + now.String() + ") (" + added.String() + ")]"
		if !added.IsInt64() {
			want = "ERR applied increment would overflow"
			now = big.NewInt(old)
		}
		c.do("SET", "k", strconv.FormatInt(old, 10))
		c.want(want, line...)
		c.want(now.String(), "GET", "k")
	}
}

func TestConditionalStrings(t *testing.T) {
	c := newRig(t).main
	for _, step := range [][2]string{
		{"SET k b IFEQ a", "(nil)"},
		{"EXISTS k", "(0)"},
		{"SET k b IFNE a", "OK"},
		{"SET k c IFEQ a", "(nil)"},
		{"SET k c IFEQ a GET", "b"},
		{"SET k c IFEQ b PX 5000", "OK"},
		{"PTTL k", "(5000)"},
		{"SET k d IFEQ c KEEPTTL GET", "c"},
		{"PTTL k", "(5000)"},
		{"SET k e IFNE d", "(nil)"},
		{"SET k e IFNE x", "OK"},
		{"PTTL k", "(-1)"},
		{"SET k f IFEQ e NX", "ERR syntax error"},
		{"SET k f XX IFEQ e", "ERR syntax error"},
		{"SET k f IFEQ e IFEQ e", "ERR syntax error"},
		{"SET k f IFEQ", "ERR syntax error"},
		{"DELIFEQ k f", "(0)"},
		{"DELIFEQ k e", "(1)"},
		{"DELIFEQ k e", "(0)"},
		{"SET k 1", "OK"},
		{"DELEX k IFEQ 2", "(0)"},
		{"DELEX k IFNE 1", "(0)"},
		{"DELEX k IFNE 2", "(1)"},
		{"DELEX k IFNE 2", "(0)"},
		{"SET k hello", "OK"},
		{"DIGEST k", "9555e8555c62dcfd"},
		{"DIGEST none", "(nil)"},
		{"SET k b IFDEQ 9555e8555c62dcfe", "(nil)"},
		{"SET k b IFDNE 9555e8555c62dcfd", "(nil)"},
		{"SET k Hello IFDEQ 9555E8555C62DCFD", "OK"},
		{"DELEX k IFDEQ x", "(0)"},
		{"DELEX k IFDNE x", "(1)"},
		{"DELEX k IFXX x", "(0)"},
		{"SET k 1", "OK"},
		{"DELEX k IFXX x", "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"},
		{"DEL k", "(1)"},
		{"RPUSH l 1", "(1)"},
		{"DIGEST l", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"SET l x IFEQ a", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"DELIFEQ l x", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"DELEX l IFEQ 1", "ERR Key should be of string type if conditions are specified"},
		{"DELEX l IFEQ", "ERR wrong number of arguments for 'delex' command"},
		{"DELEX l", "(1)"},
		{"DELEX l", "(0)"},
		{"MSETEX 2 a 1 b 2 EX 10", "(1)"},
		{"PTTL b", "(10000)"},
		{"MSETEX 2 a 2 c 2 NX", "(0)"},
		{"MSETEX 2 a 2 c 2 XX", "(0)"},
		{"MSETEX 2 a 3 b 3 XX KEEPTTL", "(1)"},
		{"PTTL a", "(10000)"},
		{"MSETEX 1 a 4", "(1)"},
		{"MGET a b c", "[4 3 (nil)]"},
		{"TTL a", "(-1)"},
		{"MSETEX 2 a 1 b 1 PXAT 1", "(1)"},
		{"EXISTS a b", "(0)"},
		{"MSETEX 0 a 1", "ERR invalid numkeys value"},
		{"MSETEX a 1 b", "ERR invalid numkeys value"},
		{"MSETEX 2147483648 a 1", "ERR invalid numkeys value"},
		{"MSETEX 2147483647 a 1", "ERR wrong number of key-value pairs"},
		{"MSETEX 2 a 1 b", "ERR wrong number of key-value pairs"},
		{"MSETEX 1 a 1 b", "ERR syntax error"},
		{"MSETEX 1 a 1 GET", "ERR syntax error"},
		{"MSETEX 1 a 1 NX XX", "ERR syntax error"},
		{"MSETEX 1 a 1 EX 1 PX 1", "ERR syntax error"},
		{"MSETEX 1 a 1 EX 0", "ERR invalid expire time in 'msetex' command"},
		{"EXISTS a", "(0)"},
	} {
		c.want(step[1], step[0])
	}
}
