package command_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// rig is a processor with a fake clock. Every structure is verified when the test ends.
type rig struct {
	t     testing.TB
	clock *clock.Fake
	*command.Processor
	main *client
}

func newRig(t testing.TB, settings ...string) *rig {
	t.Helper()
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	cfg := config.New()
	for i := 0; i < len(settings); i += 2 {
		if err := cfg.Set(config.Program, config.Pair{Name: settings[i], Value: settings[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	e := engine.New(engine.Options{Clock: fake, Seed: 42})
	r := &rig{t: t, clock: fake, Processor: command.NewProcessor(e, cfg, command.Info{Files: memoryFor(t, cfg)})}
	r.main = r.connect()
	t.Cleanup(func() {
		if err := e.Check(); err != nil {
			t.Errorf("after the test: %v", err)
		}
		e.Close()
	})
	return r
}

// client is one session, which speaks RESP2 and keeps its last reply.
type client struct {
	t testing.TB
	s *command.Session
	w *resp.Writer
}

func (r *rig) connect() *client { return &client{r.t, r.NewSession(nil), resp.NewWriter(nil)} }

// do runs the words of a line, or given one by one, and returns the reply as text.
func (c *client) do(words ...string) string {
	c.t.Helper()
	if len(words) == 1 {
		words = strings.Fields(words[0])
	}
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	c.w.Truncate(0)
	c.s.Exec(args, c.w)
	v, n, err := resp.Decode(c.w.Bytes())
	if err != nil || n != c.w.Len() {
		c.t.Fatalf("%q: %d of %d bytes are a reply, %v: %q", words, n, c.w.Len(), err, c.w.Bytes())
	}
	return show(v)
}

// show writes a reply much as redis-cli does.
func show(v resp.Value) string {
	switch v.Kind {
	case resp.Int:
		return fmt.Sprintf("(%d)", v.Int)
	case resp.Array, resp.Set, resp.Map, resp.Push:
		if v.Null {
			return "(nil)"
		}
		parts := make([]string, len(v.Elems))
		for i, e := range v.Elems {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	if v.Null {
		return "(nil)"
	}
	return v.Text()
}

// want runs a line and compares its reply.
func (c *client) want(reply string, words ...string) {
	c.t.Helper()
	if got := c.do(words...); got != reply {
		c.t.Fatalf("%q answered %q, want %q", words, got, reply)
	}
}

// dump is everything that clients can see of the keyspace, in one order.
func (r *rig) dump() string {
	var lines []string
	c := r.connect()
	for db := range r.Engine.Databases() {
		c.do("SELECT", fmt.Sprint(db))
		var keys []string
		tx := r.Engine.NewTx()
		tx.Begin(db)
		cursor := uint64(0)
		for {
			cursor = tx.Scan(cursor, 1000, func(key []byte, _ *tableEntry) { keys = append(keys, string(key)) })
			if cursor == 0 {
				break
			}
		}
		tx.End()
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			lines = append(lines, fmt.Sprintf("%d %q %s %s %s", db, key, c.do("PEXPIRETIME", key), c.do("TYPE", key), c.content(key)))
		}
	}
	return strings.Join(lines, "\n")
}

func (c *client) content(key string) string {
	read := map[string][]string{
		"string": {"GET", key}, "list": {"LRANGE", key, "0", "-1"}, "hash": {"HGETALL", key},
		"set": {"SMEMBERS", key}, "zset": {"ZRANGE", key, "0", "-1", "WITHSCORES"},
	}
	kind := c.do("TYPE", key)
	if kind == "stream" {
		return c.streamContent(key)
	}
	text := c.do(read[kind]...)
	if kind != "set" && kind != "hash" {
		return text
	}
	words := strings.Fields(strings.Trim(text, "[]"))
	if kind == "hash" {
		var pairs []string
		for i := 0; i+1 < len(words); i += 2 {
			pairs = append(pairs, words[i]+"="+words[i+1]+c.do("HPEXPIRETIME", key, "FIELDS", "1", words[i]))
		}
		words = pairs
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}
