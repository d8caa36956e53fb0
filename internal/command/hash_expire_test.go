package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/engine"
)

// forms runs a test with small hashes and with large ones.
func forms(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, entries := range []string{"512", "0"} {
		t.Run("hash-max-listpack-entries "+entries, func(t *testing.T) {
			test(t, newRig(t, "hash-max-listpack-entries", entries))
		})
	}
}

func TestHashFieldExpiry(t *testing.T) {
	forms(t, func(t *testing.T, r *rig) {
		c := r.main
		c.do("HSET h a 1 b 2 c 3 d 4")
		c.want("[(1) (1) (-2)]", "HPEXPIRE h 1000 FIELDS 3 a b zz")
		c.want("[(0) (1)]", "HPEXPIRE h 2000 NX FIELDS 2 a c")
		c.want("[(1) (0)]", "HPEXPIRE h 1500 XX FIELDS 2 a d")
		c.want("[(1) (0) (0)]", "HPEXPIRE h 1600 GT FIELDS 3 a c d")
		c.want("[(1) (0) (1)]", "HPEXPIRE h 1500 LT FIELDS 3 a b d")
		c.want("[(1500) (1000) (2000) (1500) (-2)]", "HPTTL h FIELDS 5 a b c d e")
		c.want("[(2) (1) (2)]", "HTTL h FIELDS 3 a b c")
		c.want("[(1700000001500)]", "HPEXPIRETIME h FIELDS 1 a")
		c.want("[(1700000002) (1700000001)]", "HEXPIRETIME h FIELDS 2 a b")
		c.do("HSET h d 5") // takes the expiry off
		c.do("HINCRBY h a 10")
		c.want("1.5", "HINCRBYFLOAT h b -0.5")
		c.want("[(1500) (1000) (-1)]", "HPTTL h FIELDS 3 a b d")

		r.clock.Advance(1001 * time.Millisecond)
		c.want("(3)", "HLEN h")
		c.want("(nil)", "HGET h b")
		c.want("(0)", "HEXISTS h b")
		c.want("(1)", "HINCRBY h b 1")
		c.want("[(-1) (1) (-2)]", "HPERSIST h FIELDS 3 b a q")
		r.clock.Advance(time.Hour)
		c.want("(3)", "HLEN h")
		c.want("[(2) (2) (-2)]", "HPEXPIREAT h 1 FIELDS 3 a b a")
		c.want("[(2)]", "HEXPIRE h 0 FIELDS 1 d")
		c.want("(0)", "EXISTS h")
		c.want("[(-2) (-2)]", "HTTL h FIELDS 2 a b")
		c.want("[(-2)]", "HEXPIRE h 5 FIELDS 1 b")
		c.want("(0)", "EXISTS h")
	})
}

func TestDebugListpackOfExpiringHash(t *testing.T) {
	c := newRig(t).main
	c.do("HSETEX h EX 10 FIELDS 1 a 1")
	c.want("listpackex", "OBJECT ENCODING h")
	c.want("Listpack structure printed on stdout", "DEBUG LISTPACK h")
	c.do("RPUSH l 1")
	c.want("ERR Not a quicklist encoded object.", "DEBUG QUICKLIST l")
}

