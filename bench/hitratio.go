package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
)

// A hit ratio is measured as a program would see it: every access of a trace is a GET and, where that misses, a SET of
// a value of 1 KiB, on a store with maxmemory.
//
// All policies get the same bytes, and these are what so many keys take: a store without a bound is filled with that many,
// and what INFO says then is maxmemory. What a policy remembers beside the keys counts, so one that remembers much holds fewer of them. redis-server gets its bound in the same way from its own
// memory, so both hold as many keys; with values of 1 KiB what else they need differs by a few per cent of that.
//
// Under LRU and LFU both stamp accesses with seconds and minutes, while a trace runs here in a moment. So time is made to
// pass: a hundred seconds while as many accesses are made as there is room for keys. Larder runs on a clock of the bench;
// so does redis-server, by a library that is preloaded (shim/steppedtime.c) and takes a C compiler. Without it all keys
// would be of one age, and LRU a lottery, for either.
const (
	hitValue  = 1 << 10 // bytes
	hitNoise  = 0.5     // points that a policy may lie behind allkeys-lru by chance
	leastStep = 10      // accesses: less than a second apart they have the same time
	turnSteps = 100     // seconds that pass while as many keys are accessed as there is room for
)

// hitSizes are the parts of a trace's keys that there is room for.
func hitSizes() []float64 { return []float64{0.05, 0.1, 0.25, 0.5} }

// redisSize is the one at which redis-server replays long traces, too: call by call that takes its time.
const (
	redisSize = 0.1
	redisMost = 150_000 // accesses up to which it replays all sizes
)

func hitRows() []row {
	var rows []row
	for _, s := range traceSources() {
		rows = append(rows, row{"hit ratio: " + s.name, func(ctx context.Context, o options, dir string) ([]line, error) {
			return measureHits(ctx, o, dir, s)
		}})
	}
	return append(rows, row{"hit ratio: volatile policies", measureVolatileHits})
}

