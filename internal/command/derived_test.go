package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Tests of what reads strings and collections as bits, estimates, places and keys to sort by. That replies are Redis's
// is for internal/difftest.

func TestBitFieldDoesAllOrNothing(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.want("[(0)]", "BITFIELD k SET u8 0 65")
	for _, line := range []string{
		"BITFIELD k SET u8 0 66 SET u8 8 x", "BITFIELD k SET u8 0 66 GET u64 0", "BITFIELD k SET u8 0 66 OVERFLOW",
		"BITFIELD k SET u8 0 66 NOSUCH", "BITFIELD_RO k SET u8 0 66", "BITFIELD k SET u8 0 66 GET u8 #9223372036854775807",
	} {
		if reply := c.do(line); !strings.HasPrefix(reply, "ERR") {
			t.Errorf("%s: %s", line, reply)
		}
		c.want("A", "GET k")
	}
}

// A PFADD that finds the sketch corrupt leaves nothing of the elements before.
func TestPFAddDoesAllOrNothing(t *testing.T) {
	r := newRig(t)
	c := r.main
	// The first 8192 registers only: a is in register 12711, abcdefgh in 1383.
	head := "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
	c.want("OK", "SET", "h", head+"\x5f\xff")
	c.want("INVALIDOBJ Corrupted HLL object detected", "PFADD h abcdefgh a")
	c.want(head+"\x5f\xff", "GET h")
	c.want("(1)", "PFADD h abcdefgh")
}

// What a command tells the dirty counter, the watches and the journal: a PFCOUNT that only
// brings the estimate up to date is a change, one that finds it is not.
func TestPFCountChangesOnce(t *testing.T) {
	r := newRig(t)
	c, other := r.main, r.connect()
	c.want("(1)", "PFADD h a")
	other.want("OK", "WATCH h")
	c.want("(1)", "PFCOUNT h")
	other.do("MULTI")
	other.want("(nil)", "EXEC")
	other.want("OK", "WATCH h")
	c.want("(1)", "PFCOUNT h")
	other.do("MULTI")
	other.want("[]", "EXEC")
}

// SORT finds keys of all shards, alone, in a transaction and while they expire.
func TestSortLooksEverywhere(t *testing.T) {
	r := newRig(t)
	c := r.main
	const n = 500
	for i := range n {
		c.do("RPUSH", "l", fmt.Sprint(i))
		c.do("SET", fmt.Sprint("w", i), fmt.Sprint(n-i))
		c.do("HSET", fmt.Sprint("h", i), "f", fmt.Sprint("v", i))
	}
	c.want("[499 v499 1 498 v498 2]", "SORT l BY w* LIMIT 0 2 GET # GET h*->f GET w*")
	c.do("MULTI")
	c.do("SORT l BY w* LIMIT 0 1 STORE d")
	c.do("GEORADIUS none 1 1 1 km STORE x STORE y")
	c.want("[(1) (0)]", "EXEC")
	c.want("[499]", "LRANGE d 0 -1")
	for i := range n / 2 {
		c.do("PEXPIRE", fmt.Sprint("w", i), "1")
	}
	r.clock.Advance(time.Second)
	c.want("[0 1 10]", "SORT l BY w* LIMIT 0 3") // of equal numbers, by bytes
	c.want("(nil)", "GET w7")
	c.want("(0)", "SORT none STORE d")
	c.want("(0)", "EXISTS d")
	c.do("RPUSH huge 1 1e400")
	c.want("ERR One or more scores can't be converted into double", "SORT huge")
}

func TestSortOfNothingButZeros(t *testing.T) {
	c := newRig(t).main
	c.do("RPUSH zeros 00 0 -0 0.0")
	c.want("[-0 0 0.0 00]", "SORT zeros")
	c.do("RPUSH", "nul", "2\x00x", "1\x00y")
	c.want("[1\x00y 2\x00x]", "SORT nul")
}

// What is wanted of places of the same distance comes in the order of their scores, and
// with ANY the search ends early.
func TestGeoSearchOrder(t *testing.T) {
	c := newRig(t).main
	for i := range 20 {
		c.do("GEOADD", "g", "1", "1", fmt.Sprintf("m%02d", i))
	}
	c.want("[m00 m01 m02]", "GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 km ASC COUNT 3")
	c.want("[m00 m01 m02]", "GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 km COUNT 3 ANY")
	c.want("(20)", "GEOSEARCHSTORE g g FROMLONLAT 1 1 BYRADIUS 1 km")
}

// FuzzBitField runs BITFIELD with any words: an error changes nothing, and what was set can be read.
func FuzzBitField(f *testing.F) {
	f.Add("GET u8 0 SET i64 #3 -1 OVERFLOW SAT INCRBY u2 100 9")
	f.Add("SET u63 1 9223372036854775807 INCRBY u63 1 1 GET i1 7")
	f.Add("OVERFLOW FAIL INCRBY i5 #9 -9223372036854775808 GET u4")
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Fields(text)
		for _, w := range words {
			if len(strings.TrimLeft(w, "#0123456789")) == 0 && len(w) > 5 {
				return // a string of many megabytes
			}
		}
		c := newRig(t).main
		c.do("SET", "k", "some bytes")
		reply := c.do(append([]string{"BITFIELD", "k"}, words...)...)
		if strings.HasPrefix(reply, "ERR") {
			c.want("some bytes", "GET", "k")
		}
		var reads []string
		for i := 0; i+3 < len(words); i++ {
			if strings.EqualFold(words[i], "SET") {
				reads = append(reads, "GET", words[i+1], words[i+2])
			}
		}
		if strings.HasPrefix(reply, "[") {
			both := c.do(append([]string{"BITFIELD_RO", "k"}, reads...)...)
			if again := c.do(append([]string{"BITFIELD", "k"}, reads...)...); again != both {
				t.Fatalf("BITFIELD reads %s, BITFIELD_RO %s", again, both)
			}
		}
	})
}