// TestEveryReaderHidesExpiredFields: no command shows what is past its time, and the key goes with its last field.
func TestEveryReaderHidesExpiredFields(t *testing.T) {
	readers := map[string]string{
		"HGETALL h": "[stays 1]", "HKEYS h": "[stays]", "HVALS h": "[1]", "HLEN h": "(1)", "HMGET h f0 stays": "[(nil) 1]",
		"HSCAN h 0 COUNT 1000": "[0 [stays 1]]", "HRANDFIELD h 20": "[stays]", "HRANDFIELD h": "stays", "HSTRLEN h f1": "(0)",
		"HDEL h f0": "(0)", "HSETNX h f0 2": "(1)", "HGETDEL h FIELDS 2 f0 stays": "[(nil) 1]", "HSETEX h FXX FIELDS 1 f3 x": "(0)",
		"HGETEX h EX 10 FIELDS 1 f2": "[(nil)]", "HTTL h FIELDS 1 f5": "[(-2)]", "HPEXPIRE h 1 FIELDS 1 f5": "[(-2)]",
	}
	gone := []string{"EXISTS h", "HLEN h", "DBSIZE", "KEYS *", "SCAN 0 COUNT 1000", "RANDOMKEY", "TYPE h", "DEL h", "TTL h", "HGET h f1"}
	forms(t, func(t *testing.T, r *rig) {
		c := r.main
		c.do("DEBUG SET-ACTIVE-EXPIRE 0")
		fill := func(stays bool) {
			c.do("DEL h")
			for i := range 8 {
				c.do("HSETEX", "h", "PX", fmt.Sprint(10+i), "FIELDS", "1", fmt.Sprintf("f%d", i), "x")
			}
			if stays {
				c.do("HSET h stays 1")
			}
			r.clock.Advance(time.Second)
		}
		for read, want := range readers {
			fill(true)
			if got := c.do(read); got != want {
				t.Errorf("%s answered %s, want %s", read, got, want)
			}
		}
		for _, read := range gone {
			fill(false)
			got := c.do(read)
			c.do("GET other") // a look at another key changes nothing
			if read != "DBSIZE" && strings.Contains(got, "h") || c.do("EXISTS h") != "(0)" || c.do("DBSIZE") != "(0)" {
				t.Errorf("%s answered %s, and the key is still there", read, got)
			}
		}
	})
}

// TestFieldsExpireActively looks at no key: fields and keys must go all the same, and the memory with them.
func TestFieldsExpireActively(t *testing.T) {
	forms(t, func(t *testing.T, r *rig) {
		c := r.main
		before := r.Engine.Used()
		for i := range 300 {
			key := fmt.Sprintf("h%d", i)
			c.do("HSET", key, "a", "1", "b", "2", "c", "3")
			c.do("HPEXPIRE", key, fmt.Sprint(100+i), "FIELDS", "3", "a", "b", "c")
			if i%3 == 0 {
				c.do("HPERSIST", key, "FIELDS", "1", "a")
			}
		}
		for i := range 5000 {
			c.do("HSETEX", "large", "PX", fmt.Sprint(100+i%50), "FIELDS", "1", fmt.Sprintf("f%d", i), "x")
		}
		r.clock.Advance(time.Second)
		r.Tick(time.Minute)
		c.want("(100)", "DBSIZE")
		if s := r.Engine.Stats(); s.ExpiredFields != 300*3-100+5000 || s.Expired != 0 {
			t.Errorf("%d fields and %d keys are counted as expired", s.ExpiredFields, s.Expired)
		}
		if info := c.do("INFO", "stats"); !strings.Contains(info, "expired_subkeys:5800\r\n") || !strings.Contains(info, "expired_keys:0\r\n") {
			t.Error("INFO does not tell of the fields")
		}
		if err := r.Engine.Check(); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			c.do("DEL", fmt.Sprintf("h%d", i))
		}
		r.Tick(time.Minute)
		if left := r.Engine.Used() - before; left > 200_000 { // the tables of 64 shards
			t.Errorf("%d bytes are left", left)
		}
	})
}

