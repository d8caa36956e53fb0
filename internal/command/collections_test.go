package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/resp"
)

// many is the words that begin with those given and go on with n numbered ones.
func many(n int, words ...string) []string {
	for i := range n {
		words = append(words, fmt.Sprint(words[0], i))
	}
	return words
}

// TestSourcesExpire has keys expire among the keys of one command: the removal of
// one ends the positions held in its shard, and what is gone must not be counted.
func TestSourcesExpire(t *testing.T) {
	for line, want := range map[string]string{
		"SINTER %s": "[]", "SUNION %s": "[a b c]", "SDIFF %s": "[]",
		"SINTERSTORE out %s": "(0)", "SUNIONSTORE out %s": "(3)", "SDIFFSTORE out %s": "(0)",
		"ZUNION 500 %s": "[a b c]", "ZINTER 500 %s": "[]", "ZUNIONSTORE out 500 %s": "(3)",
	} {
		t.Run(strings.Fields(line)[0], func(t *testing.T) {
			r := newRig(t)
			keys := make([]string, 500)
			for i := range keys {
				keys[i] = fmt.Sprint("key", i)
				if i < 100 {
					r.main.do("SADD", keys[i], "a", "b", "c")
				} else {
					r.main.do("SADD", keys[i], "gone")
					r.main.do("PEXPIRE", keys[i], "10")
				}
			}
			r.clock.Advance(time.Second)
			r.main.want(want, strings.Fields(fmt.Sprintf(line, strings.Join(keys, " ")))...)
		})
	}
}

// TestMoveToItself rotates a list of one element and moves a member to its own
// set: the key must not vanish in between and lose its time to live.
func TestMoveToItself(t *testing.T) {
	c := newRig(t).main
	c.do("RPUSH list a")
	c.do("EXPIRE list 100")
	c.want("a", "LMOVE list list LEFT RIGHT")
	c.want("a", "RPOPLPUSH list list")
	c.want("(100)", "TTL list")
	c.want("[a]", "LRANGE list 0 -1")
	c.do("SADD set a")
	c.do("EXPIRE set 100")
	c.want("(1)", "SMOVE set set a")
	c.want("(0)", "SMOVE set set b")
	c.want("(100)", "TTL set")
}

// TestStoreOverSource stores results at one of their sources, small and large, and
// over other types.
func TestStoreOverSource(t *testing.T) {
	for _, n := range []int{3, 1000} {
		c := newRig(t).main
		c.do(many(n, "SADD", "a")...)
		c.do(many(n/2, "SADD", "b")...)
		c.do("EXPIRE a 100")
		c.want(fmt.Sprintf("(%d)", n/2), "SINTERSTORE a a b")
		c.want("(-1)", "TTL a")
		c.want(fmt.Sprintf("(%d)", n/2), "SUNIONSTORE b b a")
		c.want("(0)", "SDIFFSTORE b a b")
		c.want("(0)", "EXISTS b")
		c.do("SET b text")
		c.want(fmt.Sprintf("(%d)", n/2), "SUNIONSTORE b a")
		c.want("set", "TYPE b")

		c.do("HSET z field value")
		c.want(fmt.Sprintf("(%d)", n/2), "ZUNIONSTORE z 2 a b WEIGHTS 2 3")
		c.want(fmt.Sprintf("(%d)", n/2), "ZINTERSTORE z 2 z a")
		c.want(fmt.Sprintf("(%d)", n/2), "ZCOUNT z 6 6")
		c.want(fmt.Sprintf("(%d)", n/2), "ZRANGESTORE z z 0 -1 REV")
		c.want("(1)", "ZRANGESTORE z z 0 0")
		c.want("(0)", "ZRANGESTORE z z 5 9")
		c.want("none", "TYPE z")
	}
}

