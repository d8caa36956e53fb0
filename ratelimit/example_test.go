package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/ratelimit"
)

func Example() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer db.Close()

	limit, err := ratelimit.New(db, ratelimit.Options{Limit: 2, Window: time.Minute})
	if err != nil {
		panic(err)
	}
	for range 3 {
		res, err := limit.Allow(ctx, "user:7")
		fmt.Println(res.Allowed, res.Remaining, res.RetryAfter.Round(time.Second), err)
	}
	// Output:
	// true 1 0s <nil>
	// true 0 0s <nil>
	// false 0 1m0s <nil>
}

func ExampleMiddleware() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	limit, _ := ratelimit.New(db, ratelimit.Options{Limit: 1, Window: time.Minute})

	protect, err := ratelimit.Middleware(limit, ratelimit.HTTPOptions{
		Paths:          []string{"/api/"},
		TrustedProxies: []string{"10.0.0.0/8"}, // our load balancers: only they are believed about X-Forwarded-For
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	server := protect(mux)

	for range 2 {
		r := httptest.NewRequest(http.MethodGet, "/api/hello", nil)
		r.RemoteAddr = "203.0.113.9:5000"
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 hello
	// 429 {"error":"Too many requests","retryAfter":60}
}

func ExampleOptions_rules() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	limit, err := ratelimit.New(db, ratelimit.Options{Rules: []ratelimit.Rule{
		{Name: "burst", Algorithm: ratelimit.TokenBucket, Limit: 2, Window: time.Minute},
		{Name: "daily", Algorithm: ratelimit.FixedWindow, Limit: 1000, Window: 24 * time.Hour},
	}})
	if err != nil {
		panic(err)
	}
	for range 3 {
		res, _ := limit.Allow(context.Background(), "user:7")
		fmt.Println(res.Allowed, res.Rule, res.Each()[1].Remaining)
	}
	// Output:
	// true burst 999
	// true burst 998
	// false burst 998
}

func ExampleOptions_planFor() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	paying, _ := ratelimit.NewPlan(ratelimit.Rule{Limit: 100, Window: time.Minute})
	limit, err := ratelimit.New(db, ratelimit.Options{
		Limit: 1, Window: time.Minute, // for everybody else
		PlanFor: func(_ context.Context, id string) *ratelimit.Plan {
			if id == "acme" {
				return paying
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	for _, id := range []string{"acme", "guest"} {
		res, _ := limit.Allow(context.Background(), id)
		fmt.Println(id, res.Limit, res.Remaining)
	}
	// Output:
	// acme 100 99
	// guest 1 0
}

func ExampleConcurrency() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	exports, err := ratelimit.NewConcurrency(db, ratelimit.ConcurrencyOptions{Limit: 1, TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	lease, res, _ := exports.Acquire(ctx, "user:7")
	fmt.Println(res.Allowed)
	_, res, _ = exports.Acquire(ctx, "user:7")
	fmt.Println(res.Allowed, res.RetryAfter > 59*time.Second) // by then at the latest
	_ = lease.Release(ctx)
	_, res, _ = exports.Acquire(ctx, "user:7")
	fmt.Println(res.Allowed)
	// Output:
	// true
	// false true
	// true
}

func ExampleConcurrencyMiddleware() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	exports, _ := ratelimit.NewConcurrency(db, ratelimit.ConcurrencyOptions{Limit: 1, TTL: time.Minute})
	protect, err := ratelimit.ConcurrencyMiddleware(exports, ratelimit.HTTPOptions{
		Key: func(r *http.Request) string { return r.Header.Get("X-Customer") },
	})
	if err != nil {
		panic(err)
	}
	var server http.Handler
	ask := func() {
		r := httptest.NewRequest(http.MethodGet, "/export", nil)
		r.Header.Set("X-Customer", "7")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	again := true
	server = protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if again {
			again = false
			ask() // while this one is at work
		}
	}))
	ask()
	ask()
	// Output:
	// 429
	// 200
	// 200
}

func ExampleLimiter_Block() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	logins, _ := ratelimit.New(db, ratelimit.Options{Limit: 5, Window: time.Hour, Prefix: "login:", FailClosed: true})

	_ = logins.Block(ctx, "user:7", time.Hour)
	res, _ := logins.Allow(ctx, "user:7")
	fmt.Println(res.Allowed, res.Blocked, res.RetryAfter.Round(time.Minute))
	// Output:
	// false true 1h0m0s
}
