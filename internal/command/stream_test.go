package command_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder/internal/resp"
)

func TestXDelEx(t *testing.T) {
	c := newRig(t).main
	c.want("[(-1) (-1)]", "XDELEX none IDS 2 1-1 2-2")
	for _, id := range []string{"1-1", "2-1", "3-1", "4-1", "5-1", "6-1"} {
		c.do("XADD", "s", id, "f", "v")
	}
	c.want("[(1) (-1) (-1)]", "XDELEX s IDS 3 1-1 1-1 9-9")
	c.want("[(1)]", "XDELEX s ACKED IDS 1 2-1") // no group needs it
	c.do("XGROUP CREATE s g 0")
	c.do("XGROUP CREATE s h 3-1")
	c.do("XREADGROUP GROUP g c COUNT 3 STREAMS s >")                   // 3-1, 4-1, 5-1
	c.want("[(2) (2) (2) (-1)]", "XDELEX s ACKED IDS 4 3-1 4-1 6-1 1") // pending; not given to h; given to none; gone
	c.do("XACK s g 3-1")
	c.want("[(1)]", "XDELEX s IDS 1 3-1 ACKED")
	c.want("[(1)]", "XDELEX s KEEPREF IDS 1 4-1")
	c.want("[(2) 4-1 5-1 [[c 2]]]", "XPENDING s g")
	c.want("[(1) (-1)]", "XDELEX s DELREF IDS 2 5-1 4-1") // what is gone is forgotten, too
	c.want("[(0) (nil) (nil) (nil)]", "XPENDING s g")
	c.want("(1)", "XLEN s")
	for line, refusal := range map[string]string{
		"XDELEX s IDS 0 1-1":                  "ERR Number of IDs must be a positive integer",
		"XDELEX s IDS x 1-1":                  "ERR Number of IDs must be a positive integer",
		"XDELEX s IDS 2 1-1":                  "ERR The `numids` parameter must match the number of arguments",
		"XDELEX s IDS 1 x":                    "ERR Invalid stream ID specified as stream command argument",
		"XDELEX s KEEPREF ACKED IDS 1 1-1":    "ERR syntax error",
		"XDELEX s KEEPREF 1 1-1":              "ERR syntax error",
		"XDELEX s IDS 1 1-1 IDS 1 1-1":        "ERR syntax error",
		"XDELEX s IDS 1 1-1 2-2":              "ERR syntax error",
		"XDELEX s IDS 1":                      "ERR wrong number of arguments for 'xdelex' command",
		"XDELEX s IDS 9223372036854775807 1":  "ERR The `numids` parameter must match the number of arguments",
		"XDELEX s IDS 18446744073709551615 1": "ERR Number of IDs must be a positive integer",
	} {
		c.want(refusal, line)
	}
	c.do("SET str x")
	c.want("WRONGTYPE Operation against a key holding the wrong kind of value", "XDELEX str IDS 1 1-1")
}

func TestXAckDel(t *testing.T) {
	c := newRig(t).main
	c.want("[(-1) (-1)]", "XACKDEL none g IDS 2 1-1 2-2")
	for _, id := range []string{"1-1", "2-1", "3-1", "4-1"} {
		c.do("XADD", "s", id, "f", "v")
	}
	c.want("[(-1)]", "XACKDEL s none IDS 1 1-1")
	c.do("XGROUP CREATE s g 0")
	c.do("XGROUP CREATE s h 0")
	c.do("XREADGROUP GROUP g c STREAMS s >")
	c.do("XREADGROUP GROUP h d COUNT 3 STREAMS s >")
	c.want("[(1) (-1) (-1)]", "XACKDEL s g IDS 3 1-1 1-1 9-9")
	c.want("[(3) 1-1 3-1 [[d 3]]]", "XPENDING s h")
	c.want("[(1)]", "XACKDEL s g DELREF IDS 1 2-1")
	c.want("[(2) 1-1 3-1 [[d 2]]]", "XPENDING s h")
	c.want("[(2) (2)]", "XACKDEL s g ACKED IDS 2 3-1 4-1") // pending in h; not given to h
	c.want("[(0) (nil) (nil) (nil)]", "XPENDING s g")
	c.want("(2)", "XLEN s")
	c.want("[(1)]", "XACKDEL s h ACKED IDS 1 3-1")
	c.want("[(1)]", "XACKDEL s h ACKED IDS 1 1-1") // acknowledged, and gone already
	c.want("(1)", "XLEN s")
	c.want("ERR syntax error", "XACKDEL s h IDS 1 1-1 FOO")
}

