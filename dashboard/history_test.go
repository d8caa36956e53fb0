package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/store"
)

// told is a Store that tells what a test says, of a server without most things.
type told struct {
	store.Store
	mu    sync.Mutex
	info  string
	hist  store.Reply
	err   error
	asked chan struct{} // one per INFO
}

func (s *told) say(info string, hist store.Reply, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info, s.hist, s.err = info, hist, err
}

func (s *told) Do(context.Context, ...string) store.Reply {
	return store.Fail(store.ServerError("ERR unknown command"))
}

func (s *told) Pipe(_ context.Context, cmds ...store.Cmd) []store.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]store.Reply, len(cmds))
	for i, c := range cmds {
		switch {
		case s.err != nil:
			out[i] = store.Fail(s.err)
		case c[0] == "INFO":
			out[i] = store.Bulk(s.info)
		default:
			out[i] = s.hist
		}
	}
	if cmds[0][0] == "INFO" {
		s.asked <- struct{}{}
	}
	return out
}

func hist(counts ...int64) store.Reply {
	var flat []store.Reply
	for i := 0; i < len(counts); i += 2 {
		flat = append(flat, store.Int(counts[i]), store.Int(counts[i+1]))
	}
	buckets := func(r ...store.Reply) store.Reply {
		return store.ArrayOf(store.Bulk("calls"), store.Int(1), store.Bulk("histogram_usec"), store.ArrayOf(r...))
	}
	return store.ArrayOf(store.Bulk("get"), buckets(flat...), store.Bulk("info"), buckets(store.Int(1<<20), store.Int(1000)))
}

type series struct {
	Every, Now                                    int64
	Error                                         string
	T                                             []int64
	Used, Max, Keys, Ops, Hits, Evicted, P50, P99 []*float64
}

func history1(t *testing.T, d *Dashboard, query string) series {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost/api/history?"+query, nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	var s series
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatal(w.Code, w.Body, err)
	}
	return s
}

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	switch {
	case got == nil && !math.IsNaN(want), got != nil && (math.IsNaN(want) || math.Abs(*got-want) > math.Abs(want)/100):
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func stats(commands, hits int) string {
	return fmt.Sprintf("# Server\r\nrun_id:a\r\n# Memory\r\nused_memory:1000\r\nmaxmemory:0\r\n# Stats\r\ntotal_commands_processed:%d\r\nkeyspace_hits:%d\r\n# Keyspace\r\ndb0:keys=3,expires=1\r\ndb7:keys=4,expires=0\r\n", commands, hits)
}

// sampling is a dashboard whose clock a test moves; next lets it take the next sample and waits for it.
func sampling(t *testing.T) (d *Dashboard, st *told, next func()) {
	t.Helper()
	leaktest.Check(t)
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	st = &told{asked: make(chan struct{}), info: stats(100, 10), hist: hist(8, 10, 16, 20)}
	d, err := Handler(st, Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		go func() { //nolint:gosimple // whoever asks at the end is answered
			for range st.asked {
				continue
			}
		}()
		_ = d.Close() // never fails
		close(st.asked)
	})
	<-st.asked
	seen := 0
	settle := func() {
		seen++
		for { // the goroutine has what it asked for, and is about to note it
			d.history.mu.Lock()
			n := len(d.history.fine.points)
			full := n == finePoints && d.history.fine.points[(d.history.fine.next+finePoints-1)%finePoints].at == fake.Now().UnixMilli()
			d.history.mu.Unlock()
			if n >= seen && n < finePoints || full {
				return
			}
			runtime.Gosched()
		}
	}
	settle()
	return d, st, func() {
		fake.Advance(DefaultEvery)
		<-st.asked
		settle()
	}
}

func TestHistory(t *testing.T) {
	d, st, next := sampling(t)
	st.say(stats(300, 30), hist(8, 110, 16, 120, 1024, 121), nil)
	next()
	h := history1(t, d, "")
	if len(h.T) != 2 || h.T[1]-h.T[0] != 2000 || h.Every != 2000 || h.Now != h.T[1] {
		t.Fatalf("%+v", h)
	}
	nan := math.NaN()
	near(t, "the first rate", h.Ops[0], nan)
	near(t, "the first p50, which would be of all the time before", h.P50[0], nan)
	near(t, "used", h.Used[1], 1000)
	near(t, "max", h.Max[1], nan)
	near(t, "keys", h.Keys[1], 7)
	near(t, "ops", h.Ops[1], 100)
	near(t, "hits", h.Hits[1], 10)
	near(t, "evictions, of which nothing is told", h.Evicted[1], nan)
	near(t, "p50", h.P50[1], 6.02) // of 100 up to 8 us and 1 up to 1024
	near(t, "p99", h.P99[1], 7.99)

	st.say("", store.Nil(), errors.New("connection refused"+strings.Repeat("<b>", 3)))
	next()
	h = history1(t, d, "")
	if !strings.Contains(h.Error, "connection refused<b>") {
		t.Error(h.Error)
	}
	near(t, "used without a store", h.Used[2], nan)

	// It is back, and has begun anew: no rate falls below zero, and the first one is unknown.
	st.say(stats(5, 1), hist(8, 1), nil)
	next()
	st.say(stats(25, 1), store.Fail(store.ServerError("ERR unknown command")), nil)
	next()
	h = history1(t, d, fmt.Sprintf("since=%d", h.T[2]))
	if len(h.T) != 2 || h.Error != "" {
		t.Fatalf("%+v", h)
	}
	near(t, "ops after a restart", h.Ops[0], nan)
	near(t, "ops", h.Ops[1], 10)
	near(t, "p50 without a histogram", h.P50[1], nan)
	st.say(strings.Replace(stats(1000, 1), "run_id:a", "run_id:b", 1), store.Nil(), nil)
	next()
	near(t, "ops of another server", history1(t, d, "").Ops[5], nan)
}

