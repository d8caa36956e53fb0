package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/cache"
)

// Product is what the examples keep.
type Product struct {
	ID    int
	Name  string
	Price float64
}

// fromDatabase stands for a slow query.
func fromDatabase(_ context.Context, id int) (Product, error) {
	fmt.Println("asking the database for", id)
	if id != 7 {
		return Product{}, cache.ErrNotFound
	}
	return Product{ID: 7, Name: "widget", Price: 12.5}, nil
}

func Example() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer db.Close()

	products, err := cache.New[Product](db, cache.Options{Prefix: "product:", TTL: 5 * time.Minute})
	if err != nil {
		panic(err)
	}
	for range 3 {
		p, err := products.GetOrLoad(ctx, "7", func(ctx context.Context) (Product, error) { return fromDatabase(ctx, 7) })
		fmt.Println(p.Name, err)
	}
	// Output:
	// asking the database for 7
	// widget <nil>
	// widget <nil>
	// widget <nil>
}

func ExampleCache_Delete() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	prices, _ := cache.New[float64](db, cache.Options{Prefix: "price:", TTL: time.Hour})

	_ = prices.Set(ctx, "7", 12.5)
	// The price changes in the database; then
	if err := prices.Delete(ctx, "7"); err != nil {
		fmt.Println("still the old price for up to an hour:", err)
	}
	_, ok, _ := prices.Get(ctx, "7")
	fmt.Println(ok)
	// Output: false
}

func ExampleErrNotFound() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	products, _ := cache.New[Product](db, cache.Options{Prefix: "product:", TTL: time.Hour, NegativeTTL: 10 * time.Second})

	_, err := products.GetOrLoad(ctx, "8", func(ctx context.Context) (Product, error) { return fromDatabase(ctx, 8) })
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// For 10 seconds the database is not asked for 8 again.
	// Output:
	// asking the database for 8
	// true
}

func ExampleCache_GetOrLoadMany() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	names, _ := cache.New[string](db, cache.Options{Prefix: "name:", TTL: time.Hour})
	_ = names.Set(ctx, "1", "one")

	found, err := names.GetOrLoadMany(ctx, []string{"1", "2", "3"}, func(_ context.Context, missing []string) (map[string]string, error) {
		fmt.Println("SELECT ... WHERE id IN", missing)
		return map[string]string{"2": "two"}, nil
	})
	fmt.Println(found, err)
	// Output:
	// SELECT ... WHERE id IN [2 3]
	// map[1:one 2:two] <nil>
}
