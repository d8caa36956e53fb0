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
