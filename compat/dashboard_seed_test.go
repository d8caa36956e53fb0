package compat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

// scriptTag is what must never run, wherever it comes from. It would call a function that the browser test watches.
const scriptTag = `<img src=x onerror="pwned()"><script>pwned()</script>`

// shop fills a store with what a shop keeps in it, made by the patterns themselves, and with what attackers would.
func shop(t *testing.T, st store.Store) dashboard.Options {
	t.Helper()
	ctx := t.Context()
	o := dashboard.Options{
		Queue: func(prefix, name string) (dashboard.Queue, error) {
			return queue.New[string](st, queue.Options{Prefix: prefix, Name: name})
		},
		Sessions: func(prefix string) (dashboard.Sessions, error) {
			return session.New(st, session.Options{Prefix: prefix})
		},
	}
	seedTypes(t, st)
	seedCaches(t, st, &o)
	seedLimits(t, st, &o)
	seedQueues(t, st, &o)
	seedSessions(t, st)
	seedLocks(t, st)
	board, err := leaderboard.New(st, leaderboard.Options{Name: "weekly", TTL: 7 * 24 * time.Hour, Data: true, Ranking: leaderboard.Dense})
	must(t, err)
	laps, err := leaderboard.New(st, leaderboard.Options{Name: "laps", Group: "race", TTL: leaderboard.NoTTL, LowestFirst: true})
	must(t, err)
	for i := range 250 {
		name := fmt.Sprintf("player-%03d", i)
		if i == 3 {
			name = scriptTag
		}
		_, err = board.Add(ctx, name, int64(10_000/(i+1)))
		must(t, err)
		_, err = laps.Add(ctx, name, int64(61_000+37*i))
		must(t, err)
	}
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, st store.Store, words ...string) {
	t.Helper()
	must(t, st.Do(t.Context(), words...).Err())
}

func seedTypes(t *testing.T, st store.Store) {
	t.Helper()
	do(t, st, "SET", "", "a value without a name")
	do(t, st, "SET", "greeting", "hello, world", "EX", "3600")
	do(t, st, "SET", "config:flags", `{"beta":true,"limits":{"upload":10485760,"big":12345678901234567890},"hosts":["a.example","b.example"],"empty":{},"none":null,"html":"<b>&amp;</b>"}`)
	do(t, st, "SET", "binary:\x00\xff\xfe", string([]byte{0, 1, 2, 0xff, 0xfe, 'a', 'b', '\n'}))
	do(t, st, "SET", scriptTag, scriptTag)
	do(t, st, "SET", "spoof:\u202egpj.exe\u200b", "right to left\u202e and a\u2028line")
	do(t, st, "SET", "big:text", strings.Repeat("0123456789abcdef", 20_000))
	do(t, st, "HSET", "user:1001", "name", "Ann", "mail", "ann@example.com", scriptTag, scriptTag, "bin", "\x00\xff", "long", strings.Repeat("x", 100_000))
	do(t, st, "EXPIRE", "user:1001", "86400")
	do(t, st, "RPUSH", "recent:views", "widget", "gadget", scriptTag, `{"id":7}`)
	do(t, st, "SADD", "tags:7", "red", "small", scriptTag)
	do(t, st, "ZADD", "prices", "9.99", "widget", "19.5", scriptTag, "-3", "refund")
	do(t, st, "XADD", "orders", "*", "id", "7", scriptTag, scriptTag)
	do(t, st, "XADD", "orders", "*", "id", "8", "total", "12.50")
	do(t, st, "XGROUP", "CREATE", "orders", "billing", "0")
	for i := range 1200 {
		do(t, st, "HSET", "stock", fmt.Sprintf("product:%04d", i), fmt.Sprint(i%97))
	}
	for i := range 400 {
		do(t, st, "SET", fmt.Sprintf("page:%d", i), strings.Repeat("<p>text</p>", 1+i%40), "PX", fmt.Sprint(60_000*(1+i)))
	}
}

