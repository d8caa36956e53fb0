package larder_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/ratelimit"
)

type product struct {
	ID    int
	Name  string
	Cents int
}

// A store in the process, with a cache and a limiter on it.
func Example() {
	db, err := larder.Open(larder.Options{MaxMemory: 256 << 20, Policy: "allkeys-lru"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()

	products, err := cache.New[product](db, cache.Options{Prefix: "product:", TTL: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // the second time it comes from the cache
		p, err := products.GetOrLoad(ctx, "7", func(context.Context) (product, error) {
			fmt.Println("asking the database")
			return product{7, "Quince jelly", 450}, nil
		})
		fmt.Println(p.Name, err)
	}

	limit, err := ratelimit.New(db, ratelimit.Options{Limit: 2, Window: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		res, _ := limit.Allow(ctx, "client:1")
		fmt.Println(res.Allowed, res.Remaining)
	}
	// Output:
	// asking the database
	// Quince jelly <nil>
	// Quince jelly <nil>
	// true 1
	// true 0
	// false 0
}

// Any Redis command is one Do away.
func ExampleDB_Do() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	db.Do(ctx, "ZADD", "board", "120", "ada", "95", "bob")
	best, err := db.Do(ctx, "ZRANGE", "board", "0", "0", "REV").Strings()
	fmt.Println(best, err)
	_, err = db.Do(ctx, "INCR", "board").Int64()
	fmt.Println(err)
	// Output:
	// [ada] <nil>
	// WRONGTYPE Operation against a key holding the wrong kind of value
}

// The same code runs on another store by another URL.
func ExampleConnect() {
	ctx := context.Background()
	st, err := larder.Connect(ctx, "mem://?maxmemory=64mb&maxmemory-policy=allkeys-lfu") // or redis://host:6379/0, ...
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()
	fmt.Println(st.Do(ctx, "SET", "greeting", "hello", "EX", "60").OK())
	// Output:
	// true <nil>
}

// A Redis client library on the embedded store, without a port. Any library that takes a dialer will do.
func ExampleDB_Dial() {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Dial()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "PING\r\n")
	reply := make([]byte, 7)
	_, err = conn.Read(reply)
	fmt.Printf("%q %v\n", reply, err)
	// Output:
	// "+PONG\r\n" <nil>
}

// Redis clients in any language on the embedded store.
func ExampleDB_Serve() {
	db, err := larder.Open(larder.Options{Password: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- db.Serve(l) }()
	_ = db.Close() // ends Serve
	fmt.Println(<-done)
	// Output:
	// <nil>
}
