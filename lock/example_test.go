package lock_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/lock"
)

func Example() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	locks, err := lock.New(db, lock.Options{})
	if err != nil {
		panic(err)
	}
	defer locks.Close(ctx)

	err = locks.With(ctx, "stock:7", func(ctx context.Context) error {
		_, err := locks.Try(ctx, "stock:7")
		fmt.Println("a second one:", errors.Is(err, lock.ErrHeld))
		return nil
	})
	fmt.Println(err)
	// Output:
	// a second one: true
	// <nil>
}

func ExampleGuard() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	locks, _ := lock.New(db, lock.Options{})
	defer locks.Close(ctx)
	guard, _ := lock.NewGuard(db, 0)

	first, _ := locks.Acquire(ctx, "stock:7")
	_ = first.Release(ctx) // or lost, unnoticed
	second, _ := locks.Acquire(ctx, "stock:7")
	defer second.Release(ctx)

	key := []string{"stock:7"}
	fmt.Println(guard.Do(ctx, second.Token(), key, "SET", "stock:7", "41").Err())
	err := guard.Do(ctx, first.Token(), key, "SET", "stock:7", "42").Err()
	fmt.Println("an old token:", errors.Is(err, lock.ErrFenced))
	// Output:
	// <nil>
	// an old token: true
}

func ExampleLocker_Semaphore() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	locks, _ := lock.New(db, lock.Options{})
	defer locks.Close(ctx)

	converters := locks.Semaphore("convert", 2) // at most two at a time, over all processes
	a, _ := converters.Acquire(ctx)
	b, _ := converters.Acquire(ctx)
	_, err := converters.AcquireWithin(ctx, 10*time.Millisecond)
	fmt.Println(errors.Is(err, lock.ErrHeld))
	fmt.Println(a.Release(ctx), b.Release(ctx))
	// Output:
	// true
	// <nil> <nil>
}

func ExampleElection() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	locks, _ := lock.New(db, lock.Options{Owner: "10.0.0.5:8080"})
	defer locks.Close(ctx)

	election := locks.Election("scheduler")
	err := election.Run(ctx, func(ctx context.Context) error { // ctx ends when another may lead
		leader, err := election.Leader(ctx)
		fmt.Println(leader.Owner, err)
		return nil // resigns
	})
	fmt.Println(err)
	// Output:
	// 10.0.0.5:8080 <nil>
	// <nil>
}