func seedCaches(t *testing.T, st store.Store, o *dashboard.Options) {
	t.Helper()
	type product struct {
		Name  string
		Price float64
	}
	products, err := cache.New[product](st, cache.Options{Prefix: "product:", TTL: 5 * time.Minute, NegativeTTL: time.Minute})
	must(t, err)
	prices, err := cache.New[int](st, cache.Options{Prefix: "price:", TTL: 2 * time.Hour, Tags: func(string) []string { return []string{"prices"} }})
	must(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	for range 900 {
		id := fmt.Sprint(int(r.ExpFloat64() * 60))
		_, err := products.GetOrLoad(t.Context(), id, func(context.Context) (product, error) {
			if id == "13" {
				return product{}, cache.ErrNotFound
			}
			return product{"product " + id, 9.5}, nil
		})
		if err != nil && !errors.Is(err, cache.ErrNotFound) {
			t.Fatal(err)
		}
		_, err = prices.GetOrLoad(t.Context(), id, func(context.Context) (int, error) { return len(id), nil })
		must(t, err)
	}
	o.Counters = append(o.Counters,
		dashboard.Counters{Pattern: "cache", Name: "product:", Read: func() any { return products.Stats() }},
		dashboard.Counters{Pattern: "cache", Name: "price:", Read: func() any { return prices.Stats() }})
}

func seedLimits(t *testing.T, st store.Store, o *dashboard.Options) {
	t.Helper()
	ctx := t.Context()
	limit, err := ratelimit.New(st, ratelimit.Options{Limit: 20, Window: time.Hour})
	must(t, err)
	for i, n := range []int{25, 20, 13, 7, 2} {
		for range n {
			_, err := limit.Allow(ctx, fmt.Sprintf("203.0.113.%d", 7+i))
			must(t, err)
		}
	}
	_, err = limit.Allow(ctx, scriptTag)
	must(t, err)
	must(t, limit.Block(ctx, "198.51.100.66", time.Hour))
	for _, algorithm := range []ratelimit.Algorithm{ratelimit.TokenBucket, ratelimit.GCRA, ratelimit.FixedWindow, ratelimit.SlidingCounter} {
		meter, err := ratelimit.New(st, ratelimit.Options{Algorithm: algorithm, Limit: 10, Window: time.Minute})
		must(t, err)
		for range 4 {
			_, err := meter.Allow(ctx, fmt.Sprint("algorithm-", algorithm))
			must(t, err)
		}
	}
	exports, err := ratelimit.NewConcurrency(st, ratelimit.ConcurrencyOptions{Limit: 3, TTL: time.Hour})
	must(t, err)
	for range 2 {
		_, _, err := exports.Acquire(ctx, "tenant-4")
		must(t, err)
	}
	o.Limiters = append(o.Limiters, dashboard.Limiter{Prefix: ratelimit.DefaultPrefix, Peek: func(ctx context.Context, id string) (dashboard.Standing, error) {
		r, err := limit.Peek(ctx, id)
		return dashboard.Standing{Limit: int64(r.Limit), Remaining: int64(r.Remaining), RetryAfter: r.RetryAfter}, err
	}})
	o.Counters = append(o.Counters, dashboard.Counters{Pattern: "ratelimit", Name: ratelimit.DefaultPrefix, Read: func() any { return limit.Stats() }})
}

func seedQueues(t *testing.T, st store.Store, o *dashboard.Options) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	type mail struct{ To, Subject string }
	emails, err := queue.New[mail](st, queue.Options{Name: "emails", MaxAttempts: 1, Retention: time.Hour})
	must(t, err)
	for i := range 60 {
		_, err := emails.Enqueue(ctx, mail{fmt.Sprintf("user%d@example.com", i), scriptTag})
		must(t, err)
	}
	n := 0
	must(t, emails.Work(ctx, queue.Workers{Concurrency: 1}, func(_ context.Context, job *queue.Job[mail]) error {
		if n++; n == 60 {
			stop()
		}
		if n%9 == 0 {
			return errors.New("550 no such mailbox: " + job.Payload.To + scriptTag)
		}
		return nil
	}))
	for i := range 30 {
		_, err := emails.Enqueue(t.Context(), mail{fmt.Sprintf("later%d@example.com", i), "news"}, queue.In(time.Duration(i)*time.Minute))
		must(t, err)
	}
	thumbs, err := queue.New[string](st, queue.Options{Name: "thumbnails"})
	must(t, err)
	for i := range 12 {
		_, err := thumbs.Enqueue(t.Context(), fmt.Sprintf("image-%d.jpg", i), queue.Priority(queue.High))
		must(t, err)
	}
	o.Counters = append(o.Counters, dashboard.Counters{Pattern: "queue", Name: "emails", Read: func() any { return emails.Stats() }})
}

func seedSessions(t *testing.T, st store.Store) {
	t.Helper()
	sessions, err := session.New(st, session.Options{})
	must(t, err)
	for i, user := range []string{"ann", "ann", "bob", "cy", scriptTag} {
		s := sessions.New()
		s.SetClient(fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) Browser/%d", 120+i), fmt.Sprintf("203.0.113.%d", i))
		must(t, s.Login(user))
		must(t, sessions.Save(t.Context(), s))
	}
}

func seedLocks(t *testing.T, st store.Store) {
	t.Helper()
	locks, err := lock.New(st, lock.Options{Owner: "web-1", TTL: time.Minute})
	must(t, err)
	others, err := lock.New(st, lock.Options{Owner: "web-2<script>pwned()</script>", TTL: time.Minute})
	must(t, err)
	t.Cleanup(func() {
		_ = others.Close(context.Background()) // whatever is still held
		_ = locks.Close(context.Background())
	})
	_, err = locks.Try(t.Context(), "stock:7")
	must(t, err)
	_, err = locks.Try(t.Context(), "report")
	must(t, err)
	_, err = others.Semaphore("exports", 3).Try(t.Context())
	must(t, err)
	le, err := locks.Try(t.Context(), "free one")
	must(t, err)
	must(t, le.Release(t.Context()))
	for range 2 {
		go func() { _, _ = others.Acquire(t.Context(), "stock:7") }() // they wait until the test ends
	}
}
