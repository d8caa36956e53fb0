package storetest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
	"github.com/larderdb/larder/store/storetest"
)

func TestMemory(t *testing.T) {
	ctx := t.Context()
	m := storetest.NewMemory()
	if r := m.Do(ctx, "SET", "k", "v", "PX", "1500"); r.Err() != nil {
		t.Fatal(r)
	}
	m.Advance(1499 * time.Millisecond)
	if ttl, err := m.Do(ctx, "PTTL", "k").Int64(); err != nil || ttl != 1 {
		t.Errorf("PTTL: %d, %v", ttl, err)
	}
	m.Advance(time.Millisecond)
	if r := m.Do(ctx, "GET", "k"); !r.IsNil() {
		t.Errorf("expired key: %v", r)
	}
	m.Do(ctx, "HSET", "h", "f", "1", "g", "2")
	if err := m.Do(ctx, "GET", "h").Err(); !errors.Is(err, store.ErrWrongType) {
		t.Errorf("GET of a hash: %v", err)
	}
	m.Do(ctx, "HDEL", "h", "f", "g")
	if ok, _ := m.Do(ctx, "EXISTS", "h").Bool(); ok {
		t.Error("an empty hash stays")
	}
	if err := m.Do(ctx, "LPUSH", "l", "x").Err(); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("unknown command: %v", err)
	}
	m.Close()
	if err := m.Do(ctx, "GET", "k").Err(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestFaulty(t *testing.T) {
	ctx := t.Context()
	f := storetest.NewFaulty(storetest.NewMemory())
	f.Fail(1)
	if err := f.Do(ctx, "SET", "k", "v").Err(); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, storetest.ErrDown) {
		t.Errorf("Fail: %v", err)
	}
	if r := f.Do(ctx, "GET", "k"); !r.IsNil() {
		t.Errorf("a failed SET took effect: %v", r)
	}
	f.Forget(1)
	if err := f.SetBytes(ctx, "k", []byte("v"), 0); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Forget: %v", err)
	}
	if got, err := f.Do(ctx, "GET", "k").Text(); got != "v" {
		t.Errorf("a forgotten SET took no effect: %q, %v", got, err)
	}
	f.Hang(-1)
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := f.Pipe(short, store.Cmd{"PING"})[0].Err(); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Hang: %v", err)
	}
	done := make(chan error)
	go func() {
		done <- f.Run(ctx, &store.Script{Go: func(store.Tx, []string, []string) store.Reply { return store.Nil() }}, nil).Err()
	}()
	for f.Calls() < 6 { // until it hangs
		runtime.Gosched()
	}
	f.Heal()
	if err := <-done; err != nil {
		t.Errorf("healed: %v", err)
	}
}

// countdown is a script over both bodies, with a mistake on demand.
func countdown(mistake bool) *store.Script {
	return &store.Script{
		Name: "storetest.countdown",
		Lua: `
local t = redis.call('TIME')
local n = tonumber(redis.call('GET', KEYS[1]) or ARGV[1]) - 1
redis.call('SET', KEYS[1], string.format('%d', n), 'PX', 60000)
return {n, t[1], redis.status_reply('OK')}`,
		Go: func(tx store.Tx, keys, args []string) store.Reply {
			text, ok, err := tx.Do("GET", keys[0]).Lookup()
			if err != nil {
				return store.Fail(err)
			}
			if !ok {
				text = args[0]
			}
			n, _ := strconv.ParseInt(text, 10, 64)
			n--
			if mistake && n == 3 {
				n--
			}
			tx.Do("SET", keys[0], strconv.FormatInt(n, 10), "PX", "60000")
			return store.ArrayOf(store.Int(n), store.Bulk(strconv.FormatInt(tx.Now().Unix(), 10)), store.Status("OK"))
		},
	}
}

func TestScripts(t *testing.T) {
	server := redistest.Start(t)
	cfg, err := store.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	lua, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer lua.Close()
	generate := func(r *rand.Rand, prefix string) storetest.Call {
		c := storetest.Call{Keys: []string{prefix + strconv.Itoa(r.IntN(3))}, Args: []string{strconv.Itoa(5 + r.IntN(5))}}
		switch r.IntN(8) {
		case 0:
			c.Advance = time.Duration(r.IntN(30)) * time.Second
		case 1:
			c.Advance = 2 * time.Minute
		case 2:
			c.Before = []store.Cmd{{"DEL", c.Keys[0]}, {"HSET", c.Keys[0], "f", "v"}}
		case 3:
			c.Before = []store.Cmd{{"DEL", c.Keys[0]}}
		}
		return c
	}
	storetest.Scripts(t, storetest.NewMemory(), lua, countdown(false), generate)
	p := &probe{TB: t}
	storetest.Scripts(p, storetest.NewMemory(), lua, countdown(true), generate)
	if p.failures == 0 {
		t.Error("bodies that differ went unnoticed")
	}
}

// probe keeps failures to itself.
type probe struct {
	testing.TB
	failures int
}

func (p *probe) Errorf(string, ...any) { p.failures++ }
