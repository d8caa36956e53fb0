package redisstore_test

import (
	"context"
	"fmt"
	"net"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// Open is what larder.Connect does with a redis:// URL. Here the server is Larder's own, on a port of loopback.
func Example() {
	ctx := context.Background()
	server, _ := larder.Open(larder.Options{})
	defer server.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go server.Serve(l) //nolint:errcheck // it ends with Close

	cfg, err := store.ParseURL("redis://" + l.Addr().String() + "?timeout=5s")
	if err != nil {
		panic(err)
	}
	st, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		panic(err)
	}
	defer st.Close()

	fmt.Println(st.Do(ctx, "SET", "k", "v", "EX", "60").Err())
	fmt.Println(st.Do(ctx, "GET", "k").Text())
	// Output:
	// <nil>
	// v <nil>
}
