package storetest

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

var negInf = math.Inf(-1)

// echoScript returns its first argument.
func echoScript() *store.Script {
	return &store.Script{
		Name: "storetest.echo", ReadOnly: true,
		Lua: `return ARGV[1]`,
		Go:  func(_ store.Tx, _, args []string) store.Reply { return store.Bulk(args[0]) },
	}
}

func (s *suite) scriptReplies() {
	shapes := &store.Script{
		Name: "storetest.shapes",
		Lua: `
local one = redis.call('INCR', KEYS[1])
return {one, ARGV[1], {KEYS[2], {}}, false, redis.status_reply('FINE'), redis.call('GET', KEYS[2])}`,
		Go: func(tx store.Tx, keys, args []string) store.Reply {
			one := tx.Do("INCR", keys[0])
			if one.Err() != nil {
				return one
			}
			return store.ArrayOf(one, store.Bulk(args[0]), store.ArrayOf(store.Bulk(keys[1]), store.ArrayOf()),
				store.Nil(), store.Status("FINE"), tx.Do("GET", keys[1]))
		},
	}
	keys := []string{s.key("{x}n"), s.key("{x}none")}
	for round := int64(1); round <= 2; round++ { // the second time the server knows the SHA
		list, err := s.st.Run(s.ctx, shapes, keys, "a\x00b").Array()
		if err != nil || len(list) != 6 {
			s.Fatalf("round %d: %v, %v", round, list, err)
		}
		equal(s, "integer", round)(list[0].Int64())
		equal(s, "string", "a\x00b")(list[1].Text())
		nested, err := list[2].Array()
		if err != nil || len(nested) != 2 {
			s.Errorf("nested: %v, %v", nested, err)
		} else {
			equal(s, "nested string", keys[1])(nested[0].Text())
		}
		if !list[3].IsNil() || !list[5].IsNil() {
			s.Errorf("nil came as %v and %v", list[3], list[5])
		}
		equal(s, "status", "FINE")(list[4].Text())
	}
	if s.st.Do(s.ctx, "SCRIPT", "FLUSH").Err() == nil { // the server forgets: Run must notice
		equal(s, "after SCRIPT FLUSH", "again")(s.st.Run(s.ctx, echoScript(), nil, "again").Text())
	}
}

func (s *suite) scriptErrors() {
	failing := &store.Script{
		Name: "storetest.failing",
		Lua: `
if ARGV[1] == 'own' then return redis.error_reply('CUSTOM no luck') end
return redis.call('HGET', KEYS[1], 'f')`,
		Go: func(tx store.Tx, keys, args []string) store.Reply {
			if args[0] == "own" {
				return store.Fail(store.ServerError("CUSTOM no luck"))
			}
			return tx.Do("HGET", keys[0], "f")
		},
	}
	keys := []string{s.key("k")}
	s.must("SET", keys[0], "v")
	var answered store.ServerError
	err := s.st.Run(s.ctx, failing, keys, "own").Err()
	if !errors.As(err, &answered) || answered.Code() != "CUSTOM" {
		s.Errorf("an error of the script's own: %v", err)
	}
	if err := s.st.Run(s.ctx, failing, keys, "call").Err(); !errors.Is(err, store.ErrWrongType) {
		s.Errorf("a failing command in a script: %v", err)
	}
}

// scriptAtomic counts with a read and a write that must not be torn apart.
func (s *suite) scriptAtomic() {
	add := &store.Script{
		Name: "storetest.add",
		Lua: `
local n = tonumber(redis.call('GET', KEYS[1]) or '0')
redis.call('SET', KEYS[1], string.format('%d', n + ARGV[1]))
return n`,
		Go: func(tx store.Tx, keys, args []string) store.Reply {
			text, _, err := tx.Do("GET", keys[0]).Lookup()
			if err != nil {
				return store.Fail(err)
			}
			n, _ := strconv.ParseInt(text, 10, 64)
			by, _ := strconv.ParseInt(args[0], 10, 64)
			if r := tx.Do("SET", keys[0], strconv.FormatInt(n+by, 10)); r.Err() != nil {
				return r
			}
			return store.Int(n)
		},
	}
	const workers, each = 8, 50
	keys := []string{s.key("n")}
	seen := make([]int64, 0, workers*each)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				n, err := s.st.Run(s.ctx, add, keys, "3").Int64()
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				seen = append(seen, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(seen)
	for i, n := range seen {
		if n != int64(3*i) {
			s.Fatalf("read %d at place %d, want %d: updates were lost", n, i, 3*i)
		}
	}
}

func (s *suite) scriptClock() {
	clock := &store.Script{
		Name: "storetest.clock", ReadOnly: true,
		Lua: `
local t = redis.call('TIME')
return {t[1], t[2]}`,
		Go: func(tx store.Tx, _, _ []string) store.Reply {
			us := tx.Now().UnixMicro()
			return store.ArrayOf(store.Bulk(strconv.FormatInt(us/1e6, 10)), store.Bulk(strconv.FormatInt(us%1e6, 10)))
		},
	}
	before := s.time(s.must("TIME"))
	inside := s.time(s.st.Run(s.ctx, clock, nil))
	after := s.time(s.must("TIME"))
	// Coarse clocks may lag by some milliseconds.
	if inside.Before(before.Add(-50*time.Millisecond)) || inside.After(after.Add(50*time.Millisecond)) {
		s.Errorf("the script's clock says %v, TIME said %v before and %v after", inside, before, after)
	}
}

func (s *suite) time(r store.Reply) time.Time {
	s.Helper()
	parts, err := r.Strings()
	if err != nil || len(parts) != 2 {
		s.Fatalf("TIME: %v", r)
	}
	sec, _ := strconv.ParseInt(parts[0], 10, 64)
	us, _ := strconv.ParseInt(parts[1], 10, 64)
	return time.Unix(sec, us*1000)
}
