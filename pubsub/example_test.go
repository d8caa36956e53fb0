package pubsub_test

import (
	"context"
	"fmt"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/pubsub"
)

// Price is what the examples send.
type Price struct {
	Pair string
	Rate float64
}

func Example() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	prices, err := pubsub.New[Price](db, pubsub.Options{Name: "prices"})
	if err != nil {
		panic(err)
	}

	// Open returns when the store has confirmed; Subscribe does the same with a function, until ctx ends.
	sub, err := prices.Open(ctx, pubsub.Listener{})
	if err != nil {
		panic(err)
	}
	defer sub.Close()
	n, err := prices.Publish(ctx, Price{"EURUSD", 1.0842})
	fmt.Println("receivers:", n, err)
	m, err := sub.Next(ctx)
	fmt.Println(m.Value.Pair, m.Value.Rate, err)
	// Output:
	// receivers: 1 <nil>
	// EURUSD 1.0842 <nil>
}

func ExampleTopic_PublishTo() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	prices, err := pubsub.New[Price](db, pubsub.Options{Name: "prices"})
	if err != nil {
		panic(err)
	}
	sub, err := prices.Open(ctx, pubsub.Listener{Match: "EUR*"})
	if err != nil {
		panic(err)
	}
	defer sub.Close()
	for _, p := range []Price{{"EURUSD", 1.0842}, {"USDJPY", 156.2}, {"EURCHF", 0.9301}} {
		if _, err := prices.PublishTo(ctx, p.Pair, p); err != nil {
			panic(err)
		}
	}
	for range 2 {
		m, err := sub.Next(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Println(m.Part, m.Value.Rate)
	}
	// Output:
	// EURUSD 1.0842
	// EURCHF 0.9301
}

func ExampleListener_slow() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	prices, err := pubsub.New[Price](db, pubsub.Options{Name: "prices"})
	if err != nil {
		panic(err)
	}
	slow, err := prices.Open(ctx, pubsub.Listener{Buffer: 2, OnGap: func(g pubsub.Gap) { fmt.Println("missed", g.Dropped) }})
	if err != nil {
		panic(err)
	}
	defer slow.Close()
	quick, err := prices.Open(ctx, pubsub.Listener{})
	if err != nil {
		panic(err)
	}
	defer quick.Close()
	for i := range 5 {
		if _, err := prices.Publish(ctx, Price{"EURUSD", float64(i)}); err != nil {
			panic(err)
		}
		if _, err := quick.Next(ctx); err != nil { // has all five
			panic(err)
		}
	}
	for range 2 {
		m, err := slow.Next(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Println(m.Value.Rate)
	}
	// Output:
	// missed 3
	// 3
	// 4
}