// TestFieldExpiryGoesAlong: whatever takes a hash elsewhere takes its fields' expiry, and the active cycle finds them there.
func TestFieldExpiryGoesAlong(t *testing.T) {
	ways := map[string][]string{
		"RENAME":       {"RENAME h to"},
		"RENAME over":  {"HSETEX to EX 5 FIELDS 1 x 1", "RENAME h to"},
		"COPY":         {"COPY h to"},
		"COPY DB":      {"COPY h to DB 3", "SELECT 3"},
		"MOVE":         {"RENAME h to", "MOVE to 5", "SELECT 5"},
		"SWAPDB":       {"RENAME h to", "SWAPDB 0 7", "SELECT 7"},
		"FLUSHDB else": {"SELECT 2", "HSETEX to EX 1 FIELDS 1 a 1", "FLUSHDB", "SELECT 0", "RENAME h to"},
	}
	forms(t, func(t *testing.T, r *rig) {
		for name, steps := range ways {
			c := r.main
			c.do("FLUSHALL")
			c.do("SELECT 0")
			c.do("HSETEX h PX 500 FIELDS 2 a 1 b 2")
			c.do("HSET h stays 1")
			for _, step := range steps {
				if got := c.do(step); strings.Contains(got, "ERR") || got == "(0)" {
					t.Fatalf("%s: %s answered %s", name, step, got)
				}
			}
			c.want("[(500) (500) (-1)]", "HPTTL to FIELDS 3 a b stays")
			if err := r.Engine.Check(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			gone := r.Engine.Stats().ExpiredFields
			r.clock.Advance(time.Second)
			r.Tick(time.Minute)
			if got := r.Engine.Stats().ExpiredFields - gone; got < 2 {
				t.Errorf("%s: %d fields expired", name, got)
			}
			c.want("[stays 1]", "HGETALL to")
		}
	})
}

// TestWatchedFieldExpires: a field's end is a change of the key, unless it came before the watch.
func TestWatchedFieldExpires(t *testing.T) {
	forms(t, func(t *testing.T, r *rig) {
		c := r.main
		for _, active := range []bool{false, true} {
			c.do("HSETEX h PX 10 FIELDS 1 a 1")
			c.do("HSET h b 1")
			c.do("WATCH h")
			r.clock.Advance(time.Second)
			if active {
				r.Tick(time.Minute)
			}
			c.do("MULTI")
			c.do("HLEN h")
			c.want("(nil)", "EXEC")
			c.do("HSETEX h PX 10 FIELDS 1 a 1")
			r.clock.Advance(time.Second)
			c.do("WATCH h")
			c.do("MULTI")
			c.do("HLEN h")
			c.want("[(1)]", "EXEC")
		}
	})
}

// listener keeps what a journal is told.
type listener struct{ lines []string }

func (l *listener) Append(effects []engine.Effect) {
	for _, e := range effects {
		var words []string
		for _, a := range e.Args {
			words = append(words, string(a))
		}
		l.lines = append(l.lines, strings.Join(words, " "))
	}
}

// TestEffectsOfFieldExpiry: what the journal is told can be replayed at any time with the same outcome.
func TestEffectsOfFieldExpiry(t *testing.T) {
	forms(t, func(t *testing.T, r *rig) {
		var l listener
		r.Engine.SetJournal(&l)
		c := r.main
		c.do("DEBUG SET-ACTIVE-EXPIRE 0")
		expect := func(line string, want ...string) {
			t.Helper()
			l.lines = nil
			c.do(line)
			if got, want := strings.Join(l.lines, "; "), strings.Join(want, "; "); got != want {
				t.Errorf("%s has the effects %q, want %q", line, got, want)
			}
		}
		expect("HSETEX h PX 100 FIELDS 2 a 1 b 2", "HSETEX h PXAT 1700000000100 FIELDS 2 a 1 b 2")
		expect("HSET h c 3 d 4", "HSET h c 3 d 4")
		expect("HPEXPIRE h 50 LT FIELDS 3 a c zz", "HPEXPIREAT h 1700000000050 FIELDS 2 a c")
		expect("HPEXPIRE h 50 NX FIELDS 1 a")
		expect("HEXPIREAT h 1 FIELDS 2 d zz", "HDEL h d")
		expect("HINCRBYFLOAT h a 1", "HSETEX h KEEPTTL FIELDS 1 a 2")
		expect("HGETEX h PX 200 FIELDS 2 a zz", "HPEXPIREAT h 1700000000200 FIELDS 1 a")
		expect("HGETEX h PERSIST FIELDS 2 a zz", "HPERSIST h FIELDS 2 a zz")
		expect("HGETEX h PERSIST FIELDS 1 a")
		expect("HSETEX h EXAT 0 FIELDS 1 e 1", "HDEL h e")
		expect("HGETDEL h FIELDS 2 zz a", "HDEL h zz a")
		r.clock.Advance(60 * time.Millisecond)
		expect("HLEN h", "HDEL h c")
		r.clock.Advance(time.Second)
		expect("HLEN h", "UNLINK h")
	})
}
