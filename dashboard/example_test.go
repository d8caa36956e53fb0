package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/ratelimit"
)

func ExampleHandler() {
	st, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer st.Close()
	board, err := dashboard.Handler(st, dashboard.Options{Password: "correct horse battery staple"})
	if err != nil {
		panic(err)
	}
	defer board.Close()

	mux := http.NewServeMux()
	mux.Handle("/larder/", http.StripPrefix("/larder", board))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://admin.example/larder/", nil))
	fmt.Println(w.Code, strings.Contains(w.Body.String(), "<title>Larder</title>"))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://admin.example/larder/api/keys", nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 200 true
	// 401 {"error":"log in first"}
}

// What a program may tell the dashboard beyond what lies in the store.
func ExampleOptions() {
	st, _ := larder.Open(larder.Options{})
	defer st.Close()
	prices, _ := cache.New[int](st, cache.Options{Prefix: "price:", TTL: time.Minute})
	logins, _ := ratelimit.New(st, ratelimit.Options{Limit: 5, Window: time.Hour, Prefix: "rl:log:login:"})

	board, err := dashboard.Handler(st, dashboard.Options{
		NoLogin:  true, // the program lets in only who may
		Writable: true,
		Queue: func(prefix, name string) (dashboard.Queue, error) {
			return queue.New[string](st, queue.Options{Prefix: prefix, Name: name})
		},
		Limiters: []dashboard.Limiter{{Prefix: "rl:log:login:", Peek: func(ctx context.Context, id string) (dashboard.Standing, error) {
			r, err := logins.Peek(ctx, id)
			return dashboard.Standing{Limit: int64(r.Limit), Remaining: int64(r.Remaining), RetryAfter: r.RetryAfter}, err
		}}},
		Counters: []dashboard.Counters{{Pattern: "cache", Name: "price:", Read: func() any { return prices.Stats() }}},
	})
	if err != nil {
		panic(err)
	}
	defer board.Close()
	w := httptest.NewRecorder()
	board.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://admin.example/api/counters?pattern=cache", nil))
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"Hits":0`))
	// Output: 200 true
}