// An hour is kept, and a day at a point a minute, and no more.
func TestHistoryIsBounded(t *testing.T) {
	d, st, next := sampling(t)
	const all = finePoints + 100
	for i := 1; i < all; i++ {
		st.say(stats(100+200*i, 10), store.Nil(), nil)
		next()
	}
	h := history1(t, d, "")
	if len(h.T) != finePoints || h.T[len(h.T)-1]-h.T[0] != 2000*(finePoints-1) {
		t.Error(len(h.T))
	}
	for i := 1; i < len(h.T); i++ {
		if h.T[i]-h.T[i-1] != 2000 {
			t.Fatalf("%d ms between %d and %d", h.T[i]-h.T[i-1], i-1, i)
		}
	}
	day := history1(t, d, "span=day")
	if len(day.T) != all/perCoarse || day.Every != 60_000 || day.T[1]-day.T[0] != 60_000 {
		t.Error(len(day.T), day.Every)
	}
	near(t, "ops of a minute", day.Ops[3], 100)
	near(t, "evictions of a minute", day.Evicted[3], math.NaN())
	if len(d.history.last) != readings {
		t.Error(len(d.history.last))
	}
	r := ring{most: 3}
	for i := range 10 {
		r.add(point{at: int64(i)})
	}
	if p := r.since(7); len(p) != 2 || p[0].at != 8 || p[1].at != 9 || len(r.points) != 3 {
		t.Error(p)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("30,0,25,0,0;{}", "1;failed")
	f.Add("31,1,25,0,0,3;kuh:1payload", "")
	for _, value := range written(f) {
		f.Add(value, "h1")
	}
	f.Fuzz(func(t *testing.T, record, notes string) {
		j := job("dead", scored{"123456", 5}, clipped(record, 100), clipped(notes, 100), blob{})
		if _, err := json.Marshal(j); err != nil {
			t.Error(err)
		}
		var l lockRow
		l.readHead(record, 5)
		l.claimant(notes, record, 5)
		size := int64(len(record))
		text := limitText{size, record[:min(len(record), 512)], record}
		for _, key := range []string{"rl:log:a", "rl:meter:a", "rl:lease:a", notes} {
			(&limitRow{}).read(key, text, 1e12)
		}
		(&cacheRow{}).add(size, record, 5, 5)
	})
}

// written are values as the patterns write them. Each is recognised, or the fuzzing would begin with nothing that parses.
func written(f *testing.F) (values []string) {
	ctx := f.Context()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	must := func(err error) {
		if err != nil {
			f.Helper()
			f.Fatal(err)
		}
	}
	for algorithm, prefix := range map[ratelimit.Algorithm]string{ratelimit.SlidingLog: "rl:log:", ratelimit.TokenBucket: "rl:meter:"} {
		l, err := ratelimit.New(db, ratelimit.Options{Algorithm: algorithm, Limit: 3, Window: time.Hour, Prefix: prefix})
		must(err)
		for range 3 {
			_, err := l.Allow(ctx, "id")
			must(err)
		}
		must(l.Block(ctx, "id", time.Hour))
	}
	leases, err := ratelimit.NewConcurrency(db, ratelimit.ConcurrencyOptions{Limit: 3, TTL: time.Hour, Prefix: "rl:lease:"})
	must(err)
	_, _, err = leases.Acquire(ctx, "id")
	must(err)
	entries, err := cache.New[int](db, cache.Options{Prefix: "cache:", TTL: time.Hour, Stale: time.Hour})
	must(err)
	must(entries.Set(ctx, "id", 1))
	for _, key := range []string{"rl:log:id", "rl:meter:id", "rl:lease:id", "cache:id"} {
		value, err := db.Do(ctx, "GET", key).Text()
		must(err)
		size, now := int64(len(value)), time.Now().UnixMilli()
		var c cacheRow
		if c.add(size, value, 5, now); c.Entries == 0 && !(&limitRow{}).read(key, limitText{size, value, value}, now) {
			f.Fatalf("%s is not recognised: %q", key, value)
		}
		values = append(values, value)
	}
	return values
}

// BenchmarkSample is what a dashboard costs each Options.Every while nobody looks: the store's part, the reading and the noting.
func BenchmarkSample(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	fake := clock.NewFake(time.Now())
	d, err := Handler(db, Options{Clock: fake})
	if err != nil {
		b.Fatal(err)
	}
	_ = d.Close() // its own goroutine does not join in
	for b.Loop() {
		fake.Advance(DefaultEvery)
		d.takeSample(b.Context())
	}
}
