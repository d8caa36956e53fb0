package stream_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/stream"
)

// Order is what the examples are about.
type Order struct {
	ID       int
	Customer string
	Cents    int
}

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer db.Close()

	orders, err := stream.New[Order](db, stream.Options{Name: "orders", MaxLen: 1_000_000})
	if err != nil {
		panic(err)
	}
	if _, err := orders.PublishMany(ctx, Order{1, "ann", 1250}, Order{2, "bob", 399}); err != nil {
		panic(err)
	}

	err = orders.Consume(ctx, stream.Group{Name: "billing"}, func(_ context.Context, m *stream.Message[Order]) error {
		fmt.Printf("%s pays %d cents\n", m.Value.Customer, m.Value.Cents)
		if m.Value.ID == 2 {
			cancel() // a service would end by a signal
		}
		return nil
	})
	fmt.Println("ended:", err)
	// Output:
	// ann pays 1250 cents
	// bob pays 399 cents
	// ended: <nil>
}

func ExampleStream_DeadLetters() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	orders, err := stream.New[Order](db, stream.Options{Name: "orders", MaxAge: 7 * 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	if _, err := orders.PublishMany(ctx, Order{1, "ann", -5}, Order{2, "bob", 399}); err != nil {
		panic(err)
	}

	repaired := false
	handler := func(_ context.Context, m *stream.Message[Order]) error {
		if m.Value.Cents < 0 && !repaired {
			return fmt.Errorf("%w: %d cents", stream.ErrDead, m.Value.Cents)
		}
		fmt.Println("billed order", m.Value.ID)
		if m.Value.ID == 2 || repaired {
			cancel()
		}
		return nil
	}
	if err := orders.Consume(ctx, stream.Group{Name: "billing"}, handler); err != nil {
		panic(err)
	}

	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	dead := orders.DeadLetters("billing")
	letters, err := dead.Range(ctx, "", 10)
	if err != nil {
		panic(err)
	}
	for _, d := range letters {
		fmt.Printf("order %d: %s, after %d delivery\n", d.Value.ID, d.Reason, d.Deliveries)
	}
	repaired = true
	n, err := dead.ReplayAll(ctx)
	fmt.Println("replayed", n, err)
	if err := orders.Consume(ctx, stream.Group{Name: "billing"}, handler); err != nil {
		panic(err)
	}
	// Output:
	// billed order 2
	// order 1: not worth another attempt: -5 cents, after 1 delivery
	// replayed 1 <nil>
	// billed order 1
}

func ExampleStream_KeyBy() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	orders, err := stream.New[Order](db, stream.Options{Name: "orders", MaxLen: 1000})
	if err != nil {
		panic(err)
	}
	orders = orders.KeyBy(func(o Order) string { return o.Customer })
	if _, err := orders.PublishMany(ctx, Order{1, "ann", 1}, Order{2, "ann", 2}, Order{3, "ann", 3}); err != nil {
		panic(err)
	}
	// Each customer's orders one after another, different customers' at the same time.
	group := stream.Group{Name: "billing", Ordered: true, Concurrency: 8, Backoff: func(int) time.Duration { return time.Millisecond }}
	err = orders.Consume(ctx, group, func(_ context.Context, m *stream.Message[Order]) error {
		if m.Value.ID == 2 && m.Deliveries == 1 {
			return errors.New("try again") // order 3 waits
		}
		fmt.Println(m.Value.ID)
		if m.Value.ID == 3 {
			cancel()
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1
	// 2
	// 3
	// <nil>
}

// Order over several processes: a stream for each part of the keys, and for each part one consumer with a fixed name, in
// whichever process.
func ExampleGroup_parts() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	var parts [4]*stream.Stream[Order] // their number never changes
	for i := range parts {
		if parts[i], err = stream.New[Order](db, stream.Options{Name: fmt.Sprint("orders:", i), MaxLen: 1000}); err != nil {
			panic(err)
		}
	}
	part := func(customer string) *stream.Stream[Order] {
		h := fnv.New32a()
		h.Write([]byte(customer))
		return parts[h.Sum32()%uint32(len(parts))]
	}
	for i := range 6 {
		o := Order{ID: i, Customer: []string{"ann", "bob"}[i%2]}
		if _, err := part(o.Customer).Publish(ctx, o); err != nil {
			panic(err)
		}
	}
	var consumers sync.WaitGroup
	var mu sync.Mutex
	seen := map[string][]int{}
	for _, p := range parts {
		consumers.Go(func() {
			_ = p.Consume(ctx, stream.Group{Name: "billing", Consumer: "billing"}, func(_ context.Context, m *stream.Message[Order]) error {
				mu.Lock()
				defer mu.Unlock()
				seen[m.Value.Customer] = append(seen[m.Value.Customer], m.Value.ID)
				if len(seen["ann"])+len(seen["bob"]) == 6 {
					cancel()
				}
				return nil
			})
		})
	}
	consumers.Wait()
	fmt.Println(seen["ann"], seen["bob"])
	// Output: [0 2 4] [1 3 5]
}

func ExampleStream_Read() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	lines, err := stream.New[string](db, stream.Options{Name: "log", MaxLen: 1000})
	if err != nil {
		panic(err)
	}
	if _, err := lines.PublishMany(ctx, "started", "ready"); err != nil {
		panic(err)
	}
	enough := errors.New("enough")
	err = lines.Read(ctx, stream.Beginning, func(_ context.Context, m *stream.Message[string]) error {
		fmt.Println(m.Value)
		if m.Value == "ready" {
			return enough
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// started
	// ready
	// enough
}
