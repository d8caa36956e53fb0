package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// service stands for Vercel KV or Upstash: a Larder behind its REST API.
func service() (url string, end func()) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	h, err := rest.Handler(db, rest.Options{Token: "TOKEN"})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(h)
	return "http://TOKEN@" + server.Listener.Addr().String(), func() { _ = h.Close(); server.Close(); _ = db.Close() }
}

// With a URL every pattern and every command works over REST. On Vercel the URL is in the environment: larder.Connect(ctx, "").
func Example() {
	url, end := service() // "https://TOKEN@eu1-example.upstash.io"
	defer end()
	ctx := context.Background()
	st, err := larder.Connect(ctx, url)
	if err != nil {
		panic(err)
	}
	defer st.Close()

	products, err := cache.New[string](st, cache.Options{Prefix: "product:", TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	name, err := products.GetOrLoad(ctx, "7", func(context.Context) (string, error) { return "teapot", nil })
	fmt.Println(name, err)

	n, err := st.Do(ctx, "INCR", "visits").Int64()
	fmt.Println(n, err)
	// Output:
	// teapot <nil>
	// 1 <nil>
}

// Open is for what a URL cannot say: an HTTP client of one's own, a logger, how often to poll.
func ExampleOpen() {
	url, end := service()
	defer end()
	cfg, err := store.ParseURL(url + "?timeout=2s&retries=5")
	if err != nil {
		panic(err)
	}
	st, err := kvstore.Open(cfg, kvstore.Options{Poll: time.Second})
	if err != nil {
		panic(err)
	}
	defer st.Close()
	ctx := context.Background()

	// One request.
	for _, r := range st.Pipe(ctx, store.Cmd{"RPUSH", "jobs", "a", "b"}, store.Cmd{"LLEN", "jobs"}) {
		fmt.Println(r)
	}
	// A REST API does not wait: this asks now and then.
	fmt.Println(st.Do(ctx, "BLPOP", "jobs", "5"))
	// Output:
	// (integer) 2
	// (integer) 2
	// ["jobs" "a"]
}

// A transaction is one request, and either all of its commands run or none.
func ExampleStore_Transaction() {
	url, end := service()
	defer end()
	cfg, err := store.ParseURL(url)
	if err != nil {
		panic(err)
	}
	st, err := kvstore.Open(cfg, kvstore.Options{})
	if err != nil {
		panic(err)
	}
	defer st.Close()
	ctx := context.Background()

	replies, err := st.Transaction(ctx, store.Cmd{"SET", "from", "100"}, store.Cmd{"DECRBY", "from", "30"}, store.Cmd{"INCRBY", "to", "30"})
	fmt.Println(replies, err)
	err = st.Do(ctx, "WATCH", "from").Err()
	fmt.Println(errors.Is(err, store.ErrUnsupported))
	fmt.Println(err)
	// Output:
	// [OK (integer) 70 (integer) 30] <nil>
	// true
	// kvstore: WATCH changes the state of a connection, of which there is none here: use a Script, or Subscribe
}
