package leaderboard_test

import (
	"context"
	"fmt"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/leaderboard"
)

func Example() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	weekly, err := leaderboard.New(db, leaderboard.Options{Name: "weekly", TTL: 8 * 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	for _, sale := range []struct {
		book string
		n    int64
	}{{"dune", 3}, {"emma", 5}, {"ulysses", 1}, {"dune", 2}} {
		if _, err := weekly.Add(ctx, sale.book, sale.n); err != nil {
			panic(err)
		}
	}
	top, err := weekly.Top(ctx, 2)
	fmt.Println(top, err)
	where, ok, err := weekly.Rank(ctx, "ulysses")
	fmt.Printf("%d of %d, percentile %.0f, %v %v\n", where.Rank, where.Of, where.Percentile(), ok, err)
	// Output:
	// [{emma 5 1 } {dune 5 2 }] <nil>
	// 3 of 3, percentile 0, true <nil>
}

// A score goes to the boards of the day and of all time, or to neither.
func ExampleBatch() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	day, err := leaderboard.New(db, leaderboard.Options{Group: "game", Name: "day", TTL: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	ever, err := leaderboard.New(db, leaderboard.Options{Group: "game", Name: "ever", TTL: leaderboard.NoTTL})
	if err != nil {
		panic(err)
	}
	var batch leaderboard.Batch
	batch.Add(day, "ann", 70)
	batch.Best(ever, "ann", 70)
	results, err := batch.Run(ctx)
	fmt.Println(len(results), results[0].Score, results[1].Changed, err)
	// Output: 2 70 true <nil>
}

func ExampleSeasons() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	league, err := leaderboard.NewSeasons(db, leaderboard.SeasonOptions{
		Options:  leaderboard.Options{Name: "league"},
		Calendar: leaderboard.Weekly(time.UTC),
		Keep:     100,
		Retain:   365 * 24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}
	res, err := league.Add(ctx, "ann", 3)
	fmt.Println(res.Score, res.Rank, err)
	lastWeek, err := league.Past(ctx, time.Now().AddDate(0, 0, -7))
	if err != nil {
		panic(err)
	}
	champions, err := lastWeek.Top(ctx, 3)
	fmt.Println(len(champions), err)
	// Output:
	// 3 1 <nil>
	// 0 <nil>
}
