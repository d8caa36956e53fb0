package httpcache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/httpcache"
)

// A service says in Cache-Control what may be stored, and for how long.
func Example() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	pages, _ := httpcache.New(db, httpcache.Options{Prefix: "http:"})
	defer pages.Close(context.Background())

	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("rendering product", r.PathValue("id"))
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "product %s", r.PathValue("id"))
	})
	site := pages.Handler(mux)

	for range 3 {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, httptest.NewRequest("GET", "http://shop.example/products/7", nil))
		status, _, _ := strings.Cut(w.Header().Get("Cache-Status"), "; ttl=")
		fmt.Println(w.Body, "|", status)
	}
	// Output:
	// rendering product 7
	// product 7 | larder; fwd=uri-miss; stored
	// product 7 | larder; hit
	// product 7 | larder; hit
}

// Responses that show the same thing name a group, and are purged together.
func ExampleCache_PurgeGroups() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	pages, _ := httpcache.New(db, httpcache.Options{Prefix: "http:"})

	site := pages.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("rendering", r.URL.Path)
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Cache-Groups", `"product-7"`)
	}))
	get := func(path string) {
		site.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://shop.example"+path, nil))
	}
	get("/products/7")
	get("/bestsellers")
	get("/products/7") // from the store

	_ = pages.PurgeGroups(context.Background(), "shop.example", "product-7")
	get("/products/7")
	get("/bestsellers")
	// Output:
	// rendering /products/7
	// rendering /bestsellers
	// rendering /products/7
	// rendering /bestsellers
}

// A client stores what other services answer.
func ExampleCache_Transport() {
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	rates, _ := httpcache.New(db, httpcache.Options{Prefix: "rates:", StaleIfError: time.Hour})
	defer rates.Close(context.Background())

	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("the origin is asked")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "1.08")
	}))
	defer origin.Close()

	client := &http.Client{Transport: rates.Transport(http.DefaultTransport)}
	for range 2 {
		resp, err := client.Get(origin.URL + "/eur-usd")
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(string(body))
	}
	// Output:
	// the origin is asked
	// 1.08
	// 1.08
}