// TestRandomRepeatBound asks for more elements than any reply should hold.
func TestRandomRepeatBound(t *testing.T) {
	c := newRig(t).main
	c.do("SADD set a")
	c.do("HSET hash f v")
	c.do("ZADD zset 1 a")
	for _, count := range []string{"-16777217", "-9223372036854775807"} {
		c.want("ERR value is out of range", "SRANDMEMBER set "+count)
		c.want("ERR value is out of range", "HRANDFIELD hash "+count)
		c.want("ERR value is out of range", "ZRANDMEMBER zset "+count+" WITHSCORES")
	}
	c.want("[a a a]", "SRANDMEMBER set -3")
	c.want("[a]", "SRANDMEMBER set 9223372036854775807")
}

// TestOwnEffects holds the effects of commands that are not journaled as they were sent.
func TestOwnEffects(t *testing.T) {
	r := newRig(t)
	c := r.main
	c.do("SADD set a")
	c.do("SADD set2 a b")
	c.do("RPUSH list a b c")
	c.do("ZADD zset 1 a 2 b 3 c")
	c.do("HSET hash f 1")
	var j recorder
	r.Engine.SetJournal(&j)
	c.do("SPOP set 5")
	popped := c.do("SPOP set2")
	c.do("LMPOP 2 missing list RIGHT COUNT 2")
	c.do("ZMPOP 1 zset MAX COUNT 9")
	c.do("HINCRBYFLOAT hash f 0.1")
	c.do("SPOP missing")
	c.do("SADD set2 " + popped)
	c.do("ZADD set2 1 a")
	var got []string
	for _, e := range j.effects {
		words := make([]string, len(e.Args))
		for i, a := range e.Args {
			words[i] = string(a)
		}
		got = append(got, strings.Join(words, " "))
	}
	want := []string{"UNLINK set", "SREM set2 " + popped, "RPOP list 2", "ZPOPMAX zset 3", "HSET hash f 1.1", "SADD set2 " + popped}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("effects\n%s\nwant\n%s", strings.Join(got, "; "), strings.Join(want, "; "))
	}
}

// TestNoAllocation holds the commands that run most to allocating nothing, small
// and large.
func TestNoAllocation(t *testing.T) {
	for _, n := range []string{"small", "large"} {
		r := newRig(t)
		size := map[string]int{"small": 20, "large": 5000}[n]
		for i := range size {
			r.main.do("HSET", "hash", fmt.Sprint("f", i), "value")
			r.main.do("SADD", "set", fmt.Sprint("m", i))
			r.main.do("ZADD", "zset", fmt.Sprint(i), fmt.Sprint("m", i))
			r.main.do("RPUSH", "list", fmt.Sprint("element", i))
		}
		w := resp.NewWriter(nil)
		for _, line := range []string{
			"HSET hash f7 other", "HGET hash f7", "HMGET hash f1 f2", "HGETALL hash", "HINCRBY hash number 1",
			"SADD set m3", "SADD set fresh; SREM set fresh", "SISMEMBER set m1", "SMEMBERS set",
			"ZADD zset 3 m3", "ZADD zset 3.5 fresh; ZREM zset fresh", "ZSCORE zset m1", "ZRANK zset m1", "ZINCRBY zset 1 m5",
			"LPUSH list a; LPOP list", "RPUSH list a; RPOP list", "LRANGE list 0 9", "LINDEX list 3", "LMOVE list list LEFT RIGHT",
		} {
			if n == "large" && (line == "HGETALL hash" || line == "SMEMBERS set") {
				continue // a walk of a table costs one
			}
			var commands [][][]byte
			for part := range strings.SplitSeq(line, ";") {
				var args [][]byte
				for _, word := range strings.Fields(part) {
					args = append(args, []byte(word))
				}
				commands = append(commands, args)
			}
			if a := testing.AllocsPerRun(100, func() {
				w.Truncate(0)
				for _, args := range commands {
					r.main.s.Exec(args, w)
				}
			}); a != 0 {
				t.Errorf("%s: %s: %.0f allocations", n, line, a)
			}
		}
	}
}
