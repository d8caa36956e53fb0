package store_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/store"
)

// visit is one atomic step for every kind of store: this process runs Go, a server Lua.
var visit = &store.Script{
	Name: "shop.visit",
	Lua:  `redis.call('SADD', KEYS[1], ARGV[1]) return redis.call('SCARD', KEYS[1])`,
	Go: func(tx store.Tx, keys, args []string) store.Reply {
		if r := tx.Do("SADD", keys[0], args[0]); r.Err() != nil {
			return r
		}
		return tx.Do("SCARD", keys[0])
	},
}

func Example() {
	ctx := context.Background()
	var st store.Store
	st, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer st.Close()

	_, err = st.Do(ctx, "GET", "nobody").Text()
	fmt.Println("missing:", errors.Is(err, store.ErrNil))

	for _, r := range st.Pipe(ctx, store.Cmd{"SET", "name", "Ada"}, store.Cmd{"GET", "name"}, store.Cmd{"INCR", "name"}) {
		fmt.Println(r)
	}
	for _, who := range []string{"ada", "bob", "ada"} {
		n, err := st.Run(ctx, visit, []string{"visitors"}, who).Int64()
		fmt.Println(who, n, err)
	}
	// Output:
	// missing: true
	// OK
	// "Ada"
	// (error) ERR value is not an integer or out of range
	// ada 1 <nil>
	// bob 2 <nil>
	// ada 2 <nil>
}

func ExampleParseURL() {
	cfg, err := store.ParseURL("redis+sentinel://app:secret@10.0.0.1:26379,10.0.0.2:26379/shop?timeout=500ms")
	fmt.Println(cfg.Target, cfg.Addrs, cfg.Timeout, err)
	fmt.Println(cfg) // without user and password, fit for a log

	_, err = store.ParseURL("redis://localhost:6379?timeuot=1s")
	fmt.Println(errors.Is(err, store.ErrInvalid))
	// Output:
	// sentinel [10.0.0.1:26379 10.0.0.2:26379] 500ms <nil>
	// redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/shop
	// true
}

func ExampleServerError() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()

	db.Do(ctx, "RPUSH", "list", "a")
	err := db.Do(ctx, "GET", "list").Err()
	var said store.ServerError
	if errors.As(err, &said) {
		fmt.Println(said.Code(), errors.Is(err, store.ErrWrongType))
	}
	// Output:
	// WRONGTYPE true
}