func measureHits(ctx context.Context, o options, dir string, s traceSource) ([]line, error) {
	t, err := s.load(o)
	if err != nil {
		return nil, err
	}
	policies := []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "allkeys-s3fifo", "allkeys-wtinylfu"}
	var lines []line
	for _, size := range hitSizes() {
		room := max(int(size*float64(t.keys)), 1)
		l := line{
			what:  fmt.Sprintf("hit ratio, %%: %s, room for %d of %d keys", s.name, room, t.keys),
			ratio: fmt.Sprintf("optimum %.1f LRU %.1f", 100*optimum(t, room), 100*exactLRU(t, room)),
			asked: fmt.Sprintf("new >= lru-%.1f", hitNoise),
		}
		var ratios []float64
		for _, p := range policies {
			ratio, err := larderHits(ctx, t, room, p, 0)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p, err)
			}
			ratios = append(ratios, ratio)
			l.larder += fmt.Sprintf("%s %.1f ", strings.TrimPrefix(p, "allkeys-"), ratio)
		}
		l.verdict = verdict(min(ratios[3], ratios[4]), ratios[0]-hitNoise, 0, true)
		if len(t.accesses) <= redisMost || size == redisSize {
			if l.redis, err = redisHits(ctx, o, dir, t, room, policies[:2]); err != nil {
				return nil, fmt.Errorf("redis: %w", err)
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// measureVolatileHits: with a TTL on every key the volatile policies have the same choice as the others.
func measureVolatileHits(ctx context.Context, o options, _ string) ([]line, error) {
	t := zipfTrace(o, 0.9, 10_000, 5000)
	room := t.keys / 10
	l := line{what: fmt.Sprintf("hit ratio, %%: Zipf 0.9 and scans, TTL on all, room for %d of %d keys", room, t.keys)}
	for _, p := range []string{"volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random", "volatile-s3fifo", "volatile-wtinylfu"} {
		ratio, err := larderHits(ctx, t, room, p, 1e6*time.Hour)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		l.larder += fmt.Sprintf("%s %.1f ", strings.TrimPrefix(p, "volatile-"), ratio)
	}
	return []line{l}, nil
}

// hitStore is where a trace runs: an embedded store or a redis-server.
type hitStore interface {
	get(key string) (found bool, err error)
	set(key string, value []byte) error
	used() (int64, error) // bytes, as maxmemory counts them
	bound(bytes int64, policy string) error
	flush() error
	pass() error // a second of the clock
}

// replay fills the store to find its bound, empties it, and runs the trace; it returns the hit ratio in per cent.
func replay(ctx context.Context, s hitStore, t trace, room int, policy string) (float64, error) {
	value := make([]byte, hitValue)
	for i := range room {
		if err := s.set(hitKey(i), value); err != nil {
			return 0, err
		}
	}
	bytes, err := s.used()
	if err == nil {
		err = s.flush()
	}
	if err == nil {
		err = s.bound(bytes, policy)
	}
	if err != nil {
		return 0, err
	}
	hits, step := 0, max(room/turnSteps, leastStep)
	for i, k := range t.accesses {
		if i%step == 0 {
			if err := errors.Join(s.pass(), ctx.Err()); err != nil {
				return 0, err
			}
		}
		key := hitKey(int(k))
		found, err := s.get(key)
		if found {
			hits++
		} else if err == nil {
			err = s.set(key, value)
		}
		if err != nil {
			return 0, err
		}
	}
	return 100 * float64(hits) / float64(len(t.accesses)), nil
}

// hitKey is a name of the same length for every key.
func hitKey(i int) string { return "key:" + strconv.Itoa(10_000_000+i) }

func larderHits(ctx context.Context, t trace, room int, policy string, ttl time.Duration) (float64, error) {
	c := &steppedClock{Clock: clock.System(), ticks: make(chan time.Time)}
	c.now.Store(time.Now().UnixNano())
	db, err := larder.Open(larder.Options{Clock: c})
	if err != nil {
		return 0, err
	}
	ratio, err := replay(ctx, &embeddedHits{ctx, db, c, ttl, nil}, t, room, policy)
	return ratio, errors.Join(err, db.Close())
}

// embeddedHits is a store in this process.
type embeddedHits struct {
	ctx   context.Context
	db    *larder.DB
	clock *steppedClock
	ttl   time.Duration
	buf   []byte
}

func (s *embeddedHits) get(key string) (found bool, err error) {
	s.buf, found, err = s.db.GetBytes(s.ctx, key, s.buf[:0])
	return found, err
}

func (s *embeddedHits) set(key string, value []byte) error {
	return s.db.SetBytes(s.ctx, key, value, s.ttl)
}

func (s *embeddedHits) used() (int64, error) {
	text, err := s.db.Do(s.ctx, "INFO", "memory").Text()
	if err != nil {
		return 0, err
	}
	return usedMemory(text)
}

func (s *embeddedHits) bound(bytes int64, policy string) error {
	return s.db.Do(s.ctx, "CONFIG", "SET", "maxmemory", fmt.Sprint(bytes), "maxmemory-policy", policy).Err()
}

func (s *embeddedHits) flush() error { return s.db.Do(s.ctx, "FLUSHALL").Err() }

func (s *embeddedHits) pass() error {
	s.clock.step()
	return nil
}

// usedMemory finds used_memory in a text of INFO.
func usedMemory(info string) (int64, error) {
	for field := range strings.Lines(info) {
		if figure, ok := strings.CutPrefix(field, "used_memory:"); ok {
			return strconv.ParseInt(strings.TrimSpace(figure), 10, 64)
		}
	}
	return 0, errors.New("INFO says nothing of used_memory")
}

// steppedClock is a clock whose wall time passes by the second, when it is told, and which then ticks. What waits for
// its timers waits in real time.
type steppedClock struct {
	clock.Clock
	now   atomic.Int64 // Unix nanoseconds
	ticks chan time.Time
}

func (c *steppedClock) Now() time.Time                       { return time.Unix(0, c.now.Load()) }
func (c *steppedClock) NewTicker(time.Duration) clock.Ticker { return steppedTicker{c} }

// step lets a second pass. When it returns, whoever takes the ticks has done its work for that second: the second tick is taken when
// the first has been seen to.
func (c *steppedClock) step() {
	c.now.Add(int64(time.Second))
	c.ticks <- c.Now()
	c.ticks <- c.Now()
}

type steppedTicker struct{ c *steppedClock }

func (t steppedTicker) C() <-chan time.Time { return t.c.ticks }
func (steppedTicker) Stop()                 {}
func (steppedTicker) Reset(time.Duration)   {}