// TestStreamWaits: a consumer that waits hears of the end of its group, its key, or its key's type.
func TestStreamWaits(t *testing.T) {
	for end, reply := range map[string]string{
		"XADD s 1-1 a b":     "[[s [[1-1 [a b]]]]]",
		"XGROUP DESTROY s g": "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
		"DEL s":              "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
		"SET s x":            "WRONGTYPE Operation against a key holding the wrong kind of value",
		"RENAME full s":      "[[s [[1-1 [a b]]]]]",
		"FLUSHALL":           "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
	} {
		r := newRig(t)
		c, waiting := r.main, r.connect()
		c.do("XGROUP CREATE s g $ MKSTREAM")
		c.do("XGROUP CREATE full g 0 MKSTREAM")
		c.do("XADD full 1-1 a b")
		waiting.start("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
		if c.do(end); waiting.w.Len() == 0 {
			t.Fatalf("after %q it still waits", end)
		}
		if got := waiting.served(); got != reply {
			t.Errorf("after %q: %s, want %s", end, got, reply)
		}
	}
}

// TestStreamReadWaits: "$" is the last ID at the time of the command, and only streams end the wait.
func TestStreamReadWaits(t *testing.T) {
	r := newRig(t)
	c, waiting := r.main, r.connect()
	c.do("XADD s 5-5 a b")
	waiting.start("XREAD BLOCK 0 STREAMS t s $ $")
	c.do("SET t x")
	c.do("DEL t")
	c.do("XADD t 1-1 c d")
	if got := waiting.served(); got != "[[t [[1-1 [c d]]]]]" {
		t.Error(got)
	}
	waiting.start("XREAD BLOCK 0 STREAMS t s $ $")
	c.do("DEL s")
	c.do("XADD s 2-2 e f") // before what "$" was
	c.do("XADD s 6-6 g h")
	if got := waiting.served(); got != "[[s [[6-6 [g h]]]]]" {
		t.Error(got)
	}
}

// TestStreamWorkers: of entries that some clients add while others wait for them, each goes to one worker, once, whatever
// the order of events; the end of the group ends all waits.
func TestStreamWorkers(t *testing.T) {
	const producers, workers, each = 3, 4, 300
	r := newRig(t)
	r.main.do("XGROUP CREATE s g $ MKSTREAM")
	var given, working, adding sync.WaitGroup
	given.Add(producers * each) // one entry more would make it panic
	for i := range workers {
		c := r.connect()
		working.Go(func() {
			for {
				reply := c.await(fmt.Sprintf("XREADGROUP GROUP g w%d COUNT 2 BLOCK 0 STREAMS s >", i))
				if strings.HasPrefix(reply, "NOGROUP") {
					return
				}
				for _, id := range regexp.MustCompile(`\d+-\d+`).FindAllString(reply, -1) {
					if got := c.do("XACK", "s", "g", id); got != "(1)" {
						t.Errorf("XACK of %s answers %s", id, got)
					}
					given.Done()
				}
			}
		})
	}
	for range producers {
		c := r.connect()
		adding.Go(func() {
			for range each {
				c.do("XADD s * f v")
			}
		})
	}
	adding.Wait()
	given.Wait()
	r.main.want("[(0) (nil) (nil) (nil)]", "XPENDING s g")
	r.main.want("(1)", "XGROUP DESTROY s g")
	working.Wait()
}

// await runs a line and waits for its answer.
func (c *client) await(line string) string {
	var args [][]byte
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	c.w.Truncate(0)
	c.s.Exec(args, c.w)
	return c.served()
}

// start runs a line that must not be answered yet.
func (c *client) start(line string) {
	c.t.Helper()
	var args [][]byte
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	c.w.Truncate(0)
	if c.s.Exec(args, c.w); c.w.Len() != 0 {
		c.t.Fatalf("%q does not wait: %q", line, c.w.Bytes())
	}
}

// served is the answer that ends the wait.
func (c *client) served() string {
	c.t.Helper()
	if err := c.s.Await(context.Background(), nil); err != nil {
		c.t.Fatal(err)
	}
	v, _, err := resp.Decode(c.w.Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	return show(v)
}

// streamContent is what there is in a stream, but for times and leaves: those of a replay are others.
func (c *client) streamContent(key string) string {
	full := c.do("XINFO", "STREAM", key, "FULL", "COUNT", "0")
	full = regexp.MustCompile(`(seen-time|active-time|radix-tree-keys|radix-tree-nodes) \(-?\d+\)`).ReplaceAllString(full, "$1")
	return regexp.MustCompile(`\(\d{13}\)`).ReplaceAllString(full, "(time)")
}

// randomStreamCommand is one on a few streams with a few groups.
func randomStreamCommand(r *rand.Rand) []string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	key, group, name := fmt.Sprint("x", r.IntN(3)), pick("g", "h"), pick("ann", "bob")
	id := func() string { return fmt.Sprintf("%d-%d", r.IntN(20), r.IntN(3)) }
	count := fmt.Sprint(1 + r.IntN(8))
	commands := [][]string{
		{"XADD", key, "*", "f", count},
		{"XADD", key, fmt.Sprint(r.IntN(20), "-*"), "f", count, "g", "v"},
		{"XADD", key, "MAXLEN", "~", "20", "LIMIT", "200", "*", "f", count},
		{"XADD", key, "MINID", id(), "NOMKSTREAM", "*", "g", count},
		{"XTRIM", key, "MAXLEN", "~", count},
		{"XTRIM", key, "MAXLEN", fmt.Sprint(r.IntN(300))},
		{"XDEL", key, id(), id()},
		{"XSETID", key, "9999999999999-1", "ENTRIESADDED", "5000"},
		{"XGROUP", "CREATE", key, group, pick("0", "$"), "MKSTREAM"},
		{"XGROUP", "SETID", key, group, pick("0", "$", "5-5")},
		{"XGROUP", "CREATECONSUMER", key, group, name},
		{"XGROUP", "DELCONSUMER", key, group, name},
		{"XREADGROUP", "GROUP", group, name, "COUNT", count, "STREAMS", key, ">"},
		{"XREADGROUP", "GROUP", group, name, "COUNT", count, "STREAMS", key, fmt.Sprint("x", r.IntN(3)), ">", ">"},
		{"XREADGROUP", "GROUP", group, name, "COUNT", count, "NOACK", "STREAMS", key, ">"},
		{"XREADGROUP", "GROUP", group, name, "COUNT", count, "STREAMS", key, "0"},
		{"XACK", key, group, id(), id(), id()},
		{"XCLAIM", key, group, name, "0", id(), id(), "FORCE"},
		{"XCLAIM", key, group, name, "0", id(), "LASTID", id()},
		{"XAUTOCLAIM", key, group, name, fmt.Sprint(r.IntN(5000)), "-", "COUNT", count},
		{"XDELEX", key, pick("KEEPREF", "DELREF", "ACKED"), "IDS", "2", id(), id()},
		{"XACKDEL", key, group, pick("KEEPREF", "DELREF", "ACKED"), "IDS", "2", id(), id()},
		{"COPY", key, "x0", "REPLACE"},
	}
	if r.IntN(100) == 0 {
		return []string{"DEL", key}
	}
	if r.IntN(100) == 0 {
		return []string{"XGROUP", "DESTROY", key, group}
	}
	return commands[r.IntN(len(commands))]
}

// FuzzStreams runs lines of stream commands: none panics, each is answered once, the structures stay sound.
func FuzzStreams(f *testing.F) {
	text, err := os.ReadFile("../difftest/scripts/stream.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\n== ") {
		f.Add(part)
	}
	f.Fuzz(func(t *testing.T, script string) {
		r := newFuzzRun(t, "3")
		for i, line := range strings.Split(script, "\n") {
			if i == 100 {
				break
			}
			words, ok := resp.AppendWords(nil, []byte(line))
			if !ok || len(words) == 0 || r.p.Table.Find(words[0]) == nil || r.p.Table.Find(words[0]).Group != "stream" {
				continue
			}
			s := r.mine
			if i%7 == 6 {
				s = r.other
			}
			for range 1 + 40*(i%5/4) { // some often enough to fill a leaf
				r.exec(s, words)
			}
		}
		r.end()
	})
}
